/**
 * The chance that a taker picks a maker. The default choice of takers fills seats one after the other,
 * without putting a maker back: with the bondless share as probability uniformly, else in proportion to the
 * values of bonds (docs/taker.md). Exact for few bonds; a bounded simulation with its error for many. Pure.
 */

/** A chance from 0 to 1. */
export interface Chance {
  readonly chance: number;
  /** Half the width of the interval that holds the chance in 95 of 100 cases; 0 where it is exact. */
  readonly error: number;
}

/** What the taker chooses from. */
export interface Seats {
  /** Values of the bonds of all other makers that suit the taker; 0 without a bond. */
  readonly others: readonly number[];
  /** Value of the bond of the maker itself. */
  readonly own: number;
  /** How many makers the taker wants. */
  readonly seats: number;
  /** Share of seats that ignore bonds (`bondless_makers_allowance`). */
  readonly bondless: number;
}

/** Most bonds that are followed in all combinations: 2^12 for each seat. */
const MOST_FOLLOWED = 12;
/** Draws of one simulation, and the bounds of its runs. */
const DRAWS = 3_000_000;
const LEAST_RUNS = 200;
const MOST_RUNS = 10_000;
/** Normal distribution: 95 of 100. */
const WIDTH = 1.96;

/** The chance of the maker at one seat, and the parts from which the chance of another one follows. */
function seat(others: number, othersWeight: number, { own, bondless }: Seats) {
  const total = own + othersWeight;
  const each = (total > 0 ? bondless : 1) / (others + 1);
  const perWeight = total > 0 ? (1 - bondless) / total : 0;
  return { each, perWeight, mine: each + perWeight * own };
}

/** Follows every combination of bonded makers that may have been picked. */
function exactChance(seats: Seats, bonded: readonly number[]): number {
  const bondlessOthers = seats.others.length - bonded.length;
  const size = 1 << bonded.length;
  const weightLeft = new Float64Array(size);
  const picked = new Uint8Array(size);
  for (let gone = 0; gone < size; gone++) {
    let weight = 0;
    for (const [i, value] of bonded.entries()) {
      if (((gone >> i) & 1) === 0) weight += value;
      else picked[gone] = (picked[gone] ?? 0) + 1;
    }
    weightLeft[gone] = weight;
  }
  /** Probability of each combination while the maker itself is not picked. */
  let reached = new Float64Array(size);
  reached[0] = 1;
  for (let taken = 0; taken < seats.seats; taken++) {
    const after = new Float64Array(size);
    for (let gone = 0; gone < size; gone++) {
      const chance = reached[gone] ?? 0;
      if (chance === 0) continue;
      const left = bondlessOthers - (taken - (picked[gone] ?? 0));
      const { each, perWeight } = seat(seats.others.length - taken, weightLeft[gone] ?? 0, seats);
      after[gone] = (after[gone] ?? 0) + chance * each * left;
      for (const [i, value] of bonded.entries()) {
        const bit = 1 << i;
        if ((gone & bit) !== 0) continue;
        after[gone | bit] = (after[gone | bit] ?? 0) + chance * (each + perWeight * value);
      }
    }
    reached = after;
  }
  return 1 - reached.reduce((sum, chance) => sum + chance, 0);
}

/** A generator of numbers in [0, 1) that always gives the same ones (mulberry32): equal books, equal answers. */
function fixedRandom(): () => number {
  let state = 0x9e37_79b9;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One run: the other makers that are picked while this one is not, and its chance to stay unpicked. */
function stayingOut(seats: Seats, pool: Float64Array, random: () => number): number {
  const values = pool.slice();
  let count = values.length;
  let weight = values.reduce((sum, value) => sum + value, 0);
  let stays = 1;
  for (let taken = 0; taken < seats.seats; taken++) {
    const { each, perWeight, mine } = seat(count, weight, seats);
    stays *= Math.max(0, 1 - mine);
    let at = Math.min(count - 1, Math.floor(random() * count));
    if (random() * (each * count + perWeight * weight) >= each * count) {
      let rest = random() * weight;
      for (at = 0; at < count - 1; at++) {
        rest -= values[at] ?? 0;
        if (rest < 0) break;
      }
    }
    weight = Math.max(0, weight - (values[at] ?? 0));
    count--;
    values[at] = values[count] ?? 0;
  }
  return stays;
}

/** The mean over runs of the product of chances to stay unpicked: it varies far less than counted picks. */
function simulatedChance(seats: Seats): Chance {
  const random = fixedRandom();
  const draws = seats.others.length * seats.seats;
  const runs = Math.max(LEAST_RUNS, Math.min(MOST_RUNS, Math.floor(DRAWS / draws)));
  const pool = Float64Array.from(seats.others);
  let sum = 0;
  let squares = 0;
  for (let run = 0; run < runs; run++) {
    const stays = stayingOut(seats, pool, random);
    sum += stays;
    squares += stays * stays;
  }
  const mean = sum / runs;
  const variance = Math.max(0, squares / runs - mean * mean) / (runs - 1);
  return { chance: 1 - mean, error: WIDTH * Math.sqrt(variance) };
}

/** The chance that the maker is among those that one taker picks. */
export function pickChance(seats: Seats): Chance {
  const { others, own } = seats;
  if (seats.seats < 1) return { chance: 0, error: 0 };
  if (seats.seats > others.length) return { chance: 1, error: 0 };
  const bonded = others.filter((value) => value > 0);
  if (seats.seats === 1) {
    const weight = bonded.reduce((sum, value) => sum + value, 0);
    return { chance: seat(others.length, weight, { ...seats, own }).mine, error: 0 };
  }
  return bonded.length <= MOST_FOLLOWED
    ? { chance: exactChance(seats, bonded), error: 0 }
    : simulatedChance(seats);
}
