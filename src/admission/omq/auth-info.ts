/**
 * The metainfo of an auth request: bencode with the client's keys and the tag of its conversation. The
 * client's address is its signing key (not a hash) in z-base-32, with `.loki`. Pure.
 */
import { decode, type BencodeFault } from '../../bencode/decode.js';
import { isDict, type BDict, type BValue } from '../../bencode/value.js';
import { fail, ok, type Parsed } from '../../protocol/result.js';

/** What the server uses of an introduction: where the client can be met. */
export interface Introduction {
  readonly router: Uint8Array;
  readonly latencyMs: bigint | undefined;
  readonly pathId: Uint8Array;
  /** Unix milliseconds. */
  readonly expiresAt: bigint;
}

/** A client's keys. */
export interface ServiceInfo {
  readonly encryptionKey: Uint8Array;
  /** The address is this key. */
  readonly signingKey: Uint8Array;
  readonly vanity: Uint8Array | undefined;
}

export interface AuthInfo {
  /** 4 = auth; the others are kinds of traffic. */
  readonly protocol: bigint;
  readonly introduction: Introduction;
  readonly sender: ServiceInfo;
  /** The conversation; 16 bytes. */
  readonly convoTag: Uint8Array;
}

/** Why bytes are not the metainfo of a request. */
export type AuthInfoFault = BencodeFault | 'shape' | 'version';

/** Caught in this file. */
class Fault extends Error {
  constructor(readonly fault: 'shape' | 'version') {
    super(fault);
  }
}

const LIMITS = { bytes: 4_096, depth: 4, parts: 64 };

function dictOf(value: BValue | undefined): BDict {
  if (!isDict(value)) throw new Fault('shape');
  // A dictionary without a version has version 0.
  if (numberOf(value.get('v') ?? 0n) !== 0n) throw new Fault('version');
  return value;
}

function numberOf(value: BValue | undefined): bigint {
  if (typeof value !== 'bigint' || value < 0n) throw new Fault('shape');
  return value;
}

function bytesOf(value: BValue | undefined, length: number): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length !== length) throw new Fault('shape');
  return value;
}

function introductionOf(value: BValue | undefined): Introduction {
  const dict = dictOf(value);
  const latency = dict.get('l');
  return {
    router: bytesOf(dict.get('k'), 32),
    latencyMs: latency === undefined ? undefined : numberOf(latency),
    pathId: bytesOf(dict.get('p'), 16),
    expiresAt: numberOf(dict.get('x')),
  };
}

function serviceInfoOf(value: BValue | undefined): ServiceInfo {
  const dict = dictOf(value);
  const vanity = dict.get('x');
  return {
    encryptionKey: bytesOf(dict.get('e'), 32),
    signingKey: bytesOf(dict.get('s'), 32),
    vanity: vanity === undefined ? undefined : bytesOf(vanity, 16),
  };
}

/** Reads the metainfo. Unknown keys are ignored. Never throws. */
export function parseAuthInfo(bytes: Uint8Array): Parsed<AuthInfo, AuthInfoFault> {
  const decoded = decode(bytes, LIMITS);
  if (!decoded.ok) return decoded;
  try {
    const dict = dictOf(decoded.value);
    return ok({
      protocol: numberOf(dict.get('a')),
      introduction: introductionOf(dict.get('i')),
      sender: serviceInfoOf(dict.get('s')),
      convoTag: bytesOf(dict.get('t'), 16),
    });
  } catch (error) {
    if (error instanceof Fault) return fail(error.fault);
    throw error;
  }
}
