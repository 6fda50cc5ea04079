/** The messages inside an encrypted packet of IWP version 1. Each starts with the version and a command byte. */
import { joinBytes } from '../bytes.js';
import { fail, ok, type Parsed } from '../../protocol/result.js';

const VERSION = 1;
/** Fragments of a message start at multiples of this. */
export const FRAGMENT_BLOCK_BYTES = 16;
/** Most bytes of a fragment; a multiple of `FRAGMENT_BLOCK_BYTES`. */
export const MAX_FRAGMENT_BYTES = 1_280;
/** The sizes are two bytes. */
export const MAX_MESSAGE_BYTES = 65_535;

/** A link between two routers, as one of them reports it. */
export interface Route {
  readonly flags: number;
  readonly latencyMs: number;
  readonly backpressure: number;
  readonly peers: number;
  /** Milliseconds since 1970. */
  readonly published: bigint;
  /** Signing keys, 32 bytes each. */
  readonly neighbour: Uint8Array;
  readonly source: Uint8Array;
  /** Of the source, over the bytes before it. */
  readonly signature: Uint8Array;
}

/** Bytes of a route: version, flags, five numbers, two keys and a signature. */
const ROUTE_BYTES = 144;
/** Most routes in one packet. */
const MAX_ROUTES = 8;

export type InnerMessage =
  | {
      /** `k` and `l`: is the other side there, and that it is. */
      readonly kind: 'keepAlive' | 'keepAliveAck';
      readonly attempt: number;
      readonly timeoutMs: number;
      readonly transmitLimit: bigint;
      readonly receiveUse: bigint;
      /** Milliseconds since 1970. */
      readonly now: bigint;
    }
  | {
      /** `c` and `d`: send slower or faster. */
      readonly kind: 'slower' | 'faster';
      /** In 1,024 bytes a second. */
      readonly rate: number;
      readonly lifetimeMs: number;
    }
  | {
      /** `s`: the first fragment of a message. */
      readonly kind: 'start';
      readonly isWhole: boolean;
      readonly size: number;
      readonly sequence: number;
      /** HS of the whole message. */
      readonly hash: Uint8Array;
      readonly fragment: Uint8Array;
    }
  | {
      /** `t`: a later fragment. */
      readonly kind: 'continue';
      readonly isLast: boolean;
      /** In bytes; a multiple of `FRAGMENT_BLOCK_BYTES`. */
      readonly offset: number;
      readonly sequence: number;
      readonly fragment: Uint8Array;
    }
  | {
      /**
       * `q`: which blocks of a message arrived. The text gives no form; ours: sequence 4, then a bit for each fragment
       * of `MAX_FRAGMENT_BYTES`, the lowest first.
       */
      readonly kind: 'acknowledge';
      readonly sequence: number;
      readonly fragments: Uint8Array;
    }
  | {
      /** `r`: a new key. */
      readonly kind: 'rotate';
      readonly lifetimeMs: number;
      readonly nonce: Uint8Array;
      readonly nextKey: Uint8Array;
    }
  | {
      /** `n`: which routers the sender is connected to. */
      readonly kind: 'neighbours';
      readonly routes: readonly Route[];
    }
  | {
      /** `u` and `v`: which versions, and the answer. */
      readonly kind: 'upgrade' | 'upgradeAck';
      readonly least: number;
      readonly most: number;
    };

const COMMANDS = {
  keepAlive: 'k',
  keepAliveAck: 'l',
  slower: 'c',
  faster: 'd',
  start: 's',
  continue: 't',
  acknowledge: 'q',
  rotate: 'r',
  neighbours: 'n',
  upgrade: 'u',
  upgradeAck: 'v',
} as const satisfies Record<InnerMessage['kind'], string>;

/** A part of a message with this many bytes. */
type Part = readonly [size: 1 | 2 | 4 | 8, value: number | bigint];

