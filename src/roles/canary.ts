/**
 * The canary: a directory probes itself from outside, through its own onion, at intervals. Tor may
 * report that an onion is published while peers cannot reach it, and a process may be healthy behind a
 * lost onion; only such a probe tells.
 *
 * Each test takes two new nicks, a circuit for each, two handshakes and one private message in each
 * direction. It sends no public message and asks for no peer list, and the directory neither lists
 * these nicks nor announces their leaves (`SelfTests`), so other peers do not notice a test. All limits
 * apply to it.
 */
import type { Log } from '../channel/log.js';
import type { Clock, Dialer, Random } from '../channel/ports.js';
import { outcomeText, probeDirectory, type ProbeResult } from '../probe/probe.js';
import type { Network } from '../protocol/constants.js';
import type { Location } from '../protocol/location.js';
import type { NickKey } from '../protocol/nick.js';
import type { SelfTests } from './self-tests.js';
import {
  LINES,
  recall,
  reportOf,
  timesOf,
  FAULT_REASONS,
  verdictOf,
  type CanaryRecord,
  type CanaryReport,
  type CanaryState,
  type Verdict,
} from './canary-report.js';

/**
 * Short, because a loss must be noticed soon. From the loss to the alarm it takes at most 1.2
 * intervals, twice dial and handshake, and the pause between: 167 s with an interval of 60 s.
 */
const DEADLINES = { dialMs: 35_000, handshakeMs: 10_000, peerlistMs: 0, relayMs: 10_000 };
/** Tor reports that the onion is published; peers need a moment to find it. */
const FIRST_MS = 10_000;
/** The pause before the second attempt, which must fail too before an alarm. */
const CONFIRM_MS = 5_000;
const JITTER = 0.2;
export interface CanaryOptions {
  readonly dialer: Dialer;
  readonly network: Network;
  /** The directory's nick in its 795. */
  readonly nick: string;
  /** Interval between two tests, varied by a fifth. 0 = off. */
  readonly intervalMs: number;
  readonly newNickKey: () => NickKey;
  /** Learns the nicks of each test, and the code of the test. */
  readonly selfTests: SelfTests;
  /** Whether the directory admits by codes, so that a test shows its own. */
  readonly showsCode: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** The state of the previous process, to continue with. */
  readonly past?: CanaryReport | undefined;
  /** Called after each test without an answer at our onion, except for a single one. */
  readonly onUnreachable?: () => void;
  /** Called with the result of each test. */
  readonly onTest?: (result: ProbeResult) => void;
}

/** Idle until the first `published`. */
export class Canary {
  readonly #options: CanaryOptions;
  readonly #record: CanaryRecord;
  #target: Location | undefined;
  #cancelNext: (() => void) | undefined;
  #attempt: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: CanaryOptions) {
    this.#options = options;
    this.#record = recall(options.past, options.clock.now(), options.intervalMs === 0);
  }

  report(): CanaryReport {
    return reportOf(this.#record, this.#options.clock.now());
  }

  /** Why peers cannot use the directory; undefined when no test says so. */
  reason(): string | undefined {
    return FAULT_REASONS[this.#record.state];
  }

  /** Tor reports that the onion is published or lost: tests run only while it is published. */
  published(location: Location | undefined): void {
    if (this.#record.state === 'off') return;
    if (location === undefined) {
      this.#halt();
      this.#enter('waiting');
    } else if (this.#target === undefined) {
      this.#target = location;
      this.#schedule(FIRST_MS * (1 + this.#options.random()), false);
    }
  }

  /** Aborts a running test; resolves when it has ended. */
  async stop(): Promise<void> {
    this.#halt();
    await this.#running;
  }

  #halt(): void {
    this.#target = undefined;
    this.#cancelNext?.();
    this.#cancelNext = undefined;
    this.#attempt?.abort();
  }

  #schedule(ms: number, isConfirmation: boolean): void {
    this.#cancelNext = this.#options.clock.after(ms, () => {
      this.#cancelNext = undefined;
      if (this.#target) this.#running = this.#test(this.#target, isConfirmation);
    });
  }

  async #test(location: Location, isConfirmation: boolean): Promise<void> {
    const { dialer, network, clock, nick, intervalMs, random, onTest } = this.#options;
    const { selfTests, showsCode } = this.#options;
    const code = selfTests.newCode();
    const { signal } = (this.#attempt = new AbortController());
    const result = await probeDirectory({
      dialer,
      location,
      network,
      relay: 'private',
      peerlist: false,
      newNickKey: () => this.#newNickKey(code),
      code: showsCode ? code : undefined,
      clock,
      signal,
      deadlines: DEADLINES,
    });
    const verdict = verdictOf(result, nick);
    if (verdict === 'stopped' || signal.aborted) return;
    const record = this.#record;
    record.tests++;
    if (verdict !== 'reachable') record.failures++;
    record.testedAt = clock.now();
    record.times = timesOf(result);
    onTest?.(result);
    // A single lost circuit is not an alarm.
    if (verdict !== 'reachable' && verdict !== record.state && !isConfirmation) {
      return this.#schedule(CONFIRM_MS, true);
    }
    this.#conclude(verdict, result);
    this.#schedule(intervalMs * (1 - JITTER + 2 * JITTER * random()), false);
  }

  #newNickKey(code: string): NickKey {
    const { newNickKey, selfTests } = this.#options;
    const key = newNickKey();
    selfTests.add(key.nick, code);
    return key;
  }

  #conclude(verdict: Verdict, result: ProbeResult): void {
    const { log, onUnreachable } = this.#options;
    const before = this.#record.state;
    const isNews = verdict !== before && !(verdict === 'reachable' && before === 'waiting');
    this.#enter(verdict);
    if (verdict === 'unreachable') onUnreachable?.();
    if (!isNews) return;
    if (verdict === 'reachable') log.info(LINES[verdict], { ...this.#record.times });
    else log.warn(LINES[verdict], { found: outcomeText(result) });
  }

  #enter(next: CanaryState): void {
    const record = this.#record;
    if (next !== record.state) record.since = this.#options.clock.now();
    record.state = next;
  }
}
