/**
 * One configured directory: dialled repeatedly while the channel is open, one session at a time
 * (docs/protocol.md, sections 3.1 to 3.3, 4.4).
 */
import { MessageType } from '../../protocol/constants.js';
import type { Envelope } from '../../protocol/envelope.js';
import { formatLocation, type Location, type LocationKind } from '../../protocol/location.js';
import { directoryId, type NickAuthMode } from '../../protocol/nick-auth.js';
import type { NickKey } from '../../protocol/nick.js';
import { formatPubmsg } from '../../protocol/message.js';
import { createBackoff, type Backoff } from './backoff.js';
import type { ChannelSettings } from '../channel-settings.js';
import type { DirectoryDown, DirectoryInfo, DirectoryState, DirectoryUp } from '../channel-api.js';
import { dialWithin } from '../link/dial.js';
import type { DialLimit } from '../link/dial-limit.js';
import type { DirectoryGreeting } from './handshake.js';
import { DirectorySession } from './session.js';
import type { Log } from '../log.js';
import type { Clock, Connection, Overlay, Random } from '../ports.js';
import { createPacer, type Pacer } from './pacer.js';
import type { HandshakeTerms } from '../link/handshake-terms.js';
import type { TurnBudget } from '../../kit/cooperative-work.js';

export interface DirectoryLinkOptions {
  readonly location: Location;
  readonly terms: (via: LocationKind) => HandshakeTerms;
  readonly nickKey: NickKey;
  /** Whether to prove our nick when the directory asks for it. */
  readonly nickAuth: NickAuthMode;
  /** Codes for private directories, by `host:port`. */
  readonly codes: ReadonlyMap<string, string>;
  readonly settings: ChannelSettings;
  readonly overlay: Overlay;
  readonly dialLimit: DialLimit;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Shared by all connections. */
  readonly checks: TurnBudget;
  /** Whether to ask for the peer list at the start of a session and at intervals. */
  readonly wantsPeerlist: boolean;
  readonly onUp: (info: DirectoryUp) => void;
  readonly onDown: (info: DirectoryDown, wasUp: boolean) => void;
  /** A message or peer list; only between `onUp` and `onDown`. */
  readonly onEnvelope: (envelope: Envelope) => void;
}

export class DirectoryLink {
  readonly #options: DirectoryLinkOptions;
  /** The location string, the name of the directory in the channel. */
  readonly key: string;
  readonly #backoff: Backoff;
  /** Outlives the sessions. */
  readonly #pacer: Pacer;
  readonly #redialMs: number;
  /** Longest time of the next dial, in milliseconds. */
  #withinMs: number;
  #dials = 0;
  #state: DirectoryState = 'waiting';
  #session: DirectorySession | undefined;
  #isClosing = false;
  /** After an attempt without it, the feature is offered again. */
  #offersProof = true;
  #attempt: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();
  #lastUp: DirectoryUp | undefined;
  #lastReason: string | undefined;
  #upSince: number | undefined;
  #retryAt: number | undefined;
  #peerlistAskedAt: number | undefined;
  #cancelRetry: (() => void) | undefined;

