/**
 * All direct links with other peers: dialled, accepted, bounded and found by nick (docs/protocol.md,
 * sections 3.4 and 6.3). The number of simultaneous dials is small, and a failed dial is not repeated
 * at once.
 */
import { BoundedMap } from '../../kit/bounded-map.js';
import type { Location } from '../../protocol/location.js';
import type { ChannelSettings } from '../channel-settings.js';
import { dialWithin } from '../link/dial.js';
import type { DialGate } from '../link/dial-gate.js';
import type { HandshakeTerms } from '../link/handshake-terms.js';
import type { Log } from '../log.js';
import { openPeerLink, type PeerLink } from './link.js';
import type { Clock, Connection, Overlay, Random } from '../ports.js';
import { TokenBucket } from '../../kit/rate-limit.js';

export interface DirectLinksOptions {
  /** The channel's own nick. */
  readonly nick: string;
  readonly terms: () => HandshakeTerms;
  readonly settings: ChannelSettings;
  readonly overlay: Overlay;
  readonly gate: DialGate;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
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
  readonly onDoubt: (nick: string, payload: string) => boolean;
  /** The first link of this nick has its handshake. */
  readonly onUp: (nick: string) => void;
  /** The last link of this nick ended. */
  readonly onDown: (nick: string) => void;
  /** Payloads that a dead link may not have delivered, in order. */
  readonly onUnsent: (nick: string, payloads: readonly string[]) => void;
}

