/**
 * The canary: a directory probes itself from outside, through its own onion, at intervals. Tor may
 * report that an onion is published while peers cannot reach it, and a process may be healthy behind a
 * lost onion; only such a probe tells.
 *
 * Each test takes two new nicks, a circuit for each, two handshakes and one private message in each
 * direction. It sends no public message and asks for no peer list, and the directory neither lists
 * these nicks nor announces their leaves (`ownNicks`), so other peers do not notice a test. All limits
 * apply to it.
 */
import { isOurs } from '../kit/error-text.js';
import { BoundedSet } from '../kit/bounded-map.js';
import type { Log } from '../channel/log.js';
import type { Clock, Dialer, Random } from '../channel/ports.js';
import { outcomeText, probeDirectory, type ProbeResult } from '../probe/probe.js';
import type { Network } from '../protocol/constants.js';
import type { Location } from '../protocol/location.js';
import type { NickKey } from '../protocol/nick.js';

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
/**
 * A nick is in `ownNicks` until the directory has seen its connection end, which over Tor takes a
 * while.
 */
const REMEMBERED_NICKS = 8;

export const CANARY_STATES = [
  'off',
  'waiting',
  'untested',
  'reachable',
  'not-relaying',
  'elsewhere',
  'unreachable',
] as const;

/**
 * - `off`: not tested, because of the configuration or the overlay
 * - `waiting`: not tested yet, or not since the onion came back
 * - `untested`: the test could not be made (no connection through Tor's SOCKS port)
 * - `reachable`: the onion is reachable, and messages are relayed
 * - `not-relaying`: the onion is reachable, but messages did not arrive
 * - `elsewhere`: another directory answers at our onion
 * - `unreachable`: no answer at our onion
 */
export type CanaryState = (typeof CANARY_STATES)[number];

/** The canary's part of `/status`; times in milliseconds, of the last test that measured them. */
export interface CanaryReport {
  readonly state: CanaryState;
  readonly testedSecondsAgo?: number;
  /** Since when the state holds, in seconds. */
  readonly stateSeconds?: number;
  readonly dialMs?: number;
  readonly handshakeMs?: number;
  /** The slower of the two private messages. */
  readonly relayMs?: number;
  readonly tests: number;
  readonly failures: number;
}

export interface Canary {
  /** Nicks of running tests. This set is changed, never replaced. */
  readonly ownNicks: ReadonlySet<string>;
  report(): CanaryReport;
  /** Why peers cannot use the directory; undefined when no test says so. */
  trouble(): string | undefined;
  /** Tor reports that the onion is published or lost: tests run only while it is published. */
  published(location: Location | undefined): void;
  /** Aborts a running test; resolves when it has ended. */
  stop(): Promise<void>;
}

