/**
 * The bytes of LLARP v0 that are not bencode: packets of IWP in clear and obfuscated, the messages inside them,
 * encrypted frames, questions for paths, segments of streams, and IP packets of exits. The first letter of an input
 * tells which.
 */
import { readIpPacket } from '../../../src/llarp/exit/ip-packet.js';
import { openFrame, sealFrame } from '../../../src/llarp/frame.js';
import { Endpoint } from '../../../src/llarp/iwp/endpoint.js';
import { readInner, writeInner, type InnerMessage } from '../../../src/llarp/iwp/messages.js';
import { deobfuscate, obfuscate } from '../../../src/llarp/iwp/obfuscation.js';
import { MAX_PACKET_BYTES, readPacket, writeSigned } from '../../../src/llarp/iwp/packet.js';
import { Reassembly } from '../../../src/llarp/iwp/reassembly.js';
import { shortHash } from '../../../src/llarp/crypto.js';
import { makeCommit, readCommit } from '../../../src/llarp/path/commit.js';
import { makeContact, newRouterKeys } from '../../../src/llarp/router/contact.js';
import { readSegment, writeSegment } from '../../../src/llarp/stream/segment.js';
import { createTestClock } from '../../../test/helpers/test-clock.js';
import { fuzzRandom, type FuzzRandom } from '../random.js';
import { must, mustEqual, type Target } from '../target.js';

const NETWORK = new Uint8Array(8);
const bytesFrom =
  (random: FuzzRandom) =>
  (length: number): Uint8Array =>
    Uint8Array.from({ length }, () => random.below(256));
const RANDOM_BYTES = bytesFrom(fuzzRandom('llarp'));
const KEYS = newRouterKeys(RANDOM_BYTES);
const OTHER = newRouterKeys(RANDOM_BYTES);
const CONTACT = makeContact(KEYS, { network: NETWORK, host: '127.0.0.1', port: 1, now: 0n });
const RECORD = Uint8Array.from(Buffer.from('a record'));
const FRAME = sealFrame(RECORD, KEYS.path.publicKey, RANDOM_BYTES) ?? new Uint8Array(0);
const COMMIT = makeCommit([CONTACT], RANDOM_BYTES);
const FLOW = new Uint8Array(16).fill(7);
const HASH = shortHash(new Uint8Array(1_400).fill(1));

const INNER: readonly InnerMessage[] = [
  { kind: 'keepAlive', attempt: 1, timeoutMs: 2, transmitLimit: 3n, receiveUse: 4n, now: 5n },
  { kind: 'keepAliveAck', attempt: 1, timeoutMs: 2, transmitLimit: 3n, receiveUse: 4n, now: 5n },
  { kind: 'slower', rate: 1, lifetimeMs: 1_000 },
  { kind: 'faster', rate: 1, lifetimeMs: 1_000 },
  {
    kind: 'start',
    isWhole: true,
    size: 2,
    sequence: 1,
    hash: shortHash(Uint8Array.of(1, 2)),
    fragment: Uint8Array.of(1, 2),
  },
  {
    kind: 'start',
    isWhole: false,
    size: 1_400,
    sequence: 2,
    hash: HASH,
    fragment: new Uint8Array(1_280).fill(1),
  },
  {
    kind: 'continue',
    isLast: true,
    offset: 1_280,
    sequence: 2,
    fragment: new Uint8Array(120).fill(1),
  },
  { kind: 'acknowledge', sequence: 3, fragments: Uint8Array.of(255) },
  { kind: 'rotate', lifetimeMs: 6, nonce: new Uint8Array(32), nextKey: new Uint8Array(32) },
  { kind: 'upgrade', least: 1, most: 1 },
  { kind: 'upgradeAck', least: 1, most: 1 },
  {
    kind: 'neighbours',
    routes: [
      {
        flags: 0,
        latencyMs: 1,
        backpressure: 2,
        peers: 3,
        published: 4n,
        neighbour: new Uint8Array(32),
        source: new Uint8Array(32),
        signature: new Uint8Array(64),
      },
    ],
  },
];

