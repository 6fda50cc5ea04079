/**
 * The routing messages of LLARP v0 (rows D23 to D32): what the creator of a path and its farthest hop say to each
 * other. The key `A` tells which message it is, and `S` is its number on the path (D32).
 */
import { bytes, exactly, flag, listOf, uint } from './codec/field.js';
import { choice, column, optional, structure, tagOf, type Of } from './codec/structure.js';
import { DHT_MESSAGE } from './dht-messages.js';
import { MAX_DHT_MESSAGES } from './link-messages.js';
import { INTRODUCTION, SERVICE_INFO, TRAFFIC_POLICY } from './structures.js';
import type { BDict } from '../bencode/value.js';

const SIGNATURE = bytes(64);
const PATH_ID = bytes(16);
const NONCE = bytes(32);
const SHORT_NONCE = bytes(16);
const TAG = bytes(16);
const TRANSACTION = uint(64);
const SEQUENCE = uint(64);
/** Most bytes of the data of a frame or of an IP packet. */
const MAX_DATA_BYTES = 16_384;
const MOST_PACKETS = 64;
const MOST_POLICIES = 64;
/** Bytes of a sntrup4591761 ciphertext. The text says 1,048 (contradiction 4 of docs/llarp.md). */
const CIPHERTEXT = bytes(1_047);

/** D27 HSD: data of a conversation, inside an encrypted frame. */
export const HIDDEN_SERVICE_DATA = structure('HSD', {
  /** What the payload is. */
  protocol: column('a', uint(64)),
  /** At most 16,384 bytes. */
  payload: column('d', bytes(0, MAX_DATA_BYTES)),
  /** The way back. */
  replyTo: column('i', INTRODUCTION),
  /** The number of the message in its conversation. */
  sequence: column('n', uint(64)),
  /** Seconds until the sender ends the conversation. */
  ends: optional('o', uint(64)),
  /** The keys of the sender. */
  sender: column('s', SERVICE_INFO),
  /** Of the conversation, 16 bytes. */
  tag: column('t', TAG),
});
/** Data of a conversation, HSD. */
export type HiddenServiceData = Of<typeof HIDDEN_SERVICE_DATA>;

function frame<C extends Parameters<typeof structure>[1]>(columns: C) {
  return structure(
    'HSF',
    {
      ...columns,
      /** The path of the sender at the router that hands the frame over, 16 bytes. */
      source: column('F', PATH_ID),
      /** ed25519 over the structure with 64 zero bytes here. */
      signature: column('Z', SIGNATURE),
    },
    { versionKey: 'V', tag: { key: 'A', value: 'H' } },
  );
}

const DATA = column('D', bytes(0, MAX_DATA_BYTES));

const FRAMES = {
  /** Variant 1: a new conversation. */
  begin: frame({
    /** sntrup4591761. */
    ciphertext: column('C', CIPHERTEXT),
    /** Encrypted HSD. */
    data: DATA,
    /** For the cipher, 32 bytes. */
    nonce: column('N', NONCE),
  }),
  /** Variant 2: goes on with one. */
  next: frame({
    /** Encrypted HSD. */
    data: DATA,
    /** For the cipher, 32 bytes. */
    nonce: column('N', NONCE),
    /** Of the conversation, 16 bytes. */
    tag: column('T', TAG),
  }),
  /** The conversation is unknown to the other side. */
  reject: frame({
    /** 1. */
    rejected: column('R', exactly(1n)),
    /** Of the conversation, 16 bytes. */
    tag: column('T', TAG),
  }),
};

function frameKind(dict: BDict): keyof typeof FRAMES {
  if (dict.has('C')) return 'begin';
  return dict.has('R') ? 'reject' : 'next';
}

/** D28 HSF: a frame of a conversation between two hidden services. */
export const HIDDEN_SERVICE_FRAME = choice('HSF', FRAMES, frameKind);
/** A frame of a conversation, HSF. */
export type HiddenServiceFrame = Of<typeof HIDDEN_SERVICE_FRAME>;

function message<C extends Parameters<typeof structure>[1]>(name: string, tag: string, columns: C) {
  return structure(
    name,
    {
      ...columns,
      /** The number of the message on its path (row D32). */
      sequence: column('S', SEQUENCE),
    },
    { versionKey: 'V', tag: { key: 'A', value: tag } },
  );
}

