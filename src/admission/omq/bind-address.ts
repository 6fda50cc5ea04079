/** The addresses on which the auth server listens. Pure. */
import { isIP } from 'node:net';
import { MAX_SOCKET_PATH_BYTES } from '../../kit/socket-path.js';
import { fail, ok, type Parsed } from '../../protocol/result.js';

/** Where the server listens, and whether it proves its key. */
export type BindAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly curve: boolean }
  | { readonly kind: 'ipc'; readonly path: string; readonly curve: boolean };

/** Why a text is not an address to bind. */
export type BindFault = 'scheme' | 'host' | 'port' | 'path';

/** For a person who wrote another. */
export const BIND_FORMS =
  'tcp://127.0.0.1:5555, ipc:///path/to/auth.socket, curve://HOST:PORT or ipc+curve:///path';

const SCHEMES: ReadonlyMap<string, { kind: 'tcp' | 'ipc'; curve: boolean }> = new Map([
  ['tcp', { kind: 'tcp', curve: false }],
  ['ipc', { kind: 'ipc', curve: false }],
  ['curve', { kind: 'tcp', curve: true }],
  ['tcp+curve', { kind: 'tcp', curve: true }],
  ['ipc+curve', { kind: 'ipc', curve: true }],
]);

/** Reads the value of `--bind`. A trailing slash behind the port is allowed, as in the guide's unit. */
export function parseBindAddress(text: string): Parsed<BindAddress, BindFault> {
  const match = /^([a-z+]+):\/\/(.*)$/s.exec(text);
  const scheme = SCHEMES.get(match?.[1] ?? '');
  const rest = match?.[2] ?? '';
  if (!scheme) return fail('scheme');
  const { curve } = scheme;
  if (scheme.kind === 'ipc') {
    const fits = Buffer.byteLength(rest) <= MAX_SOCKET_PATH_BYTES;
    // oxlint-disable-next-line no-control-regex -- a path without control characters
    return fits && /^\/[^\0-\x1f\x7f]*[^\0-\x1f\x7f/]$/.test(rest)
      ? ok({ kind: 'ipc', path: rest, curve })
      : fail('path');
  }
  const [, bracketed, plain, digits = ''] =
    /^(?:\[([0-9a-fA-F:.]+)\]|([^:/[\]]+)):(\d+)\/?$/.exec(rest) ?? [];
  const host = bracketed ?? plain ?? '';
  const port = Number(digits);
  // A name could be resolved to any address, so only addresses are bound.
  if (isIP(host) === 0) return fail('host');
  if (digits === '' || port < 1 || port > 65_535) return fail('port');
  return ok({ kind: 'tcp', host, port, curve });
}

/** The address as ZeroMQ takes it. */
export function zmqAddress(address: BindAddress): string {
  if (address.kind === 'ipc') return `ipc://${address.path}`;
  const host = isIP(address.host) === 6 ? `[${address.host}]` : address.host;
  return `tcp://${host}:${address.port}`;
}

/** Whether only programs of this machine reach the address. */
export function isLocal(address: BindAddress): boolean {
  return address.kind === 'ipc' || address.host.startsWith('127.') || address.host === '::1';
}

/**
 * Whether strangers could take over the replies of an endpoint: without CURVE the routing id is not
 * proven, and it is reachable from other machines.
 */
export function isExposed(address: BindAddress): boolean {
  return !address.curve && !isLocal(address);
}

/** The value of `auth-lmq` for an exit. With CURVE it holds the server's key in hex. */
export function clientAddress(address: BindAddress, publicKeyHex: string | undefined): string {
  const plain = zmqAddress(address);
  if (!address.curve || publicKeyHex === undefined) return plain;
  return address.kind === 'ipc'
    ? `ipc+curve://${address.path}/${publicKeyHex}`
    : `${plain.replace(/^tcp:/, 'curve:')}/${publicKeyHex}`;
}
