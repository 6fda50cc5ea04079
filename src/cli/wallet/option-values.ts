/** Parses the arguments of wallet commands: a typed value, or an error that says what is allowed. */
import { InvalidArgumentError } from 'commander';
import { parseOutpoint, type Outpoint } from '../../protocol/outpoint.js';

const MAX_NAME = 64;
/** Also what a file name of every system allows. The first letter is none that hides a file or looks like an option. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const MAX_MIXDEPTHS = 100;
const MAX_HEIGHT = 10_000_000;
const MAX_BLOCKS = 1_008;
/** Satoshi per virtual byte with up to three decimals. */
const FEE_RATE = /^\d{1,6}(\.\d{1,3})?$/;
const MAX_FEE_PER_KB = 100_000_000;
const MAX_PERIODS = 65_535;

export function parseWalletName(text: string): string {
  if (NAME.test(text) && text.length <= MAX_NAME) return text;
  throw new InvalidArgumentError(
    `a name of letters, digits, "-", "_" and ".", at most ${MAX_NAME}, that begins with a letter or digit.`,
  );
}

/** An empty path comes from an unset variable. */
export function parsePath(text: string): string {
  if (text === '') throw new InvalidArgumentError('It is empty; give a file.');
  return text;
}

function wholeNumber(text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d{1,9}$/.test(text) && value >= least && value <= most) return value;
  throw new InvalidArgumentError(`a whole number from ${least} to ${most}.`);
}

export const parseMixdepths = (text: string): number => wholeNumber(text, 1, MAX_MIXDEPTHS);
export const parseMixdepth = (text: string): number => wholeNumber(text, 0, MAX_MIXDEPTHS - 1);
export const parseHeight = (text: string): number => wholeNumber(text, 0, MAX_HEIGHT);
export const parseBlocks = (text: string): number => wholeNumber(text, 1, MAX_BLOCKS);
export const parsePeriods = (text: string): number => wholeNumber(text, 1, MAX_PERIODS);

export function collectOutpoint(
  text: string,
  before: readonly Outpoint[] = [],
): readonly Outpoint[] {
  const parsed = parseOutpoint(text);
  if (!parsed.ok || parsed.value.metadata !== undefined) {
    throw new InvalidArgumentError(
      'a coin as TXID:NUMBER; "onionmc wallet coins NAME" lists them.',
    );
  }
  const { txid, vout } = parsed.value;
  if (before.some((other) => other.txid === txid && other.vout === vout)) {
    throw new InvalidArgumentError('It is named twice.');
  }
  return [...before, { txid, vout }];
}

export function parseTxid(text: string): string {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return text.toLowerCase();
  throw new InvalidArgumentError(
    'a txid of 64 hex digits; "onionmc wallet history NAME" lists them.',
  );
}

export function parsePublicKey(text: string): string {
  if (/^0[23][0-9a-fA-F]{64}$/.test(text)) return text.toLowerCase();
  throw new InvalidArgumentError(
    'a compressed public key: 66 hex digits that begin with 02 or 03.',
  );
}

/** Satoshi per virtual byte as text; satoshi per 1,000 virtual bytes, without a float in between. */
export function parseFeeRate(text: string): number {
  const [whole = '', fraction = ''] = text.split('.');
  const feePerKb = Number(whole) * 1_000 + Number(fraction.padEnd(3, '0'));
  if (!FEE_RATE.test(text) || feePerKb === 0 || feePerKb > MAX_FEE_PER_KB) {
    throw new InvalidArgumentError('satoshi per virtual byte, such as 2 or 1.5; at most 100000.');
  }
  return feePerKb;
}
