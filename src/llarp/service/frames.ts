/**
 * The frames of a conversation between two hidden services (rows D27 and D28). The first frame carries a new key by
 * sntrup4591761; the key of the others also needs both encryption keys. A signature covers the frame with 64 zero bytes
 * in its place: the text signs the transfer message around it, which the recipient never sees.
 */
import { joinBytes } from '../bytes.js';
import { cipher, clientKey, serverKey, shortHash, type RandomBytes } from '../crypto.js';
import { readLlarp, writeLlarp } from '../read.js';
import {
  HIDDEN_SERVICE_DATA,
  HIDDEN_SERVICE_FRAME,
  type HiddenServiceData,
  type HiddenServiceFrame,
} from '../routing-messages.js';
import { isSignedBy, signed } from '../signed.js';
import { sntrupDecapsulate, sntrupEncapsulate } from '../sntrup/kem.js';
import type { Introset, ServiceInfo } from '../structures.js';
import type { ServiceKeys } from './keys.js';

type Begin = Extract<HiddenServiceFrame, { kind: 'begin' }>;
type Next = Extract<HiddenServiceFrame, { kind: 'next' }>;
type Reject = Extract<HiddenServiceFrame, { kind: 'reject' }>;

/** Most bytes of a message: with HSD around it, it fits into a frame. */
export const MAX_PAYLOAD_BYTES = 15_872;

/** The start of a conversation, at either side. */
export interface Begun {
  /** Of all later frames, 32 bytes. */
  readonly key: Uint8Array;
  readonly data: HiddenServiceData;
}

/** The key after the first frame: the one of that frame, and the exchange of both encryption keys. */
function conversationKey(
  first: Uint8Array,
  exchange: Uint8Array | undefined,
): Uint8Array | undefined {
  return exchange && shortHash(joinBytes(first, exchange));
}

function withSignature<F extends Begin | Next | Reject>(
  frame: Omit<F, 'signature'>,
  keys: ServiceKeys,
): HiddenServiceFrame {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `F` is this with a signature
  const unsigned = { ...frame, signature: new Uint8Array(64) } as unknown as HiddenServiceFrame;
  return signed<HiddenServiceFrame>(HIDDEN_SERVICE_FRAME, unsigned, keys.signing.seed);
}

/** Whether a frame was signed by this service. */
export function isFrameOf(frame: HiddenServiceFrame, sender: ServiceInfo): boolean {
  return isSignedBy(HIDDEN_SERVICE_FRAME, frame, sender.signingKey);
}

/**
 * The first frame to a service, and the key of the conversation. Undefined when a key of its introset is a point of
 * low order.
 * @param source the id of the own path at its farthest hop
 */
export function beginConversation(
  keys: ServiceKeys,
  target: Introset,
  { data, source }: { readonly data: HiddenServiceData; readonly source: Uint8Array },
  randomBytes: RandomBytes,
): { readonly frame: HiddenServiceFrame; readonly key: Uint8Array } | undefined {
  const { ciphertext, key: first } = sntrupEncapsulate(target.encapsulationKey, randomBytes);
  const nonce = randomBytes(32);
  const parties = {
    client: keys.encryption.publicKey,
    server: target.publisher.encryptionKey,
  };
  const key = conversationKey(first, clientKey(parties, keys.encryption.secretKey, nonce));
  if (!key) return undefined;
  const frame = withSignature<Begin>(
    {
      kind: 'begin',
      ciphertext,
      data: cipher(first, nonce, writeLlarp(HIDDEN_SERVICE_DATA, data)),
      nonce,
      source,
      version: 0n,
    },
    keys,
  );
  return { frame, key };
}

/** Reads a first frame; undefined when it is not for these keys, or its signature is wrong. */
export function acceptConversation(keys: ServiceKeys, frame: Begin): Begun | undefined {
  const { ciphertext, nonce } = frame;
  const first = sntrupDecapsulate(ciphertext, keys.encapsulation.secretKey);
  const data = first && readLlarp(HIDDEN_SERVICE_DATA, cipher(first, nonce, frame.data));
  if (!first || data?.ok !== true || !isFrameOf(frame, data.value.sender)) return undefined;
  const parties = {
    client: data.value.sender.encryptionKey,
    server: keys.encryption.publicKey,
  };
  const key = conversationKey(first, serverKey(parties, keys.encryption.secretKey, nonce));
  return key && { key, data: data.value };
}

/** A later frame. */
export function nextFrame(
  keys: ServiceKeys,
  key: Uint8Array,
  { data, source }: { readonly data: HiddenServiceData; readonly source: Uint8Array },
  randomBytes: RandomBytes,
): HiddenServiceFrame {
  const nonce = randomBytes(32);
  return withSignature<Next>(
    {
      kind: 'next',
      data: cipher(key, nonce, writeLlarp(HIDDEN_SERVICE_DATA, data)),
      nonce,
      tag: data.tag,
      source,
      version: 0n,
    },
    keys,
  );
}

/** Reads a later frame; undefined when it is not from this sender with this key. */
export function readNext(
  frame: Next,
  key: Uint8Array,
  sender: ServiceInfo,
): HiddenServiceData | undefined {
  if (!isFrameOf(frame, sender)) return undefined;
  const data = readLlarp(HIDDEN_SERVICE_DATA, cipher(key, frame.nonce, frame.data));
  if (!data.ok || Buffer.compare(data.value.tag, frame.tag) !== 0) return undefined;
  return data.value;
}

/** Tells that a conversation is unknown here. */
export function rejectFrame(
  keys: ServiceKeys,
  tag: Uint8Array,
  source: Uint8Array,
): HiddenServiceFrame {
  return withSignature<Reject>({ kind: 'reject', rejected: 1n, tag, source, version: 0n }, keys);
}
