/**
 * The orderbook of a running channel: takes offers from every message and its copies, verifies bonds in
 * small slices, repeats its requests, removes old offers, and reports changes.
 */
import { EventEmitter } from 'eventemitter3';
import type { Arrival, OnionMessageChannel } from '../channel/channel-api.js';
import type { Log } from '../channel/log.js';
import type { Clock, Random } from '../channel/ports.js';
import type { BondPolicy } from '../protocol/fidelity-bond.js';
import { formatLocation } from '../protocol/location.js';
import { createBonds, type BondLimits } from './bonds.js';
import { createOrderbook, type BookLimits, type BookOffer, type Orderbook } from './book.js';
import type {
  BondChainView,
  BookEntry,
  DirectoryAudit,
  EvidenceRecord,
  LiveBook,
  LiveBookEvents,
} from './book-api.js';
import { createChanges } from './changes.js';
import { watchDirectories } from './directory-health.js';
import { createLateMakers, type LateMakerLimits } from './late-makers.js';
import { createRefresher } from './refresher.js';
import { gatherStatistics } from './statistics.js';

/** The part of the directory audit that the book uses; `createAudit` is one. */
export interface BookAudit {
  /** Makers were asked for their offers now, through every connected directory. */
  asked(): void;
  report(directory: string): DirectoryAudit | undefined;
  /** The newest last. */
  readonly evidence: readonly EvidenceRecord[];
}

/** What a live orderbook needs. */
export interface LiveBookOptions {
  /** An open channel. The caller closes it. */
  readonly channel: OnionMessageChannel;
  /** The time of the book and of all timers. */
  readonly clock: Clock;
  /** For random waits. */
  readonly random: Random;
  /** Receives the log lines of the book. */
  readonly log: Log;
  /** Milliseconds since 1970. Default `Date.now`. */
  readonly epochMs?: () => number;
  /** A bitcoin node; without one, bonds have no value. */
  readonly chain?: BondChainView;
  /** How bonds are valued; default as in deployed peers. */
  readonly bondPolicy?: BondPolicy;
  /** The caller closes it. */
  readonly audit?: BookAudit;
  /** Interval between two requests to all makers, in milliseconds. Default 10 minutes. */
  readonly refreshMs?: number;
  /** An offer not seen for this long is removed. Default three times `refreshMs`. */
  readonly expireMs?: number;
  /** Bounds of the book that differ from the defaults. */
  readonly limits?: BookLimits;
  /** Bounds of the checks of bonds that differ from the defaults. */
  readonly bondLimits?: Partial<BondLimits>;
  /** Bounds of requests to makers that came later, where they differ from the defaults. */
  readonly lateMakerLimits?: Partial<LateMakerLimits>;
  /** The number of offers that a maker's message changed, added or (below 0) removed. */
  readonly onOffers?: (maker: string, offers: number) => void;
}

/** A live book and its underlying state. */
export interface OpenLiveBook extends LiveBook {
  /** The offers by maker, without bonds and directories. */
  readonly book: Orderbook;
}

const REFRESH_MS = 600_000;
const EXPIRE_EVERY_MS = 60_000;

const idOf = (maker: string, oid: number): string => `${maker}/${oid}`;