const SEGMENT = writeSegment({
  stream: '0011223344556677',
  fromOpener: true,
  opens: true,
  ends: false,
  resets: false,
  asks: true,
  offset: 0,
  acknowledged: 10,
  window: 1_000,
  ranges: [{ from: 12, to: 14 }],
  data: Uint8Array.of(1, 2, 3),
});

const letter = (text: string, ...parts: readonly Uint8Array[]): Uint8Array =>
  Uint8Array.from(Buffer.concat([Buffer.from(text), ...parts]));

/** Messages of one input, each behind two bytes of its length. */
const behindLengths = (messages: readonly Uint8Array[]): Uint8Array[] =>
  messages.flatMap((bytes) => [Uint8Array.of(bytes.length >> 8, bytes.length & 255), bytes]);

function* inPieces(bytes: Uint8Array): Iterable<Uint8Array> {
  for (let at = 0; at + 2 <= bytes.length;) {
    const length = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    yield bytes.subarray(at + 2, at + 2 + length);
    at += 2 + length;
  }
}

const PACKETS = [
  writeSigned(
    { kind: 'obtain', network: NETWORK, time: 1n, identity: OTHER.signing.publicKey },
    OTHER.signing.seed,
  ),
  writeSigned(
    { kind: 'give', flowId: FLOW, identity: OTHER.signing.publicKey },
    OTHER.signing.seed,
  ),
  writeSigned(
    { kind: 'reject', reason: 'full', time: 1n, identity: OTHER.signing.publicKey },
    OTHER.signing.seed,
  ),
  writeSigned(
    { kind: 'establish', flowId: FLOW, ephemeralKey: OTHER.link.publicKey, counter: 0n },
    OTHER.signing.seed,
  ),
  Uint8Array.from(
    Buffer.concat([Buffer.from('D='), FLOW, new Uint8Array(24), RECORD, new Uint8Array(32)]),
  ),
];

/** A router gets a packet of a stranger, twice. */
function* onPacket(bytes: Uint8Array, random: FuzzRandom): Iterable<string> {
  const read = readPacket(bytes);
  yield read.ok ? `packet-${read.value.packet.kind}` : `packet-no-${read.reason}`;
  must(!read.ok || bytes.length <= MAX_PACKET_BYTES, 'a packet is bounded');
  const hidden = obfuscate(bytes, KEYS.signing.publicKey, bytesFrom(random));
  mustEqual(
    [...(deobfuscate(hidden, KEYS.signing.publicKey) ?? [])],
    [...bytes],
    'hidden and shown',
  );
  const clock = createTestClock();
  const sent: Uint8Array[] = [];
  const endpoint = new Endpoint({
    clock,
    wallClock: () => 0n,
    randomBytes: bytesFrom(random),
    identity: KEYS.signing,
    network: NETWORK,
    obfuscates: false,
    send: (packet) => sent.push(packet),
    onLink: () => must(false, 'a stranger without a flow id makes a link'),
    onMessage: () => must(false, 'a stranger sends a message'),
    onEnd: () => undefined,
    onFailed: () => undefined,
  });
  for (const each of [bytes, hidden]) endpoint.receive(each, '127.0.0.1:9');
  must(
    endpoint.links === 0 && endpoint.attempts === 0,
    'nothing is kept for a stranger but its flow id',
  );
  must(sent.length <= 2, 'a packet has one answer at most');
  must(
    sent.every(({ length }) => length <= bytes.length),
    'an answer is not longer than its question',
  );
  endpoint.close();
  must(clock.pending === 0, 'no timer is left');
  if (sent.length > 0) yield 'answered';
}

