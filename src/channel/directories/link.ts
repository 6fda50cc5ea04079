/**
 * One configured directory: dialled repeatedly while the channel is open, one session at a time
 * (docs/protocol.md, sections 3.1 to 3.3, 4.4).
 */
import { MessageType } from '../../protocol/constants.js';
import type { Envelope } from '../../protocol/envelope.js';
import { formatLocation, type Location } from '../../protocol/location.js';
import { directoryId, type NickAuthMode } from '../../protocol/nick-auth.js';
import type { NickKey } from '../../protocol/nick.js';
import { formatPubmsg } from '../../protocol/message.js';
import { createBackoff } from './backoff.js';
import type { ChannelSettings } from '../channel-settings.js';
import type { DirectoryDown, DirectoryInfo, DirectoryState, DirectoryUp } from '../channel-api.js';
import { dialWithin } from '../link/dial.js';
import type { DialGate } from '../link/dial-gate.js';
import { openDirectorySession, type DirectorySession, type DirectoryGreeting } from './session.js';
import type { Log } from '../log.js';
import type { Clock, Connection, Overlay, Random } from '../ports.js';
import { createPacer } from './pacer.js';
import type { HandshakeTerms } from '../link/handshake-terms.js';
import type { TurnBudget } from '../../kit/cooperative-work.js';

export interface DirectoryLinkOptions {
  readonly location: Location;
  readonly terms: () => HandshakeTerms;
  readonly nickKey: NickKey;
  /** Whether to prove our nick when the directory asks for it. */
  readonly nickAuth: NickAuthMode;
  readonly settings: ChannelSettings;
  readonly overlay: Overlay;
  readonly gate: DialGate;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Shared by all directories. */
  readonly checks: TurnBudget;
  /** Whether to ask for the peer list at the start of a session and at intervals. */
  readonly wantsPeerlist: boolean;
  readonly onUp: (info: DirectoryUp) => void;
  readonly onDown: (info: DirectoryDown, wasUp: boolean) => void;
  /** A message or peer list; only between `onUp` and `onDown`. */
  readonly onEnvelope: (envelope: Envelope) => void;
}

export interface DirectoryLink {
  readonly location: Location;
  /** The location string, the name of the directory in the channel. */
  readonly key: string;
  readonly up: boolean;
  info(): DirectoryInfo;
  /** Starts dialling, and repeats it. */
  start(): void;
  /** Our own connection to the network was lost and is back: dials at once and resets the waits. */
  hurry(): void;
  /**
   * Sends one line. False when there is no session or it did not take the line. `onWritten` is called
   * when the line goes to the connection, and not when the session ends before.
   */
  send(type: number, payload: string, onWritten?: () => void): boolean;
  /** Sends a public message, now or later. */
  publish(text: string): boolean;
  /** Ends the session or attempt for good. */
  close(): Promise<void>;
}

