/**
 * One connection of a probe: dial, handshake, and the open connection after it (docs/protocol.md,
 * sections 3.1 to 3.3). Understands every deployed directory; ignores the type numbers that are never
 * legitimate on the wire.
 */
import { errorText } from '../kit/error-text.js';
import { HANDSHAKE_FAULTS } from '../channel/directories/handshake.js';
import { shownLine, shownLines } from '../kit/shown-text.js';
import { handshakeTerms } from '../channel/link/handshake-terms.js';
import { LinePeer } from '../channel/link/line-peer.js';
import type { Clock, Connection, Dialer } from '../channel/ports.js';
import { MessageType, type Network } from '../protocol/constants.js';
import type { Envelope } from '../protocol/envelope.js';
import { parseDirectoryHandshake, type DirectoryHandshake } from '../protocol/handshake.js';
import { NOT_SERVING, type Location } from '../protocol/location.js';
import type { NickKey } from '../protocol/nick.js';
import type { Greeting } from './probe-result.js';
import { waitFor } from './bounded-wait.js';

/** A probe writes a few lines. A directory may send the traffic of a whole network. */
const LIMITS = { sendQueueBytes: 200_000, junkPerMinute: 100 };
const TIMINGS = { stallMs: 30_000 };

export interface ProbeSessionOptions {
  readonly dialer: Dialer;
  readonly location: Location;
  readonly network: Network;
  readonly nickKey: NickKey;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Until the connection is established. */
  readonly dialMs: number;
  /** From our 793 to the 795. */
  readonly handshakeMs: number;
  /** Features in addition to those of every onionmc peer. */
  readonly features?: readonly string[];
  /** For a private directory. */
  readonly code?: string | undefined;
}

/** A connection whose nick the directory accepted. */
export interface ProbeSession {
  readonly nickKey: NickKey;
  readonly greeting: Greeting;
  readonly dialMs: number;
  readonly handshakeMs: number;
  /** False when the connection has ended. */
  send(type: number, payload: string): boolean;
  /** Calls `onEnvelope` for each line from now on, until the returned function is called. */
  listen(onEnvelope: (envelope: Envelope) => void): () => void;
  /** Resolves when the connection has ended. */
  readonly over: Promise<string>;
  /** Closes at once; resolves when the connection is closed. */
  leave(): Promise<void>;
}

/** Why there is no session. */
export type ProbeSessionFailure =
  | { readonly outcome: 'stopped' }
  | { readonly outcome: 'unreachable'; readonly reason: string; readonly error?: unknown }
  | { readonly outcome: 'no-answer' | 'unfit'; readonly reason: string; readonly dialMs: number }
  | {
      readonly outcome: 'refused';
      readonly dialMs: number;
      readonly handshakeMs: number;
      readonly greeting: Greeting;
    };

export type ProbeSessionOutcome =
  | { readonly ok: true; readonly session: ProbeSession }
  | { readonly ok: false; readonly failure: ProbeSessionFailure };

const failed = (failure: ProbeSessionFailure): ProbeSessionOutcome => ({ ok: false, failure });

const seconds = (ms: number): string => `${Math.round(ms / 100) / 10} s`;

const VERSION_LINE = /^JOINMARKET(?: NG)? VERSION:[ \t]*(\S.{0,79})/im;

/** The program and version in a MOTD of a deployed program (section 3.5). */
export function versionIn(motd: string): string | undefined {
  const [line, version] = VERSION_LINE.exec(motd) ?? [];
  if (line === undefined || version === undefined) return undefined;
  const isNg = /^joinmarket ng/i.test(line);
  return (isNg ? `joinmarket-ng/${version}` : version).trim();
}

function greetingOf({ nick, network, motd, features }: DirectoryHandshake): Greeting {
  const text = shownLines(motd);
  return {
    nick: shownLine(nick),
    network: shownLine(network),
    motd: text,
    version: versionIn(text),
    features,
  };
}

type Dialled =
  | { readonly end: 'done'; readonly line: Line }
  | { readonly end: 'failed'; readonly error: unknown }
  | { readonly end: 'late' }
  | { readonly end: 'stopped' };

/** A connection whose lines go to the current listeners. */
interface Line {
  readonly peer: LinePeer;
  readonly over: Promise<string>;
  readonly listeners: Set<(envelope: Envelope) => void>;
}

function lineOver(connection: Connection, clock: Clock): Line {
  const listeners = new Set<(envelope: Envelope) => void>();
  let tellOver: ((reason: string) => void) | undefined;
  const over = new Promise<string>((resolve) => (tellOver = resolve));
  const peer = new LinePeer({
    connection,
    clock,
    limits: LIMITS,
    timings: TIMINGS,
    onEnvelope(envelope) {
      for (const listener of listeners) listener(envelope);
    },
    onClosed: (reason) => tellOver?.(reason),
  });
  return { peer, over, listeners };
}