export interface CanaryOptions {
  readonly dialer: Dialer;
  readonly network: Network;
  /** The directory's nick in its 795. */
  readonly nick: string;
  /** Interval between two tests, varied by a fifth. 0 = off. */
  readonly intervalMs: number;
  readonly newNickKey: () => NickKey;
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

type Verdict = Exclude<CanaryState, 'off' | 'waiting'>;

/** The state that follows from a test. A full directory refuses the canary too, so it was reached. */
function verdictOf(result: ProbeResult, nick: string): Verdict | 'stopped' {
  switch (result.outcome) {
    case 'stopped':
      return 'stopped';
    case 'unreachable':
      return isOurs(result.error) ? 'untested' : 'unreachable';
    case 'no-answer':
    case 'unfit':
      return 'unreachable';
    case 'refused':
    case 'relay-untested':
    case 'accepted':
    case 'relays':
      return result.greeting.nick === nick ? 'reachable' : 'elsewhere';
    case 'accepts-only':
    case 'relays-in-part':
      return result.greeting.nick === nick ? 'not-relaying' : 'elsewhere';
  }
}

const TROUBLE: Readonly<Record<CanaryState, string | undefined>> = {
  off: undefined,
  waiting: undefined,
  untested: undefined,
  reachable: undefined,
  unreachable: 'the outside cannot reach the onion, although it is published',
  'not-relaying': 'a message sent through the onion did not arrive',
  elsewhere: 'another program answers at this address: is the key in use twice?',
};

const LINES: Readonly<Record<Verdict, string>> = {
  reachable: 'self test: the outside reaches this directory again',
  untested: 'self test: not possible, so it is unknown whether peers can reach this directory',
  unreachable: `self test: ${TROUBLE.unreachable}`,
  'not-relaying': `self test: ${TROUBLE['not-relaying']}`,
  elsewhere: `self test: ${TROUBLE.elsewhere}`,
};

type Times = Pick<CanaryReport, 'dialMs' | 'handshakeMs' | 'relayMs'>;

function pickTimes({ dialMs, handshakeMs, relayMs }: Times = {}): Times {
  return {
    ...(dialMs === undefined ? {} : { dialMs }),
    ...(handshakeMs === undefined ? {} : { handshakeMs }),
    ...(relayMs === undefined ? {} : { relayMs }),
  };
}

function timesOf(result: ProbeResult): Times {
  const legs = 'legs' in result ? Object.values(result.legs) : [];
  const arrived = legs.filter((ms) => ms !== undefined);
  return {
    ...('dialMs' in result ? { dialMs: Math.round(result.dialMs) } : {}),
    ...('handshakeMs' in result ? { handshakeMs: Math.round(result.handshakeMs) } : {}),
    ...(arrived.length > 0 ? { relayMs: Math.round(Math.max(...arrived)) } : {}),
  };
}

/** The previous state counts until the next test. */
function recall(past: CanaryReport | undefined, now: number, isOff: boolean) {
  const { state = 'off', stateSeconds = 0, testedSecondsAgo, tests = 0, failures = 0 } = past ?? {};
  const goesOn = !isOff && state !== 'off';
  return {
    state: isOff ? 'off' : goesOn ? state : 'waiting',
    since: goesOn ? now - stateSeconds * 1000 : now,
    testedAt: testedSecondsAgo === undefined ? undefined : now - testedSecondsAgo * 1000,
    times: pickTimes(past),
    tests,
    failures,
  } as const;
}

/** An idle canary; the first `published` starts it. */
export function createCanary(options: CanaryOptions): Canary {
  const { dialer, network, nick, intervalMs, newNickKey, clock, random, log } = options;
  const ownNicks = new BoundedSet<string>(REMEMBERED_NICKS);
  const past = recall(options.past, clock.now(), intervalMs === 0);
  let state: CanaryState = past.state;
  let { since, testedAt, times, tests, failures } = past;
  let target: Location | undefined;
  let cancelNext: (() => void) | undefined;
  let attempt: AbortController | undefined;
  let running: Promise<void> = Promise.resolve();

  function freshKey(): NickKey {
    const key = newNickKey();
    ownNicks.add(key.nick);
    return key;
  }

  function enter(next: CanaryState): void {
    if (next !== state) since = clock.now();
    state = next;
  }

  function conclude(verdict: Verdict, result: ProbeResult): void {
    const isNews = verdict !== state && !(verdict === 'reachable' && state === 'waiting');
    enter(verdict);
    if (verdict === 'unreachable') options.onUnreachable?.();
    if (!isNews) return;
    if (verdict === 'reachable') log.info(LINES[verdict], { ...times });
    else log.warn(LINES[verdict], { found: outcomeText(result) });
  }

  function schedule(ms: number, isConfirmation: boolean): void {
    cancelNext = clock.after(ms, () => {
      cancelNext = undefined;
      running = test(isConfirmation);
    });
  }

  async function test(isConfirmation: boolean): Promise<void> {
    const location = target;
    if (location === undefined) return;
    const { signal } = (attempt = new AbortController());
    const result = await probeDirectory({
      dialer,
      location,
      network,
      relay: 'private',
      peerlist: false,
      newNickKey: freshKey,
      clock,
      signal,
      deadlines: DEADLINES,
    });
    const verdict = verdictOf(result, nick);
    if (verdict === 'stopped' || signal.aborted) return;
    tests++;
    if (verdict !== 'reachable') failures++;
    testedAt = clock.now();
    times = timesOf(result);
    options.onTest?.(result);
    // A single lost circuit is not an alarm.
    if (verdict !== 'reachable' && verdict !== state && !isConfirmation) {
      schedule(CONFIRM_MS, true);
      return;
    }
    conclude(verdict, result);
    schedule(intervalMs * (1 - JITTER + 2 * JITTER * random()), false);
  }

  function halt(): void {
    target = undefined;
    cancelNext?.();
    cancelNext = undefined;
    attempt?.abort();
  }

  return {
    ownNicks,
    report: () => ({
      state,
      ...(state === 'off' ? {} : { stateSeconds: Math.round((clock.now() - since) / 1000) }),
      ...(testedAt === undefined
        ? {}
        : { testedSecondsAgo: Math.round((clock.now() - testedAt) / 1000) }),
      ...times,
      tests,
      failures,
    }),
    trouble: () => TROUBLE[state],
    published(location) {
      if (state === 'off') return;
      if (location === undefined) {
        halt();
        enter('waiting');
      } else if (target === undefined) {
        target = location;
        schedule(FIRST_MS * (1 + random()), false);
      }
    },
    async stop() {
      halt();
      await running;
    },
  };
}