export interface DirectLinks {
  /** Takes over an inbound connection, in the turn in which the overlay hands it over. */
  accept(connection: Connection): void;
  /** The best link for messages to this nick. */
  usable(nick: string): PeerLink | undefined;
  /**
   * Other links whose peers use the nick of this one and that may carry messages for it. A signed
   * message names no addressee, so another peer can bring a message that the nick sent elsewhere: it is
   * not known which link is the nick's, and all of them get its messages.
   */
  rivals(link: PeerLink): readonly PeerLink[];
  /**
   * The best link when there is no other route: a link that we dialled, even when its end is not
   * proven.
   */
  lastResort(nick: string): PeerLink | undefined;
  /** Opens a link now, or joins a running dial. False when that failed; never rejects. */
  dial(nick: string, location: Location): Promise<boolean>;
  /** Opens a link soon, unless the nick was tried a short time ago or too many dials are running. */
  dialSoon(nick: string, location: Location): void;
  /** Number of connections in any state. */
  readonly size: number;
  /** Ends everything; resolves when all connections are closed. */
  close(): Promise<void>;
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

export function createDirectLinks(options: DirectLinksOptions): DirectLinks {
  const { settings, overlay, gate, clock, random, log } = options;
  const { timings, limits } = settings;
  const checks = new TokenBucket(clock, limits.directChecksPerSecond, limits.directCheckBurst);
  let closing = false;
  /** Every link, from its connection to its end. */
  const links = new Set<PeerLink>();
  /** Inbound ones without a handshake, the oldest first. */
  const nameless = new Set<PeerLink>();
  const byNick = new Map<string, Set<PeerLink>>();
  const dials = new Map<string, Promise<boolean>>();
  let dialCount = 0;
  const attempts = new Set<AbortController>();
  const soon = new Map<string, () => void>();
  const failedAt = new BoundedMap<string, number>(MAX_REMEMBERED);
  /** When a nick was last asked to prove itself. */
  const askedAt = new BoundedMap<string, number>(MAX_REMEMBERED);
  const handshakeWaiters = new Map<PeerLink, (linked: boolean) => void>();
  let allClosed: (() => void) | undefined;

  function handshaked(link: PeerLink, nick: string): boolean {
    nameless.delete(link);
    const named = byNick.get(nick) ?? new Set<PeerLink>();
    const others = [...named].filter((other) => other.open);
    if (others.length >= limits.directLinksPerNick && !makeRoom(named, link)) return false;
    const all = [...links].filter((other) => other.open && other.nick !== undefined);
    if (all.length > limits.directLinks && !makeRoom(links, link)) return false;
    named.add(link);
    byNick.set(nick, named);
    failedAt.delete(nick);
    if (link.isOurs && mayAsk(nick)) link.askForProof();
    if (named.size === 1) options.onUp(nick);
    handshakeWaiters.get(link)?.(true);
    return true;
  }

  function closed(link: PeerLink, reason: string, unsent: readonly string[]): void {
    links.delete(link);
    nameless.delete(link);
    handshakeWaiters.get(link)?.(false);
    handshakeWaiters.delete(link);
    log.debug('direct link closed', { reason, unsent: unsent.length });
    const { nick } = link;
    const named = nick === undefined ? undefined : byNick.get(nick);
    if (nick !== undefined && named?.delete(link)) {
      if (named.size === 0) byNick.delete(nick);
      if (unsent.length > 0 && !closing) options.onUnsent(nick, unsent);
      if (named.size === 0) options.onDown(nick);
    }
    if (closing && links.size === 0) allClosed?.();
  }

  function adopt(connection: Connection, dialled: string | undefined): PeerLink {
    const link = openPeerLink({
      connection,
      terms: options.terms(),
      settings,
      clock,
      checks,
      dialled,
      onHandshake: handshaked,
      onDoubt: (nick, payload) => !closing && options.onDoubt(nick, payload),
      onPrivmsg: (from, nick, payload) =>
        options.onPrivmsg(nick, payload, (isNew) => from.heard(isNew)),
      onPubmsg: (from, nick, payload) =>
        options.onOrderbook(nick, payload, (answer) => from.answer(answer)),
      onClosed: closed,
    });
    links.add(link);
    return link;
  }

  /** Proven links first, then the one used last. */
  function best(nick: string, quality: 'usable' | 'lastResort'): PeerLink | undefined {
    return [...(byNick.get(nick) ?? [])]
      .filter((link) => link[quality])
      .toSorted((a, b) => Number(b.isProven) - Number(a.isProven) || b.usedAt - a.usedAt)[0];
  }

  /**
   * Resolves to whether the link gets its handshake. Called in the turn in which the link is made,
   * because the handshake or the end may come in the next microtask.
   */
  function handshakeOf(link: PeerLink): Promise<boolean> {
    return new Promise((resolve) => handshakeWaiters.set(link, resolve));
  }

  async function run(nick: string, location: Location): Promise<boolean> {
    const attempt = new AbortController();
    attempts.add(attempt);
    const dialled = await dialWithin(
      {
        overlay,
        gate,
        clock,
        location,
        kind: 'peer',
        nick: options.nick,
        // A new circuit each time: Tor would let a new stream wait for one that hangs.
        name: `${nick}:${dialCount++}`,
        withinMs: timings.peerDialMs,
        attempt,
      },
      (connection) => ({ linked: handshakeOf(adopt(connection, nick)) }),
    );
    attempts.delete(attempt);
    if (!dialled.ok) {
      log.debug('direct link not made', { reason: dialled.reason });
      return false;
    }
    return dialled.value.linked;
  }

  /** A deployed maker bans a peer that asks more than once in 30 s on a direct link. */
  function mayAsk(nick: string): boolean {
    const at = askedAt.get(nick);
    if (at !== undefined && clock.now() - at < timings.proofAskMs) return false;
    askedAt.set(nick, clock.now());
    return true;
  }

  async function dial(nick: string, location: Location): Promise<boolean> {
    if (closing) return false;
    if (best(nick, 'lastResort')) return true;
    const underWay = dials.get(nick);
    if (underWay) return underWay;
    const attempt = run(nick, location);
    dials.set(nick, attempt);
    const linked = await attempt;
    dials.delete(nick);
    if (!linked) failedAt.set(nick, clock.now());
    return linked;
  }

  function triedLately(nick: string): boolean {
    const at = failedAt.get(nick);
    return at !== undefined && clock.now() - at < timings.peerRetryMs;
  }

  return {
    accept(connection) {
      if (closing) return connection.destroy();
      const link = adopt(connection, undefined);
      nameless.add(link);
      const [oldest] = nameless;
      if (nameless.size > limits.unhandshaked) {
        if (oldest) nameless.delete(oldest);
        oldest?.drop('closed to make room for another link');
      }
    },
    usable: (nick) => best(nick, 'usable'),
    rivals(link) {
      if (link.isOurs || link.nick === undefined) return [];
      const named = [...(byNick.get(link.nick) ?? [])];
      return named.filter((other) => other !== link && other.usable && !other.isOurs);
    },
    lastResort: (nick) => best(nick, 'lastResort'),
    dial,
    dialSoon(nick, location) {
      if (closing || soon.has(nick) || dials.has(nick) || triedLately(nick)) return;
      if (best(nick, 'lastResort') || soon.size >= limits.waitingDials) return;
      const start = (): void => {
        soon.delete(nick);
        void dial(nick, location);
      };
      soon.set(nick, clock.after(random() * timings.peerDialJitterMs, start));
    },
    get size() {
      return links.size;
    },
    async close() {
      closing = true;
      for (const attempt of attempts) attempt.abort();
      for (const cancel of soon.values()) cancel();
      soon.clear();
      const drained = new Promise<void>((resolve) => {
        allClosed = resolve;
      });
      for (const link of links) link.end('stopped');
      if (links.size > 0) await drained;
      await Promise.all(dials.values());
    },
  };
}
