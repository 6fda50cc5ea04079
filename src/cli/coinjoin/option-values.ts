/** Parses the options of `onionmc coinjoin`: a typed value, or an error that says what is allowed. */
import { InvalidArgumentError } from 'commander';
import { shiftDecimal } from '../../kit/decimal.js';
import { isRoutableNick } from '../../protocol/nick.js';
import { MAX_SATOSHI } from '../../protocol/offer.js';

const MOST_MAKERS = 99;
const MOST_PICKS = 99;
const PLAIN = /^\d{1,8}(\.\d{1,12})?$/;

/** `0.001` or `0.1%`, as a fraction from 0 to 1. A number above 1 without a percent sign is refused. */
export function parseShare(text: string): number {
  const [, digits = '', sign] = /^(.*?)( ?%)?$/.exec(text) ?? [];
  const fraction = PLAIN.test(digits)
    ? Number(sign === undefined ? digits : shiftDecimal(digits, -2))
    : NaN;
  if (fraction >= 0 && fraction <= 1) return fraction;
  throw new InvalidArgumentError('a fraction such as 0.001, or a percentage such as 0.1%.');
}

/** Whole satoshi, from 0. */
export function parseMaxFeeAbs(text: string): number {
  const [, digits = ''] = /^(\d{1,16})(?: ?sats?)?$/i.exec(text) ?? [];
  const value = digits === '' ? NaN : Number(digits);
  if (value <= MAX_SATOSHI) return value;
  throw new InvalidArgumentError('a whole number of satoshi, such as 500.');
}

/** The number of makers. */
export function parseMakers(text: string): number {
  const value = Number(text);
  if (/^\d{1,3}$/.test(text) && value >= 1 && value <= MOST_MAKERS) return value;
  throw new InvalidArgumentError(`a whole number from 1 to ${MOST_MAKERS}.`);
}

/** Adds a nick to those that were named before. */
export function collectNick(text: string, before: readonly string[] = []): readonly string[] {
  if (!isRoutableNick(text)) {
    throw new InvalidArgumentError('a nick such as J5...; "onionmc taker --once" lists them.');
  }
  if (before.includes(text)) throw new InvalidArgumentError('It is named twice.');
  if (before.length >= MOST_PICKS) {
    throw new InvalidArgumentError(`at most ${MOST_PICKS} makers can be named.`);
  }
  return [...before, text];
}
