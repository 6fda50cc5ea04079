/** Parses the options of `onionmc schedule`: a typed value, or an error that says what is allowed. */
import { InvalidArgumentError } from 'commander';
import { MAX_MAKERS, MAX_SATOSHI, MAX_WAIT_MINUTES } from '../../schedule/api.js';

const NUMBER = /^\d{1,9}(\.\d{1,9})?$/;

function decimal(text: string, least: number, most: number): number {
  const value = NUMBER.test(text) ? Number(text) : NaN;
  if (value >= least && value <= most) return value;
  throw new InvalidArgumentError(`a number from ${least} to ${most}, decimals allowed.`);
}

function whole(text: string, least: number, most: number): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (value >= least && value <= most) return value;
  throw new InvalidArgumentError(`a whole number from ${least} to ${most}.`);
}

/** Mean and standard deviation: `9,1` or `9 1`. */
function pair(text: string, most: number): readonly [number, number] {
  const [mean = '', deviation = '', ...rest] = text.trim().split(/[ ,]+/);
  const values = [mean, deviation].map((one) => (NUMBER.test(one) ? Number(one) : NaN));
  const [first = NaN, second = NaN] = values;
  if (rest.length === 0 && first <= most && second <= most) return [first, second];
  throw new InvalidArgumentError(
    `a mean and a standard deviation, such as 9,1; each at most ${most}.`,
  );
}

const MOST_TRANSACTIONS = 50;
const MOST_MIXDEPTHS = 100;

export const parseMakersRange = (text: string): readonly [number, number] => pair(text, MAX_MAKERS);
export const parseTransactions = (text: string): readonly [number, number] =>
  pair(text, MOST_TRANSACTIONS);
export const parseLeastMakers = (text: string): number => whole(text, 1, MAX_MAKERS);
export const parseLeastTransactions = (text: string): number => whole(text, 1, MOST_TRANSACTIONS);
export const parseDepths = (text: string): number => whole(text, 1, MOST_MIXDEPTHS);
export const parseMinutes = (text: string): number => decimal(text, 0, MAX_WAIT_MINUTES / 100);
export const parseFactor = (text: string): number => decimal(text, 0, 100);
export const parseChance = (text: string): number => decimal(text, 0, 1);
export const parseAmount = (text: string): number => whole(text, 1, MAX_SATOSHI);
export const parseWaitSeconds = (text: string): number => whole(text, 1, 86_400);
export const parseAttempts = (text: string): number => whole(text, 1, 1_000);

/** Five weights, not all 0: `55,15,25,65,40`. */
export function parseWeights(text: string): readonly [number, number, number, number, number] {
  const parts = text.trim().split(/[ ,]+/);
  const [a = NaN, b = NaN, c = NaN, d = NaN, e = NaN] = parts.map((one) =>
    NUMBER.test(one) ? Number(one) : NaN,
  );
  if (parts.length === 5 && a + b + c + d + e > 0) return [a, b, c, d, e];
  throw new InvalidArgumentError('five weights of 1 to 5 significant figures: 55,15,25,65,40.');
}
