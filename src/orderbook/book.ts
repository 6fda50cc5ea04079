/**
 * The offers that a peer knows, by maker and directory (docs/protocol.md, section 8.2). Pure state;
 * times are arguments. Bounded in makers, in offers of one maker and in offers altogether.
 */
import type { Command } from '../protocol/commands.js';
import { isOfferType } from '../protocol/commands.js';
import { parseOffer, parseOid, type Offer } from '../protocol/offer.js';
import type { OfferSighting, WithdrawnReason } from './book-api.js';
import {
  direct,
  isShown,
  noSightings,
  seenThrough,
  sightingsOf,
  differsThrough,
  withdrawThrough,
  type Sightings,
} from './sightings.js';

export interface BookLimits {
  /**
   * Most makers kept. When there are more, a maker without signed offers that was not heard for longest
   * is removed, or else any maker that was not heard for longest.
   */
  readonly makers: number;
  /** Most offers kept of one maker; further ones are ignored. */
  readonly offersPerMaker: number;
  /** Most offers of all makers; above it makers are removed in the same order. Default 20,000. */
  readonly offers?: number;
}

export const DEFAULT_BOOK_LIMITS: Required<BookLimits> = {
  makers: 5_000,
  offersPerMaker: 12,
  offers: 20_000,
};

/** The source of an announcement. */
export interface Provenance {
  /** `host:port` of the directory that relayed it, or undefined for a direct link. */
  readonly directory: string | undefined;
  /** Whether it came in a signed private message. */
  readonly verified: boolean;
  /** Milliseconds of any monotonic clock. */
  readonly at: number;
  /** Identifies the message, so that its copies are recognised (`seenAgain`). */
  readonly message?: string;
}

export interface BookOffer extends Offer {
  readonly maker: string;
  /** Whether the maker's nick key signed the terms. */
  readonly verified: boolean;
  readonly firstSeen: number;
  readonly lastSeen: number;
  /** Directories that show this offer now. */
  readonly directories: readonly string[];
  /**
   * All sources of it, in the order in which they first showed it; including those that withdrew it.
   */
  readonly sightings: readonly OfferSighting[];
  /** First and last time it came over a direct link. */
  readonly direct: { readonly firstSeen: number; readonly lastSeen: number } | undefined;
}

/** Called after each addition, change or removal of an offer. */
export type BookWatcher = (maker: string, oid: number) => void;

interface Held {
  offer: Offer;
  verified: boolean;
  firstSeen: number;
  lastSeen: number;
  /** The newest message of each kind with these terms. */
  publicMessage: string | undefined;
  privateMessage: string | undefined;
  sightings: Sightings;
}

function sameTerms(a: Offer, b: Offer): boolean {
  return (
    a.type === b.type &&
    a.minsize === b.minsize &&
    a.maxsize === b.maxsize &&
    a.txfee === b.txfee &&
    a.cjfee === b.cjfee
  );
}

function read(maker: string, held: Held): BookOffer {
  const sightings = sightingsOf(held.sightings);
  return {
    ...held.offer,
    maker,
    verified: held.verified,
    firstSeen: held.firstSeen,
    lastSeen: held.lastSeen,
    directories: sightings.filter((s) => s.withdrawn === undefined).map((s) => s.directory),
    sightings,
    direct: direct(held.sightings),
  };
}

function newlyHeld(offer: Offer, at: number): Held {
  return {
    offer,
    verified: false,
    firstSeen: at,
    lastSeen: at,
    publicMessage: undefined,
    privateMessage: undefined,
    sightings: noSightings(),
  };
}

function see(held: Held, from: Provenance): void {
  held.lastSeen = from.at;
  if (from.verified) held.privateMessage = from.message;
  else held.publicMessage = from.message;
  seenThrough(held.sightings, from);
}

export class Orderbook {
  readonly #limits: Required<BookLimits>;
  readonly #watcher: BookWatcher;
  // Both in the order in which makers were last heard.
  readonly #book = new Map<string, Map<number, Held>>();
  /** Makers without a signed offer. */
  readonly #unsigned = new Set<string>();
  #size = 0;

  constructor(limits: BookLimits = DEFAULT_BOOK_LIMITS, watcher: BookWatcher = () => {}) {
    this.#limits = { ...limits, offers: limits.offers ?? DEFAULT_BOOK_LIMITS.offers };
    this.#watcher = watcher;
  }

  /** Number of makers. */
  get makers(): number {
    return this.#book.size;
  }

  /** Number of offers of all makers. */
  get size(): number {
    return this.#size;
  }

  /** Takes the offers and cancellations of one message; returns how many offers are new or changed. */
  apply(maker: string, commands: readonly Command[], from: Provenance): number {
    let changed = 0;
    for (const command of commands) changed += this.#applyOne(maker, command, from);
    return changed;
  }

  /**
   * A copy of a message that `apply` took came from another source: only notes that source. Needs
   * `from.message`.
   */
  seenAgain(maker: string, from: Provenance): void {
    if (from.message === undefined) return;
    for (const [oid, held] of this.#book.get(maker) ?? []) {
      const message = from.verified ? held.privateMessage : held.publicMessage;
      if (message !== from.message) continue;
      see(held, from);
      this.#watcher(maker, oid);
    }
  }

