/**
 * Fees in whole satoshi and fee rates in whole satoshi per 1,000 virtual bytes. The floors of nodes are
 * fractions of a satoshi per virtual byte, so a rate in that unit would not be exact.
 */
import { fail, ok, type Parsed } from '../protocol/result.js';
import { scriptKind } from './script.js';
import { outputBytesOf } from './size.js';

/** The highest rate that is read: ten times the cap of the original, in satoshi per 1,000 virtual bytes. */
const MAX_RATE = 10_000_000;
const PLACES = 3;

/** The fee of this many virtual bytes at a rate, rounded up: a fee rounded down could be below a floor. */
export function feeFor(vsize: number, feePerKb: number): number {
  const exact = vsize * feePerKb;
  if (Number.isSafeInteger(exact)) return Math.ceil(exact / 1_000);
  return Number((BigInt(Math.ceil(vsize)) * BigInt(Math.ceil(feePerKb)) + 999n) / 1_000n);
}

/**
 * The rate that a fee is, rounded down: the transaction pays at least this much. Exact for rates below
 * 2^53.
 */
export const rateOf = (fee: number, vsize: number): number => {
  const exact = fee * 1_000;
  if (Number.isSafeInteger(exact)) return Math.floor(exact / vsize);
  return Number((BigInt(fee) * 1_000n) / BigInt(vsize));
};

/** Why a text is not a fee rate. */
export type RateFault = 'rate-form' | 'rate-places' | 'rate-zero' | 'rate-range';

/** Reads satoshi per virtual byte (`12`, `1.5`, `0.125`): the rate per 1,000 virtual bytes, exactly. */
export function parseSatPerVbyte(text: string): Parsed<number, RateFault> {
  const [matched, whole = '', fraction = ''] = /^(\d{1,9})(?:\.(\d{1,20}))?$/.exec(text) ?? [];
  if (matched === undefined) return fail('rate-form');
  const digits = fraction.replace(/0+$/, '');
  if (digits.length > PLACES) return fail('rate-places');
  const rate = Number(`${whole}${digits.padEnd(PLACES, '0')}`);
  if (rate === 0) return fail('rate-zero');
  return rate <= MAX_RATE ? ok(rate) : fail('rate-range');
}

const SENTENCES: Readonly<Record<RateFault, string>> = {
  'rate-form': 'a fee rate is a number of satoshi per virtual byte, for example 2 or 1.5',
  'rate-places': 'a fee rate has at most three digits behind the point',
  'rate-zero': 'the fee rate is 0',
  'rate-range': `a fee rate is at most ${MAX_RATE / 1_000} sat/vB`,
};

/** What is wrong with a fee rate, and what to write instead. */
export const rateFaultText = (fault: RateFault): string => SENTENCES[fault];

/** A rate as satoshi per virtual byte, exactly: `2`, `1.5`. */
export function formatSatPerVbyte(feePerKb: number): string {
  const whole = Math.floor(feePerKb / 1_000);
  const rest = String(feePerKb % 1_000)
    .padStart(PLACES, '0')
    .replace(/0+$/, '');
  return rest === '' ? String(whole) : `${whole}.${rest}`;
}

/** The rate at which nodes judge dust (`dustrelayfee`), satoshi per 1,000 virtual bytes. */
const DUST_RATE = 3_000;
/** What spending the output would cost at least: a segwit input, or one without segwit. */
const SEGWIT_SPEND = 67;
const LEGACY_SPEND = 148;

/**
 * The least satoshi that nodes relay in an output with this scriptPubKey (hex), with their default
 * settings: an output below costs more to spend than it holds. 0 for outputs that cannot be spent.
 */
export function dustLimit(script: string): number {
  const kind = scriptKind(script);
  if (kind === 'op-return') return 0;
  const segwit = ['p2wpkh', 'p2wsh', 'p2tr', 'witness'].includes(kind);
  return feeFor(outputBytesOf(script) + (segwit ? SEGWIT_SPEND : LEGACY_SPEND), DUST_RATE);
}
