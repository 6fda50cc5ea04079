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

/** Formats that this program can read. */
export const READABLE_FORMATS: readonly number[] = [1, HANDOVER_FORMAT];

/** Set in the environment of the new process, which is otherwise started like the old one. */
export const HANDOVER_VARIABLE = 'ONIONMC_HANDOVER';

/** Messages of the old process. */
export type OldMessage =
  | { readonly say: 'begin'; readonly format: number }
  | {
      readonly say: 'parcel';
      readonly key: string;
      readonly value: unknown;
      /** The handle that is sent with it is a connection, not a listener. */
      readonly stream: boolean;
    }
  /** The parcel is void, because its connection has ended. */
  | { readonly say: 'withdraw'; readonly key: string }
  /** Send the handle of that parcel back, which makes a second handle of it. */
  | { readonly say: 'echo'; readonly key: string }
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
  /** Everything is built; nothing is read, written or accepted yet. */
  | { readonly say: 'ready' }
  /** The new process has taken over. */
  | { readonly say: 'taken' }
  | { readonly say: 'failed'; readonly why: string };

const KEY = /^[\w.:-]{1,64}$/;

function keyOf(value: unknown): string | undefined {
  return typeof value === 'string' && KEY.test(value) ? value : undefined;
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
      return key === undefined
        ? fail('key')
        : ok({ say, key, value: value['value'], stream: value['stream'] === true });
    }
    case 'withdraw':
    case 'echo': {
      const key = keyOf(value['key']);
      return key === undefined ? fail('key') : ok({ say, key });
    }
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
    case 'ready':
    case 'taken':
      return ok({ say });
    case 'failed':
      return ok({ say, why: textOf(value['why']) });
    default:
      return fail('message');
  }
}
