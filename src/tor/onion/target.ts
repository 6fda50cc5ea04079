/**
 * The address that Tor must dial to reach our listener. Tor may be on another machine or in another
 * container, where our loopback address is useless.
 */
import { networkInterfaces } from 'node:os';
import { isLoopbackHost } from '../../protocol/location.js';
import type { OnionTarget } from './add-onion.js';
import type { ControlEnds } from '../control/client.js';
import { TorError } from '../tor-error.js';

export interface TargetRequest {
  /** The listening address: a host as in `onion_serving_host`, and the port in use. */
  readonly host: string;
  readonly port: number;
  /** `tor_target_host`: the host to dial, with priority over everything else. */
  readonly explicit: string | undefined;
  /**
   * Addresses of the control connection; undefined for a unix socket, which is assumed to be on this
   * machine.
   */
  readonly ends: ControlEnds | undefined;
  /** The IP addresses of this machine (default: the current ones). */
  readonly own?: readonly string[];
}

/** An address without its zone, and an IPv4 address without the prefix that IPv6 sockets add. */
function plain(address: string): string {
  return address.replace(/%.*$/, '').replace(/^::ffff:(?=[\d.]+$)/i, '');
}

/**
 * The IP addresses of this machine; none where a sandbox keeps the list from us (`RestrictAddressFamilies` of
 * systemd without AF_NETLINK, as in our units): Node throws there.
 */
export function ownAddresses(read = networkInterfaces): readonly string[] {
  try {
    return Object.values(read()).flatMap((addresses) =>
      (addresses ?? []).map(({ address }) => plain(address)),
    );
  } catch {
    return [];
  }
}

/** Whether the other end of a connection is this machine or container. */
export function isThisMachine(ends: ControlEnds, own?: readonly string[]): boolean {
  const remote = plain(ends.remote);
  // A connection to an address of this machine comes from the same address, so the list is hardly ever needed.
  if (isLoopbackHost(remote) || remote === plain(ends.local)) return true;
  return (own ?? ownAddresses()).includes(remote);
}

/** A wildcard address means every interface, and cannot be dialled. */
const WILDCARDS: ReadonlyMap<string, string> = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
]);

/**
 * The target for ADD_ONION. If Tor is on this machine: the listener's host. If not: the address by
 * which we reached Tor when we listen on every interface, else the listener's own. Throws a TorError
 * (`add-onion`, `bad-target`) when Tor cannot reach the listener.
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
