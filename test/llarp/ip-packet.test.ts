/** IP packets of exits: headers of the standards, and any bytes. */
import * as fc from 'fast-check';
import t from 'tap';
import {
  asIpv4,
  mapped,
  readIpPacket,
  UDP,
  udpPayload,
  writeUdp,
} from '../../src/llarp/exit/ip-packet.js';

const v4 = (...bytes: readonly number[]): Uint8Array => mapped(Uint8Array.from(bytes));
const from = { address: v4(192, 168, 0, 1), port: 4_000 };
const to = { address: v4(192, 168, 0, 199), port: 53 };

/** The sum of RFC 1071 in another way: the remainder of one large number by 0xffff. */
function isSumRight(bytes: Uint8Array): boolean {
  const even = bytes.length % 2 === 0 ? bytes : Uint8Array.from([...bytes, 0]);
  return BigInt(`0x${Buffer.from(even).toString('hex')}`) % 0xffffn === 0n;
}

t.test('a header whose sum is known: 192.168.0.1 to 192.168.0.199, UDP, 115 bytes', (t) => {
  const header = Buffer.from('45000073000040004011b861c0a80001c0a800c7', 'hex');
  const packet = Uint8Array.from([...header, ...new Uint8Array(95)]);
  t.match(readIpPacket(packet), {
    ok: true,
    value: { version: 4, protocol: UDP, source: from.address, destination: to.address },
  });
  const cases = [
    [10, 0xb9, 'checksum'],
    [3, 0x72, 'length'],
    [0, 0x44, 'length'],
    [0, 0x35, 'version'],
  ] as const;
  for (const [at, byte, reason] of cases) {
    const changed = packet.slice();
    changed[at] = byte;
    t.same(readIpPacket(changed), { ok: false, reason });
  }
  t.same(readIpPacket(packet.subarray(0, 19)), { ok: false, reason: 'short' });
  t.same(readIpPacket(new Uint8Array(0)), { ok: false, reason: 'version' });
  t.end();
});

t.test('fragments are refused, and the last one too', (t) => {
  for (const [flags, offset] of [
    [0x20, 0],
    [0, 5],
  ] as const) {
    const packet = writeUdp(from, to, Uint8Array.of(1)) ?? new Uint8Array(0);
    packet[6] = flags;
    packet[7] = offset;
    // The sum of the header with these bytes.
    packet.fill(0, 10, 12);
    const sum =
      0xffff - Number(BigInt(`0x${Buffer.from(packet.subarray(0, 20)).toString('hex')}`) % 0xffffn);
    packet[10] = sum >> 8;
    packet[11] = sum & 255;
    t.same(readIpPacket(packet), { ok: false, reason: 'fragment' });
  }
  t.end();
});

t.test('IPv6: ports, and headers that would hide them', (t) => {
  const header = Buffer.from(
    `6000000000081140${'fe80'.padEnd(32, '0')}${'1'.padStart(32, '0')}`,
    'hex',
  );
  const packet = Uint8Array.from([...header, 0x0f, 0xa0, 0, 53, 0, 8, 0, 0]);
  t.match(readIpPacket(packet), {
    value: { version: 6, protocol: UDP, sourcePort: 4_000, destinationPort: 53 },
  });
  packet[6] = 44;
  t.same(readIpPacket(packet), { ok: false, reason: 'extension' });
  t.same(readIpPacket(packet.subarray(1)), { ok: false, reason: 'version' });
  t.same(readIpPacket(packet.subarray(0, 39)), { ok: false, reason: 'short' });
  t.same(readIpPacket(packet.subarray(0, 47)), { ok: false, reason: 'length' });
  t.equal(asIpv4(Uint8Array.from(header.subarray(8, 24))), undefined);
  t.end();
});

t.test('a datagram that is written has right sums and is read back', (t) => {
  const port = fc.integer({ min: 0, max: 65_535 });
  const bytes4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
  const end = fc.record({ address: bytes4.map(mapped), port });
  fc.assert(
    fc.property(end, end, fc.uint8Array({ maxLength: 300 }), (a, b, payload) => {
      const packet = writeUdp(a, b, payload) ?? new Uint8Array(0);
      const read = readIpPacket(packet);
      if (!read.ok) throw new Error(read.reason);
      t.strictSame(read.value.source, a.address);
      t.strictSame(read.value.destination, b.address);
      t.same([read.value.sourcePort, read.value.destinationPort], [a.port, b.port]);
      t.strictSame(Uint8Array.from(udpPayload(read.value) ?? []), payload);
      const pseudo = [...packet.subarray(12, 20), 0, UDP, ...packet.subarray(24, 26)];
      t.ok(isSumRight(packet.subarray(0, 20)));
      t.ok(isSumRight(Uint8Array.from([...pseudo, ...packet.subarray(20)])));
    }),
    { numRuns: 200 },
  );
  t.equal(writeUdp(from, to, new Uint8Array(65_508)), undefined, 'too long');
  t.equal(writeUdp({ ...from, address: new Uint8Array(16) }, to, new Uint8Array(1)), undefined);
  t.end();
});

t.test('any bytes are read or refused', (t) => {
  const start = fc.constantFrom(0x45, 0x46, 0x4f, 0x60, 0x00);
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 80 }), (first, rest) => {
      const read = readIpPacket(Uint8Array.of(first, ...rest));
      if (read.ok) udpPayload(read.value);
    }),
    { numRuns: 2_000 },
  );
  t.end();
});
