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

/** What does not change when another block confirms a coinjoin: its amounts, and when it was signed. */
function lastingPart(
  coinjoin: Omit<MakerCoinjoin, 'txid' | 'unsignedTxid' | 'confirmedAt' | 'state'>,
): string {
  const { signedAt, amount, inputs, inputValue, fee, earned } = coinjoin;
  return [signedAt, amount, inputs, inputValue, fee, earned].join(',');
}

/** The lasting part of the coinjoin of a line; undefined for any other line. */
function knownLine(line: string): string | undefined {
  const match = LINE.exec(line);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, ...rest] = match.map(Number);
  const at = Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second) / 1_000;
  const [amount = 0, inputs = 0, inputValue = 0, fee = 0, earned = 0, minutes = 0] = rest;
  // Minutes are rounded to 0.6 s, so the whole second is exact.
  const signedAt = Math.round(at - minutes * 60);
  return lastingPart({ signedAt, amount, inputs, inputValue, fee, earned });
}

/** How often a text is there; each can be taken once for each time. */
class Supply {
  readonly #counts = new Map<string, number>();

  add(text: string): void {
    this.#counts.set(text, (this.#counts.get(text) ?? 0) + 1);
  }

  /** Whether one was there to take. */
  take(text: string): boolean {
    const count = this.#counts.get(text) ?? 0;
    if (count > 0) this.#counts.set(text, count - 1);
    return count > 0;
  }
}

/**
 * The lines that are missing in a statement, in the order of their blocks: one for each confirmed coinjoin
 * that has none. A coinjoin that a reorganisation moved to another block keeps its line.
 * @param present the lines of the statement
 */
export function missingLines(
  present: readonly string[],
  coinjoins: readonly MakerCoinjoin[],
): readonly string[] {
  const confirmed = coinjoins.filter(({ state }) => state === 'confirmed');
  const lines = new Supply();
  for (const line of present) lines.add(line);
  // Lines as they would be written now come first: two coinjoins of one second may be equal but for their block.
  const unwritten = confirmed.filter((coinjoin) => !lines.take(coinjoinLine(coinjoin)));
  const moved = new Supply();
  for (const line of present) {
    const known = lines.take(line) ? knownLine(line) : undefined;
    if (known !== undefined) moved.add(known);
  }
  return unwritten
    .filter((coinjoin) => !moved.take(lastingPart(coinjoin)))
    .toSorted((a, b) => confirmedAt(a) - confirmedAt(b))
    .map((coinjoin) => coinjoinLine(coinjoin));
}
