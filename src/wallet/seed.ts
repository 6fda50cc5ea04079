/**
 * Seed words (BIP39, English). The library makes a seed of any text, also of a mistyped one, which is then
 * another and empty wallet; so words are only used after `readSeedWords` accepted them. Pure.
 */
import { entropyToMnemonic, mnemonicToEntropy } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { quotedLine } from '../kit/shown-text.js';
import { ok } from '../protocol/result.js';

/** Words of a seed, and the bytes behind them. */
export interface Seed {
  /** Lower case, separated by one blank. */
  readonly words: string;
  /** 16 to 32 bytes, lower-case hex. */
  readonly entropy: string;
}

/** Numbers of words that BIP39 knows. */
export const WORD_COUNTS = [12, 15, 18, 21, 24] as const;
/** Longest text read: 24 words of 8 letters, with generous blanks. */
const MAX_TEXT = 2_000;
const NEAR_WORDS = 3;

/** Why a text is not the words of a seed. */
export type SeedFault =
  | { readonly kind: 'count'; readonly count: number }
  | {
      readonly kind: 'word';
      /** Number of the word, from 1. */
      readonly number: number;
      /** As it was typed, at most 80 characters, safe for a terminal. */
      readonly word: string;
      /** Words of the list that look most alike; at most 3. */
      readonly near: readonly string[];
    }
  /** Every word is in the list, but the checksum is wrong. */
  | { readonly kind: 'checksum' };

/** What was read of a text that a person typed. */
export type ReadSeed =
  { readonly ok: true; readonly value: Seed } | { readonly ok: false; readonly reason: SeedFault };

const known = new Set(wordlist);

/** Steps from one word to the other: letters that are added, removed, replaced, or swapped. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      next[j] = Math.min(
        (next[j - 1] ?? 0) + 1,
        (row[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + same,
        swapped ? (before[j - 2] ?? 0) + 1 : Infinity,
      );
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? Infinity;
}

/** Words of the list that begin with what was typed, or else those the fewest steps away, up to two. */
function nearWords(typed: string): readonly string[] {
  if (typed.length > 12) return [];
  const begins = (word: string): boolean => typed.length >= 3 && word.startsWith(typed);
  const words = wordlist.map((word) => ({
    word,
    steps: begins(word) ? 0 : distance(typed, word),
  }));
  const least = Math.min(2, ...words.map(({ steps }) => steps));
  return words
    .filter(({ steps }) => steps === least)
    .slice(0, NEAR_WORDS)
    .map(({ word }) => word);
}

/**
 * Reads the words of a seed as a person types or pastes them: any blanks and line ends, either case,
 * any Unicode form (NFKD). Words that are cut to four letters are refused, and named with the whole word.
 */
export function readSeedWords(text: string): ReadSeed {
  const words = text
    .slice(0, MAX_TEXT)
    .normalize('NFKD')
    .toLowerCase()
    .split(/[\s\u200b\ufeff]+/u)
    .filter((word) => word !== '');
  const wrong = words.findIndex((word) => !known.has(word));
  const isCount = WORD_COUNTS.some((count) => count === words.length);
  // A wrong word says more than a wrong count, unless the text is something else altogether.
  if (wrong >= 0 && words.length >= 10 && words.length <= 26) {
    const word = words[wrong] ?? '';
    const near = nearWords(word);
    return refuse({ kind: 'word', number: wrong + 1, word: quotedLine(word), near });
  }
  if (!isCount || text.length > MAX_TEXT) return refuse({ kind: 'count', count: words.length });
  if (wrong >= 0) return refuse({ kind: 'count', count: words.length });
  const joined = words.join(' ');
  try {
    return ok({ words: joined, entropy: bytesToHex(mnemonicToEntropy(joined, wordlist)) });
  } catch {
    return refuse({ kind: 'checksum' });
  }
}

const refuse = (reason: SeedFault): ReadSeed => ({ ok: false, reason });

/** One sentence for the person that typed the words. */
export function seedFaultText(fault: SeedFault): string {
  switch (fault.kind) {
    case 'count':
      return `a seed has 12, 15, 18, 21 or 24 words of the English list, not ${fault.count}`;
    case 'word': {
      const near = fault.near.length > 0 ? `; near: ${fault.near.join(', ')}` : '';
      return `word ${fault.number}, ${fault.word}, is not in the English list of BIP39${near}`;
    }
    case 'checksum':
      return 'every word is in the list, but the checksum is wrong: a word is another one, or the order is';
  }
}

/** The words of 16 to 32 bytes, lower-case hex. Throws for another length. */
export function seedOf(entropy: string): Seed {
  return { words: entropyToMnemonic(hexToBytes(entropy), wordlist), entropy };
}

/**
 * Makes a new seed.
 * @param randomBytes a source fit for keys
 */
export function generateSeed(count: 12 | 24, randomBytes: (bytes: number) => Uint8Array): Seed {
  return seedOf(bytesToHex(randomBytes(count === 12 ? 16 : 32)));
}
