/**
 * The offers a taker knows, by maker (protocol document, section 8.2). Pure state: told what arrived
 * and at what time; bounded in makers and in offers a maker may hold.
 */
import type { Command } from '../protocol/commands.js';
import { isOfferType } from '../protocol/commands.js';
import { parseOffer, type Offer } from '../protocol/offer.js';

export interface BookLimits {
  /** Most makers kept; the one unheard for longest makes room. */
  readonly makers: number;
  /** Most offers kept of one maker; further ones are ignored. */
  readonly offersPerMaker: number;
}

export const DEFAULT_BOOK_LIMITS: BookLimits = { makers: 5_000, offersPerMaker: 12 };

/** Where an announcement came from. */
export interface Provenance {
  /** `host:port` of the directory that relayed it, or undefined for a direct link. */
  readonly directory: string | undefined;
  /** Whether it came in a signed private message. */
  readonly verified: boolean;
  /** Milliseconds of any monotonic clock. */
  readonly at: number;
}

export interface BookOffer extends Offer {
  readonly maker: string;
  /** Whether the newest announcement was signed by the maker's nick key. */
  readonly verified: boolean;
  readonly firstSeen: number;
  readonly lastSeen: number;
  /** Directories that ever relayed this offer. */
  readonly directories: readonly string[];
}

export interface Orderbook {
  /** Takes the offers and cancellations of one message; returns how many offers are new or changed. */
  apply(maker: string, commands: readonly Command[], from: Provenance): number;
  /** Forgets a maker that left; returns how many offers went. */
  remove(maker: string): number;
  /** All offers, makers in the order they were last heard. */
  offers(): readonly BookOffer[];
  readonly makers: number;
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

function seenAgain(known: BookOffer | undefined, maker: string, offer: Offer, from: Provenance) {
  const before = known && sameTerms(known, offer) ? known : undefined;
  const directories = new Set(before?.directories);
  if (from.directory !== undefined) directories.add(from.directory);
  return {
    ...offer,
    maker,
    // A signed announcement outlives an unsigned repetition of the same terms.
    verified: from.verified || (before?.verified ?? false),
    firstSeen: before?.firstSeen ?? from.at,
    lastSeen: from.at,
    directories: [...directories],
  };
}

export function createOrderbook(limits: BookLimits = DEFAULT_BOOK_LIMITS): Orderbook {
  const book = new Map<string, Map<number, BookOffer>>();

  function offersOf(maker: string): Map<number, BookOffer> {
    const known = book.get(maker) ?? new Map<number, BookOffer>();
    // Re-inserting keeps the map ordered by when a maker was last heard.
    book.delete(maker);
    book.set(maker, known);
    for (const oldest of book.keys()) {
      if (book.size <= limits.makers) break;
      book.delete(oldest);
    }
    return known;
  }

  function applyOne(maker: string, command: Command, from: Provenance): number {
    if (command.name === 'cancel') {
      const known = book.get(maker);
      // An unsigned word cannot take back what a maker has signed (section 7.2: pubmsgs are unsigned).
      const oid = Number(command.args[0]);
      const offer = known?.get(oid);
      if (known && offer && (from.verified || !offer.verified)) known.delete(oid);
      if (known?.size === 0) book.delete(maker);
      return 0;
    }
    if (!isOfferType(command.name)) return 0;
    const offer = parseOffer(command);
    if (!offer.ok) return 0;
    const known = book.get(maker)?.get(offer.value.oid);
    if (known?.verified && !from.verified && !sameTerms(known, offer.value)) return 0;
    const mine = offersOf(maker);
    if (!known && mine.size >= limits.offersPerMaker) return 0;
    mine.set(offer.value.oid, seenAgain(known, maker, offer.value, from));
    return known && sameTerms(known, offer.value) ? 0 : 1;
  }

  return {
    get makers() {
      return book.size;
    },
    apply(maker, commands, from) {
      let changed = 0;
      for (const command of commands) changed += applyOne(maker, command, from);
      return changed;
    },
    remove(maker) {
      const size = book.get(maker)?.size ?? 0;
      book.delete(maker);
      return size;
    },
    offers: () => [...book.values()].flatMap((offers) => [...offers.values()]),
  };
}