export function createDirectoryLink(options: DirectoryLinkOptions): DirectoryLink {
  const { location, settings, overlay, gate, clock, log } = options;
  const { timings } = settings;
  const key = formatLocation(location);
  const backoff = createBackoff(timings, options.random);
  const redialMs = Math.min(timings.directoryRedialMs, timings.directoryDialMs);
  let withinMs = timings.directoryDialMs;
  let dials = 0;
  let state: DirectoryState = 'waiting';
  let session: DirectorySession | undefined;
  let closing = false;
  /** After an attempt without it, the feature is offered again. */
  let offersProof = true;
  let attempt: AbortController | undefined;
  let running: Promise<void> = Promise.resolve();
  let lastUp: DirectoryUp | undefined;
  let lastReason: string | undefined;
  let upSince: number | undefined;
  let retryAt: number | undefined;
  const pacer = createPacer({
    clock,
    limits: settings.limits,
    timings,
    send: (text) =>
      session?.send(MessageType.PUBMSG, formatPubmsg(options.terms().nick, text)) ?? false,
  });
  let peerlistAskedAt: number | undefined;
  let cancelRetry: (() => void) | undefined;

  function mayAskPeerlist(): boolean {
    const now = clock.now();
    if (!options.wantsPeerlist) return false;
    if (peerlistAskedAt !== undefined && now - peerlistAskedAt < timings.peerlistMinMs)
      return false;
    peerlistAskedAt = now;
    return true;
  }

  function retryAfter(ms: number): void {
    retryAt = clock.now() + ms;
    cancelRetry = clock.after(ms, start);
  }

  /** @param ours the fault is on this machine: reported once, and it does not lengthen the waits */
  function down(reason: string, ours: boolean): void {
    const since = upSince;
    const wasUp = since !== undefined;
    if (wasUp && clock.now() - since >= timings.stableSessionMs) backoff.reset();
    state = 'waiting';
    session = undefined;
    upSince = undefined;
    const known = ours && reason === lastReason;
    lastReason = reason;
    const retryInMs = closing ? undefined : ours ? backoff.same() : backoff.next();
    if (retryInMs !== undefined) {
      retryAfter(retryInMs);
      const text = wasUp ? 'directory lost' : 'directory not reached';
      log[known ? 'debug' : 'info'](text, { directory: key, reason, retryInMs });
    }
    options.onDown({ location, reason, retryInMs }, wasUp);
  }

  async function run(): Promise<void> {
    const startedAt = clock.now();
    state = 'connecting';
    retryAt = undefined;
    attempt = new AbortController();
    const dialled = await dialWithin(
      {
        overlay,
        gate,
        clock,
        location,
        kind: 'directory',
        // A new circuit each time: Tor would let a new stream wait for one that hangs.
        nick: options.nickKey.nick,
        name: dials === 0 ? location.host : `${location.host}:${dials}`,
        withinMs,
        attempt,
      },
      (connection) => open(connection, startedAt),
    );
    dials++;
    withinMs = dialled.ok ? redialMs : Math.min(timings.directoryDialMs, withinMs * 2);
    if (!dialled.ok) return down(dialled.reason, dialled.ours);
    const reason = await dialled.value.over;
    // When the proof fails, the next attempt is made without it: an unproven nick is better than no
    // directory.
    offersProof = !dialled.value.proving;
    down(reason, false);
  }

  function open(connection: Connection, startedAt: number): DirectorySession {
    state = 'handshaking';
    const required = options.nickAuth === 'require_verified';
    const proves = required || (options.nickAuth === 'prefer_verified' && offersProof);
    session = openDirectorySession({
      connection,
      terms: options.terms(),
      settings,
      clock,
      prover: proves
        ? { key: options.nickKey, directoryId: directoryId(location), required }
        : undefined,
      mayAskPeerlist,
      pacer,
      checks: options.checks,
      onEnvelope: options.onEnvelope,
      onAccepted: (greeting) => accepted(greeting, startedAt),
    });
    return session;
  }

  function accepted(greeting: DirectoryGreeting, startedAt: number): void {
    state = 'up';
    upSince = clock.now();
    lastUp = { ...greeting, location, tookMs: upSince - startedAt };
    log.info('directory up', { directory: key, tookMs: Math.round(lastUp.tookMs) });
    options.onUp(lastUp);
  }

  function start(): void {
    if (closing) return;
    cancelRetry = undefined;
    running = run();
  }

  function hurry(): void {
    backoff.reset();
    withinMs = redialMs;
    if (cancelRetry === undefined) return;
    cancelRetry();
    start();
  }

  return {
    location,
    key,
    get up() {
      return session?.ready ?? false;
    },
    info: () => ({
      location,
      state,
      nick: lastUp?.nick,
      motd: lastUp?.motd ?? '',
      features: lastUp?.features ?? [],
      upForMs: upSince === undefined ? undefined : clock.now() - upSince,
      retryInMs: retryAt === undefined ? undefined : Math.max(0, retryAt - clock.now()),
      lastReason,
    }),
    start,
    hurry,
    send: (type, payload, onWritten) => session?.send(type, payload, onWritten) ?? false,
    publish: (text) => session?.publish(text) ?? false,
    async close() {
      cancelRetry?.();
      retryAt = undefined;
      closing = true;
      pacer.close();
      attempt?.abort();
      session?.close();
      await running;
    },
  };
}
