/** The result of a probe: the stage it reached and what it found. */
import type { Location } from '../protocol/location.js';

/** The content of the directory's 795. */
export interface Greeting {
  readonly nick: string;
  /** As received; any text when the directory refused the handshake. */
  readonly network: string;
  /** Bounded and safe to show: unsafe characters are written as `\uXXXX`, line feeds stay. */
  readonly motd: string;
  /** The program and version in the MOTD, if it names them. */
  readonly version: string | undefined;
  readonly features: readonly string[];
}

export interface PeerlistCount {
  /** From the request to the last line of the answer. */
  readonly tookMs: number;
  /** Different nicks, without the one of the probe. */
  readonly peers: number;
  /** Those of them that have a location. */
  readonly serving: number;
}

/** Messages of the relay test: from the first or the second throw-away nick to the other one. */
export const LEGS = ['private-there', 'private-back', 'public-there', 'public-back'] as const;
export type Leg = (typeof LEGS)[number];
/**
 * Milliseconds each message took; undefined for one that did not arrive. Contains only the messages
 * that were sent.
 */
export type LegTimes = Readonly<Partial<Record<Leg, number | undefined>>>;

interface Common {
  readonly location: Location;
  /** The whole probe. */
  readonly tookMs: number;
}

interface Answered extends Common {
  /** Until the connection was established. */
  readonly dialMs: number;
  /** From our 793 to the 795. */
  readonly handshakeMs: number;
  readonly greeting: Greeting;
}

interface Accepted extends Answered {
  /**
   * Absent when the directory does not offer it or the caller did not ask for it. `silent`: the
   * directory offered it and did not answer.
   */
  readonly peerlist?: PeerlistCount | 'silent';
}

/**
 * The stage that a probe reached, the last one at the end. All but `accepted` and `relays` are faults.
 * `reason` is a short text for a person; text of the directory in it is safe to show.
 */
export type ProbeResult =
  /** The caller aborted the probe. */
  | (Common & { readonly outcome: 'stopped' })
  /** No connection. `error` is the error of the overlay. */
  | (Common & {
      readonly outcome: 'unreachable';
      readonly reason: string;
      readonly error?: unknown;
    })
  /** A connection without a 795: it was closed, or the time ran out. */
  | (Common & { readonly outcome: 'no-answer'; readonly reason: string; readonly dialMs: number })
  /** An answer that is not from a directory of this protocol or network. */
  | (Common & { readonly outcome: 'unfit'; readonly reason: string; readonly dialMs: number })
  /** A 795 with `accepted: false`. */
  | (Answered & { readonly outcome: 'refused' })
  /** An accepting 795. The relay test was not asked for. */
  | (Accepted & { readonly outcome: 'accepted' })
  /** The directory accepted the first nick, but not the second one of the relay test. */
  | (Accepted & { readonly outcome: 'relay-untested'; readonly reason: string })
  /** The directory accepts peers but relays nothing: no message arrived. */
  | (Accepted & { readonly outcome: 'accepts-only'; readonly legs: LegTimes })
  /** Some messages arrived, others did not. */
  | (Accepted & { readonly outcome: 'relays-in-part'; readonly legs: LegTimes })
  | (Accepted & { readonly outcome: 'relays'; readonly legs: LegTimes });

export type ProbeOutcome = ProbeResult['outcome'];

/** Whether all stages that were asked for succeeded. */
export function isFine(result: ProbeResult): boolean {
  return result.outcome === 'accepted' || result.outcome === 'relays';
}

function missing(legs: LegTimes): string {
  return Object.entries(legs)
    .filter(([, ms]) => ms === undefined)
    .map(([leg]) => leg)
    .join(', ');
}

/** The outcome in a few words on one line, for a table or a log. */
export function outcomeText(result: ProbeResult): string {
  switch (result.outcome) {
    case 'stopped':
      return 'stopped';
    case 'unreachable':
      return `not reachable: ${result.reason}`;
    case 'no-answer':
      return `no answer: ${result.reason}`;
    case 'unfit':
      return `not usable: ${result.reason}`;
    case 'refused':
      return `refused: ${refusal(result.greeting)}`;
    case 'accepted':
      return 'accepts';
    case 'relay-untested':
      return `accepts; relay not tested: ${result.reason}`;
    case 'accepts-only':
      return 'accepts but does not relay';
    case 'relays-in-part':
      return `accepts but relays only in part; lost: ${missing(result.legs)}`;
    case 'relays':
      return 'accepts and relays';
  }
}

const MAX_QUOTED = 120;

function refusal({ motd, network }: Greeting): string {
  const said = motd.replaceAll('\n', ' ').trim().slice(0, MAX_QUOTED);
  return said === '' ? `it is a directory of ${network.slice(0, MAX_QUOTED)}` : said;
}
