/** Amounts of LTHN: decimal text and atomic units. No amount passes through a float. Pure. */
import { shiftDecimal } from '../kit/decimal.js';
import type { Amount } from './ports.js';

/** LTHN has 8 decimals: the reference's `--coin-unit` is 1e-8. */
export const LTHN_DECIMALS = 8;

/** Amounts on the wire of the wallet are unsigned numbers of 64 bits. */
export const MAX_AMOUNT: Amount = 2n ** 64n - 1n;

const WHOLE = /^\d{1,20}$/;

/**
 * A decimal amount of LTHN in atomic units: `0.5` is 50,000,000. Undefined for a text that is not a decimal number,
 * is negative, is finer than an atomic unit, or is more than 64 bits hold.
 */
export function parseAmount(text: string): Amount | undefined {
  const atomic = shiftDecimal(text, LTHN_DECIMALS);
  return atomic === undefined || !WHOLE.test(atomic) ? undefined : bounded(BigInt(atomic));
}

/**
 * The same for the text of a JSON number, which a provider may have computed with floats (`0.30000000000000004`):
 * rounded to the nearest atomic unit, half up. An error of a float is far below half an atomic unit.
 */
export function parseComputedAmount(text: string): Amount | undefined {
  const atomic = shiftDecimal(text, LTHN_DECIMALS);
  const [whole = '', fraction = ''] = atomic?.split('.') ?? [];
  if (!WHOLE.test(whole)) return undefined;
  return bounded(BigInt(whole) + (/^[5-9]/.test(fraction) ? 1n : 0n));
}

/**
 * An amount of atomic units in an answer of the wallet or a file of this program: a whole number from 0 to 2^64 - 1, as
 * a number or as digits; otherwise undefined.
 */
export function amountOfJson(value: unknown): Amount | undefined {
  if (typeof value === 'number') {
    return Number.isSafeInteger(value) && value >= 0 ? BigInt(value) : undefined;
  }
  return typeof value === 'string' && WHOLE.test(value) ? bounded(BigInt(value)) : undefined;
}

/** Atomic units as decimal LTHN without superfluous zeros: `0.5`. */
export function formatAmount(amount: Amount): string {
  const sign = amount < 0n ? '-' : '';
  const digits = String(amount < 0n ? -amount : amount);
  return `${sign}${shiftDecimal(digits, -LTHN_DECIMALS) ?? digits}`;
}

function bounded(amount: Amount): Amount | undefined {
  return amount <= MAX_AMOUNT ? amount : undefined;
}

/** `0.5 LTHN` */
export function amountText(amount: Amount): string {
  return `${formatAmount(amount)} LTHN`;
}
