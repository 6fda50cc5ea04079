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
import { Bonds, type BondLimits } from './bonds.js';
import { Orderbook, type BookLimits, type BookOffer } from './book.js';
import type {
  BondChainView,
  BookChange,
  BookEntry,
  BookSnapshot,
  BookStatistics,
  DirectoryAudit,
  EvidenceRecord,
  LiveBook,
  LiveBookEvents,
} from './book-api.js';
import { Changes } from './changes.js';
import { watchDirectories, type DirectoryHealth } from './directory-health.js';
import { SignedOfferRequests, type SignedOfferRequestLimits } from './signed-offer-requests.js';
import { createRefresher, type Refresher } from './refresher.js';
import { gatherStatistics } from './statistics.js';

/** The part of the directory audit that the book uses; `createAudit` is one. */
export interface BookAudit {
  /** Makers were asked for their offers now, through every connected directory. */
  asked(): void;
  report(directory: string): DirectoryAudit | undefined;
  /** The newest last. */
  readonly evidence: readonly EvidenceRecord[];
}

/** Options of a live orderbook. */
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
  readonly chain?: BondChainView | undefined;
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
  readonly signedOfferRequestLimits?: Partial<SignedOfferRequestLimits>;
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
  return new ChannelBook(options);
}

class ChannelBook implements OpenLiveBook {
  readonly book: Orderbook;
  readonly #options: LiveBookOptions;
  readonly #epochMs: () => number;
  readonly #expireMs: number;
  readonly #events = new EventEmitter<LiveBookEvents>();
  readonly #bonds: Bonds;
  readonly #changes: Changes;
  readonly #health: DirectoryHealth;
  readonly #refresher: Refresher;
  readonly #signedOfferRequests: SignedOfferRequests;
  readonly #stopObserving: () => void;
  #cancelExpiry: () => void;

