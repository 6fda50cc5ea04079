/**
 * A peer tests itself from outside: it dials its own location on a circuit of its own, under a nick that is
 * used once, and waits for its own handshake. Tor may report that an onion is published while peers cannot
 * reach it, and only this tells.
 */
import { randomBytes } from 'node:crypto';
import { handshakeTerms } from '../channel/link/handshake-terms.js';
import { LinePeer } from '../channel/link/line-peer.js';
import type { Log } from '../channel/log.js';
import type { Clock, Connection, Dialer, Random } from '../channel/ports.js';
import { isOurs } from '../kit/error-text.js';
import { MessageType, type Network } from '../protocol/constants.js';
import { parsePeerHandshake } from '../protocol/handshake.js';
import { formatLocation, NOT_SERVING, type Location } from '../protocol/location.js';
import { createNickKey } from '../protocol/nick.js';
import {
  ROUND_TIMINGS,
  startSelfTestRounds,
  type RoundTimings,
} from '../tor/onion/self-test-rounds.js';

/** A test sends one line and reads one. */
const LIMITS = { sendQueueBytes: 100_000, junkPerMinute: 10 };
const STALL_MS = 30_000;

const LINES = {
  lost: 'self-test: this peer does not answer at its own location, although it is served',
  back: 'self-test: this peer answers at its own location again',
};

/** The location is another peer's, or that of an earlier run of this one. */
export class OtherPeerError extends Error {
  /** Always `OtherPeerError`. */
  override readonly name = 'OtherPeerError';
}

export interface OutsideTestOptions {
  /** The dialler of the peer: the test takes another circuit of the same Tor. */
  readonly dialer: Dialer;
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Default `ROUND_TIMINGS`: the first test after 15 to 30 s, then one about every ten minutes. */
  readonly timings?: Partial<RoundTimings>;
}

/** What the tests found. Times in milliseconds. */
export interface OutsideReport {
  /** Undefined before the first result for the present location. */
  readonly reachable: boolean | undefined;
  /** Single tests, and those that failed. */
  readonly tests: number;
  readonly failures: number;
  /** Clock time of the last single test. */
  readonly testedAt: number | undefined;
  /** Of the last test that succeeded. */
  readonly dialMs: number | undefined;
  readonly answerMs: number | undefined;
}

/** Where the peer says that it is, and its nick there. */
export interface OwnIdentity {
  readonly location: Location;
  readonly nick: string;
}

/** Resolves when the handshake of this nick arrived on the connection; rejects otherwise. */
function answerOf(
  connection: Connection,
  nick: string,
  { network, clock }: Pick<OutsideTestOptions, 'network' | 'clock'>,
  signal: AbortSignal,
): Promise<void> {
  const own = createNickKey(randomBytes).nick;
  const kinds = new Set([connection.via]);
  const terms = handshakeTerms({ nick: own, network, location: NOT_SERVING }, kinds);
  return new Promise((resolve, reject) => {
    let line: LinePeer | undefined = undefined;
    const finish = (error?: Error): void => {
      signal.removeEventListener('abort', aborted);
      line?.drop('tested');
      if (error === undefined) resolve();
      else reject(error);
    };
    const aborted = (): void => finish(new Error('no handshake came in time'));
    line = new LinePeer({
      connection,
      clock,
      limits: LIMITS,
      timings: { stallMs: STALL_MS },
      onEnvelope({ type, line: payload }) {
        if (type !== MessageType.HANDSHAKE) return;
        const parsed = parsePeerHandshake(payload, terms.rules);
        if (parsed.ok && parsed.value.nick === nick) finish();
        else finish(new OtherPeerError('another peer answers at this location'));
      },
      onClosed: (reason) => finish(new Error(`no handshake came: ${reason}`)),
    });
    signal.addEventListener('abort', aborted, { once: true });
    if (signal.aborted) return aborted();
    line.send(MessageType.HANDSHAKE, terms.payload);
  });
}

/** Tests the present location of a peer, in rounds, until `stop`. Idle until the first `watch`. */
export class OutsideTest {
  readonly #options: OutsideTestOptions;
  #watched: OwnIdentity | undefined;
  #stopRounds: (() => void) | undefined;
  #reachable: boolean | undefined;
  #tests = 0;
  #failures = 0;
  #testedAt: number | undefined;
  #times: { readonly dialMs: number; readonly answerMs: number } | undefined;

  constructor(options: OutsideTestOptions) {
    this.#options = options;
  }

  get report(): OutsideReport {
    return {
      reachable: this.#reachable,
      tests: this.#tests,
      failures: this.#failures,
      testedAt: this.#testedAt,
      dialMs: this.#times?.dialMs,
      answerMs: this.#times?.answerMs,
    };
  }

  /**
   * Tests this identity from now on, in place of the one before. Undefined: there is none at present.
   * @param dialer that of the new identity, if it has one of its own
   */
  watch(identity: OwnIdentity | undefined, dialer: Dialer = this.#options.dialer): void {
    this.#watched = identity;
    this.#stopRounds?.();
    this.#stopRounds = undefined;
    this.#reachable = undefined;
    this.#times = undefined;
    if (identity === undefined) return;
    const { clock, random, log, timings } = this.#options;
    this.#stopRounds = startSelfTestRounds({
      selfTest: (_, signal) => this.#test(identity, dialer, signal),
      host: formatLocation(identity.location),
      timings: { ...ROUND_TIMINGS, ...timings },
      clock,
      random,
      log,
      lines: LINES,
      onUnreachable() {},
      onVerdict: (verdict) => {
        if (verdict === 'untested') return;
        const reached = verdict === 'reached';
        if (reached && this.#reachable === undefined) {
          log.info('self-test: this peer answers at its own location', { ...this.#times });
        }
        this.#reachable = reached;
      },
    });
  }

  stop(): void {
    this.watch(undefined);
  }

  async #test(identity: OwnIdentity, dialer: Dialer, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const isCurrent = (): boolean => this.#watched === identity;
    const isolation = `self-test:${randomBytes(8).toString('hex')}`;
    const began = clock.now();
    try {
      const connection = await dialer.dial(identity.location, { signal, isolation });
      const dialled = clock.now();
      await answerOf(connection, identity.nick, this.#options, signal);
      const dialMs = Math.round(dialled - began);
      if (isCurrent()) this.#times = { dialMs, answerMs: Math.round(clock.now() - dialled) };
    } catch (error) {
      // A test that was stopped, or that could not leave this machine, says nothing.
      if (isCurrent() && !isOurs(error)) this.#failures++;
      throw error;
    } finally {
      if (isCurrent()) {
        this.#tests++;
        this.#testedAt = clock.now();
      }
    }
  }
}
