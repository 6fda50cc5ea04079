/**
 * Verifies declared locations: the directory dials a location once, sends a handshake as any peer does,
 * and reads the nick in the handshake of the other side (docs/protocol.md, section 3.4). Off by
 * default.
 *
 * It shows that the peer at that location uses that nick, so a peer that declares another peer's
 * location stays unverified. It does not show that the connection at hand belongs to the same peer: of
 * two connections with the same nick and location, the first one keeps the nick.
 */
import { BoundedMap } from '../../kit/bounded-map.js';
import type { Clock, Connection, Dialer } from '../../channel/ports.js';
import { MessageType, type Network } from '../../protocol/constants.js';
import { decodeEnvelope, encodeEnvelope } from '../../protocol/envelope.js';
import {
  formatPeerHandshake,
  parsePeerHandshake,
  type HandshakeRules,
} from '../../protocol/handshake.js';
import { createLineFramer } from '../../protocol/line-framer.js';
import {
  formatLocation,
  kindsNamedOver,
  NOT_SERVING,
  sameLocation,
  type Location,
  type LocationKind,
} from '../../protocol/location.js';
import type { Fanout } from '../fanout/fanout.js';
import type { Peer } from '../peer.js';
import type { Registry } from '../registry.js';
import type { DialBackSnapshot, DirectorySnapshot } from '../snapshot.js';
import type { Tally } from '../stats.js';

/** A location is dialled at most once in this time, whatever the result. */
const PER_LOCATION_MS = 3_600_000;
/** Least time between the starts of two dials. */
const BETWEEN_DIALS_MS = 1_000;
const MAX_DIALS = 8;
const MAX_QUEUED = 1_000;
/** Most locations remembered; the oldest is forgotten first. */
const MAX_REMEMBERED = 20_000;
/** Longest time for dial and handshake together. */
const DIAL_TIMEOUT_MS = 60_000;
/** Most lines before the handshake. */
const MAX_LINES = 8;

export interface DialBackOptions {
  readonly dialer: Dialer;
  /** A new nick for one dial. */
  readonly newNick: () => string;
}

/**
 * - `verified`: a peer with this nick answers at the location
 * - `refuted`: a peer with another nick answers there
 * - `unknown`: there is no answer, or the location is not dialled now
 * - `pending`: it is being dialled, or will be
 */
export type Verdict = 'verified' | 'refuted' | 'unknown' | 'pending';

interface Answer {
  readonly location: Location;
  readonly at: number;
  readonly nick: string | undefined;
}

interface Dial {
  readonly abort: AbortController;
  readonly location: Location;
}

/**
 * The nick in the first 793 of a new connection; undefined when none arrives. Closes the connection.
 */
export function readNick(
  connection: Connection,
  hello: string,
  rules: HandshakeRules,
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
        const parsed = parsePeerHandshake(envelope.value.line, rules);
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
    // Our handshake is sent first, because some makers send their handshake only as an answer.
    connection.write(Buffer.from(hello, 'latin1'));
  });
}

/** The parts of the directory that it needs, in addition to the operator's options. */
export interface DialBackParts {
  readonly network: Network;
  readonly reachable: ReadonlySet<LocationKind>;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly fanout: Fanout;
  readonly tally: Tally;
  /** Called when a peer may have become verified. */
  readonly nickClaims: { verdictsChanged(): void };
}

type DialBackState = Pick<DirectorySnapshot, 'dialBacks' | 'toDial'>;

export class DialBack {
  readonly #options: DialBackOptions;
  readonly #parts: DialBackParts;
  /** By location, oldest first. */
  readonly #answers = new BoundedMap<string, Answer>(MAX_REMEMBERED);
  /** Waiting locations, in order. */
  readonly #queue = new Map<string, Location>();
  readonly #urgentQueue = new Map<string, Location>();
  /** Running dials. */
  readonly #dials = new Map<string, Dial>();
  #dialledAt = -Infinity;

  constructor(options: DialBackOptions, parts: DialBackParts) {
    this.#options = options;
    this.#parts = parts;
  }

  /** Locations that are being dialled or wait. */
  get pending(): number {
    return this.#dials.size + this.#urgentQueue.size + this.#queue.size;
  }

  /** A peer became ready: marks it if its location is known to answer with its nick. */
  greet(peer: Peer): void {
    if (this.check(peer, false) === 'verified') this.#verify(peer);
  }

