/**
 * The replies of Lokinet's RPC, which is OxenMQ: a request of three frames `method | tag | body` is answered by
 * `REPLY | tag | body`. The body is JSON: `{"error":null,"result":...}` in Lokinet 0.9.11, later `{"result":...}`
 * or `{"error":...}`. Pure.
 */
import { isRecord } from '../kit/json-record.js';
import { shownLine } from '../kit/shown-text.js';
import { parseLokiName } from '../protocol/loki-address.js';
import { fail, ok, type Parsed } from '../protocol/result.js';

/** Most bytes of a body. */
export const MAX_BODY_BYTES = 1_000_000;
const MAX_TEXT = 200;

/** Why frames are no answer. */
export type ReplyFault =
  /** Not the frames of a reply. */
  | 'frames'
  /** A reply to another request. */
  | 'other-tag'
  /** The body is not JSON of the known forms, or too large. */
  | 'body';

/** An answer of the RPC. */
export type Reply =
  | { readonly kind: 'result'; readonly result: unknown }
  /** The method failed; its own words. */
  | { readonly kind: 'error'; readonly error: string }
  /** This Lokinet has no such method. */
  | { readonly kind: 'unknown-method' }
  /** A refusal of OxenMQ, such as FORBIDDEN. */
  | { readonly kind: 'refused'; readonly code: string };

const text = (frame: Uint8Array | undefined): string => Buffer.from(frame ?? []).toString('latin1');

function parseBody(body: Uint8Array): Parsed<Reply, ReplyFault> {
  if (body.length > MAX_BODY_BYTES) return fail('body');
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    return fail('body');
  }
  if (!isRecord(value)) return fail('body');
  const { error, result } = value;
  if (typeof error === 'string') return ok({ kind: 'error', error: shownLine(error, MAX_TEXT) });
  if (error !== undefined && error !== null) return fail('body');
  return 'result' in value ? ok({ kind: 'result', result }) : fail('body');
}

/** A word of OxenMQ in capitals. */
const CODE = /^[A-Z_]{1,40}$/;

/**
 * Reads the frames of a message.
 * @param method the one that was called, `llarp.version`
 * @param tag of the request
 */
export function parseReply(
  frames: readonly Uint8Array[],
  method: string,
  tag: string,
): Parsed<Reply, ReplyFault> {
  const [first = '', second = '', third = ''] = frames.map(text);
  if (first === 'REPLY' && frames.length === 3) {
    return second === tag ? parseBody(frames[2] ?? new Uint8Array(0)) : fail('other-tag');
  }
  // A refusal of a known method has three frames; that of an unknown one two, or three.
  if (frames.length === 3 && second === 'REPLY' && CODE.test(first)) {
    if (third !== tag) return fail('other-tag');
    return ok(
      first === 'UNKNOWNCOMMAND' ? { kind: 'unknown-method' } : { kind: 'refused', code: first },
    );
  }
  if (frames.length === 2 && second === method && CODE.test(first) && first !== 'REPLY') {
    return ok(
      first === 'UNKNOWNCOMMAND' ? { kind: 'unknown-method' } : { kind: 'refused', code: first },
    );
  }
  return fail('frames');
}

/** What Lokinet says about itself; a value that it does not report, or not in its form, is absent. */
export interface LokinetStatus {
  /** Its own address, `<52 characters>.loki`. */
  readonly address?: string;
  /** Whether it can build paths. */
  readonly networkReady?: boolean;
  /** Paths that it has now. */
  readonly paths?: number;
  /** Routers that it is connected to. */
  readonly peers?: number;
  /** Routers that it knows. */
  readonly routers?: number;
}

const MAX_COUNT = 1_000_000;

function count(value: unknown): number | undefined {
  const isCount = typeof value === 'number' && Number.isInteger(value) && value >= 0;
  return isCount && value <= MAX_COUNT ? value : undefined;
}

/** Reads the result of `llarp.get_status`. */
export function parseStatus(result: unknown): LokinetStatus {
  if (!isRecord(result)) return {};
  const { lokiAddress, networkReady, numPathsBuilt, numPeersConnected, numRoutersKnown } = result;
  const name = typeof lokiAddress === 'string' ? parseLokiName(lokiAddress) : undefined;
  const isAddress = name?.ok === true && name.value.kind === 'address';
  const [paths, peers, routers] = [numPathsBuilt, numPeersConnected, numRoutersKnown].map(count);
  return {
    ...(isAddress && typeof lokiAddress === 'string' ? { address: lokiAddress } : {}),
    ...(typeof networkReady === 'boolean' ? { networkReady } : {}),
    ...(paths === undefined ? {} : { paths }),
    ...(peers === undefined ? {} : { peers }),
    ...(routers === undefined ? {} : { routers }),
  };
}

/** Reads the result of `llarp.version`: text, or an object with the text; undefined for anything else. */
export function parseVersion(result: unknown): string | undefined {
  const version = isRecord(result) ? result['version'] : result;
  return typeof version === 'string' ? shownLine(version, 100) : undefined;
}
