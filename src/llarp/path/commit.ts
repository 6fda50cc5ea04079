/**
 * How a path is asked for (rows D15, D16 and D18): one encrypted frame for each hop. Every hop opens the first frame,
 * and passes the others on with a dummy frame at the end, so that it does not learn its place on the path.
 *
 * All records have the same length: an unknown key fills them up. The text asks for dummy records and does not say how
 * their length is hidden (docs/llarp.md).
 */
import { encode } from '../../bencode/encode.js';
import { isDict } from '../../bencode/value.js';
import { fail, ok, type Parsed } from '../../protocol/result.js';
import {
  clientKey,
  newExchangeKeys,
  serverKey,
  type ExchangeKeys,
  type RandomBytes,
} from '../crypto.js';
import { FRAME_OVERHEAD_BYTES, openFrame, sealFrame } from '../frame.js';
import { MAX_FRAMES } from '../link-messages.js';
import { readLlarp } from '../read.js';
import {
  RELAY_RECORD,
  type ProofOfWork,
  type RelayRecord,
  type RouterContact,
} from '../structures.js';

/** Bytes of every record. A contact of one address leaves room. */
const RECORD_BYTES = 1_024;
const FRAME_BYTES = RECORD_BYTES + FRAME_OVERHEAD_BYTES;
const FILL_KEY = 'zz';
/** Seconds that a path lives when its record does not say otherwise. */
const DEFAULT_LIFETIME_SECONDS = 600n;
const LEAST_LIFETIME_SECONDS = 10n;

/** The seconds that a path lives when this is asked for. */
export function lifetimeOf(asked: bigint): bigint {
  const isShort = asked > LEAST_LIFETIME_SECONDS && asked < DEFAULT_LIFETIME_SECONDS;
  return isShort ? asked : DEFAULT_LIFETIME_SECONDS;
}

/** A hop, as the creator of the path knows it. */
export interface PlannedHop {
  /** Shared with this hop, 32 bytes. */
  readonly key: Uint8Array;
  /** The path id of messages to this hop, 16 bytes. */
  readonly receiveId: Uint8Array;
  /** The identity of the router. */
  readonly router: Uint8Array;
}

export interface Commit {
  /** For LRCM, `MAX_FRAMES` of one length. */
  readonly frames: readonly Uint8Array[];
  /** The nearest first. */
  readonly hops: readonly PlannedHop[];
}

/** `2:zz` and the three digits and colon of the length behind it. */
const FILL_OVERHEAD_BYTES = 8;

/** A record with exactly `RECORD_BYTES`; undefined when it is longer, because of a long contact of the next hop. */
function filled(record: RelayRecord): Uint8Array | undefined {
  const dict = RELAY_RECORD.write(record);
  const fill = RECORD_BYTES - FILL_OVERHEAD_BYTES - encode(dict).length;
  // The length of the filling always has three digits.
  if (fill < 100 || fill > 999 || !isDict(dict)) return undefined;
  return encode(new Map(dict).set(FILL_KEY, new Uint8Array(fill)));
}

/**
 * Asks these routers for a path, the nearest first. Undefined when the path key of one is a point of low order, or its
 * contact is too long for a record. Throws a RangeError for no router or more than `MAX_FRAMES`.
 * @param lifetime seconds, more than 10 and less than 600; otherwise the path lives for 600
 * @param works one for each router, so that the path lives longer; a proof that two records share would link them
 */
export function makeCommit(
  routers: readonly RouterContact[],
  randomBytes: RandomBytes,
  lifetime: bigint = DEFAULT_LIFETIME_SECONDS,
  works: readonly ProofOfWork[] = [],
): Commit | undefined {
  if (routers.length === 0 || routers.length > MAX_FRAMES) {
    throw new RangeError(`a path has 1 to ${MAX_FRAMES} hops`);
  }
  const ids = Array.from({ length: routers.length + 1 }, () => randomBytes(16));
  const frames: Uint8Array[] = [];
  const hops: PlannedHop[] = [];
  for (const [i, router] of routers.entries()) {
    const next = routers[i + 1];
    const work = works[i];
    const commit = newExchangeKeys(randomBytes);
    const nonce = randomBytes(32);
    const parties = { client: commit.publicKey, server: router.pathKey };
    const key = clientKey(parties, commit.secretKey, nonce);
    const receiveId = ids[i] ?? new Uint8Array(16);
    const record: RelayRecord = {
      commitKey: commit.publicKey,
      nextHop: (next ?? router).signingKey,
      lifetime,
      nonce,
      receiveId,
      transmitId: ids[i + 1] ?? new Uint8Array(16),
      version: 0n,
      ...(next ? { nextContact: next } : {}),
      ...(work ? { work } : {}),
    };
    const bytes = filled(record);
    const frame = key && bytes && sealFrame(bytes, router.pathKey, randomBytes);
    if (!frame) return undefined;
    frames.push(frame);
    hops.push({ key, receiveId, router: router.signingKey });
  }
  while (frames.length < MAX_FRAMES) frames.push(randomBytes(FRAME_BYTES));
  return { frames, hops };
}

/** What a hop learns from a LRCM. */
export interface ReadCommit {
  readonly record: RelayRecord;
  /** Shared with the creator, 32 bytes. */
  readonly key: Uint8Array;
  /** For the next hop. */
  readonly frames: readonly Uint8Array[];
  readonly lifetimeMs: number;
}

/** Why a LRCM is discarded. */
export type CommitFault = 'frames' | 'frame' | 'record' | 'key';

/** Opens the first frame of a LRCM. @param own the path key of this router */
export function readCommit(
  frames: readonly Uint8Array[],
  own: ExchangeKeys,
  randomBytes: RandomBytes,
): Parsed<ReadCommit, CommitFault> {
  const [first, ...others] = frames;
  if (frames.length !== MAX_FRAMES || !first) return fail('frames');
  if (frames.some(({ length }) => length !== FRAME_BYTES)) return fail('frames');
  const opened = openFrame(first, own);
  if (!opened) return fail('frame');
  const record = readLlarp(RELAY_RECORD, opened);
  if (!record.ok) return fail('record');
  const { commitKey, nonce, lifetime = DEFAULT_LIFETIME_SECONDS } = record.value;
  const parties = { client: commitKey, server: own.publicKey };
  const key = serverKey(parties, own.secretKey, nonce);
  if (!key) return fail('key');
  return ok({
    record: record.value,
    key,
    frames: [...others, randomBytes(FRAME_BYTES)],
    lifetimeMs: Number(lifetimeOf(lifetime)) * 1_000,
  });
}