/** Asks for the orderbook as soon as directories are connected. A channel may have several books. */
export function openLiveBook(options: LiveBookOptions): OpenLiveBook {
  const { channel, clock, random, log, audit, onOffers = () => {} } = options;
  const { epochMs = Date.now, refreshMs = REFRESH_MS } = options;
  const expireMs = options.expireMs ?? 3 * refreshMs;
  const events = new EventEmitter<LiveBookEvents>();
  const book = createOrderbook(options.limits, (maker, oid) => {
    changes.touch(idOf(maker, oid));
    if (!book.has(maker)) bonds.forget(maker);
  });
  const bonds = createBonds({
    nick: channel.nick,
    clock,
    chain: options.chain,
    ...(options.bondPolicy && { policy: options.bondPolicy }),
    ...(options.bondLimits && { limits: options.bondLimits }),
    onChange(maker) {
      for (const { oid } of book.offersOf(maker)) changes.touch(idOf(maker, oid));
      changes.touchStatistics();
    },
  });
  const changes = createChanges({
    clock,
    epochMs,
    read: entry,
    onChange: (change) => void events.emit('change', change),
  });

  function listedBy({ maker, directories }: BookOffer): readonly string[] {
    const listed = (channel.peer(maker)?.directories ?? []).map(formatLocation);
    return [...new Set([...directories, ...listed])];
  }

  function describe(offer: BookOffer): BookEntry {
    return {
      ...offer,
      id: idOf(offer.maker, offer.oid),
      unverified: offer.verified ? undefined : 'public-only',
      listedBy: listedBy(offer),
      bond: bonds.get(offer.maker),
    };
  }

  function entry(id: string): BookEntry | undefined {
    const slash = id.lastIndexOf('/');
    const oid = Number(id.slice(slash + 1));
    const offer = book.offersOf(id.slice(0, slash)).find((one) => one.oid === oid);
    return offer && describe(offer);
  }

  function learn({ from, directory, private: verified, id, commands, neverHeard }: Arrival): void {
    const way = {
      directory: directory && formatLocation(directory),
      verified,
      at: clock.now(),
      message: id,
    };
    if (!commands) return book.seenAgain(from, way);
    const changed = book.apply(from, commands, way);
    // A proof is made for one taker, so a proof in a public message is not valid for anyone.
    const bond = verified ? commands.findLast(({ name }) => name === 'tbond') : undefined;
    const [proof] = bond?.args ?? [];
    if (proof !== undefined && book.has(from)) bonds.take(from, proof, neverHeard);
    if (verified) lateMakers.answered(from);
    else if (way.directory !== undefined) lateMakers.heard(from, way.directory);
    if (changed > 0) onOffers(from, changed);
  }

  /** An offer is unsigned, or a directory shows other terms than the signed ones. */
  function inDoubt(maker: string): boolean {
    return book
      .offersOf(maker)
      .some((offer) => !offer.verified || offer.sightings.some(({ differs }) => differs));
  }

  function gone(nick: string): void {
    const offers = book.remove(nick);
    if (offers > 0) onOffers(nick, -offers);
  }

  const stopObserving = channel.observe({
    arrived: learn,
    left: (nick, directory) => book.withdraw(nick, formatLocation(directory), 'left', clock.now()),
  });
  channel.on('peer-gone', gone);
  const health = watchDirectories(channel, clock, (directory, up) => {
    if (!up) book.directoryLost(directory, clock.now());
    changes.touchStatistics();
  });
  const refresher = createRefresher({
    channel,
    clock,
    random,
    everyMs: refreshMs,
    onAsked(directories) {
      log.info('asked for the orderbook', { directories });
      audit?.asked();
      changes.touchStatistics();
    },
  });
  const lateMakers = createLateMakers({
    channel,
    clock,
    ...(options.lateMakerLimits && { limits: options.lateMakerLimits }),
    inDoubt,
    askedAt: () => refresher.askedAt,
    askEverybody: () => void refresher.now(),
  });
  let cancelExpiry = clock.after(EXPIRE_EVERY_MS, expire);

  function expire(): void {
    cancelExpiry = clock.after(EXPIRE_EVERY_MS, expire);
    const offers = book.expire(clock.now() - expireMs);
    if (offers > 0) log.debug('old offers were removed', { offers });
    // Peer lists change without a message of the maker.
    for (const maker of book.names()) {
      for (const { oid } of book.offersOf(maker)) changes.touch(idOf(maker, oid));
    }
    changes.touchStatistics();
  }

  return {
    book,
    get version() {
      return changes.version;
    },
    get offers() {
      return book.size;
    },
    get makers() {
      return book.makers;
    },
    now: () => clock.now(),
    snapshot: () => ({
      version: changes.version,
      now: clock.now(),
      nowEpoch: epochMs(),
      entries: book.offers().map(describe),
    }),
    changesSince: (version) => changes.since(version),
    statistics: () => ({
      ...gatherStatistics({
        book,
        directories: channel.directories(),
        bondOf: (maker) => bonds.get(maker),
        peer: (nick) => channel.peer(nick),
        health: (directory) => health.of(directory),
        audit: (directory) => audit?.report(directory),
      }),
      bondsWaiting: bonds.waiting,
      chain: bonds.chain,
      evidence: audit?.evidence ?? [],
      refreshedAt: refresher.askedAt,
      nextRefreshInMs: refresher.nextInMs,
    }),
    on: (event, listener) => void events.on(event, listener),
    off: (event, listener) => void events.off(event, listener),
    refresh: () => refresher.now(),
    close() {
      stopObserving();
      channel.off('peer-gone', gone);
      cancelExpiry();
      lateMakers.close();
      refresher.close();
      health.close();
      changes.close();
      bonds.close();
      events.removeAllListeners();
    },
  };
}
