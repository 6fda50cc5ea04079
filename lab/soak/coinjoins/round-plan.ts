/** What happens in a round: it depends on the seed and the number of the round only. Pure. */
import type { Broadcast } from '../../../src/negotiation/taker/api.js';
import { createChance, type Chance } from '../random.js';
import { MISBEHAVIOURS, spoilsRound, type Misbehaviour } from './misbehaviour.js';
import type { OfferTerms } from './soak-maker.js';

export interface RoundPlan {
  readonly number: number;
  readonly isSweep: boolean;
  /** Share of what the mixdepth has, for a round that is not a sweep. */
  readonly share: number;
  readonly isInternal: boolean;
  /** Makers wanted, and the fewest with which it is done. */
  readonly makers: number;
  readonly minimumMakers: number;
  readonly broadcast: Broadcast;
  /** Satoshi per 1,000 virtual bytes. */
  readonly feePerKb: number;
  /** What each maker asks. */
  readonly terms: readonly OfferTerms[];
  /** By number of the maker, from 0. */
  readonly misbehaviours: ReadonlyMap<number, Misbehaviour>;
}

/** Every so many rounds, nearly all makers misbehave. */
const BAD_ROUND = 25;
const HONEST_IN_BAD_ROUND = 2;
const SWEEP_ROUND = 5;
const MOST_FLAKY = 5;
/** Makers that fail after they agreed: each of them costs a taker one of its three rounds. */
const MOST_SPOILERS = 2;
const BROADCASTS: readonly Broadcast[] = ['self', 'random-peer', 'not-self'];

function termsOf(chance: Chance): OfferTerms {
  const txfee = chance.between(0, 300);
  const isRelative = chance.next() < 0.5;
  const rate = chance.between(10, 400) / 1_000_000;
  // Above its part of the miner fee, so that every amount earns something.
  const cjfee = isRelative ? rate.toFixed(6) : String(txfee + chance.between(100, 4_000));
  return { isRelative, cjfee, txfee: isRelative ? 0 : txfee };
}

export function planRound(seed: number, number: number, makers: number): RoundPlan {
  const chance = createChance(Math.imul(seed + 1, 2_654_435_761) ^ Math.imul(number, 40_503));
  // The first numbers of close seeds are alike.
  for (let skipped = 0; skipped < 10; skipped += 1) chance.next();
  const isBad = number % BAD_ROUND === 0;
  const flaky = isBad ? makers - HONEST_IN_BAD_ROUND : chance.between(0, MOST_FLAKY);
  const order = Array.from({ length: makers }, (_, n) => n)
    .map((n) => ({ n, at: chance.next() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ n }) => n);
  const misbehaviours = new Map<number, Misbehaviour>();
  let spoilers = 0;
  order.slice(0, flaky).forEach((maker, n) => {
    // In turn, so that each of them occurs; the others at random.
    const next = MISBEHAVIOURS[number % MISBEHAVIOURS.length];
    const misbehaviour = n === 0 ? next : chance.pick(MISBEHAVIOURS);
    if (misbehaviour === undefined) return;
    if (spoilsRound(misbehaviour) && !isBad) {
      if (spoilers === MOST_SPOILERS) return;
      spoilers += 1;
    }
    misbehaviours.set(maker, misbehaviour);
  });
  const wanted = chance.between(3, 5);
  return {
    number,
    isSweep: number % SWEEP_ROUND === 0,
    share: 0.1 + 0.6 * chance.next(),
    isInternal: chance.next() < 0.7,
    makers: wanted,
    minimumMakers: wanted - chance.between(0, 1),
    broadcast: chance.pick(BROADCASTS) ?? 'self',
    feePerKb: chance.between(1_100, 20_000),
    terms: Array.from({ length: makers }, () => termsOf(chance)),
    misbehaviours,
  };
}