function parts(...values: readonly Part[]): Uint8Array {
  const bytes = new Uint8Array(values.reduce((sum, [size]) => sum + size, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [size, value] of values) {
    if (size === 8) view.setBigUint64(at, BigInt(value));
    else if (size === 4) view.setUint32(at, Number(value));
    else if (size === 2) view.setUint16(at, Number(value));
    else view.setUint8(at, Number(value));
    at += size;
  }
  return bytes;
}

/** What the signature of a route covers. */
export function routeBody(route: Omit<Route, 'signature'>): Uint8Array {
  const { flags, latencyMs, backpressure, peers, published, neighbour, source } = route;
  const numbers: readonly Part[] = [
    [1, VERSION],
    [1, flags],
    [2, latencyMs],
    [2, backpressure],
    [2, peers],
    [8, published],
  ];
  return joinBytes(parts(...numbers), neighbour, source);
}

function readRoute(bytes: Uint8Array): Route {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return {
    flags: view.getUint8(1),
    latencyMs: view.getUint16(2),
    backpressure: view.getUint16(4),
    peers: view.getUint16(6),
    published: view.getBigUint64(8),
    neighbour: bytes.subarray(16, 48),
    source: bytes.subarray(48, 80),
    signature: bytes.subarray(80, ROUTE_BYTES),
  };
}

function bodyOf(message: InnerMessage): Uint8Array {
  switch (message.kind) {
    case 'keepAlive':
    case 'keepAliveAck': {
      const { attempt, timeoutMs, transmitLimit, receiveUse, now } = message;
      return parts(
        [2, 0],
        [2, attempt],
        [2, timeoutMs],
        [8, transmitLimit],
        [8, receiveUse],
        [8, now],
      );
    }
    case 'slower':
    case 'faster':
      return parts([2, message.rate], [4, message.lifetimeMs]);
    case 'start': {
      const { isWhole, size, sequence, hash, fragment } = message;
      const head = parts([1, isWhole ? 1 : 0], [1, 0], [2, size], [4, sequence]);
      return joinBytes(head, hash, fragment);
    }
    case 'continue': {
      const { isLast, offset, sequence, fragment } = message;
      const blocks = offset / FRAGMENT_BLOCK_BYTES;
      return joinBytes(parts([1, isLast ? 1 : 0], [1, 0], [2, blocks], [4, sequence]), fragment);
    }
    case 'acknowledge':
      return joinBytes(parts([4, message.sequence]), message.fragments);
    case 'rotate':
      return joinBytes(parts([2, message.lifetimeMs], [4, 0]), message.nonce, message.nextKey);
    case 'neighbours':
      return joinBytes(
        ...message.routes.map((route) => joinBytes(routeBody(route), route.signature)),
      );
    case 'upgrade':
    case 'upgradeAck':
      return parts([1, message.least], [1, message.most]);
  }
}

/** The bytes of a message in clear. */
export function writeInner(message: InnerMessage): Uint8Array {
  const head = Uint8Array.of(VERSION, COMMANDS[message.kind].charCodeAt(0));
  return joinBytes(head, bodyOf(message));
}

/** Why bytes are no message. */
export type InnerFault = 'version' | 'command' | 'length' | 'fragment';

/** Fixed bytes of each command after its head, and whether more may follow. */
const LENGTHS: Readonly<Record<InnerMessage['kind'], readonly [length: number, open: boolean]>> = {
  keepAlive: [30, false],
  keepAliveAck: [30, false],
  slower: [6, false],
  faster: [6, false],
  start: [40, true],
  continue: [8, true],
  acknowledge: [4, true],
  rotate: [70, false],
  neighbours: [0, true],
  upgrade: [2, false],
  upgradeAck: [2, false],
};

const KINDS = new Map(
  Object.entries(COMMANDS).map(([kind, command]) => [command.charCodeAt(0), kind]),
);

function isKind(kind: string | undefined): kind is InnerMessage['kind'] {
  return kind !== undefined && kind in COMMANDS;
}

/** Fits into its message: not empty, not beyond its end, and full blocks unless it is the last one. */
function isFragment(offset: number, length: number, isEnd: boolean): boolean {
  if (length === 0 || length > MAX_FRAGMENT_BYTES) return false;
  if (offset % MAX_FRAGMENT_BYTES !== 0 || offset + length > MAX_MESSAGE_BYTES) return false;
  return isEnd || length === MAX_FRAGMENT_BYTES;
}

function readBody(kind: InnerMessage['kind'], body: Uint8Array): Parsed<InnerMessage, InnerFault> {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  switch (kind) {
    case 'keepAlive':
    case 'keepAliveAck':
      return ok({
        kind,
        attempt: view.getUint16(2),
        timeoutMs: view.getUint16(4),
        transmitLimit: view.getBigUint64(6),
        receiveUse: view.getBigUint64(14),
        now: view.getBigUint64(22),
      });
    case 'slower':
    case 'faster':
      return ok({ kind, rate: view.getUint16(0), lifetimeMs: view.getUint32(2) });
    case 'start': {
      const isWhole = (view.getUint8(0) & 1) === 1;
      const size = view.getUint16(2);
      const fragment = body.subarray(40);
      if (!isFragment(0, fragment.length, isWhole)) return fail('fragment');
      if (isWhole ? size !== fragment.length : size <= fragment.length) return fail('fragment');
      return ok({
        kind,
        isWhole,
        size,
        sequence: view.getUint32(4),
        hash: body.subarray(8, 40),
        fragment,
      });
    }
    case 'continue': {
      const isLast = (view.getUint8(0) & 1) === 1;
      const offset = view.getUint16(2) * FRAGMENT_BLOCK_BYTES;
      const fragment = body.subarray(8);
      if (offset === 0 || !isFragment(offset, fragment.length, isLast)) return fail('fragment');
      return ok({ kind, isLast, offset, sequence: view.getUint32(4), fragment });
    }
    case 'acknowledge':
      if (body.length > 4 + Math.ceil(MAX_MESSAGE_BYTES / MAX_FRAGMENT_BYTES / 8)) {
        return fail('length');
      }
      return ok({ kind, sequence: view.getUint32(0), fragments: body.subarray(4) });
    case 'rotate':
      return ok({
        kind,
        lifetimeMs: view.getUint16(0),
        nonce: body.subarray(6, 38),
        nextKey: body.subarray(38, 70),
      });
    case 'neighbours': {
      const count = body.length / ROUTE_BYTES;
      if (!Number.isInteger(count) || count > MAX_ROUTES) return fail('length');
      const starts = Array.from({ length: count }, (_, i) => i * ROUTE_BYTES);
      if (starts.some((start) => body[start] !== VERSION)) return fail('version');
      const routes = starts.map((start) => readRoute(body.subarray(start, start + ROUTE_BYTES)));
      return ok({ kind, routes });
    }
    case 'upgrade':
    case 'upgradeAck':
      return ok({ kind, least: view.getUint8(0), most: view.getUint8(1) });
  }
}

/** Reads one message in clear. The result shares its memory with the bytes. */
export function readInner(bytes: Uint8Array): Parsed<InnerMessage, InnerFault> {
  if (bytes[0] !== VERSION) return fail('version');
  const kind = KINDS.get(bytes[1] ?? 0);
  if (!isKind(kind)) return fail('command');
  const [length, open] = LENGTHS[kind];
  const body = bytes.subarray(2);
  if (body.length < length || (!open && body.length !== length)) return fail('length');
  return readBody(kind, body);
}
