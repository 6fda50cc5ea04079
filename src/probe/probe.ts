/**
 * Probes a directory of any implementation from outside, as any peer can: under a nick that is used
 * only for this, and a second one for the relay test. Each nick has its own connection and, over Tor,
 * its own circuit.
 */
import type { Clock, Dialer } from '../channel/ports.js';
import type { Network } from '../protocol/constants.js';
import { PEERLIST_FEATURE } from '../protocol/features.js';
import type { Location } from '../protocol/location.js';
import type { NickKey } from '../protocol/nick.js';
import { countPeers } from './peer-list.js';
import type { LegTimes, ProbeResult } from './probe-result.js';
import { testRelay } from './relay-test.js';
import { openProbeSession, type ProbeSession, type ProbeSessionFailure } from './probe-session.js';

export { isFine, LEGS, outcomeText } from './probe-result.js';
export type {
  Leg,
  LegTimes,
  PeerlistCount,
  ProbeOutcome,
  ProbeResult,
  Greeting,
} from './probe-result.js';

/** Longest time of each stage, in milliseconds. */
export interface ProbeDeadlines {
  /** Until the connection is established. Tor itself gives up after 120 s. */
  readonly dialMs: number;
  readonly handshakeMs: number;
  readonly peerlistMs: number;
  /** All messages of the relay test together. */
  readonly relayMs: number;
}

export const DEFAULT_DEADLINES: ProbeDeadlines = {
  dialMs: 90_000,
  handshakeMs: 60_000,
  peerlistMs: 30_000,
  relayMs: 30_000,
};

export interface ProbeOptions {
  readonly dialer: Dialer;
  readonly location: Location;
  readonly network: Network;
  /**
   * - `none`: handshake only
   * - `private`: private messages between the two nicks; no other peer sees them
   * - `all`: also one public message of each nick, which all peers receive
   */
  readonly relay: 'none' | 'private' | 'all';
  /** Whether to ask for the peer list if the directory offers it. */
  readonly peerlist: boolean;
  /** Makes a new key for each nick. */
  readonly newNickKey: () => NickKey;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** For a private directory. */
  readonly code?: string | undefined;
  /** Default: DEFAULT_DEADLINES. */
  readonly deadlines?: ProbeDeadlines;
}

/** A result without location and duration, which are added at the end. */
type Found = ProbeResult extends infer R
  ? R extends ProbeResult
    ? Omit<R, 'location' | 'tookMs'>
    : never
  : never;

function refusalReason(failure: Exclude<ProbeSessionFailure, { outcome: 'stopped' }>): string {
  const reason =
    failure.outcome === 'refused' ? failure.greeting.motd.replaceAll('\n', ' ') : failure.reason;
  return `a second nick did not get in (${failure.outcome}: ${reason})`;
}

function relayed(legs: LegTimes): 'accepts-only' | 'relays-in-part' | 'relays' {
  const times = Object.values(legs);
  const arrived = times.filter((ms) => ms !== undefined).length;
  if (arrived === 0) return 'accepts-only';
  return arrived < times.length ? 'relays-in-part' : 'relays';
}

async function explore(session: ProbeSession, options: ProbeOptions): Promise<Found> {
  const { clock, signal, relay, deadlines = DEFAULT_DEADLINES } = options;
  const { dialMs, handshakeMs, greeting } = session;
  const offersList = greeting.features.includes(PEERLIST_FEATURE);
  const peerlist =
    options.peerlist && offersList
      ? await countPeers(session, { clock, signal, withinMs: deadlines.peerlistMs })
      : undefined;
  if (peerlist === 'stopped') return { outcome: 'stopped' };
  const seen = {
    dialMs,
    handshakeMs,
    greeting,
    ...(peerlist === undefined ? {} : { peerlist }),
  };
  if (relay === 'none') return { outcome: 'accepted', ...seen };

  const second = await openSession(options);
  if (!second.ok) {
    if (second.failure.outcome === 'stopped') return { outcome: 'stopped' };
    return { outcome: 'relay-untested', reason: refusalReason(second.failure), ...seen };
  }
  const wait = { clock, signal, withinMs: deadlines.relayMs };
  const legs = await testRelay(session, second.session, relay === 'all', wait);
  await second.session.leave();
  if (legs === 'stopped') return { outcome: 'stopped' };
  return { outcome: relayed(legs), legs, ...seen };
}

function openSession(options: ProbeOptions): ReturnType<typeof openProbeSession> {
  const { dialer, location, network, clock, signal, deadlines = DEFAULT_DEADLINES } = options;
  const { dialMs, handshakeMs } = deadlines;
  const nickKey = options.newNickKey();
  return openProbeSession({
    dialer,
    location,
    network,
    nickKey,
    clock,
    signal,
    dialMs,
    handshakeMs,
    code: options.code,
  });
}

/**
 * Probes a directory. Never rejects because of the network or the directory. Every stage has a
 * deadline, and nothing is open or running when the promise resolves.
 */
export async function probeDirectory(options: ProbeOptions): Promise<ProbeResult> {
  const { clock, location } = options;
  const startedAt = clock.now();
  const first = await openSession(options);
  let found: Found;
  if (first.ok) {
    found = await explore(first.session, options);
    await first.session.leave();
  } else found = first.failure;
  return { ...found, location, tookMs: clock.now() - startedAt };
}
