/**
 * The offers that a peer knows, by maker and directory (docs/protocol.md, section 8.2). Pure state;
 * times are arguments. Bounded in makers, in offers of one maker and in offers altogether.
 */
import type { Command } from '../protocol/commands.js';
import { isOfferType } from '../protocol/commands.js';
import { parseOffer, parseOid, type Offer } from '../protocol/offer.js';
import type { OfferSighting, WithdrawnWhy } from './book-api.js';
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

export interface Orderbook {
  /** Takes the offers and cancellations of one message; returns how many offers are new or changed. */
  apply(maker: string, commands: readonly Command[], from: Provenance): number;
  /**
   * A copy of a message that `apply` took came from another source: only notes that source. Needs
   * `from.message`.
   */
  seenAgain(maker: string, from: Provenance): void;
  /** The directory no longer shows any offer of this maker. */
  withdraw(maker: string, directory: string, why: WithdrawnWhy, at: number): void;
  /** Our session with the directory ended. */
  directoryLost(directory: string, at: number): void;
  /** Removes a maker that left; returns the number of removed offers. */
  remove(maker: string): number;
  /** Removes offers not seen since `before`; returns their number. */
  expire(before: number): number;
  has(maker: string): boolean;
  /** The offers of one maker, by oid in the order of their arrival. */
  offersOf(maker: string): readonly BookOffer[];
  /** All offers, makers in the order in which they were last heard. */
  offers(): readonly BookOffer[];
  /** Makers with offers. */
  names(): IterableIterator<string>;
  readonly makers: number;
  /** Offers of all makers. */
  readonly size: number;
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

export function createOrderbook(
  limits: BookLimits = DEFAULT_BOOK_LIMITS,
  watcher: BookWatcher = () => {},
): Orderbook {
  const mostOffers = limits.offers ?? DEFAULT_BOOK_LIMITS.offers;
  // Both in the order in which makers were last heard.
  const book = new Map<string, Map<number, Held>>();
  /** Makers without a signed offer. */
  const unsigned = new Set<string>();
  let size = 0;

  function drop(maker: string, oid: number): void {
    const offers = book.get(maker);
    if (!offers?.delete(oid)) return;
    size--;
    if (offers.size === 0) {
      book.delete(maker);
      unsigned.delete(maker);
    }
    watcher(maker, oid);
  }

  function remove(maker: string): number {
    const oids = [...(book.get(maker)?.keys() ?? [])];
    for (const oid of oids) drop(maker, oid);
    return oids.length;
  }

  /** The current maker was heard last, so others are removed first. */
  function makeRoom(maker: string): void {
    for (;;) {
      if (book.size <= limits.makers && size <= mostOffers) return;
      const [doubtful] = unsigned;
      const [oldest] = book.keys();
      const leaving = doubtful !== undefined && doubtful !== maker ? doubtful : oldest;
      if (leaving === undefined || leaving === maker) return;
      remove(leaving);
    }
  }

  /** Moves a maker to the end of the order. */
  function heard(maker: string): Map<number, Held> {
    const offers = book.get(maker) ?? new Map<number, Held>();
    book.delete(maker);
    book.set(maker, offers);
    unsigned.delete(maker);
    return offers;
  }

  function see(held: Held, from: Provenance): void {
    held.lastSeen = from.at;
    if (from.verified) held.privateMessage = from.message;
    else held.publicMessage = from.message;
    seenThrough(held.sightings, from);
  }

  function takeOffer(maker: string, offer: Offer, from: Provenance): number {
    const known = book.get(maker)?.get(offer.oid);
    const same = known !== undefined && sameTerms(known.offer, offer);
    if (known?.verified && !from.verified && !same) {
      // An unsigned announcement cannot change a signed one, but its source is noted.
      if (differsThrough(known.sightings, from)) watcher(maker, offer.oid);
      return 0;
    }
    const offers = book.get(maker);
    if (!known && offers && offers.size >= limits.offersPerMaker) return 0;
    const mine = heard(maker);
    const held: Held = same
      ? known
      : {
          offer,
          verified: false,
          firstSeen: from.at,
          lastSeen: from.at,
          publicMessage: undefined,
          privateMessage: undefined,
          sightings: noSightings(),
        };
    // A signed announcement stays when the same terms come unsigned.
    if (from.verified) held.verified = true;
    see(held, from);
    if (!known) size++;
    mine.set(offer.oid, held);
    if (![...mine.values()].some(({ verified }) => verified)) unsigned.add(maker);
    makeRoom(maker);
    // Its own offers alone exceed the bound.
    if (size > mostOffers) {
      drop(maker, offer.oid);
      return 0;
    }
    watcher(maker, offer.oid);
    return same ? 0 : 1;
  }

  /**
   * An unsigned message cannot take back what a maker has signed (section 7.2: public messages are
   * unsigned), except for the directory that relayed it: an offer that no directory shows is removed.
   */
  function cancel(maker: string, oid: number, from: Provenance): void {
    const held = book.get(maker)?.get(oid);
    if (!held) return;
    if (from.directory !== undefined) {
      withdrawThrough(held.sightings, from.directory, 'cancel', from.at);
    }
    if (from.verified || !held.verified || !isShown(held.sightings)) drop(maker, oid);
    else watcher(maker, oid);
  }

  function applyOne(maker: string, command: Command, from: Provenance): number {
    if (command.name !== 'cancel' && !isOfferType(command.name)) return 0;
    const offer = parseOffer(command);
    if (offer.ok) return takeOffer(maker, offer.value, from);
    // Deployed peers ignore an offer that lacks a field, and delete the oid before they validate the
    // fields.
    if (offer.reason === 'offer-arity') return 0;
    const oid = parseOid(command);
    if (oid.ok) cancel(maker, oid.value, from);
    return 0;
  }

  function withdraw(maker: string, directory: string, why: WithdrawnWhy, at: number): void {
    for (const [oid, held] of book.get(maker) ?? []) {
      if (withdrawThrough(held.sightings, directory, why, at)) watcher(maker, oid);
    }
  }

  return {
    get makers() {
      return book.size;
    },
    get size() {
      return size;
    },
    apply(maker, commands, from) {
      let changed = 0;
      for (const command of commands) changed += applyOne(maker, command, from);
      return changed;
    },
    seenAgain(maker, from) {
      if (from.message === undefined) return;
      for (const [oid, held] of book.get(maker) ?? []) {
        const message = from.verified ? held.privateMessage : held.publicMessage;
        if (message !== from.message) continue;
        see(held, from);
        watcher(maker, oid);
      }
    },
    withdraw,
    directoryLost(directory, at) {
      for (const maker of book.keys()) withdraw(maker, directory, 'directory-lost', at);
    },
    remove,
    expire(before) {
      let gone = 0;
      for (const [maker, offers] of book) {
        for (const [oid, { lastSeen }] of offers) {
          if (lastSeen >= before) continue;
          drop(maker, oid);
          gone++;
        }
      }
      return gone;
    },
    has: (maker) => book.has(maker),
    offersOf: (maker) => [...(book.get(maker)?.values() ?? [])].map((held) => read(maker, held)),
    offers: () =>
      [...book].flatMap(([maker, offers]) => [...offers.values()].map((held) => read(maker, held))),
    names: () => book.keys(),
  };
}
