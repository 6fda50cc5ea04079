/**
 * The segments of a stream between two hidden services. LLARP v0 has no streams: this format is this project's own
 * (docs/llarp.md, "Streams"), and travels as the payload of HSD. Numbers are big-endian.
 */
import { fail, ok, type Parsed } from '../../protocol/result.js';

/** `HSD.a` of a segment. */
export const STREAM_PROTOCOL = 0x6f6dn;
/** Most bytes of data in a segment: with its header and HSD around it, a frame stays below its limit. */
export const SEGMENT_BYTES = 15_360;
/** Most ranges of an acknowledgement. */
export const MAX_RANGES = 4;

const VERSION = 0;
const HEADER_BYTES = 31;
const RANGE_BYTES = 16;
const FLAGS = { opens: 1, ends: 2, resets: 4, fromOpener: 8, asks: 16 } as const;
const ALL_FLAGS = 31;

/** Bytes of a stream, `from` inclusive, `to` exclusive. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

export interface Segment {
  /** Chosen by the opener, 8 bytes as hexadecimal digits. */
  readonly stream: string;
  /** The sender of the segment opened the stream. */
  readonly fromOpener: boolean;
  /** Asks for the stream; the data are the port. */
  readonly opens: boolean;
  /** The stream has no bytes behind the data. The end counts as one byte. */
  readonly ends: boolean;
  /** The sender has given up the stream; the data are one byte with the reason. */
  readonly resets: boolean;
  /** Asks for an acknowledgement at once. */
  readonly asks: boolean;
  /** The place of the first byte of data in the stream. */
  readonly offset: number;
  /** The sender has every byte before this place. */
  readonly acknowledged: number;
  /** How many bytes behind `acknowledged` the sender takes. */
  readonly window: number;
  /** What the sender has behind `acknowledged`, in ascending order. */
  readonly ranges: readonly Range[];
  readonly data: Uint8Array;
}

/** Why bytes are not a segment. */
export type SegmentFault = 'length' | 'version' | 'flags' | 'range';

export function writeSegment(segment: Segment): Uint8Array {
  const { ranges, data } = segment;
  const bytes = new Uint8Array(HEADER_BYTES + RANGE_BYTES * ranges.length + data.length);
  const view = new DataView(bytes.buffer);
  const flags = Object.entries(FLAGS).reduce(
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of the table
    (sum, [name, bit]) => (segment[name as keyof typeof FLAGS] ? sum | bit : sum),
    0,
  );
  view.setUint8(0, VERSION);
  view.setUint8(1, flags);
  bytes.set(Buffer.from(segment.stream, 'hex').subarray(0, 8), 2);
  view.setBigUint64(10, BigInt(segment.offset));
  view.setBigUint64(18, BigInt(segment.acknowledged));
  view.setUint32(26, segment.window);
  view.setUint8(30, ranges.length);
  let at = HEADER_BYTES;
  for (const { from, to } of ranges) {
    view.setBigUint64(at, BigInt(from));
    view.setBigUint64(at + 8, BigInt(to));
    at += RANGE_BYTES;
  }
  bytes.set(data, at);
  return bytes;
}

/** Places are exact numbers with room for one more segment. */
const MAX_PLACE = BigInt(Number.MAX_SAFE_INTEGER - SEGMENT_BYTES - 1);

function readRanges(view: DataView, acknowledged: bigint, count: number): Range[] | undefined {
  const ranges: Range[] = [];
  let before = acknowledged;
  for (let i = 0; i < count; i++) {
    const at = HEADER_BYTES + i * RANGE_BYTES;
    const from = view.getBigUint64(at);
    const to = view.getBigUint64(at + 8);
    if (from < before || to <= from || to > MAX_PLACE) return undefined;
    ranges.push({ from: Number(from), to: Number(to) });
    before = to;
  }
  return ranges;
}

/** Reads a segment. The data are a copy. */
export function readSegment(bytes: Uint8Array): Parsed<Segment, SegmentFault> {
  if (bytes.length < HEADER_BYTES) return fail('length');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint8(0) !== VERSION) return fail('version');
  const flags = view.getUint8(1);
  if ((flags & ~ALL_FLAGS) !== 0) return fail('flags');
  const count = view.getUint8(30);
  const dataAt = HEADER_BYTES + count * RANGE_BYTES;
  if (count > MAX_RANGES || bytes.length < dataAt) return fail('length');
  if (bytes.length - dataAt > SEGMENT_BYTES) return fail('length');
  const offset = view.getBigUint64(10);
  const acknowledged = view.getBigUint64(18);
  if (offset > MAX_PLACE || acknowledged > MAX_PLACE) return fail('range');
  const ranges = readRanges(view, acknowledged, count);
  if (!ranges) return fail('range');
  const has = (bit: number): boolean => (flags & bit) !== 0;
  return ok({
    stream: Buffer.from(bytes.subarray(2, 10)).toString('hex'),
    fromOpener: has(FLAGS.fromOpener),
    opens: has(FLAGS.opens),
    ends: has(FLAGS.ends),
    resets: has(FLAGS.resets),
    asks: has(FLAGS.asks),
    offset: Number(offset),
    acknowledged: Number(acknowledged),
    window: view.getUint32(26),
    ranges,
    data: bytes.slice(dataAt),
  });
}
