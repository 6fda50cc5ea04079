/**
 * Plans a schedule as the original's tumbler does (coinjoins in two stages). First every mixdepth with
 * coins is swept to the next one, from the highest down. Then the coins go through `mixdepthcount`
 * mixdepths: from each one random parts go to the next, and what is left is swept. The sweeps of the last
 * `addrcount` mixdepths go to the addresses, and the last mixdepth has that sweep alone.
 *
 * One rule differs: the second stage begins where it meets all the coins. The original begins at the
 * lowest mixdepth with coins, and leaves some behind where the first stage ends in mixdepths 0 and 4. Pure.
 */
import type { Random } from '../channel/ports.js';
import {
  LEAST_FRACTION,
  MAX_MAKERS,
  NO_ROUNDING,
  type ScheduleStep,
  type StepDestination,
} from './api.js';
import { count, exponential, fractions, weighted } from './draws.js';
import type { PlanOptions } from './plan-options.js';

/** Most coinjoins from one mixdepth. */
const MAX_TRANSACTIONS = 50;

export interface PlanRequest {
  readonly options: PlanOptions;
  /** What can be spent, satoshi: one entry for each mixdepth of the wallet. */
  readonly balances: readonly number[];
  /** Different addresses; fewer than `addrcount` where the others are asked for later. */
  readonly addresses: readonly { readonly address: string; readonly script: string }[];
}

/** A plan, or the one line that says why there is none. */
export type Planned =
  | {
      readonly ok: true;
      readonly steps: readonly ScheduleStep[];
      readonly notes: readonly string[];
    }
  | { readonly ok: false; readonly reason: string };

/** Mixdepths that hold coins after the first stage, for those that held some before. */
function afterSweeps(filled: readonly number[], mixdepths: number): readonly number[] {
  const holds = new Set<number>();
  for (const mixdepth of filled) {
    holds.delete(mixdepth);
    holds.add((mixdepth + 1) % mixdepths);
  }
  return [...holds].toSorted((a, b) => a - b);
}

/** The shortest run of mixdepths, around the end too, that has all of these. */
function runOf(
  holding: readonly number[],
  mixdepths: number,
): { readonly start: number; readonly length: number } {
  const runs = holding.map((start) => ({
    start,
    length: Math.max(...holding.map((other) => ((other - start + mixdepths) % mixdepths) + 1)),
  }));
  return runs.reduce((best, run) => (run.length < best.length ? run : best));
}

function faultOf({ options, balances, addresses }: PlanRequest): string | undefined {
  const mixdepths = balances.length;
  const { addrcount, mixdepthcount } = options;
  const total = balances.reduce((sum, balance) => sum + balance, 0);
  if (total === 0)
    return 'the wallet has no coins that can be spent now: see "onionmc wallet coins"';
  if (total < options.mincjamount) {
    return `the wallet can spend ${total} sat now, less than the smallest coinjoin of ${options.mincjamount} sat (--mincjamount)`;
  }
  if (mixdepthcount > mixdepths) {
    return `--mixdepthcount ${mixdepthcount}: the wallet has ${mixdepths} mixdepths, so at most ${mixdepths}`;
  }
  if (addrcount > mixdepthcount) {
    return `--addrcount ${addrcount}: every address needs a mixdepth of its own, so at most --mixdepthcount ${mixdepthcount}`;
  }
  if (addresses.length > addrcount) {
    return `${addresses.length} addresses, but --addrcount is ${addrcount}: give --addrcount ${addresses.length}, or fewer addresses`;
  }
  const scripts = new Set(addresses.map(({ script }) => script));
  return scripts.size < addresses.length
    ? 'an address is given twice: give a different address for each, or leave it out'
    : undefined;
}

/** Draws the parts of a plan. */
class Draw {
  readonly #options: PlanOptions;
  readonly #random: Random;

  constructor(options: PlanOptions, random: Random) {
    this.#options = options;
    this.#random = random;
  }

  sweep(mixdepth: number, meanWait: number): ScheduleStep {
    return {
      mixdepth,
      amount: { kind: 'sweep' },
      makers: this.#makers(),
      destination: { kind: 'internal' },
      waitMinutes: exponential(meanWait, this.#random),
      rounding: NO_ROUNDING,
      completed: { kind: 'open' },
    };
  }

  transactions(least: number): number {
    const { txcountparams, mintxcount } = this.#options;
    const range = { least: Math.max(least, mintxcount), most: MAX_TRANSACTIONS };
    return count(txcountparams, range, this.#random);
  }

  /** Steps from one mixdepth: parts of its coins, and a sweep of what is left. */
  mixdepth(mixdepth: number, transactions: number): readonly ScheduleStep[] {
    const { timelambda } = this.#options;
    return fractions(transactions, this.#random).map((fraction, index): ScheduleStep => {
      const sweep = this.sweep(mixdepth, timelambda);
      if (index === transactions - 1) return sweep;
      const value = Math.max(LEAST_FRACTION, fraction);
      return { ...sweep, amount: { kind: 'fraction', value }, rounding: this.#rounding() };
    });
  }

  #makers(): number {
    const { makercountrange, minmakercount } = this.#options;
    return count(makercountrange, { least: minmakercount, most: MAX_MAKERS }, this.#random);
  }

  #rounding(): number {
    const { roundingChance, roundingSigfigWeights } = this.#options;
    if (this.#random() >= roundingChance) return NO_ROUNDING;
    return weighted(roundingSigfigWeights, this.#random) + 1;
  }
}

/** Plans a schedule for coins that can be spent now. */
export function planSchedule(request: PlanRequest, random: Random): Planned {
  const reason = faultOf(request);
  if (reason !== undefined) return { ok: false, reason };
  const { options, balances, addresses } = request;
  const mixdepths = balances.length;
  const filled = balances
    .flatMap((balance, mixdepth) => (balance > 0 ? [mixdepth] : []))
    .toReversed();
  const { start, length } = runOf(afterSweeps(filled, mixdepths), mixdepths);
  const depth = Math.max(options.mixdepthcount, length);
  const draw = new Draw(options, random);
  const stage1 = filled.map((mixdepth) =>
    draw.sweep(mixdepth, options.timelambda * options.stage1TimelambdaIncrease),
  );
  // The addresses of the last mixdepths; those that are asked for come last.
  const destinations = Array.from({ length: options.addrcount }, (_, index): StepDestination => {
    const given = addresses[index];
    return given === undefined ? { kind: 'ask' } : { kind: 'address', ...given };
  });
  const stage2 = Array.from({ length: depth }, (_, index): readonly ScheduleStep[] => {
    const destination = destinations[index - (depth - options.addrcount)];
    const mixdepth = (start + index) % mixdepths;
    const isLast = index === depth - 1;
    // A part of the coins must go on where the sweep leaves the wallet.
    const least = destination === undefined ? 1 : 2;
    const steps = draw.mixdepth(mixdepth, isLast ? 1 : draw.transactions(least));
    const sweep = steps.at(-1);
    if (destination === undefined || sweep === undefined) return steps;
    return [...steps.slice(0, -1), { ...sweep, destination }];
  }).flat();
  const notes =
    depth > options.mixdepthcount
      ? [
          `The coins go through ${depth} mixdepths, not ${options.mixdepthcount}, since those with coins lie that far apart.`,
        ]
      : [];
  return { ok: true, steps: [...stage1, ...stage2], notes };
}
