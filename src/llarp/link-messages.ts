/**
 * The link messages of LLARP v0 (rows D14, D15, D19 to D22): what two routers say to each other. The key `a` tells
 * which message it is.
 */
import { anything, bytes, listOf, uint } from './codec/field.js';
import { choice, column, structure, tagOf, type Of } from './codec/structure.js';
import { ROUTER_CONTACT } from './structures.js';
import { DHT_MESSAGE } from './dht-messages.js';

/** Most bytes of the data of one relayed message. */
export const MAX_RELAYED_BYTES = 32_768;
/** Most frames of a LRCM, and so most hops of a path. */
export const MAX_FRAMES = 8;
const MAX_FRAME_BYTES = 4_096;
/** Most DHT messages in one message. */
export const MAX_DHT_MESSAGES = 64;

function message<C extends Parameters<typeof structure>[1]>(name: string, tag: string, columns: C) {
  return structure(name, columns, { tag: { key: 'a', value: tag } });
}

const RELAYED = {
  /** The path between these two routers, 16 bytes. */
  pathId: column('p', bytes(16)),
  /** The ciphertext. */
  x: column('x', bytes(0, MAX_RELAYED_BYTES)),
  /** 32 bytes of nonce. */
  y: column('y', bytes(32)),
};

const MESSAGES = {
  /** D14 LIM: the first message of a session. */
  introduce: message('LIM', 'i', {
    /** X25519, 32 bytes; the contact lists it. */
    exchangeKey: column('e', bytes(32)),
    /** For the exchange of keys, 32 bytes. */
    nonce: column('n', bytes(32)),
    /** How long the session lasts, in milliseconds. */
    sessionMs: column('p', uint(64)),
    /** The router that speaks. */
    contact: column('r', ROUTER_CONTACT),
    /** ed25519 over the message with 64 zero bytes here. */
    signature: column('z', bytes(64)),
  }),
  /** D15 LRCM: asks for a path; one frame for each hop, padded with dummy frames to `MAX_FRAMES`. */
  commit: message('LRCM', 'c', {
    /** Encrypted, of one length; the first one is for the recipient. */
    frames: column('c', listOf(bytes(0, MAX_FRAME_BYTES), MAX_FRAMES)),
  }),
  /** D19 LRUM. */
  upstream: message('LRUM', 'u', RELAYED),
  /** D20 LRDM. */
  downstream: message('LRDM', 'd', RELAYED),
  /** D21 LIDM: DHT messages without a path. */
  dht: message('LIDM', 'm', {
    /** The DHT messages. */
    messages: column('m', listOf(DHT_MESSAGE, MAX_DHT_MESSAGES)),
  }),
  /** D22 LISM: a state message; the text calls it a stub (`state-messages.ts` reads it). */
  state: message('LISM', 's', {
    /** The state message, unread. */
    state: column('s', anything),
  }),
};

const TAGS: Readonly<Record<string, keyof typeof MESSAGES>> = {
  i: 'introduce',
  c: 'commit',
  u: 'upstream',
  d: 'downstream',
  m: 'dht',
  s: 'state',
};

/** Any link message; `kind` tells which. */
export const LINK_MESSAGE = choice(
  'link message',
  MESSAGES,
  (dict) => TAGS[tagOf(dict, 'a') ?? ''],
);
/** Any link message. */
export type LinkMessage = Of<typeof LINK_MESSAGE>;
export type LinkMessageOf<K extends LinkMessage['kind']> = Extract<LinkMessage, { kind: K }>;
