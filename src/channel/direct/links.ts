/**
 * All direct links with other peers: dialled, accepted, bounded and found by nick (docs/protocol.md,
 * sections 3.4 and 6.3). The number of simultaneous dials is small, and a failed dial is not repeated
 * at once.
 */
import { BoundedMap } from '../../kit/bounded-map.js';
import type { Location, LocationKind } from '../../protocol/location.js';
import type { ChannelSettings } from '../channel-settings.js';
import { dialWithin } from '../link/dial.js';
import type { DialLimit } from '../link/dial-limit.js';
import type { HandshakeTerms } from '../link/handshake-terms.js';
import type { Log } from '../log.js';
import { PeerLink } from './link.js';
import type { Clock, Connection, Overlay, Random } from '../ports.js';
import type { TurnBudget } from '../../kit/cooperative-work.js';
import { TokenBucket } from '../../kit/rate-limit.js';

export interface DirectLinksOptions {
  /** The channel's own nick. */
  readonly nick: string;
  readonly terms: (via: LocationKind) => HandshakeTerms;
  readonly settings: ChannelSettings;
  readonly overlay: Overlay;
  readonly dialLimit: DialLimit;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Shared by all connections. */
  readonly turns: TurnBudget;
  /**
   * A 685 payload on the link of `nick`; false when it has no meaning. When the nick signed it, the
   * receiver calls `heard` before it answers, and says whether it was received before.
   */
  readonly onPrivmsg: (nick: string, payload: string, heard: (isNew: boolean) => void) => boolean;
  /** A 687 payload on the link of `nick`; false when it has no meaning. `send` answers on that link. */
  readonly onOrderbook: (
    nick: string,
    payload: string,
    send: (payload: string) => boolean,
  ) => boolean;
  /** A payload whose arrival at `nick` is not confirmed; true when another route took it. */
  readonly onUnconfirmed: (nick: string, payload: string) => boolean;
  /** The first link of this nick has its handshake. */
  readonly onUp: (nick: string) => void;
  /** The last link of this nick ended. */
  readonly onDown: (nick: string) => void;
  /** Payloads that a dead link may not have delivered, in order. */
  readonly onUnsent: (nick: string, payloads: readonly string[]) => void;
}

/** Failed dials and requests for a proof that are remembered; more than can ever run at once. */
const MAX_REMEMBERED = 1_000;

/** Drops the least used link that may not carry our messages. False when there is none. */
function makeRoom(candidates: Iterable<PeerLink>, newcomer: PeerLink): boolean {
  let worst: PeerLink | undefined;
  for (const link of candidates) {
    if (link === newcomer || link.usable || link.nick === undefined || !link.open) continue;
    if (!worst || link.usedAt < worst.usedAt) worst = link;
  }
  worst?.drop('closed to make room for another link');
  return worst !== undefined;
}

export class DirectLinks {
  readonly #options: DirectLinksOptions;
  /** Limits the signature checks of all links together. */
  readonly #checks: TokenBucket;
  /** Every link, from its connection to its end. */
  readonly #links = new Set<PeerLink>();
  /** Inbound ones without a handshake, the oldest first. */
  readonly #nameless = new Set<PeerLink>();
  readonly #byNick = new Map<string, Set<PeerLink>>();
  readonly #dials = new Map<string, Promise<boolean>>();
  #dialCount = 0;
  readonly #attempts = new Set<AbortController>();
  readonly #soon = new Map<string, () => void>();
  readonly #failedAt = new BoundedMap<string, number>(MAX_REMEMBERED);
  /** When a nick was last asked to prove itself. */
  readonly #askedAt = new BoundedMap<string, number>(MAX_REMEMBERED);
  readonly #handshakeWaiters = new Map<PeerLink, (linked: boolean) => void>();
  #isClosing = false;
  #allClosed: (() => void) | undefined;