  constructor(options: LiveBookOptions) {
    const { channel, clock, random, chain, bondPolicy, bondLimits, signedOfferRequestLimits } =
      options;
    const { epochMs = Date.now, refreshMs = REFRESH_MS } = options;
    this.#options = options;
    this.#epochMs = epochMs;
    this.#expireMs = options.expireMs ?? 3 * refreshMs;
    this.book = new Orderbook(options.limits, (maker, oid) => {
      this.#changes.touch(idOf(maker, oid));
      if (!this.book.has(maker)) this.#bonds.forget(maker);
    });
    this.#bonds = new Bonds({
      nick: (maker) => channel.nickTowards?.(maker) ?? channel.nick,
      clock,
      chain,
      ...(bondPolicy && { policy: bondPolicy }),
      ...(bondLimits && { limits: bondLimits }),
      onChange: (maker) => {
        this.#touchOffers(maker);
        this.#changes.touchStatistics();
      },
    });
    this.#changes = new Changes({
      clock,
      epochMs,
      read: (id) => this.#entry(id),
      onChange: (change) => void this.#events.emit('change', change),
    });
    this.#stopObserving = channel.observe({
      arrived: (arrival) => this.#learn(arrival),
      left: (nick, directory) =>
        this.book.withdraw(nick, formatLocation(directory), 'left', clock.now()),
    });
    channel.on('peer-gone', this.#onGone);
    this.#health = watchDirectories(channel, clock, (directory, up) => {
      if (!up) this.book.directoryLost(directory, clock.now());
      this.#changes.touchStatistics();
    });
    this.#refresher = createRefresher({
      channel,
      clock,
      random,
      everyMs: refreshMs,
      onAsked: (directories) => this.#onAsked(directories),
    });
    this.#signedOfferRequests = new SignedOfferRequests({
      channel,
      clock,
      ...(signedOfferRequestLimits && { limits: signedOfferRequestLimits }),
      needsSignedOffers: (maker) => this.#needsSignedOffers(maker),
      askedAt: () => this.#refresher.askedAt,
      askAllMakers: () => void this.#refresher.now(),
    });
    this.#cancelExpiry = this.#expireLater();
  }

  get version(): number {
    return this.#changes.version;
  }

  get offers(): number {
    return this.book.size;
  }

  get makers(): number {
    return this.book.makers;
  }

  now(): number {
    return this.#options.clock.now();
  }

  snapshot(): BookSnapshot {
    return {
      version: this.version,
      now: this.now(),
      nowEpoch: this.#epochMs(),
      entries: this.book.offers().map((offer) => this.#describe(offer)),
    };
  }

  changesSince(version: number): readonly BookChange[] | undefined {
    return this.#changes.since(version);
  }

  statistics(): BookStatistics {
    const { channel, audit } = this.#options;
    return {
      ...gatherStatistics({
        book: this.book,
        directories: channel.directories(),
        bondOf: (maker) => this.#bonds.get(maker),
        peer: (nick) => channel.peer(nick),
        health: (directory) => this.#health.of(directory),
        audit: (directory) => audit?.report(directory),
      }),
      bondsWaiting: this.#bonds.waiting,
      chain: this.#bonds.chain,
      evidence: audit?.evidence ?? [],
      refreshedAt: this.#refresher.askedAt,
      nextRefreshInMs: this.#refresher.nextInMs,
    };
  }

  on<E extends keyof LiveBookEvents>(event: E, listener: LiveBookEvents[E]): void {
    this.#events.on(event, listener);
  }

  off<E extends keyof LiveBookEvents>(event: E, listener: LiveBookEvents[E]): void {
    this.#events.off(event, listener);
  }

  refresh(): boolean {
    return this.#refresher.now();
  }

  close(): void {
    this.#stopObserving();
    this.#options.channel.off('peer-gone', this.#onGone);
    this.#cancelExpiry();
    this.#signedOfferRequests.close();
    this.#refresher.close();
    this.#health.close();
    this.#changes.close();
    this.#bonds.close();
    this.#events.removeAllListeners();
  }

  readonly #onGone = (nick: string): void => {
    const offers = this.book.remove(nick);
    if (offers > 0) this.#options.onOffers?.(nick, -offers);
  };

  #onAsked(directories: number): void {
    this.#options.log.info('asked for the orderbook', { directories });
    this.#options.audit?.asked();
    this.#changes.touchStatistics();
  }

  #learn({ from, directory, private: verified, id, commands, neverHeard }: Arrival): void {
    const source = {
      directory: directory && formatLocation(directory),
      verified,
      at: this.now(),
      message: id,
    };
    if (!commands) return this.book.seenAgain(from, source);
    const changed = this.book.apply(from, commands, source);
    // A proof is made for one taker, so a proof in a public message is not valid for anyone.
    const bond = verified ? commands.findLast(({ name }) => name === 'tbond') : undefined;
    const [proof] = bond?.args ?? [];
    if (proof !== undefined && this.book.has(from)) this.#bonds.take(from, proof, neverHeard);
    if (verified) this.#signedOfferRequests.answered(from);
    else if (source.directory !== undefined)
      this.#signedOfferRequests.heard(from, source.directory);
    if (changed > 0) this.#options.onOffers?.(from, changed);
  }

  /** An offer is unsigned, or a directory shows other terms than the signed ones. */
  #needsSignedOffers(maker: string): boolean {
    return this.book
      .offersOf(maker)
      .some((offer) => !offer.verified || offer.sightings.some(({ differs }) => differs));
  }

  #entry(id: string): BookEntry | undefined {
    const slash = id.lastIndexOf('/');
    const oid = Number(id.slice(slash + 1));
    const offer = this.book.offersOf(id.slice(0, slash)).find((one) => one.oid === oid);
    return offer && this.#describe(offer);
  }

  #describe(offer: BookOffer): BookEntry {
    return {
      ...offer,
      id: idOf(offer.maker, offer.oid),
      unverified: offer.verified ? undefined : 'public-only',
      listedBy: this.#listedBy(offer),
      bond: this.#bonds.get(offer.maker),
    };
  }

  #listedBy({ maker, directories }: BookOffer): readonly string[] {
    const listed = (this.#options.channel.peer(maker)?.directories ?? []).map(formatLocation);
    return [...new Set([...directories, ...listed])];
  }

  #touchOffers(maker: string): void {
    for (const { oid } of this.book.offersOf(maker)) this.#changes.touch(idOf(maker, oid));
  }

  #expireLater(): () => void {
    return this.#options.clock.after(EXPIRE_EVERY_MS, () => this.#expire());
  }

  #expire(): void {
    this.#cancelExpiry = this.#expireLater();
    const offers = this.book.expire(this.now() - this.#expireMs);
    if (offers > 0) {
      this.#options.log.debug('old offers were removed', { offers });
    }
    // Peer lists change without a message of the maker.
    for (const maker of this.book.names()) this.#touchOffers(maker);
    this.#changes.touchStatistics();
  }
}