  /** The directory no longer shows any offer of this maker. */
  withdraw(maker: string, directory: string, reason: WithdrawnReason, at: number): void {
    for (const [oid, held] of this.#book.get(maker) ?? []) {
      if (withdrawThrough(held.sightings, directory, reason, at)) this.#watcher(maker, oid);
    }
  }

  /** Our session with the directory ended. */
  directoryLost(directory: string, at: number): void {
    for (const maker of this.#book.keys()) this.withdraw(maker, directory, 'directory-lost', at);
  }

  /** Removes a maker that left; returns the number of removed offers. */
  remove(maker: string): number {
    const oids = [...(this.#book.get(maker)?.keys() ?? [])];
    for (const oid of oids) this.#drop(maker, oid);
    return oids.length;
  }

  /** Removes offers not seen since `before`; returns their number. */
  expire(before: number): number {
    let gone = 0;
    for (const [maker, offers] of this.#book) {
      for (const [oid, { lastSeen }] of offers) {
        if (lastSeen >= before) continue;
        this.#drop(maker, oid);
        gone++;
      }
    }
    return gone;
  }

  /** Whether it has an offer of this maker. */
  has(maker: string): boolean {
    return this.#book.has(maker);
  }

  /** The offers of one maker, by oid in the order of their arrival. */
  offersOf(maker: string): readonly BookOffer[] {
    return [...(this.#book.get(maker)?.values() ?? [])].map((held) => read(maker, held));
  }

  /** All offers, makers in the order in which they were last heard. */
  offers(): readonly BookOffer[] {
    return [...this.#book.keys()].flatMap((maker) => this.offersOf(maker));
  }

  /** Makers with offers. */
  names(): IterableIterator<string> {
    return this.#book.keys();
  }

  #applyOne(maker: string, command: Command, from: Provenance): number {
    if (command.name !== 'cancel' && !isOfferType(command.name)) return 0;
    const offer = parseOffer(command);
    if (offer.ok) return this.#takeOffer(maker, offer.value, from);
    // Deployed peers ignore an offer that lacks a field, and delete the oid before they validate the
    // fields.
    if (offer.reason === 'offer-arity') return 0;
    const oid = parseOid(command);
    if (oid.ok) this.#cancel(maker, oid.value, from);
    return 0;
  }

  #takeOffer(maker: string, offer: Offer, from: Provenance): number {
    const known = this.#book.get(maker)?.get(offer.oid);
    const same = known !== undefined && sameTerms(known.offer, offer);
    if (known?.verified && !from.verified && !same) {
      // An unsigned announcement cannot change a signed one, but its source is noted.
      if (differsThrough(known.sightings, from)) this.#watcher(maker, offer.oid);
      return 0;
    }
    const offers = this.#book.get(maker);
    if (!known && offers && offers.size >= this.#limits.offersPerMaker) return 0;
    const mine = this.#heard(maker);
    const held = same ? known : newlyHeld(offer, from.at);
    // A signed announcement stays when the same terms come unsigned.
    if (from.verified) held.verified = true;
    see(held, from);
    if (!known) this.#size++;
    mine.set(offer.oid, held);
    if (![...mine.values()].some(({ verified }) => verified)) this.#unsigned.add(maker);
    this.#makeRoom(maker);
    // Its own offers alone exceed the bound.
    if (this.#size > this.#limits.offers) {
      this.#drop(maker, offer.oid);
      return 0;
    }
    this.#watcher(maker, offer.oid);
    return same ? 0 : 1;
  }

  /**
   * An unsigned message cannot take back what a maker has signed (section 7.2: public messages are
   * unsigned), except for the directory that relayed it: an offer that no directory shows is removed.
   */
  #cancel(maker: string, oid: number, from: Provenance): void {
    const held = this.#book.get(maker)?.get(oid);
    if (!held) return;
    if (from.directory !== undefined) {
      withdrawThrough(held.sightings, from.directory, 'cancel', from.at);
    }
    if (from.verified || !held.verified || !isShown(held.sightings)) this.#drop(maker, oid);
    else this.#watcher(maker, oid);
  }

  /** Moves a maker to the end of the order. */
  #heard(maker: string): Map<number, Held> {
    const offers = this.#book.get(maker) ?? new Map<number, Held>();
    this.#book.delete(maker);
    this.#book.set(maker, offers);
    this.#unsigned.delete(maker);
    return offers;
  }

  /** The current maker was heard last, so others are removed first. */
  #makeRoom(maker: string): void {
    const { makers, offers } = this.#limits;
    while (this.#book.size > makers || this.#size > offers) {
      const [unsigned] = this.#unsigned;
      const [oldest] = this.#book.keys();
      const leaving = unsigned !== undefined && unsigned !== maker ? unsigned : oldest;
      if (leaving === undefined || leaving === maker) return;
      this.remove(leaving);
    }
  }

  #drop(maker: string, oid: number): void {
    const offers = this.#book.get(maker);
    if (!offers?.delete(oid)) return;
    this.#size--;
    if (offers.size === 0) {
      this.#book.delete(maker);
      this.#unsigned.delete(maker);
    }
    this.#watcher(maker, oid);
  }
}