  constructor(options: DirectLinksOptions) {
    const { clock, settings } = options;
    const { directChecksPerSecond, directCheckBurst } = settings.limits;
    this.#options = options;
    this.#checks = new TokenBucket(clock, directChecksPerSecond, directCheckBurst);
  }

  /** Number of connections in any state. */
  get size(): number {
    return this.#links.size;
  }

  /** Takes over an inbound connection, in the turn in which the overlay hands it over. */
  accept(connection: Connection): void {
    if (this.#isClosing) return connection.destroy();
    const link = this.#adopt(connection, undefined);
    this.#nameless.add(link);
    const [oldest] = this.#nameless;
    if (this.#nameless.size > this.#options.settings.limits.unhandshaked) {
      if (oldest) this.#nameless.delete(oldest);
      oldest?.drop('closed to make room for another link');
    }
  }

  /** The best link for messages to this nick. */
  usable(nick: string): PeerLink | undefined {
    return this.#best(nick, 'usable');
  }

  /**
   * Other links whose peers use the nick of this one and that may carry messages for it. A signed
   * message names no addressee, so another peer can bring a message that the nick sent elsewhere: it is
   * not known which link is the nick's, and all of them get its messages.
   */
  rivals(link: PeerLink): readonly PeerLink[] {
    if (link.isOutgoing || link.nick === undefined) return [];
    const named = [...(this.#byNick.get(link.nick) ?? [])];
    return named.filter((other) => other !== link && other.usable && !other.isOutgoing);
  }

  /**
   * The best link when there is no other route: a link that we dialled, even when its end is not
   * proven.
   */
  lastResort(nick: string): PeerLink | undefined {
    return this.#best(nick, 'lastResort');
  }

  /** Opens a link now, or joins a running dial. False when that failed; never rejects. */
  async dial(nick: string, location: Location): Promise<boolean> {
    if (this.#isClosing) return false;
    if (this.lastResort(nick)) return true;
    const underWay = this.#dials.get(nick);
    if (underWay) return underWay;
    const attempt = this.#link(nick, location);
    this.#dials.set(nick, attempt);
    const linked = await attempt;
    this.#dials.delete(nick);
    if (!linked) this.#failedAt.set(nick, this.#options.clock.now());
    return linked;
  }

  /** Opens a link soon, unless the nick was tried a short time ago or too many dials are running. */
  dialSoon(nick: string, location: Location): void {
    const { clock, random, settings } = this.#options;
    const { peerRetryMs, peerDialJitterMs } = settings.timings;
    if (this.#isClosing || this.#soon.has(nick) || this.#dials.has(nick)) return;
    if (this.#isWithin(this.#failedAt.get(nick), peerRetryMs) || this.lastResort(nick)) return;
    if (this.#soon.size >= settings.limits.waitingDials) return;
    const start = (): void => {
      this.#soon.delete(nick);
      void this.dial(nick, location);
    };
    this.#soon.set(nick, clock.after(random() * peerDialJitterMs, start));
  }

  /** Ends everything; resolves when all connections are closed. */
  async close(): Promise<void> {
    this.#isClosing = true;
    for (const attempt of this.#attempts) attempt.abort();
    for (const cancel of this.#soon.values()) cancel();
    this.#soon.clear();
    const drained = new Promise<void>((resolve) => {
      this.#allClosed = resolve;
    });
    for (const link of this.#links) link.end('stopped');
    if (this.#links.size > 0) await drained;
    await Promise.all(this.#dials.values());
  }

  #adopt(connection: Connection, dialled: string | undefined): PeerLink {
    const { settings, clock, turns, terms, onUnconfirmed, onPrivmsg, onOrderbook } = this.#options;
    const link = new PeerLink({
      connection,
      terms: terms(connection.via),
      settings,
      clock,
      turns,
      checks: this.#checks,
      dialled,
      onHandshake: (named, nick) => this.#handshaked(named, nick),
      onUnconfirmed: (nick, payload) => !this.#isClosing && onUnconfirmed(nick, payload),
      onPrivmsg: (from, nick, payload) => onPrivmsg(nick, payload, (isNew) => from.heard(isNew)),
      onPubmsg: (from, nick, payload) =>
        onOrderbook(nick, payload, (answer) => from.answer(answer)),
      onClosed: (gone, reason, unsent) => this.#closed(gone, reason, unsent),
    });
    this.#links.add(link);
    return link;
  }

  #handshaked(link: PeerLink, nick: string): boolean {
    const { limits, timings } = this.#options.settings;
    this.#nameless.delete(link);
    const named = this.#byNick.get(nick) ?? new Set<PeerLink>();
    const others = [...named].filter((other) => other.open);
    if (others.length >= limits.directLinksPerNick && !makeRoom(named, link)) return false;
    const all = [...this.#links].filter((other) => other.open && other.nick !== undefined);
    if (all.length > limits.directLinks && !makeRoom(this.#links, link)) return false;
    named.add(link);
    this.#byNick.set(nick, named);
    this.#failedAt.delete(nick);
    // A deployed maker bans a peer that asks more than once in 30 s on a direct link.
    if (link.isOutgoing && !this.#isWithin(this.#askedAt.get(nick), timings.proofAskMs)) {
      this.#askedAt.set(nick, this.#options.clock.now());
      link.askForProof();
    }
    if (named.size === 1) this.#options.onUp(nick);
    this.#handshakeWaiters.get(link)?.(true);
    return true;
  }

  #isWithin(at: number | undefined, ms: number): boolean {
    return at !== undefined && this.#options.clock.now() - at < ms;
  }

  #closed(link: PeerLink, reason: string, unsent: readonly string[]): void {
    const { log, onUnsent, onDown } = this.#options;
    this.#links.delete(link);
    this.#nameless.delete(link);
    this.#handshakeWaiters.get(link)?.(false);
    this.#handshakeWaiters.delete(link);
    log.debug('direct link closed', { reason, unsent: unsent.length });
    const { nick } = link;
    const named = nick === undefined ? undefined : this.#byNick.get(nick);
    if (nick !== undefined && named?.delete(link)) {
      if (named.size === 0) this.#byNick.delete(nick);
      if (unsent.length > 0 && !this.#isClosing) onUnsent(nick, unsent);
      if (named.size === 0) onDown(nick);
    }
    if (this.#isClosing && this.#links.size === 0) this.#allClosed?.();
  }

  /** Proven links first, then the one used last. */
  #best(nick: string, quality: 'usable' | 'lastResort'): PeerLink | undefined {
    return [...(this.#byNick.get(nick) ?? [])]
      .filter((link) => link[quality])
      .toSorted((a, b) => Number(b.isProven) - Number(a.isProven) || b.usedAt - a.usedAt)[0];
  }

  /** Dials a peer; resolves to whether its handshake arrived. */
  async #link(nick: string, location: Location): Promise<boolean> {
    const { overlay, dialLimit, clock, settings, log } = this.#options;
    const attempt = new AbortController();
    this.#attempts.add(attempt);
    const dialled = await dialWithin(
      {
        overlay,
        dialLimit,
        clock,
        location,
        kind: 'peer',
        nick: this.#options.nick,
        // A new circuit each time: Tor would let a new stream wait for one that hangs.
        name: `${nick}:${this.#dialCount++}`,
        withinMs: settings.timings.peerDialMs,
        attempt,
      },
      (connection) => ({ linked: this.#handshakeOf(this.#adopt(connection, nick)) }),
    );
    this.#attempts.delete(attempt);
    if (!dialled.ok) {
      log.debug('direct link not made', { reason: dialled.reason });
      return false;
    }
    return dialled.value.linked;
  }

  /**
   * Resolves to whether the link gets its handshake. Called in the turn in which the link is made,
   * because the handshake or the end may come in the next microtask.
   */
  #handshakeOf(link: PeerLink): Promise<boolean> {
    return new Promise((resolve) => this.#handshakeWaiters.set(link, resolve));
  }
}
