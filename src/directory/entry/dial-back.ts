/**
 * Who answers at a claimed location? The directory dials it once, says hello as any peer does, and
 * reads the nick in the handshake that comes back (docs/protocol.md, section 3.4). Off unless the
 * operator asks for it.
 *
 * It shows that whoever runs that location goes by that nick, so a claim on somebody else's location
 * stays unverified. It does not show that the connection at hand is theirs: where two connections
 * make the same claim, the first come keeps it.
 */
import type { Clock, Connection, Dialer } from '../../channel/ports.js';
import { MessageType, type Network } from '../../protocol/constants.js';
import { decodeEnvelope, encodeEnvelope } from '../../protocol/envelope.js';
import { formatPeerHandshake, parsePeerHandshake } from '../../protocol/handshake.js';
import { createLineFramer } from '../../protocol/line-framer.js';
import { formatLocation, NOT_SERVING, type Location } from '../../protocol/location.js';
import type { Peer } from '../peer.js';
import type { DialBackSnapshot, DirectorySnapshot } from '../snapshot.js';
import type { Tally } from '../stats.js';

/** A location is dialled at most once in this time, whatever the dial brought. */
const PER_LOCATION_MS = 3_600_000;
/** All dials together: at most one begins in this time. */
const BETWEEN_DIALS_MS = 1_000;
const MAX_DIALS = 8;
const MAX_QUEUED = 1_000;
/** Locations remembered; the oldest is forgotten first. */
const MAX_REMEMBERED = 20_000;
/** Dial and handshake together. */
const DIAL_TIMEOUT_MS = 60_000;
/** Lines that may come before the handshake. */
const MAX_LINES = 8;

export interface DialBackOptions {
  readonly dialer: Dialer;
  /** A nick nobody knows, for one dial. */
  readonly newNick: () => string;
}

/**
 * - `verified`: the location answers by this nick
 * - `refuted`: it answers by another one
 * - `unknown`: it did not answer, or is not dialled now
 * - `pending`: it is being dialled, or will be
 */
export type Verdict = 'verified' | 'refuted' | 'unknown' | 'pending';

export interface DialBack {
  /**
   * What is known of the claim of a peer that has handshaked; asks for a dial if none was made.
   * @param urgent its nick is contested: it is dialled before others
   */
  check(peer: Peer, urgent: boolean): Verdict;
  /** Begins what is due. */
  sweep(now: number): void;
  /** Aborts all dials and forgets what waits for one. */
  clear(): void;
  /** Locations that are being dialled or wait for it. */
  readonly pending: number;
  /** What is known, and what is to be asked; for another process to go on with. */
  snapshot(): Pick<DirectorySnapshot, 'dialBacks' | 'toDial'>;
  restore(snapshot: Pick<DirectorySnapshot, 'dialBacks' | 'toDial'>): void;
}

interface Answer {
  readonly location: Location;
  readonly at: number;
  readonly nick: string | undefined;
}

/** The nick in the first 793 of a fresh connection; undefined when none comes. Closes it. */
export function readNick(
  connection: Connection,
  hello: string,
  network: Network,
  acceptLoopback: boolean,
  signal: AbortSignal,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const framer = createLineFramer();
    let lines = 0;

    function end(nick: string | undefined): void {
      signal.removeEventListener('abort', onAbort);
      connection.destroy();
      resolve(nick);
    }
    const onAbort = (): void => end(undefined);

    function onLine(line: Uint8Array): boolean {
      const envelope = decodeEnvelope(line);
      lines++;
      if (envelope.ok && envelope.value.type === MessageType.HANDSHAKE) {
        const parsed = parsePeerHandshake(envelope.value.line, { network, acceptLoopback });
        end(parsed.ok ? parsed.value.nick : undefined);
        return false;
      }
      if (lines < MAX_LINES) return true;
      end(undefined);
      return false;
    }

    signal.addEventListener('abort', onAbort, { once: true });
    connection.attach({
      data(chunk) {
        if (!framer.push(chunk, onLine)) end(undefined);
      },
      closed: () => end(undefined),
    });
    // First, for some makers speak only when spoken to.
    connection.write(Buffer.from(hello, 'latin1'));
  });
}

