/**
 * Amounts as people write and read them. Inside the program they are whole satoshi. A number without a
 * unit and without a point could be either unit, so it is refused.
 */
import { MAX_SATOSHI } from '../protocol/offer.js';
import { fail, ok, type Parsed } from '../protocol/result.js';

const SATOSHI_PER_BITCOIN = 100_000_000;
const PLACES = 8;

/** Why a text is not an amount. */
export type AmountFault =
  | 'amount-form'
  /** A whole number without a unit. */
  | 'amount-unit'
  /** A comma, which some read as the decimal point and some as a separator of thousands. */
  | 'amount-comma'
  /** More than eight digits behind the point. */
  | 'amount-places'
  /** A fraction of a satoshi. */
  | 'amount-fraction'
  | 'amount-zero'
  /** More than 21,000,000 BTC. */
  | 'amount-range';

/** Digits, at most one point with digits on both sides, at most one blank, and the unit. */
const FORM = /^(\d{1,20})(?:\.(\d{1,20}))?(?: ?(btc|sats?))?$/i;

/**
 * Reads `0.1`, `0.1btc` or `10000000sat` (one blank before the unit, either case, also `sats`): the
 * satoshi, from 1.
 */
export function parseAmount(text: string): Parsed<number, AmountFault> {
  if (/^[\d.]*\d,\d[\d.,]*\s?[a-z]*$/i.test(text)) return fail('amount-comma');
  const [matched, whole = '', fraction, unit] = FORM.exec(text) ?? [];
  if (matched === undefined) return fail('amount-form');
  if (unit === undefined && fraction === undefined) return fail('amount-unit');
  if (unit !== undefined && unit.toLowerCase() !== 'btc') {
    return fraction === undefined ? inRange(Number(whole)) : fail('amount-fraction');
  }
  if (fraction !== undefined && fraction.length > PLACES) return fail('amount-places');
  return inRange(Number(`${whole}${(fraction ?? '').padEnd(PLACES, '0')}`));
}

/** The largest amount has 16 digits, so a number that is not exact is out of range too. */
function inRange(satoshi: number): Parsed<number, AmountFault> {
  if (satoshi === 0) return fail('amount-zero');
  return satoshi <= MAX_SATOSHI ? ok(satoshi) : fail('amount-range');
}

/** What is wrong with an amount, and what to write instead; one sentence without a point at its end. */
export function amountFaultText(text: string, fault: AmountFault): string {
  switch (fault) {
    case 'amount-unit':
      return `${text} could be satoshi or BTC: write ${text}sat or ${text}btc`;
    case 'amount-comma':
      return 'a comma in an amount is ambiguous: write it with a point and without separators, as 0.1btc or 10000000sat';
    case 'amount-places':
      return 'a bitcoin amount has at most eight digits behind the point';
    case 'amount-fraction':
      return 'satoshi are whole: write a number without a point before "sat"';
    case 'amount-zero':
      return 'the amount is 0';
    case 'amount-range':
      return 'no more than 21000000 BTC exist';
    case 'amount-form':
      return 'an amount is written as 0.1, 0.1btc or 10000000sat';
  }
}

/** Satoshi as BTC with all eight digits: `0.10000000`. */
export function formatBtc(satoshi: number): string {
  const whole = Math.floor(Math.abs(satoshi) / SATOSHI_PER_BITCOIN);
  const rest = Math.abs(satoshi) % SATOSHI_PER_BITCOIN;
  return `${satoshi < 0 ? '-' : ''}${whole}.${String(rest).padStart(PLACES, '0')}`;
}

/** The amount of a `bitcoin:` URI (BIP21): BTC with a point, at most eight digits behind it. */
export function parseUriAmount(text: string): Parsed<number, AmountFault> {
  const [matched, whole = '', fraction = ''] = /^(\d{1,20})(?:\.(\d{0,20}))?$/.exec(text) ?? [];
  if (matched === undefined) return fail('amount-form');
  const digits = fraction.replace(/0+$/, '');
  if (digits.length > PLACES) return fail('amount-places');
  return inRange(Number(`${whole}${digits.padEnd(PLACES, '0')}`));
}
