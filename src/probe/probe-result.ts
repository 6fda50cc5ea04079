/** How far a probe of a directory came, and what it saw there. */
import type { Location } from '../protocol/location.js';

/** What the directory said of itself in its 795. */
export interface Welcome {
  readonly nick: string;
  /** As the directory wrote it; may be any text when it refused us. */
  readonly network: string;
  /** Bounded; what could steer a terminal or page is written as `\uXXXX`, line feeds stay. */
  readonly motd: string;
  /** The program and version that the MOTD names, if it does. */
  readonly version: string | undefined;
  readonly features: readonly string[];
}

export interface PeerlistCount {
  /** From asking to the last line of the answer. */
  readonly tookMs: number;
  /** Different nicks, without our own. */
  readonly peers: number;
  /** Those of them that can be dialled. */
  readonly serving: number;
}

/** Messages of the relay test: from the first or the second throw-away nick to the other one. */
export const LEGS = ['private-there', 'private-back', 'public-there', 'public-back'] as const;
export type Leg = (typeof LEGS)[number];
/** Milliseconds each message took; undefined for one that did not arrive. Only those that were sent. */
export type LegTimes = Readonly<Partial<Record<Leg, number | undefined>>>;

interface Common {
  readonly location: Location;
  /** The whole probe. */
  readonly tookMs: number;
}

interface Answered extends Common {
  /** Until there was a connection. */
  readonly dialMs: number;
  /** From our 793 to the 795. */
  readonly handshakeMs: number;
  readonly welcome: Welcome;
}

interface Accepted extends Answered {
  /** Absent when it is not offered or was not asked for; `silent`: offered, asked and not answered. */
  readonly peerlist?: PeerlistCount | 'silent';
}

/**
 * The stage a probe reached, the farthest last. Everything but `accepted` and `relays` is trouble;
 * `reason` is a short text for a person that holds nothing of the directory unless it is cleaned.
 */
export type ProbeResult =
  /** The caller aborted it. */
  | (Common & { readonly outcome: 'stopped' })
  /** No connection. `error` is what the overlay said. */
  | (Common & {
      readonly outcome: 'unreachable';
      readonly reason: string;
      readonly error?: unknown;
    })
  /** A connection, and no 795 on it: closed or silent. */
  | (Common & { readonly outcome: 'no-answer'; readonly reason: string; readonly dialMs: number })
  /** It answered, and is no directory of this protocol or network. */
  | (Common & { readonly outcome: 'unfit'; readonly reason: string; readonly dialMs: number })
  /** A 795 that turns us away. */
  | (Answered & { readonly outcome: 'refused' })
  /** A 795 that lets us in; relaying was not asked for. */
  | (Accepted & { readonly outcome: 'accepted' })
  /** It let us in, but not the second nick that the relay test needs. */
  | (Accepted & { readonly outcome: 'relay-untested'; readonly reason: string })
  /** It accepts but does not relay: nothing arrived. */
  | (Accepted & { readonly outcome: 'accepts-only'; readonly legs: LegTimes })
  /** Some messages arrived, others did not. */
  | (Accepted & { readonly outcome: 'relays-in-part'; readonly legs: LegTimes })
  | (Accepted & { readonly outcome: 'relays'; readonly legs: LegTimes });

export type ProbeOutcome = ProbeResult['outcome'];

/** Whether all that was asked for went well. */
export function isFine(result: ProbeResult): boolean {
  return result.outcome === 'accepted' || result.outcome === 'relays';
}

function missing(legs: LegTimes): string {
  return Object.entries(legs)
    .filter(([, ms]) => ms === undefined)
    .map(([leg]) => leg)
    .join(', ');
}

/** The outcome in a few words, for a table or a log; one line. */
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
      return `refused: ${refusal(result.welcome)}`;
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

function refusal({ motd, network }: Welcome): string {
  const said = motd.replaceAll('\n', ' ').trim().slice(0, MAX_QUOTED);
  return said === '' ? `it is a directory of ${network.slice(0, MAX_QUOTED)}` : said;
}