  /**
   * The verdict on the location of a peer that sent its handshake; requests a dial if there was none.
   * @param urgent another connection has the nick: dial this location before others
   */
  check({ nick, location }: Pick<Peer, 'nick' | 'location'>, urgent: boolean): Verdict {
    if (location.kind === 'not-serving') return 'unknown';
    const key = formatLocation(location);
    const waits = this.#urgentQueue.has(key) || (!urgent && this.#queue.has(key));
    if (waits || this.#dials.has(key)) return 'pending';
    const known = this.#answers.get(key);
    if (!known || this.#parts.clock.now() - known.at >= PER_LOCATION_MS) {
      return this.#enqueue(key, location, urgent);
    }
    if (known.nick === undefined) return 'unknown';
    return known.nick === nick ? 'verified' : 'refuted';
  }

  /** Starts dials that are due. */
  sweep(now: number): void {
    if (this.#dials.size >= MAX_DIALS || now - this.#dialledAt < BETWEEN_DIALS_MS) return;
    const waiting = this.#urgentQueue.size > 0 ? this.#urgentQueue : this.#queue;
    for (const [key, location] of waiting) {
      waiting.delete(key);
      void this.#dial(key, location);
      return;
    }
  }

  /** Aborts all dials and empties the queue. */
  clear(): void {
    this.#queue.clear();
    this.#urgentQueue.clear();
    for (const { abort } of this.#dials.values()) abort.abort();
    this.#dials.clear();
  }

  /** The known verdicts and the queue, for another process. */
  snapshot(): DialBackState {
    const now = this.#parts.clock.now();
    const known: DialBackSnapshot[] = [];
    for (const [key, { location, at, nick }] of this.#answers) {
      // A running dial has no result yet.
      if (!this.#dials.has(key)) known.push({ location, ms: now - at, nick });
    }
    const begun = [...this.#dials.values()].map(({ location }) => location);
    const toDial = [...begun, ...this.#urgentQueue.values(), ...this.#queue.values()];
    return { dialBacks: known, toDial };
  }

  restore({ dialBacks, toDial }: DialBackState): void {
    const now = this.#parts.clock.now();
    for (const { location, ms, nick } of dialBacks) {
      this.#answers.set(formatLocation(location), { location, at: now - ms, nick });
    }
    for (const location of toDial.slice(0, MAX_QUEUED)) {
      this.#queue.set(formatLocation(location), location);
    }
  }

  #verify(peer: Peer): void {
    if (peer.verified) return;
    peer.verified = true;
    this.#parts.tally.dialBacksVerified++;
  }

  #enqueue(key: string, location: Location, urgent: boolean): Verdict {
    const waiting = urgent ? this.#urgentQueue : this.#queue;
    if (waiting.size >= MAX_QUEUED) return 'unknown';
    this.#queue.delete(key);
    waiting.set(key, location);
    this.sweep(this.#parts.clock.now());
    return 'pending';
  }

  /** The nick that answered there, if any. */
  async #ask(location: Location, signal: AbortSignal): Promise<string | undefined> {
    const { dialer, newNick } = this.#options;
    const { network, reachable } = this.#parts;
    const rules = { network, kinds: kindsNamedOver(location.kind, reachable) };
    const nick = newNick();
    const hello = encodeEnvelope(
      MessageType.HANDSHAKE,
      formatPeerHandshake({ nick, location: NOT_SERVING, network, features: [] }),
    );
    const isolation = `dial-back:${nick}`;
    try {
      const connection = await dialer.dial(location, { signal, isolation });
      if (!signal.aborted) return await readNick(connection, hello, rules, signal);
      connection.destroy();
    } catch {
      // A failed dial changes nothing; the peer stays unverified.
    }
    return undefined;
  }

  async #dial(key: string, location: Location): Promise<void> {
    const { clock, tally } = this.#parts;
    const abort = new AbortController();
    const cancel = clock.after(DIAL_TIMEOUT_MS, () => abort.abort());
    const at = clock.now();
    this.#dialledAt = at;
    this.#dials.set(key, { abort, location });
    tally.dialBacks++;
    // Before the result, so that an hour passes between two dials in any case.
    this.#answers.set(key, { location, at, nick: undefined });
    const nick = await this.#ask(location, abort.signal);
    cancel();
    // Not after `clear`.
    if (this.#dials.get(key)?.abort !== abort) return;
    this.#dials.delete(key);
    this.#answers.set(key, { location, at, nick });
    this.#parts.fanout.batch(() => this.#answered(location, nick));
  }

  /** A dial has ended; `nick` is the one that answered, if any. */
  #answered(location: Location, nick: string | undefined): void {
    const { registry, nickClaims } = this.#parts;
    const peer = nick === undefined ? undefined : registry.byNick(nick);
    if (peer && sameLocation(peer.location, location)) this.#verify(peer);
    nickClaims.verdictsChanged();
  }
}
