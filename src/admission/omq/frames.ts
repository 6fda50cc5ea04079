/**
 * The frames of OxenMQ between a Lokinet endpoint and its auth server, without the routing id in front.
 * Pure. The endpoint greets with `HI`, then asks `llarp.auth | tag | metainfo | code`; the answer is
 * `REPLY | tag | OKAY | reason`.
 */
import type { Verdict } from '../api.js';

/** One message of an endpoint. */
export type OmqMessage =
  | { readonly kind: 'hello' }
  /** Nothing is answered: `BYE`, replies, and messages without a frame. */
  | { readonly kind: 'silent' }
  /** A request for the auth method. */
  | { readonly kind: 'auth'; readonly tag: Uint8Array; readonly parts: readonly Uint8Array[] }
  /** A request without a tag. */
  | { readonly kind: 'no-tag'; readonly command: Uint8Array }
  /** Another command. */
  | {
      readonly kind: 'unknown';
      readonly command: Uint8Array;
      /** Undefined for a command without frames behind it. */
      readonly tag: Uint8Array | undefined;
    };

/** The method that Lokinet calls unless `auth-lmq-method` names another. */
export const AUTH_METHOD = 'llarp.auth';

/** OxenMQ's own tags have 15 bytes. */
const MAX_TAG_BYTES = 64;
const MAX_COMMAND_BYTES = 128;

function textOf(frame: Uint8Array): string {
  return Buffer.from(frame.subarray(0, MAX_COMMAND_BYTES + 1)).toString('latin1');
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

/** Reads one message. Never throws. */
export function parseOmqMessage(
  frames: readonly Uint8Array[],
  method: string = AUTH_METHOD,
): OmqMessage {
  const [command, tag, ...parts] = frames;
  if (command === undefined || command.length === 0) return { kind: 'silent' };
  if (command.length > MAX_COMMAND_BYTES) {
    return { kind: 'unknown', command: command.subarray(0, MAX_COMMAND_BYTES), tag: undefined };
  }
  const name = textOf(command);
  if (name === 'HI') return { kind: 'hello' };
  if (['BYE', 'HELLO', 'REPLY', 'UNKNOWNCOMMAND', 'NO_REPLY_TAG'].includes(name)) {
    return { kind: 'silent' };
  }
  const isTag = tag !== undefined && tag.length > 0 && tag.length <= MAX_TAG_BYTES;
  if (name !== method) return { kind: 'unknown', command, tag: isTag ? tag : undefined };
  return isTag ? { kind: 'auth', tag, parts } : { kind: 'no-tag', command };
}

/** The answer to `HI`. */
export function helloFrames(): Uint8Array[] {
  return [bytesOf('HELLO')];
}

/** The answer to an auth request. */
export function replyFrames(tag: Uint8Array, verdict: Verdict, reason: string): Uint8Array[] {
  return [bytesOf('REPLY'), tag, bytesOf(verdict), bytesOf(reason)];
}

/**
 * The answer to a command that is not known. With the tag a caller fails at once; the form of two frames,
 * which OxenMQ itself sends, would make it wait for 15 s.
 */
export function unknownFrames(command: Uint8Array, tag: Uint8Array | undefined): Uint8Array[] {
  const head = bytesOf('UNKNOWNCOMMAND');
  return tag === undefined ? [head, command] : [head, bytesOf('REPLY'), tag];
}

/** The answer to a request without a tag. */
export function noTagFrames(command: Uint8Array): Uint8Array[] {
  return [bytesOf('NO_REPLY_TAG'), command];
}
