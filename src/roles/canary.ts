/**
 * A directory that visits itself from outside: through its own onion, as two strangers, again and
 * again. Tor may say that an onion is published while nobody can reach it, and a process may be in
 * perfect health behind an onion that is gone; only a visit tells.
 *
 * Each test takes two fresh nicks, a circuit each, two handshakes and one private message each way.
 * Nothing is said in public and no peer list is asked for, and the directory neither lists these nicks
 * nor announces that they left (`ownNicks`), so no peer ever hears of a test. All limits apply to it.
 */
import type { Log } from '../channel/log.js';
import type { Clock, Dialer, Random } from '../channel/ports.js';
import { outcomeText, probeDirectory, type ProbeResult } from '../probe/probe.js';
import type { Network } from '../protocol/constants.js';
import type { Location } from '../protocol/location.js';
import type { NickKey } from '../protocol/nick.js';

/**
 * Short, because a cut has to be noticed soon. From one test to the alarm it takes at most 1.2
 * intervals, twice dial and handshake, and the pause between: 167 s with an interval of 60 s.
 */
const DEADLINES = { dialMs: 35_000, handshakeMs: 10_000, peerlistMs: 0, relayMs: 10_000 };
/** Tor says that the onion is published; peers need a moment to find it. */
const FIRST_MS = 10_000;
/** Before an alarm, a second attempt. */
const CONFIRM_MS = 5_000;
const JITTER = 0.2;
/** A nick is ours until the directory has seen its connection end, which over Tor takes a while. */
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
 * - `off`: not tested, because the operator or the overlay does without
 * - `waiting`: not tested yet, or not since the onion came back
 * - `untested`: the test itself cannot be made (no way out through Tor's SOCKS port)
 * - `reachable`: the outside reaches us, and messages are relayed
 * - `not-relaying`: it reaches us, but messages did not arrive
 * - `elsewhere`: somebody else answers at our address
 * - `unreachable`: nobody answers there
 */
export type CanaryState = (typeof CANARY_STATES)[number];

/** What `/status` tells; times in milliseconds, of the last test that came so far. */
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
  /** Nicks of its own; grows and shrinks, is never replaced. */
  readonly ownNicks: ReadonlySet<string>;
  report(): CanaryReport;
  /** Why the directory is of no use to the outside; undefined while nothing says so. */
  trouble(): string | undefined;
  /** Tor says that the onion is there, or that it is not: tests are made only while it is. */
  published(location: Location | undefined): void;
  /** Aborts a test that is under way; resolves when it is over. */
  stop(): Promise<void>;
}

export interface CanaryOptions {
  readonly dialer: Dialer;
  readonly network: Network;
  /** The nick by which the directory answers. */
  readonly nick: string;
  /** Between two tests; varied by a fifth. 0 = off. */
  readonly intervalMs: number;
  readonly newNickKey: () => NickKey;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** What the process before knew, to go on with. */
  readonly past?: CanaryReport | undefined;
  /** Nobody answers at our onion: told after every test that found it so, but not of a single one. */
  readonly onUnreachable?: () => void;
  /** Told of every test that was made. */
  readonly onTest?: (result: ProbeResult) => void;
}

type Verdict = Exclude<CanaryState, 'off' | 'waiting'>;

function isOurs(error: unknown): boolean {
  return error instanceof Error && 'ours' in error && error.ours === true;
}

/** What a test says of us. A directory that is full refuses even us: the outside did reach it. */
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
      return result.welcome.nick === nick ? 'reachable' : 'elsewhere';
    case 'accepts-only':
    case 'relays-in-part':
      return result.welcome.nick === nick ? 'not-relaying' : 'elsewhere';
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
  untested: 'self test: cannot be made, so nobody knows whether the outside reaches this directory',
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

/** What was known before counts until the next test. */
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

/** A canary at rest; the first `published` starts it. */
export function createCanary(options: CanaryOptions): Canary {
  const { dialer, network, nick, intervalMs, newNickKey, clock, random, log } = options;
  const ownNicks = new Set<string>();
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
    const [oldest] = ownNicks;
    if (ownNicks.size > REMEMBERED_NICKS && oldest !== undefined) ownNicks.delete(oldest);
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
    // One lost circuit is no news.
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
