/**
 * The packets of IWP version 1 (LLARP's wire protocol). Every packet starts with a command byte and `=`. Integers are
 * big-endian: the text does not say which (docs/llarp.md). A signature covers all bytes before it.
 */
import { joinBytes } from '../bytes.js';
import { sign, verify } from '../crypto.js';
import { fail, ok, type Parsed } from '../../protocol/result.js';

/** Most bytes of a packet on the wire. */
export const MAX_PACKET_BYTES = 1_472;
const EQUALS = 0x3d;
const SIGNATURE_BYTES = 64;
const HASH_BYTES = 32;
const REASON_BYTES = 14;
/** The two bytes after the header of E. */
const ESTABLISH_MARK = Uint8Array.of(0x0a, 0x0d);

/** O: asks for a flow id. */
export interface ObtainFlow {
  readonly kind: 'obtain';
  /** 8 bytes. */
  readonly network: Uint8Array;
  /** Milliseconds since 1970. */
  readonly time: bigint;
  /** The signing key of the sender, 32 bytes. */
  readonly identity: Uint8Array;
}

/** G: gives a flow id. */
export interface GiveFlow {
  readonly kind: 'give';
  /** 16 bytes. */
  readonly flowId: Uint8Array;
  readonly identity: Uint8Array;
}

/** R: refuses; before data it ends the attempt. */
export interface RejectFlow {
  readonly kind: 'reject';
  /** At most 14 characters. */
  readonly reason: string;
  readonly time: bigint;
  readonly identity: Uint8Array;
}

/** E: agrees on keys. The signer is the identity of the flow, so the packet does not name it. */
export interface EstablishFlow {
  readonly kind: 'establish';
  readonly flowId: Uint8Array;
  /** X25519, 32 bytes. */
  readonly ephemeralKey: Uint8Array;
  readonly counter: bigint;
  /** 32 bytes, where a password is asked for. */
  readonly credential?: Uint8Array;
}

/** D: encrypted messages. */
export interface FlowData {
  readonly kind: 'data';
  readonly flowId: Uint8Array;
  /** 24 bytes. */
  readonly nonce: Uint8Array;
  readonly ciphertext: Uint8Array;
  /** All bytes before the keyed hash. */
  readonly covered: Uint8Array;
  /** 32 bytes. */
  readonly hash: Uint8Array;
}

/** A packet with a signature, and what the signature covers. */
export interface SignedPacket<P> {
  readonly packet: P;
  readonly covered: Uint8Array;
  readonly signature: Uint8Array;
}

export type Packet =
  SignedPacket<ObtainFlow | GiveFlow | RejectFlow | EstablishFlow> | { readonly packet: FlowData };

const latin1 = (text: string): Uint8Array =>
  Uint8Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));

const ASKS = latin1('netid?');
const GIVES = latin1('netid!');

function uint64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}

function header(command: string): Uint8Array {
  return Uint8Array.of(command.charCodeAt(0), EQUALS);
}

/** The bytes of a packet before its signature. */
function bodyOf(packet: ObtainFlow | GiveFlow | RejectFlow | EstablishFlow): Uint8Array {
  switch (packet.kind) {
    case 'obtain':
      return joinBytes(header('O'), ASKS, packet.network, uint64(packet.time), packet.identity);
    case 'give':
      return joinBytes(header('G'), GIVES, packet.flowId, packet.identity);
    case 'reject': {
      const reason = new Uint8Array(REASON_BYTES);
      reason.set(latin1(packet.reason.slice(0, REASON_BYTES)));
      return joinBytes(header('R'), reason, uint64(packet.time), packet.identity);
    }
    case 'establish':
      return joinBytes(
        header('E'),
        ESTABLISH_MARK,
        new Uint8Array(4),
        packet.flowId,
        packet.ephemeralKey,
        uint64(packet.counter),
        packet.credential ?? new Uint8Array(0),
      );
  }
}

/** @param seed of the identity of the sender, 32 bytes */
export function writeSigned(
  packet: ObtainFlow | GiveFlow | RejectFlow | EstablishFlow,
  seed: Uint8Array,
): Uint8Array {
  const body = bodyOf(packet);
  return joinBytes(body, sign(seed, body));
}

/** D without its keyed hash. @param nonce 24 bytes */
export function dataBody(
  flowId: Uint8Array,
  nonce: Uint8Array,
  ciphertext: Uint8Array,
): Uint8Array {
  return joinBytes(header('D'), flowId, nonce, ciphertext);
}