/** A signed answer in a transaction. */
const SIGNED = {
  /** Random, 16 bytes. */
  nonce: column('Y', SHORT_NONCE),
  /** ed25519 over the structure with 64 zero bytes here. */
  signature: column('Z', SIGNATURE),
};
const POLICIES = listOf(TRAFFIC_POLICY, MOST_POLICIES);

const MESSAGES = {
  /** D23 PCM: the first message of a path. */
  confirm: message('PCM', 'P', {
    /** How long the path lives, in milliseconds. */
    lifetimeMs: column('L', uint(64)),
    /** In milliseconds since 1970. */
    sent: column('T', uint(64)),
  }),
  /** D24 PLM: a request without `received`, a response with it. */
  latency: message('PLM', 'L', {
    /** In milliseconds since 1970. */
    received: optional('T', uint(64)),
  }),
  /** D25 OXM. */
  obtainExit: message('OXM', 'X', {
    /** Traffic that the exit must drop. */
    forbidden: column('B', POLICIES),
    /** Access to the internet; otherwise to the router. */
    internet: column('E', flag),
    /** ed25519, for later messages, 32 bytes. */
    key: column('I', bytes(32)),
    /** Chosen by the client; answers repeat it. */
    transaction: column('T', TRANSACTION),
    /** Traffic that the exit must carry. */
    required: column('W', POLICIES),
    /** Seconds. */
    lifetime: column('X', uint(64)),
    /** ed25519 over the structure with 64 zero bytes here. */
    signature: column('Z', SIGNATURE),
  }),
  /** D25 GXM. */
  grantExit: message('GXM', 'G', {
    /** Chosen by the client; answers repeat it. */
    transaction: column('T', TRANSACTION),
    ...SIGNED,
  }),
  /** D25 RXM. */
  rejectExit: message('RXM', 'J', {
    /** When to ask again, in milliseconds. */
    backoffMs: column('B', uint(64)),
    /** Policies that the exit refuses. */
    rejected: column('R', POLICIES),
    /** Chosen by the client; answers repeat it. */
    transaction: column('T', TRANSACTION),
    ...SIGNED,
  }),
  /** D26 TDFM: for another path on the farthest hop. */
  transfer: message('TDFM', 'T', {
    /** The path at this router that the message is for, 16 bytes. */
    pathId: column('P', PATH_ID),
    /** The frame of a conversation. */
    frame: column('T', HIDDEN_SERVICE_FRAME),
  }),
  /** D26 DDFM: the farthest hop dropped a TDFM or TITM with this number. */
  discarded: message('DDFM', 'D', {
    /** The path at this router that the message is for, 16 bytes. */
    pathId: column('P', PATH_ID),
  }),
  /** D29 TITM: IP packets, each behind 8 bytes of its number. */
  traffic: message('TITM', 'I', {
    /** Each with its number before it. */
    packets: column('X', listOf(bytes(8, MAX_DATA_BYTES), MOST_PACKETS)),
  }),
  /** D30 UXPM. */
  updateExit: message('UXPM', 'U', {
    /** The path that the exit used, 16 bytes. */
    previousPath: column('P', PATH_ID),
    /** Chosen by the client; answers repeat it. */
    transaction: column('T', TRANSACTION),
    ...SIGNED,
  }),
  /** D30 EXVM. */
  verifyExit: message('EXVM', 'V', {
    /** Chosen by the client; answers repeat it. */
    transaction: column('T', TRANSACTION),
    ...SIGNED,
  }),
  /** D30 CXPM. */
  closeExit: message('CXPM', 'C', SIGNED),
  /** D31: DHT messages over a path. */
  dht: message('DHTM', 'M', {
    /** The DHT messages. */
    messages: column('M', listOf(DHT_MESSAGE, MAX_DHT_MESSAGES)),
  }),
};

const TAGS: Readonly<Record<string, keyof typeof MESSAGES>> = {
  P: 'confirm',
  L: 'latency',
  X: 'obtainExit',
  G: 'grantExit',
  J: 'rejectExit',
  T: 'transfer',
  D: 'discarded',
  I: 'traffic',
  U: 'updateExit',
  V: 'verifyExit',
  C: 'closeExit',
  M: 'dht',
};

/** Any routing message; `kind` tells which. */
export const ROUTING_MESSAGE = choice(
  'routing message',
  MESSAGES,
  (dict) => TAGS[tagOf(dict, 'A') ?? ''],
);
/** Any routing message. */
export type RoutingMessage = Of<typeof ROUTING_MESSAGE>;
export type RoutingMessageOf<K extends RoutingMessage['kind']> = Extract<
  RoutingMessage,
  { kind: K }
>;
