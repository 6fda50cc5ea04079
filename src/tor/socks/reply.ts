/**
 * Splits the bytes of a SOCKS5 proxy into its three messages, so that no byte of the stream after them
 * is taken for a part of them (RFC 1928 sections 3 and 6, RFC 1929). Pure.
 */

/** The messages of the proxy in order; `auth` only when user name and password were chosen. */
export type SocksStep = 'method' | 'auth' | 'reply';

/** Longest message: a reply with a bound name of 255 bytes. */
export const MAX_SOCKS_MESSAGE_BYTES = 4 + 1 + 255 + 2;

const ADDRESS_IPV4 = 1;
const ADDRESS_NAME = 3;
const ADDRESS_IPV6 = 4;

export type SocksMessage =
  | { readonly kind: 'incomplete' }
  /** The first `length` bytes are the message; `value` is its second byte (method, status, reply). */
  | { readonly kind: 'complete'; readonly length: number; readonly value: number }
  /** A refusing reply; known from its second byte, whatever follows. */
  | { readonly kind: 'refused'; readonly reply: number }
  | { readonly kind: 'invalid' };

function replyLength(bytes: Uint8Array): number | undefined | 'incomplete' {
  const [, , , addressType, first] = bytes;
  if (addressType === undefined || first === undefined) return 'incomplete';
  switch (addressType) {
    case ADDRESS_IPV4:
      return 4 + 4 + 2;
    case ADDRESS_NAME:
      return 4 + 1 + first + 2;
    case ADDRESS_IPV6:
      return 4 + 16 + 2;
    default:
      return undefined;
  }
}

/**
 * Reads one message from the start of `bytes`, which may contain less or more than it. Never throws.
 */
export function readSocksMessage(step: SocksStep, bytes: Uint8Array): SocksMessage {
  const [version, value] = bytes;
  if (version === undefined) return { kind: 'incomplete' };
  if (version !== (step === 'auth' ? 1 : 5)) return { kind: 'invalid' };
  if (value === undefined) return { kind: 'incomplete' };
  if (step !== 'reply') return { kind: 'complete', length: 2, value };
  if (value !== 0) return { kind: 'refused', reply: value };
  const length = replyLength(bytes);
  if (length === undefined) return { kind: 'invalid' };
  if (length === 'incomplete' || bytes.length < length) return { kind: 'incomplete' };
  return { kind: 'complete', length, value };
}