/** Whether the signature of a packet is that of this identity. */
export function isSigned(packet: SignedPacket<unknown>, identity: Uint8Array): boolean {
  return verify(identity, packet.covered, packet.signature);
}

/** Reads byte strings one after the other. */
class Cursor {
  #at = 0;

  constructor(readonly bytes: Uint8Array) {}

  get left(): number {
    return this.bytes.length - this.#at;
  }

  take(length: number): Uint8Array {
    const taken = this.bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return taken;
  }

  uint64(): bigint {
    const taken = this.take(8);
    return new DataView(taken.buffer, taken.byteOffset, 8).getBigUint64(0);
  }

  /** Whether these bytes follow; they are read then. */
  skips(expected: Uint8Array): boolean {
    return this.take(expected.length).every((byte, i) => byte === expected[i]);
  }
}

type SignedKind = 'O' | 'G' | 'R' | 'E';
/** Least bytes between header and signature. */
const LEAST: Readonly<Record<SignedKind, number>> = {
  O: ASKS.length + 8 + 8 + 32,
  G: GIVES.length + 16 + 32,
  R: REASON_BYTES + 8 + 32,
  E: 2 + 4 + 16 + 32 + 8,
};

function reasonText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return String.fromCharCode(...bytes.subarray(0, end === -1 ? bytes.length : end));
}

function readBody(
  kind: SignedKind,
  cursor: Cursor,
): ObtainFlow | GiveFlow | RejectFlow | EstablishFlow | undefined {
  switch (kind) {
    case 'O': {
      if (!cursor.skips(ASKS)) return undefined;
      const network = cursor.take(8);
      const time = cursor.uint64();
      return { kind: 'obtain', network, time, identity: cursor.take(32) };
    }
    case 'G': {
      if (!cursor.skips(GIVES)) return undefined;
      const flowId = cursor.take(16);
      return { kind: 'give', flowId, identity: cursor.take(32) };
    }
    case 'R': {
      const reason = reasonText(cursor.take(REASON_BYTES));
      const time = cursor.uint64();
      return { kind: 'reject', reason, time, identity: cursor.take(32) };
    }
    case 'E': {
      if (!cursor.skips(ESTABLISH_MARK) || !cursor.skips(new Uint8Array(4))) return undefined;
      const flowId = cursor.take(16);
      const ephemeralKey = cursor.take(32);
      const counter = cursor.uint64();
      const rest = { kind: 'establish', flowId, ephemeralKey, counter } as const;
      if (cursor.left === 0) return rest;
      return cursor.left === 32 ? { ...rest, credential: cursor.take(32) } : undefined;
    }
  }
}

function isSignedKind(command: string): command is SignedKind {
  return command in LEAST;
}

function readData(bytes: Uint8Array): Parsed<Packet, PacketFault> {
  const least = 2 + 16 + 24 + HASH_BYTES;
  if (bytes.length < least) return fail('length');
  const covered = bytes.subarray(0, bytes.length - HASH_BYTES);
  const cursor = new Cursor(covered.subarray(2));
  const flowId = cursor.take(16);
  const nonce = cursor.take(24);
  const ciphertext = cursor.take(cursor.left);
  const hash = bytes.subarray(bytes.length - HASH_BYTES);
  return ok({ packet: { kind: 'data', flowId, nonce, ciphertext, covered, hash } });
}

/** Why bytes are no packet. */
export type PacketFault = 'length' | 'header' | 'body';

/** Reads one packet in clear. The result shares its memory with the bytes. */
export function readPacket(bytes: Uint8Array): Parsed<Packet, PacketFault> {
  if (bytes.length > MAX_PACKET_BYTES) return fail('length');
  if (bytes.length < 2 || bytes[1] !== EQUALS) return fail('header');
  const command = String.fromCharCode(bytes[0] ?? 0);
  if (command === 'D') return readData(bytes);
  if (!isSignedKind(command)) return fail('header');
  if (bytes.length < 2 + LEAST[command] + SIGNATURE_BYTES) return fail('length');
  const covered = bytes.subarray(0, bytes.length - SIGNATURE_BYTES);
  const packet = readBody(command, new Cursor(covered.subarray(2)));
  if (!packet) return fail('body');
  return ok({ packet, covered, signature: bytes.subarray(bytes.length - SIGNATURE_BYTES) });
}
