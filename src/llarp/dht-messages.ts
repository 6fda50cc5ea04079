/** The DHT messages of LLARP v0 (dht_v0). The key `A` tells which message it is, `T` the transaction. */
import { bytes, flag, listOf, uint } from './codec/field.js';
import { choice, column, optional, structure, tagOf, type Of } from './codec/structure.js';
import { INTROSET, ROUTER_CONTACT } from './structures.js';

const KEY = bytes(32);
/** Most keys in a list of keys. */
const MOST_KEYS = 64;
/** Most introsets of an answer. */
export const MOST_INTROSETS = 4;

function message<C extends Parameters<typeof structure>[1]>(name: string, tag: string, columns: C) {
  return structure(
    name,
    {
      ...columns,
      /** Chosen by the side that asks; the answer repeats it. */
      transaction: column('T', uint(64)),
    },
    { versionKey: 'V', tag: { key: 'A', value: tag } },
  );
}

const MESSAGES = {
  /** FIM: finds introsets, by address (variant 1) or by topic without some addresses (variant 2). */
  findIntroset: message('FIM', 'F', {
    /** Whether the router asks others; it names a nearer one otherwise. */
    recursive: column('R', flag),
    /** Of the hidden service, 32 bytes (variant 1). */
    address: optional('S', KEY),
    /** 16 bytes (variant 2). */
    topic: optional('N', bytes(16)),
    /** Addresses that are not wanted (variant 2). */
    excluded: optional('E', listOf(KEY, MOST_KEYS)),
  }),
  /** GIM. */
  gotIntroset: message('GIM', 'G', {
    /** What was found: one at most for an address. */
    introsets: column('I', listOf(INTROSET, MOST_INTROSETS)),
    /** Only for an iterative search. */
    closer: optional('K', KEY),
  }),
  /** PIM: publishes an introset. */
  publish: message('PIM', 'I', {
    /** What is published. */
    introset: column('I', INTROSET),
    /** 0 in version 0. */
    randomWalk: column('R', uint(64)),
    /** Present: store it; the number of routers that stored it before. */
    stored: optional('S', uint(64)),
  }),
  /** AIM: how many routers hold it. */
  acknowledge: message('AIM', 'A', {
    /** How many routers store it. */
    holders: column('P', uint(64)),
  }),
  /** FRCM: finds a router. */
  findRouter: message('FRCM', 'R', {
    /** Whether routers near the key are wanted. */
    exploratory: optional('E', flag),
    /** Whether the router names a nearer one instead of asking it. */
    iterative: optional('I', flag),
    /** The identity of a router, 32 bytes. */
    key: column('K', KEY),
  }),
  /** GRCM. */
  gotRouter: message('GRCM', 'S', {
    /** The router; none when it is unknown. */
    contacts: column('R', listOf(ROUTER_CONTACT, 1)),
    /** The identity of a nearer router. */
    closer: optional('K', KEY),
    /** Identities near the key. */
    near: optional('N', listOf(KEY, MOST_KEYS)),
  }),
  /** No answer came. */
  timeout: message('DHT timeout', 'T', {}),
};

const TAGS: Readonly<Record<string, keyof typeof MESSAGES>> = {
  F: 'findIntroset',
  G: 'gotIntroset',
  I: 'publish',
  A: 'acknowledge',
  R: 'findRouter',
  S: 'gotRouter',
  T: 'timeout',
};

/** Any DHT message; `kind` tells which. */
export const DHT_MESSAGE = choice('DHT message', MESSAGES, (dict) => TAGS[tagOf(dict, 'A') ?? '']);
/** Any DHT message. */
export type DhtMessage = Of<typeof DHT_MESSAGE>;
export type DhtMessageOf<K extends DhtMessage['kind']> = Extract<DhtMessage, { kind: K }>;