export function createDialBack(
  options: DialBackOptions & {
    readonly network: Network;
    readonly acceptLoopback: boolean;
    readonly clock: Clock;
    readonly tally: Tally;
    /** A dial is over; who calls itself so there, if anybody. */
    readonly answered: (location: Location, nick: string | undefined) => void;
  },
): DialBack {
  const { dialer, newNick, network, acceptLoopback, clock, tally } = options;
  /** By location, oldest first. */
  const answers = new Map<string, Answer>();
  /** Waiting, in order. */
  const queue = new Map<string, Location>();
  const urgentQueue = new Map<string, Location>();
  /** Under way. */
  const dials = new Map<string, { readonly abort: AbortController; readonly location: Location }>();
  let dialledAt = -Infinity;

  function remember(key: string, answer: Answer): void {
    answers.delete(key);
    if (answers.size >= MAX_REMEMBERED) {
      const [oldest] = answers.keys();
      if (oldest !== undefined) answers.delete(oldest);
    }
    answers.set(key, answer);
  }

  async function ask(location: Location, signal: AbortSignal): Promise<string | undefined> {
    const nick = newNick();
    const hello = encodeEnvelope(
      MessageType.HANDSHAKE,
      formatPeerHandshake({ nick, location: NOT_SERVING, network, features: [] }),
    );
    const isolation = `dial-back:${nick}`;
    try {
      const connection = await dialer.dial(location, { signal, isolation });
      if (!signal.aborted)
        return await readNick(connection, hello, network, acceptLoopback, signal);
      connection.destroy();
    } catch {
      // A location that cannot be reached is no news; the peer stays unverified.
    }
    return undefined;
  }

  async function dial(key: string, location: Location): Promise<void> {
    const abort = new AbortController();
    const cancel = clock.after(DIAL_TIMEOUT_MS, () => abort.abort());
    const at = clock.now();
    dialledAt = at;
    dials.set(key, { abort, location });
    tally.dialBacks++;
    // Before the answer, so that an hour passes between two dials whatever becomes of this one.
    remember(key, { location, at, nick: undefined });
    const nick = await ask(location, abort.signal);
    cancel();
    // Not after `clear`.
    if (dials.get(key)?.abort !== abort) return;
    dials.delete(key);
    remember(key, { location, at, nick });
    options.answered(location, nick);
  }

  function sweep(now: number): void {
    if (dials.size >= MAX_DIALS || now - dialledAt < BETWEEN_DIALS_MS) return;
    const waiting = urgentQueue.size > 0 ? urgentQueue : queue;
    for (const [key, location] of waiting) {
      waiting.delete(key);
      void dial(key, location);
      return;
    }
  }

  function enqueue(key: string, location: Location, urgent: boolean): Verdict {
    const waiting = urgent ? urgentQueue : queue;
    if (waiting.size >= MAX_QUEUED) return 'unknown';
    queue.delete(key);
    waiting.set(key, location);
    sweep(clock.now());
    return 'pending';
  }

  return {
    get pending() {
      return dials.size + urgentQueue.size + queue.size;
    },
    check({ nick, location }, urgent) {
      if (location.kind === 'not-serving') return 'unknown';
      const key = formatLocation(location);
      if (dials.has(key) || urgentQueue.has(key) || (!urgent && queue.has(key))) return 'pending';
      const known = answers.get(key);
      if (!known || clock.now() - known.at >= PER_LOCATION_MS)
        return enqueue(key, location, urgent);
      if (known.nick === undefined) return 'unknown';
      return known.nick === nick ? 'verified' : 'refuted';
    },
    sweep,
    snapshot() {
      const now = clock.now();
      const known: DialBackSnapshot[] = [];
      for (const [key, { location, at, nick }] of answers) {
        // A dial under way has no answer yet.
        if (!dials.has(key)) known.push({ location, ms: now - at, nick });
      }
      const begun = [...dials.values()].map(({ location }) => location);
      return { dialBacks: known, toDial: [...begun, ...urgentQueue.values(), ...queue.values()] };
    },
    restore({ dialBacks, toDial }) {
      const now = clock.now();
      for (const { location, ms, nick } of dialBacks) {
        remember(formatLocation(location), { location, at: now - ms, nick });
      }
      for (const location of toDial.slice(0, MAX_QUEUED)) {
        queue.set(formatLocation(location), location);
      }
    },
    clear() {
      queue.clear();
      urgentQueue.clear();
      for (const { abort } of dials.values()) abort.abort();
      dials.clear();
    },
  };
}
