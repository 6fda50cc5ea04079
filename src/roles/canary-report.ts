/**
 * The states of the canary: which one follows from the result of a test, and how it is reported and
 * logged.
 */
import { isOurs } from '../kit/error-text.js';
import type { ProbeResult } from '../probe/probe.js';
import { SocksError } from '../tor/socks/error.js';

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
 * - `untested`: the test could not be made (no connection through Tor's SOCKS port, or Tor has no key for the
 *   onion of a private directory)
 * - `reachable`: the onion is reachable, and messages are relayed
 * - `not-relaying`: the onion is reachable, but messages did not arrive
 * - `elsewhere`: another directory answers at our onion
 * - `unreachable`: no answer at our onion
 */
export type CanaryState = (typeof CANARY_STATES)[number];

/** Whether the onion was reached and relays; undefined: the last test does not say. */
export function isReached(state: CanaryState): boolean | undefined {
  if (state === 'off' || state === 'waiting' || state === 'untested') return undefined;
  return state === 'reachable';
}

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

export type Verdict = Exclude<CanaryState, 'off' | 'waiting'>;

/** The onion is there, and Tor has no key, or a wrong one, with which clients enter. */
function lacksKey(error: unknown): boolean {
  return error instanceof SocksError && error.code.startsWith('onion-auth-');
}

/** The state that follows from a test. A full directory refuses the canary too, so it was reached. */
export function verdictOf(result: ProbeResult, nick: string): Verdict | 'stopped' {
  switch (result.outcome) {
    case 'stopped':
      return 'stopped';
    case 'unreachable':
      return isOurs(result.error) || lacksKey(result.error) ? 'untested' : 'unreachable';
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

export const FAULT_REASONS: Readonly<Record<CanaryState, string | undefined>> = {
  off: undefined,
  waiting: undefined,
  untested: undefined,
  reachable: undefined,
  unreachable: 'the outside cannot reach the onion, although it is published',
  'not-relaying': 'a message sent through the onion did not arrive',
  elsewhere: 'another program answers at this address: is the key in use twice?',
};

export const LINES: Readonly<Record<Verdict, string>> = {
  reachable: 'canary: the outside reaches this directory again',
  untested: 'canary: not possible, so it is unknown whether peers can reach this directory',
  unreachable: `canary: ${FAULT_REASONS.unreachable}`,
  'not-relaying': `canary: ${FAULT_REASONS['not-relaying']}`,
  elsewhere: `canary: ${FAULT_REASONS.elsewhere}`,
};

/** Of the last test that measured them, in milliseconds. */
export type Times = Pick<CanaryReport, 'dialMs' | 'handshakeMs' | 'relayMs'>;

function pickTimes({ dialMs, handshakeMs, relayMs }: Times = {}): Times {
  return {
    ...(dialMs === undefined ? {} : { dialMs }),
    ...(handshakeMs === undefined ? {} : { handshakeMs }),
    ...(relayMs === undefined ? {} : { relayMs }),
  };
}

export function timesOf(result: ProbeResult): Times {
  const legs = 'legs' in result ? Object.values(result.legs) : [];
  const arrived = legs.filter((ms) => ms !== undefined);
  return {
    ...('dialMs' in result ? { dialMs: Math.round(result.dialMs) } : {}),
    ...('handshakeMs' in result ? { handshakeMs: Math.round(result.handshakeMs) } : {}),
    ...(arrived.length > 0 ? { relayMs: Math.round(Math.max(...arrived)) } : {}),
  };
}

/** The state and the results of a canary; moments in the clock's milliseconds. */
export interface CanaryRecord {
  state: CanaryState;
  since: number;
  testedAt: number | undefined;
  times: Times;
  tests: number;
  failures: number;
}

/** Continues a report of the previous process: its state counts until the next test. */
export function recall(past: CanaryReport | undefined, now: number, isOff: boolean): CanaryRecord {
  const { state = 'off', stateSeconds = 0, testedSecondsAgo, tests = 0, failures = 0 } = past ?? {};
  const goesOn = !isOff && state !== 'off';
  return {
    state: isOff ? 'off' : goesOn ? state : 'waiting',
    since: goesOn ? now - stateSeconds * 1000 : now,
    testedAt: testedSecondsAgo === undefined ? undefined : now - testedSecondsAgo * 1000,
    times: pickTimes(past),
    tests,
    failures,
  };
}

export function reportOf(record: CanaryRecord, now: number): CanaryReport {
  const { state, since, testedAt, times, tests, failures } = record;
  return {
    state,
    ...(state === 'off' ? {} : { stateSeconds: Math.round((now - since) / 1000) }),
    ...(testedAt === undefined ? {} : { testedSecondsAgo: Math.round((now - testedAt) / 1000) }),
    ...times,
    tests,
    failures,
  };
}
