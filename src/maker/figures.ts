/** Counts of a running maker since its start: sessions that ended, by result. */
import type { MakerFault, MakerOutcome, MakerStep } from '../negotiation/maker/api.js';

/** Every step of a session, in order. */
export const MAKER_STEPS = [
  'auth',
  'checking-coin',
  'reserving',
  'claiming',
  'tx',
  'signing',
  'push',
] as const satisfies readonly MakerStep[];

/** How sessions ended: `signed`, or the fault. A fixed set, so that it can be a label. */
export type SessionResult = 'signed' | MakerFault;

function noResults(): Record<SessionResult, number> {
  return {
    signed: 0,
    silent: 0,
    revelation: 0,
    podle: 0,
    'coin-missing': 0,
    'coin-young': 0,
    'coin-small': 0,
    'coin-key': 0,
    'coin-metadata': 0,
    'commitment-used': 0,
    'no-coins': 0,
    'bad-reservation': 0,
    'bad-signature': 0,
    transaction: 0,
    payment: 0,
    port: 0,
    replaced: 0,
    evicted: 0,
    stopped: 0,
  };
}

/** Counts the sessions of one maker. */
export class MakerFigures {
  readonly #results = noResults();

  /** Ended sessions by result. */
  get results(): Readonly<Record<SessionResult, number>> {
    return this.#results;
  }

  /** Takes the outcome of each session. */
  ended(outcome: MakerOutcome): void {
    this.#results[outcome.result === 'signed' ? 'signed' : outcome.fault]++;
  }
}
