/**
 * The messages between the two processes of an upgrade, over Node's channel between parent and child.
 * The old process starts, sends parcels, ends and commits; the new one answers. One JSON value per
 * message; a socket may travel with it.
 */
import { isRecord } from '../kit/json-record.js';
import { shownLine } from '../kit/shown-text.js';
import { fail, ok, type Parsed } from '../protocol/result.js';

/** Incremented when parcels change so that an earlier version cannot read them. */
export const HANDOVER_FORMAT = 2;

/** One parcel for each peer, and no `build`: all parcels follow after the old process stopped serving. */
export const FIRST_FORMAT = 1;

/** Formats that this program can read. */
export const READABLE_FORMATS: readonly number[] = [FIRST_FORMAT, HANDOVER_FORMAT];

/** Descriptors of a new process: 0 to 2 are its standard streams, 3 is the channel. */
export const FIRST_CARRIED = 4;
/** Most connections that are carried. */
const MAX_CARRIED = 200_000;

/** Set in the environment of the new process, which is otherwise started like the old one. */
export const HANDOVER_VARIABLE = 'ONIONMC_HANDOVER';

/** Messages of the old process. */
export type OldMessage =
  | { readonly say: 'begin'; readonly format: number }
  /** The connections of these parcels are the descriptors from `FIRST_CARRIED` on. */
  | { readonly say: 'carried'; readonly keys: readonly string[] }
  | { readonly say: 'parcel'; readonly key: string; readonly value: unknown }
  /** The parcel is void, because its connection has ended. */
  | { readonly say: 'withdraw'; readonly key: string }
  /** Send the handle of that parcel back, which makes a second handle of it. */
  | { readonly say: 'echo'; readonly key: string }
  /** The parcels of the parts were sent; the peers are still served. */
  | { readonly say: 'build' }
  /** All parcels were sent. */
  | { readonly say: 'end' }
  /** Take over now. */
  | { readonly say: 'commit' }
  /** The upgrade was cancelled. */
  | { readonly say: 'bye' };

/** Messages of the new process. */
export type NewMessage =
  | { readonly say: 'hello'; readonly version: string }
  | { readonly say: 'echo'; readonly key: string }
  /** The parts are built. */
  | { readonly say: 'built' }
  /** Everything is built; nothing is read, written or accepted yet. */
  | { readonly say: 'ready' }
  /** The new process has taken over. */
  | { readonly say: 'taken' }
  | { readonly say: 'failed'; readonly why: string };

const KEY = /^[\w.:-]{1,64}$/;

function keyOf(value: unknown): string | undefined {
  return typeof value === 'string' && KEY.test(value) ? value : undefined;
}

function keysOf(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value) || value.length > MAX_CARRIED) return undefined;
  const keys = value.map((key: unknown) => keyOf(key)).filter((key) => key !== undefined);
  return keys.length === value.length ? keys : undefined;
}

/** Text of another process, perhaps of another version. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? shownLine(value) : '';
}

/** Parses a message of the old process. Never throws. */
export function parseOldMessage(value: unknown): Parsed<OldMessage> {
  if (!isRecord(value)) return fail('message');
  const { say } = value;
  switch (say) {
    case 'begin': {
      const { format } = value;
      if (typeof format !== 'number' || !Number.isSafeInteger(format)) return fail('format');
      return ok({ say, format });
    }
    case 'parcel': {
      const key = keyOf(value['key']);
      return key === undefined ? fail('key') : ok({ say, key, value: value['value'] });
    }
    case 'withdraw':
    case 'echo': {
      const key = keyOf(value['key']);
      return key === undefined ? fail('key') : ok({ say, key });
    }
    case 'carried': {
      const keys = keysOf(value['keys']);
      return keys === undefined ? fail('keys') : ok({ say, keys });
    }
    case 'build':
    case 'end':
    case 'commit':
    case 'bye':
      return ok({ say });
    default:
      return fail('message');
  }
}

/** Parses a message of the new process. Never throws. */
export function parseNewMessage(value: unknown): Parsed<NewMessage> {
  if (!isRecord(value)) return fail('message');
  const { say } = value;
  switch (say) {
    case 'hello':
      return ok({ say, version: textOf(value['version']) });
    case 'echo': {
      const key = keyOf(value['key']);
      return key === undefined ? fail('key') : ok({ say, key });
    }
    case 'built':
    case 'ready':
    case 'taken':
      return ok({ say });
    case 'failed':
      return ok({ say, why: textOf(value['why']) });
    default:
      return fail('message');
  }
}