async function dial({
  dialer,
  location,
  nickKey,
  clock,
  signal,
  dialMs,
}: ProbeSessionOptions): Promise<Dialled> {
  const attempt = new AbortController();
  let late = false;
  const stop = (): void => attempt.abort();
  if (signal.aborted) return { end: 'stopped' };
  signal.addEventListener('abort', stop, { once: true });
  const cancel = clock.after(dialMs, () => {
    late = true;
    attempt.abort();
  });
  try {
    const connection = await dialer.dial(location, {
      signal: attempt.signal,
      isolation: `probe:${nickKey.nick}`,
    });
    // In the turn in which the overlay handed the connection over, as its contract demands.
    const line = lineOver(connection, clock);
    if (!attempt.signal.aborted) return { end: 'done', line };
    line.peer.drop('too late');
  } catch (error) {
    if (!attempt.signal.aborted) return { end: 'failed', error };
  } finally {
    cancel();
    signal.removeEventListener('abort', stop);
  }
  return late ? { end: 'late' } : { end: 'stopped' };
}

/** The other side is a directory and declares no location. */
const NO_KINDS: ReadonlySet<never> = new Set();

/** The first event: the 795, a 793, or the end of the connection. */
type FirstWord =
  | { readonly kind: 'directory'; readonly payload: string }
  | { readonly kind: 'peer' }
  | { readonly kind: 'closed'; readonly reason: string };

async function shakeHands(
  line: Line,
  options: ProbeSessionOptions,
  dialMs: number,
): Promise<ProbeSessionOutcome> {
  const { network, nickKey, clock, signal, handshakeMs: withinMs } = options;
  const sentAt = clock.now();
  const said = await waitFor<FirstWord>({ clock, signal, withinMs }, (finish) => {
    const listener = ({ type, line: payload }: Envelope): void => {
      if (type === MessageType.HANDSHAKE) finish({ kind: 'peer' });
      else if (type === MessageType.DN_HANDSHAKE) finish({ kind: 'directory', payload });
      // Other lines before a 795 are ignored.
    };
    line.listeners.add(listener);
    void line.over.then((reason) => finish({ kind: 'closed', reason }));
    const us = { nick: nickKey.nick, network, location: NOT_SERVING };
    const terms = handshakeTerms(us, NO_KINDS, options.features);
    line.peer.send(MessageType.HANDSHAKE, terms.withCode(options.code).payload);
    return () => line.listeners.delete(listener);
  });
  if (said.end === 'stopped') return failed({ outcome: 'stopped' });
  if (said.end === 'late') {
    return failed({
      outcome: 'no-answer',
      reason: `connected, but no handshake came back within ${seconds(withinMs)}`,
      dialMs,
    });
  }
  const word = said.value;
  if (word.kind === 'closed') {
    return failed({ outcome: 'no-answer', reason: `connected, then ${word.reason}`, dialMs });
  }
  if (word.kind === 'peer') {
    return failed({ outcome: 'unfit', reason: HANDSHAKE_FAULTS['directory-flag'], dialMs });
  }
  const parsed = parseDirectoryHandshake(word.payload, network);
  if (!parsed.ok) {
    return failed({ outcome: 'unfit', reason: HANDSHAKE_FAULTS[parsed.reason], dialMs });
  }
  const greeting = greetingOf(parsed.value);
  const handshakeMs = clock.now() - sentAt;
  if (!parsed.value.accepted) return failed({ outcome: 'refused', dialMs, handshakeMs, greeting });
  return { ok: true, session: sessionOn(line, { nickKey, greeting, dialMs, handshakeMs }) };
}

function sessionOn(
  { peer, over, listeners }: Line,
  facts: Pick<ProbeSession, 'nickKey' | 'greeting' | 'dialMs' | 'handshakeMs'>,
): ProbeSession {
  listeners.add(({ type }) => {
    if (type === MessageType.PING) peer.send(MessageType.PONG, '');
  });
  return {
    ...facts,
    over,
    send: (type, payload) => peer.send(type, payload),
    listen(onEnvelope) {
      listeners.add(onEnvelope);
      return () => listeners.delete(onEnvelope);
    },
    async leave() {
      peer.drop('done');
      await over;
    },
  };
}

/** Connects under a nick that declares no location. Never rejects; leaves nothing open on failure. */
export async function openProbeSession(options: ProbeSessionOptions): Promise<ProbeSessionOutcome> {
  const { clock } = options;
  const startedAt = clock.now();
  const dialled = await dial(options);
  if (dialled.end === 'stopped') return failed({ outcome: 'stopped' });
  if (dialled.end === 'late') {
    const reason = `no connection within ${seconds(options.dialMs)}`;
    return failed({ outcome: 'unreachable', reason });
  }
  if (dialled.end === 'failed') {
    const { error } = dialled;
    const reason = errorText(error);
    return failed({ outcome: 'unreachable', reason, error });
  }
  const { line } = dialled;
  const outcome = await shakeHands(line, options, clock.now() - startedAt);
  if (!outcome.ok) {
    line.peer.drop('done');
    await line.over;
  }
  return outcome;
}
