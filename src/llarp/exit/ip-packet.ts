/**
 * IP packets as exits handle them (row D29): IPv4 and IPv6, the ports of TCP and UDP. Fragments and IPv6 packets whose
 * extension headers hide the ports are refused. Addresses are 16 bytes, IPv4 as `::ffff:a.b.c.d`.
 */
import { joinBytes } from '../bytes.js';
import { fail, ok, type Parsed } from '../../protocol/result.js';

export const TCP = 6;
export const UDP = 17;
const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;
const UDP_HEADER_BYTES = 8;
/** Extension headers of IPv6: hop-by-hop, routing, fragment, encapsulation, authentication, options, mobility. */
const EXTENSIONS: ReadonlySet<number> = new Set([0, 43, 44, 50, 51, 60, 135]);
const MAPPED = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
const TIME_TO_LIVE = 64;

export interface IpPacket {
  readonly version: 4 | 6;
  readonly protocol: number;
  /** 16 bytes each. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** 0 for protocols without ports. */
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** What follows the IP header. */
  readonly segment: Uint8Array;
}

export type IpFault = 'short' | 'version' | 'length' | 'checksum' | 'fragment' | 'extension';

/** IPv4 as 16 bytes. @param v4 4 bytes */
export function mapped(v4: Uint8Array): Uint8Array {
  return joinBytes(MAPPED, v4);
}

/** The 4 bytes of an address that is IPv4. */
export function asIpv4(address: Uint8Array): Uint8Array | undefined {
  if (address.length !== 16 || MAPPED.some((byte, i) => address[i] !== byte)) return undefined;
  return address.subarray(12);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The sum of RFC 1071 over these parts, each of even length but the last. */
function checksum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    const view = viewOf(part);
    for (let at = 0; at + 1 < part.length; at += 2) sum += view.getUint16(at);
    if (part.length % 2 === 1) sum += (part.at(-1) ?? 0) << 8;
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function portsOf(protocol: number, segment: Uint8Array): readonly [number, number] | undefined {
  if (protocol !== TCP && protocol !== UDP) return [0, 0];
  if (segment.length < UDP_HEADER_BYTES) return undefined;
  const view = viewOf(segment);
  return [view.getUint16(0), view.getUint16(2)];
}

type Addressed = Pick<IpPacket, 'version' | 'protocol' | 'source' | 'destination' | 'segment'>;

function withPorts(packet: Addressed): Parsed<IpPacket, IpFault> {
  const ports = portsOf(packet.protocol, packet.segment);
  if (!ports) return fail('short');
  return ok({ ...packet, sourcePort: ports[0], destinationPort: ports[1] });
}

function readIpv4(bytes: Uint8Array): Parsed<IpPacket, IpFault> {
  if (bytes.length < IPV4_HEADER_BYTES) return fail('short');
  const view = viewOf(bytes);
  const header = (view.getUint8(0) & 15) * 4;
  if (header < IPV4_HEADER_BYTES || view.getUint16(2) !== bytes.length) return fail('length');
  if (bytes.length < header) return fail('short');
  if (checksum(bytes.subarray(0, header)) !== 0) return fail('checksum');
  // "More fragments", or an offset.
  if ((view.getUint16(6) & 0x3fff) !== 0) return fail('fragment');
  return withPorts({
    version: 4,
    protocol: view.getUint8(9),
    source: mapped(bytes.subarray(12, 16)),
    destination: mapped(bytes.subarray(16, 20)),
    segment: bytes.subarray(header),
  });
}

function readIpv6(bytes: Uint8Array): Parsed<IpPacket, IpFault> {
  if (bytes.length < IPV6_HEADER_BYTES) return fail('short');
  const view = viewOf(bytes);
  const protocol = view.getUint8(6);
  if (view.getUint16(4) !== bytes.length - IPV6_HEADER_BYTES) return fail('length');
  if (EXTENSIONS.has(protocol)) return fail('extension');
  return withPorts({
    version: 6,
    protocol,
    source: bytes.slice(8, 24),
    destination: bytes.slice(24, 40),
    segment: bytes.subarray(IPV6_HEADER_BYTES),
  });
}

/** Reads a packet. Never throws. */
export function readIpPacket(bytes: Uint8Array): Parsed<IpPacket, IpFault> {
  const version = (bytes[0] ?? 0) >> 4;
  if (version === 4) return readIpv4(bytes);
  return version === 6 ? readIpv6(bytes) : fail('version');
}

/** The bytes of a UDP datagram in an IPv4 packet, with both sums; undefined when an address is not IPv4. */
export function writeUdp(
  from: { readonly address: Uint8Array; readonly port: number },
  to: { readonly address: Uint8Array; readonly port: number },
  payload: Uint8Array,
): Uint8Array | undefined {
  const source = asIpv4(from.address);
  const destination = asIpv4(to.address);
  const length = IPV4_HEADER_BYTES + UDP_HEADER_BYTES + payload.length;
  if (!source || !destination || length > 0xffff) return undefined;
  const bytes = new Uint8Array(length);
  const view = viewOf(bytes);
  view.setUint8(0, 0x45);
  view.setUint16(2, length);
  view.setUint8(8, TIME_TO_LIVE);
  view.setUint8(9, UDP);
  bytes.set(source, 12);
  bytes.set(destination, 16);
  view.setUint16(10, checksum(bytes.subarray(0, IPV4_HEADER_BYTES)));
  view.setUint16(20, from.port);
  view.setUint16(22, to.port);
  view.setUint16(24, UDP_HEADER_BYTES + payload.length);
  bytes.set(payload, IPV4_HEADER_BYTES + UDP_HEADER_BYTES);
  // The sum covers the addresses, the protocol and the length too; 0 would mean that there is none.
  const pseudo = Uint8Array.of(0, UDP, bytes[24] ?? 0, bytes[25] ?? 0);
  view.setUint16(26, checksum(source, destination, pseudo, bytes.subarray(20)) || 0xffff);
  return bytes;
}

/** The payload of a UDP datagram; undefined when its length is wrong, or the packet is not UDP. */
export function udpPayload({ protocol, segment }: IpPacket): Uint8Array | undefined {
  if (protocol !== UDP || viewOf(segment).getUint16(4) !== segment.length) return undefined;
  return segment.subarray(UDP_HEADER_BYTES);
}