  constructor(options: DirectoryLinkOptions) {
    const { clock, random, settings, location } = options;
    const { timings, limits } = settings;
    this.#options = options;
    this.key = formatLocation(location);
    this.#backoff = createBackoff(timings, random);
    this.#redialMs = Math.min(timings.directoryRedialMs, timings.directoryDialMs);
    this.#withinMs = timings.directoryDialMs;
    this.#pacer = createPacer({
      clock,
      limits,
      timings,
      send: (text) => this.send(MessageType.PUBMSG, formatPubmsg(options.nickKey.nick, text)),
    });
  }

  get location(): Location {
    return this.#options.location;
  }

  get up(): boolean {
    return this.#session?.ready ?? false;
  }

  info(): DirectoryInfo {
    const now = this.#options.clock.now();
    return {
      location: this.location,
      state: this.#state,
      nick: this.#lastUp?.nick,
      motd: this.#lastUp?.motd ?? '',
      features: this.#lastUp?.features ?? [],
      upForMs: this.#upSince === undefined ? undefined : now - this.#upSince,
      retryInMs: this.#retryAt === undefined ? undefined : Math.max(0, this.#retryAt - now),
      lastReason: this.#lastReason,
    };
  }

  /** Starts dialling, and repeats it. */
  start(): void {
    if (this.#isClosing) return;
    this.#cancelRetry = undefined;
    this.#running = this.#run();
  }

  /** Our own connection to the network was lost and is back: dials at once and resets the waits. */
  dialNow(): void {
    this.#backoff.reset();
    this.#withinMs = this.#redialMs;
    if (this.#cancelRetry === undefined) return;
    this.#cancelRetry();
    this.start();
  }

  /**
   * Sends one line. False when there is no session or it did not take the line. `onWritten` is called
   * when the line goes to the connection, and not when the session ends before.
   */
  send(type: number, payload: string, onWritten?: () => void): boolean {
    return this.#session?.send(type, payload, onWritten) ?? false;
  }

  /** Sends a public message, now or later. */
  publish(text: string): boolean {
    return this.#session?.publish(text) ?? false;
  }

  /** Ends the session or attempt for good. */
  async close(): Promise<void> {
    this.#cancelRetry?.();
    this.#retryAt = undefined;
    this.#isClosing = true;
    this.#pacer.close();
    this.#attempt?.abort();
    this.#session?.close();
    await this.#running;
  }

  /** One attempt, and its session. */
  async #run(): Promise<void> {
    const { overlay, dialLimit, clock, location, nickKey, settings } = this.#options;
    const { directoryDialMs } = settings.timings;
    const startedAt = clock.now();
    this.#state = 'connecting';
    this.#retryAt = undefined;
    this.#attempt = new AbortController();
    const dialled = await dialWithin(
      {
        overlay,
        dialLimit,
        clock,
        location,
        kind: 'directory',
        nick: nickKey.nick,
        // A new circuit each time: Tor would let a new stream wait for one that hangs.
        name: this.#dials === 0 ? location.host : `${location.host}:${this.#dials}`,
        withinMs: this.#withinMs,
        attempt: this.#attempt,
      },
      (connection) => this.#openSession(connection, startedAt),
    );
    this.#dials++;
    this.#withinMs = dialled.ok ? this.#redialMs : Math.min(directoryDialMs, this.#withinMs * 2);
    if (!dialled.ok) return this.#down(dialled.reason, dialled.ours);
    const reason = await dialled.value.over;
    // When the proof fails, the next attempt is made without it: an unproven nick is better than no
    // directory.
    this.#offersProof = !dialled.value.proving;
    this.#down(reason, false);
  }

  #openSession(connection: Connection, startedAt: number): DirectorySession {
    const { settings, clock, checks, nickKey, nickAuth, location, terms, codes, onEnvelope } =
      this.#options;
    this.#state = 'handshaking';
    const required = nickAuth === 'require_verified';
    const proves = required || (nickAuth === 'prefer_verified' && this.#offersProof);
    const ours = terms(connection.via);
    this.#session = new DirectorySession({
      connection,
      terms: { ...ours, ...ours.withCode(codes.get(this.key)) },
      settings,
      clock,
      prover: proves ? { key: nickKey, directoryId: directoryId(location), required } : undefined,
      mayAskPeerlist: () => this.#mayAskPeerlist(),
      pacer: this.#pacer,
      checks,
      onEnvelope,
      onAccepted: (greeting) => this.#accepted(greeting, startedAt),
    });
    return this.#session;
  }

  #accepted(greeting: DirectoryGreeting, startedAt: number): void {
    const { clock, log, location, onUp } = this.#options;
    const now = clock.now();
    const up = { ...greeting, location, tookMs: now - startedAt };
    this.#state = 'up';
    this.#upSince = now;
    this.#lastUp = up;
    log.info('directory up', { directory: this.key, tookMs: Math.round(up.tookMs) });
    onUp(up);
  }

  /** @param ours the fault is on this machine: reported once, and it does not lengthen the waits */
  #down(reason: string, ours: boolean): void {
    const { clock, settings, log, location, onDown } = this.#options;
    const since = this.#upSince;
    const wasUp = since !== undefined;
    if (wasUp && clock.now() - since >= settings.timings.stableSessionMs) this.#backoff.reset();
    this.#state = 'waiting';
    this.#session = undefined;
    this.#upSince = undefined;
    const isKnown = ours && reason === this.#lastReason;
    this.#lastReason = reason;
    const retryInMs = this.#isClosing ? undefined : this.#nextWaitMs(ours);
    if (retryInMs !== undefined) {
      this.#retryAfter(retryInMs);
      const text = wasUp ? 'directory lost' : 'directory not reached';
      log[isKnown ? 'debug' : 'info'](text, { directory: this.key, reason, retryInMs });
    }
    onDown({ location, reason, retryInMs }, wasUp);
  }

  #nextWaitMs(ours: boolean): number {
    return ours ? this.#backoff.same() : this.#backoff.next();
  }

  #retryAfter(ms: number): void {
    const { clock } = this.#options;
    this.#retryAt = clock.now() + ms;
    this.#cancelRetry = clock.after(ms, () => this.start());
  }

  #mayAskPeerlist(): boolean {
    const { clock, settings, wantsPeerlist } = this.#options;
    const now = clock.now();
    const lastAt = this.#peerlistAskedAt;
    if (!wantsPeerlist) return false;
    if (lastAt !== undefined && now - lastAt < settings.timings.peerlistMinMs) return false;
    this.#peerlistAskedAt = now;
    return true;
  }
}