function* onInner(bytes: Uint8Array): Iterable<string> {
  const clock = createTestClock();
  let delivered = 0;
  const reassembly = new Reassembly({ clock, send: () => undefined, deliver: () => delivered++ });
  for (const piece of inPieces(bytes)) {
    const read = readInner(piece);
    yield read.ok ? `inner-${read.value.kind}` : `inner-no-${read.reason}`;
    if (!read.ok) continue;
    const again = readInner(writeInner(read.value));
    must(again.ok && textOf(again.value) === textOf(read.value), 'read again as the same');
    if (read.value.kind !== 'start' && read.value.kind !== 'continue') continue;
    reassembly.fragment(read.value);
    must(reassembly.partial <= 64 && reassembly.partialBytes <= 1_048_576, 'parts are bounded');
  }
  if (delivered > 0) yield 'delivered';
  clock.advance(20_000);
  must(reassembly.partial === 0 && reassembly.partialBytes === 0, 'parts are forgotten');
  must(clock.pending === 0, 'no timer is left');
}

/** JSON, with numbers of any size. */
function textOf(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? `${item}` : item));
}

function* onFrame(bytes: Uint8Array): Iterable<string> {
  const opened = openFrame(bytes, KEYS.path);
  must(!opened || Buffer.compare(bytes, FRAME) === 0, 'only the frame that was sealed opens');
  yield opened ? 'frame' : 'frame-no';
}

function* onCommit(bytes: Uint8Array, random: FuzzRandom): Iterable<string> {
  const frames = [...inPieces(bytes)].slice(0, 10);
  const read = readCommit(frames, KEYS.path, bytesFrom(random));
  yield read.ok ? 'commit' : `commit-no-${read.reason}`;
  if (!read.ok) return;
  must(read.value.frames.length === frames.length, 'as many frames are passed on as came');
  must(read.value.lifetimeMs > 10_000 && read.value.lifetimeMs <= 600_000, 'the life is bounded');
}

function* onSegment(bytes: Uint8Array): Iterable<string> {
  const read = readSegment(bytes);
  yield read.ok ? 'segment' : `segment-no-${read.reason}`;
  if (read.ok) mustEqual([...writeSegment(read.value)], [...bytes], 'a segment has one form');
}

function* onIpPacket(bytes: Uint8Array): Iterable<string> {
  const read = readIpPacket(bytes);
  yield read.ok ? 'ip' : `ip-no-${read.reason}`;
  must(!read.ok || read.value.segment.length <= bytes.length, 'a part of the packet');
}

const RUN: Readonly<Record<string, (bytes: Uint8Array, random: FuzzRandom) => Iterable<string>>> = {
  P: onPacket,
  M: onInner,
  F: onFrame,
  C: onCommit,
  S: onSegment,
  I: onIpPacket,
};

/** IPv4 and IPv6, UDP, without data. */
const IP_PACKETS = [
  '4500001c000000004011 7cce 7f0000017f000001 0035 0035 0008 0000',
  `6000000000081140${'0'.repeat(31)}1${'0'.repeat(31)}1 0035003500080000`,
].map((hex) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex')));

export function llarpWireTarget(): Target {
  const inner = INNER.map(writeInner);
  return {
    name: 'llarp-wire',
    seeds: [
      ...PACKETS.map((bytes) => letter('P', bytes)),
      letter('M', ...behindLengths(inner)),
      ...inner.map((bytes) => letter('M', ...behindLengths([bytes]))),
      letter('F', FRAME),
      letter('C', ...behindLengths(COMMIT?.frames ?? [])),
      letter('S', SEGMENT),
      ...IP_PACKETS.map((bytes) => letter('I', bytes)),
    ],
    words: ['P', 'M', 'F', 'C', 'S', 'I', 'O=', 'G=', 'R=', 'E=', 'D=', 'netid?', 'netid!'],
    maxBytes: 12_000,
    *run(input, random) {
      const kind = String.fromCharCode(input[0] ?? 0);
      const bytes = Uint8Array.from(input.subarray(1));
      const run = Object.hasOwn(RUN, kind) ? RUN[kind] : undefined;
      if (run) yield* run(bytes, random);
      else yield 'other';
    },
  };
}
