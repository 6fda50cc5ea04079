/**
 * The makers that a taker with a wallet could ask, seen at one moment: offers of the live orderbook for
 * the wallet's addresses, drawn by a rule, with what is known against each maker.
 */
import type { Random } from '../channel/ports.js';
import type { Candidate, MakerReport } from '../negotiation/taker/api.js';
import type { BookEntry, LiveBook } from '../orderbook/book-api.js';
import type { CoinjoinRequest } from './api.js';
import { doubtsAbout, offersFor, type AddressFamily } from './book-offers.js';
import { bondKey, bondValue, type OfferOfMaker } from './choose-eligible.js';
import { bondedNeeded, chooseMakers, eligibleOffers, type ChoicePolicy } from './choose.js';
import { remember, type FailedMakers } from './failed-makers.js';
import { orderByLiveness, probeMakers, type ProbeOptions } from './liveness.js';

/** What is wanted of the makers. */
export type MarketRequest = Pick<
  CoinjoinRequest,
  'makers' | 'maxFeeAbs' | 'maxFeeRel' | 'choice' | 'picks'
>;

export interface MarketOptions {
  readonly book: Pick<LiveBook, 'snapshot' | 'statistics'>;
  readonly family: AddressFamily;
  /** Its fee limits are replaced by those of the request. */
  readonly policy: ChoicePolicy;
  readonly request: MarketRequest;
  readonly random: Random;
  /** Failures of former coinjoins. */
  readonly failed: FailedMakers;
  /** Unix seconds. */
  readonly unixTime: () => number;
}

/** An answer to the `!orderbook` of this program is a sign of life for so long, in milliseconds. */
const ALIVE_MS = 60_000;

/** Every list begins with the same numbers, so that another amount draws the same makers where it can. */
function repeatable(random: Random): () => Random {
  const drawn: number[] = [];
  return () => {
    let next = 0;
    return () => {
      const chance = drawn[next] ?? random();
      drawn[next] = chance;
      next += 1;
      return chance;
    };
  };
}

/** When a signed message of the maker came last, by the clock of the book. */
function lastSigned({ sightings, direct }: BookEntry): number {
  const times = sightings.flatMap(({ privately, lastSeen }) => (privately ? [lastSeen] : []));
  return Math.max(direct?.lastSeen ?? -Infinity, ...times);
}

/** The makers at the moment when it is made. */
export class Market {
  readonly #options: MarketOptions;
  readonly #entries: readonly BookEntry[];
  readonly #now: number;
  readonly #doubts: (offer: OfferOfMaker & { readonly oid: number }) => number;
  readonly #random: () => Random;
  readonly #byMaker: ReadonlyMap<string, BookEntry>;

  constructor(options: MarketOptions) {
    const { book, family, failed, unixTime } = options;
    const snapshot = book.snapshot();
    this.#options = options;
    this.#now = snapshot.now;
    this.#entries = offersFor(snapshot.entries, family);
    const { directories, evidence } = book.statistics();
    this.#doubts = doubtsAbout(this.#entries, {
      failed,
      now: unixTime(),
      audits: directories.flatMap(({ audit }) => audit ?? []),
      evidence,
    });
    this.#random = repeatable(options.random);
    this.#byMaker = new Map(this.#entries.map((entry) => [entry.maker, entry]));
  }

  /** Makers that offer the wallet's kind of addresses, whatever amount and fee. */
  get makers(): number {
    return this.#byMaker.size;
  }

  /** Makers whose offers fit an amount, without two of one bond. */
  fitting(amount: number): number {
    return eligibleOffers({ ...this.#choice(amount) }).length;
  }

  /** The candidates of an amount in the order in which they are asked: those wanted, then spare ones. */
  candidates(amount: number): readonly Candidate[] {
    return chooseMakers(this.#choice(amount));
  }

  /** Whether the maker has a bond of known value. */
  isBonded(nick: string): boolean {
    const entry = this.#byMaker.get(nick);
    return entry !== undefined && bondValue(entry) > 0;
  }

  /** How many of the makers must have a bond (`min_bonded_share`), and how many of the book have one. */
  bonds(): { readonly needed: number; readonly present: number } {
    const present = [...this.#byMaker.values()].filter((entry) => bondValue(entry) > 0).length;
    const { policy, request } = this.#options;
    return { needed: bondedNeeded(policy.minBondedShare ?? 0, request.makers), present };
  }

  /** Nicks that were picked and have no offer that fits. */
  missingPicks(amount: number): readonly string[] {
    const there = new Set(eligibleOffers(this.#choice(amount)).map(({ maker }) => maker));
    return this.#options.request.picks.filter((nick) => !there.has(nick));
  }

  /**
   * Asks candidates that have not answered within the last minute, until `wanted` have answered, and
   * returns all of them in the order of their liveness. Those without an answer are left out when `enough`
   * others are there. Never rejects.
   */
  async probe(
    candidates: readonly Candidate[],
    { wanted, enough }: { readonly wanted: number; readonly enough: number },
    options: ProbeOptions,
  ): Promise<readonly Candidate[]> {
    const fresh = new Set(
      candidates.flatMap(({ nick }) => {
        const entry = this.#byMaker.get(nick);
        const at = entry === undefined ? -Infinity : lastSigned(entry);
        return this.#now - at < ALIVE_MS ? [nick] : [];
      }),
    );
    // Makers far down the list are not bothered.
    const asked = candidates.filter(({ nick }) => !fresh.has(nick)).slice(0, 2 * wanted);
    const answers =
      fresh.size >= wanted
        ? new Map<string, boolean>()
        : await probeMakers(
            asked.map(({ nick }) => nick),
            { enough: Math.min(asked.length, wanted - fresh.size), ...options },
          );
    return orderByLiveness(
      candidates,
      (nick) => (fresh.has(nick) ? true : answers.get(nick)),
      enough,
    );
  }

  /** The memory of failures after a coinjoin with these makers. */
  remember(
    memory: FailedMakers,
    reports: readonly Pick<MakerReport, 'nick' | 'step' | 'failure'>[],
  ): FailedMakers {
    const bondOf = (nick: string): string | undefined => {
      const entry = this.#byMaker.get(nick);
      return entry && bondKey(entry);
    };
    return remember(memory, reports, bondOf, this.#options.unixTime());
  }

  #choice(amount: number): Parameters<typeof chooseMakers>[0] {
    const { policy, request } = this.#options;
    return {
      offers: this.#entries,
      amount,
      policy: { ...policy, maxCjFeeAbs: request.maxFeeAbs, maxCjFeeRel: request.maxFeeRel },
      random: this.#random(),
      rule: request.choice,
      makers: request.makers,
      picks: request.picks,
      doubts: (offer) => this.#doubts(offer),
    };
  }
}
