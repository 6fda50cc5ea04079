/**
 * The lines of `yigen-statement.csv`, in the columns of the original: a line for each start of a maker, and
 * one for each coinjoin when it is in a block for the first time. Times are UTC. Pure.
 */
import type { MakerCoinjoin } from './api.js';

export const STATEMENT_HEADER =
  'timestamp,cj amount/satoshi,my input count,my input value/satoshi,cjfee/satoshi,earned/satoshi,confirm time/min,notes';

/** `YYYY/MM/DD HH:MM:SS` of Unix seconds. */
const timestamp = (seconds: number): string =>
  new Date(seconds * 1_000).toISOString().slice(0, 19).replaceAll('-', '/').replace('T', ' ');

/** The line of a start. */
export const connectedLine = (now: number): string => `${timestamp(now)},,,,,,,Connected`;

/** A block's clock may be behind ours. */
const confirmedAt = ({ signedAt, confirmedAt: time }: MakerCoinjoin): number =>
  Math.max(signedAt, time ?? signedAt);

function coinjoinLine(coinjoin: MakerCoinjoin): string {
  const { signedAt, amount, inputs, inputValue, fee, earned } = coinjoin;
  const at = confirmedAt(coinjoin);
  const minutes = ((at - signedAt) / 60).toFixed(2);
  return [timestamp(at), amount, inputs, inputValue, fee, earned, minutes, ''].join(',');
}

const LINE =
  /^(\d{4})\/(\d\d)\/(\d\d) (\d\d):(\d\d):(\d\d),(\d+),(\d+),(\d+),(-?\d+),(-?\d+),(\d+\.\d\d),/;

/** What of a coinjoin does not change when another block confirms it: its amounts, and when it was signed. */
const amountsOf = (fields: readonly (number | string)[]): string => fields.join(',');

interface Known {
  readonly amounts: string;
  readonly signedAt: number;
}

function knownLine(line: string): Known | undefined {
  const match = LINE.exec(line);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, ...rest] = match.map(Number);
  const at = Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second) / 1_000;
  return { amounts: amountsOf(rest.slice(0, 5)), signedAt: at - (rest[5] ?? 0) * 60 };
}

/** Minutes are rounded to 0.6 s. */
const ROUNDING_SECONDS = 1;

/**
 * The lines that are missing in a statement, in the order of their blocks: one for each confirmed coinjoin
 * that has none. A coinjoin that a reorganisation moved to another block keeps its line.
 * @param present the lines of the statement
 */
export function missingLines(
  present: readonly string[],
  coinjoins: readonly MakerCoinjoin[],
): readonly string[] {
  const known = new Map<string, number[]>();
  for (const line of present) {
    const found = knownLine(line);
    if (found === undefined) continue;
    const times = known.get(found.amounts);
    if (times === undefined) known.set(found.amounts, [found.signedAt]);
    else times.push(found.signedAt);
  }
  const isMissing = (coinjoin: MakerCoinjoin): boolean => {
    const { signedAt, amount, inputs, inputValue, fee, earned } = coinjoin;
    const times = known.get(amountsOf([amount, inputs, inputValue, fee, earned])) ?? [];
    const at = times.findIndex((time) => Math.abs(time - signedAt) <= ROUNDING_SECONDS);
    // One line stands for one coinjoin.
    if (at >= 0) times.splice(at, 1);
    return at < 0;
  };
  return coinjoins
    .filter(({ state }) => state === 'confirmed')
    .filter((coinjoin) => isMissing(coinjoin))
    .toSorted((a, b) => confirmedAt(a) - confirmedAt(b))
    .map((coinjoin) => coinjoinLine(coinjoin));
}
