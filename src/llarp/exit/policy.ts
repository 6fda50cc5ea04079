/** Traffic policies (row D5): which packets an exit, or its client, does not want. */
import type { TrafficPolicy } from '../structures.js';
import type { IpPacket } from './ip-packet.js';

/** Which way a packet goes. */
export type Direction = 'up' | 'down';

/**
 * Whether a policy drops a packet. The text says "source port"; here it is the port of the other host: the source of
 * packets to the client, and the destination of those from it. A policy without `d`, or with 0, does nothing.
 */
export function isDropped(
  policies: readonly TrafficPolicy[],
  packet: IpPacket,
  direction: Direction,
): boolean {
  const other = direction === 'up' ? packet.destinationPort : packet.sourcePort;
  return policies.some(
    ({ protocol, port, drop }) =>
      drop === true && protocol === BigInt(packet.protocol) && port === BigInt(other),
  );
}

/** The policies that a client requires and this exit drops. */
export function notOffered(
  own: readonly TrafficPolicy[],
  required: readonly TrafficPolicy[],
): readonly TrafficPolicy[] {
  return required.filter(({ protocol, port }) =>
    own.some((each) => each.drop === true && each.protocol === protocol && each.port === port),
  );
}
