/**
 * Where Tor has to dial so that it reaches our listener. Tor may be on another machine or in another
 * container: our loopback is nothing to it then.
 */
import { networkInterfaces } from 'node:os';
import { isLoopbackHost } from '../../protocol/location.js';
import type { OnionTarget } from './add-onion.js';
import type { ControlEnds } from '../control/client.js';
import { TorError } from '../tor-error.js';

export interface TargetRequest {
  /** Where we listen: a host as in `onion_serving_host`, and the port in use. */
  readonly host: string;
  readonly port: number;
  /** `tor_target_host`: the host to dial, whatever else is known. */
  readonly explicit: string | undefined;
  /** Of the control connection; undefined for a unix socket, which is taken to be on this machine. */
  readonly ends: ControlEnds | undefined;
  /** The IP addresses of this machine (default: those that it has now). */
  readonly own?: readonly string[];
}

/** An address without its zone, and an IPv4 address without the prefix that IPv6 sockets give it. */
function plain(address: string): string {
  return address.replace(/%.*$/, '').replace(/^::ffff:(?=[\d.]+$)/i, '');
}

function ownAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).map(({ address }) => plain(address)),
  );
}

/** Whether the other end of a connection is this machine, or this container, itself. */
export function isThisMachine(ends: ControlEnds, own = ownAddresses()): boolean {
  const remote = plain(ends.remote);
  return isLoopbackHost(remote) || remote === plain(ends.local) || own.includes(remote);
}

/** "Every interface" to us, and nothing that anybody could connect to. */
const WILDCARDS: ReadonlyMap<string, string> = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
]);

/**
 * The target for ADD_ONION. Where Tor is on this machine: the listener's host. Where it is not: the
 * address by which we reached it, if we listen on every interface, or the listener's own. Throws a
 * TorError (`add-onion`, `bad-target`) where Tor cannot reach the listener.
 */
export function onionTarget(request: TargetRequest): OnionTarget & { readonly port: number } {
  const { host, port, explicit, ends } = request;
  if (explicit !== undefined) return { host: explicit, port };
  const loopback = WILDCARDS.get(host);
  if (ends === undefined || isThisMachine(ends, request.own)) {
    return { host: loopback ?? host, port };
  }
  if (loopback !== undefined) return { host: plain(ends.local), port };
  if (!isLoopbackHost(host)) return { host, port };
  throw new TorError(
    'add-onion',
    'bad-target',
    `Tor is on another machine or in another container (its control port is at ${plain(ends.remote)}) and cannot reach onion_serving_host ${host}. Fix: set onion_serving_host to ${plain(ends.local)}, or tor_target_host to the host at which Tor reaches that listener`,
    { remedy: 'configuration' },
  );
}
