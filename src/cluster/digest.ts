/**
 * Fingerprints without secrecy: of a set of announced peers, which two nodes compare, and of messages. Not
 * safe against a node that wants two sets to look equal, which could lie about its peers anyway. Pure.
 */
import type { Entry } from './record.js';

/** Two 32-bit halves. */
export interface Fingerprint {
  readonly high: number;
  readonly low: number;
}

/** Two multiplicative hashes with different constants, mixed at the end. */
export function fingerprint(text: string): Fingerprint {
  let a = 0x9e3779b9;
  let b = 0x85ebca6b;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b ^ unit, 0x27d4eb2f);
  }
  a = Math.imul(a ^ (b >>> 15), 0x2c1b3c6d);
  b = Math.imul(b ^ (a >>> 13), 0x297a2d39);
  return { high: (a ^ (b >>> 16)) >>> 0, low: (b ^ (a >>> 16)) >>> 0 };
}

/** A fingerprint as text, for a key of a map. */
export function fingerprintText(text: string): string {
  const { high, low } = fingerprint(text);
  return `${high.toString(36)}.${low.toString(36)}.${text.length.toString(36)}`;
}

function entryText({ nick, location, features, rank, key, proof }: Entry): string {
  const keyText = proof ? `${key};${proof.signature}` : (key ?? '');
  return `${nick};${location};${features.join('+')};${rank};${keyText}`;
}

/** Whether two entries say the same, except for their age. */
export function isSameEntry(a: Entry, b: Entry): boolean {
  return a === b || entryText(a) === entryText(b);
}

/** The digest of a set of entries, kept up to date by one step for each change. */
export class SetDigest {
  #high = 0;
  #low = 0;

  /** Adds an entry that is not in the set, or removes one that is. */
  toggle(entry: Entry): void {
    const { high, low } = fingerprint(entryText(entry));
    this.#high = (this.#high ^ high) >>> 0;
    this.#low = (this.#low ^ low) >>> 0;
  }

  get text(): string {
    return this.#high.toString(16).padStart(8, '0') + this.#low.toString(16).padStart(8, '0');
  }
}
