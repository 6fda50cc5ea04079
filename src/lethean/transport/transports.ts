/** All ways to an exit, in one list. */
import type { Gate } from '../model.js';
import type { Transport } from '../ports.js';
import { ProxyTransport, type ProxyTransportOptions } from './proxy-transport.js';
import { SshTransport, type SshTransportOptions } from './ssh-transport.js';
import { WireGuardTransport, type WireGuardTransportOptions } from './wg-transport.js';
import { TransportError } from './transport-error.js';

export interface TransportSettings {
  readonly proxy?: ProxyTransportOptions;
  readonly ssh?: SshTransportOptions;
  /** Absent: WireGuard is off (`enable-wg=0`). */
  readonly wireGuard?: WireGuardTransportOptions;
}

/** The transports of this program. */
export function createTransports(settings: TransportSettings = {}): readonly Transport[] {
  const { proxy, ssh, wireGuard } = settings;
  return [
    new ProxyTransport(proxy),
    new SshTransport(ssh),
    ...(wireGuard === undefined ? [] : [new WireGuardTransport(wireGuard)]),
  ];
}

/** The transport that serves a gate. Throws a TransportError (`unsupported`) when there is none. */
export function transportFor(transports: readonly Transport[], gate: Gate): Transport {
  const found = transports.find((transport) => transport.serves(gate));
  if (found !== undefined) return found;
  throw new TransportError('unsupported', `there is no transport for a gate of type ${gate.type}`);
}
