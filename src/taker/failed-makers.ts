/**
 * The memory of makers that failed: they are asked later for a while. A maker is remembered by its nick,
 * which changes with each start of its program, and by its bond, which does not. Pure; times are Unix
 * seconds.
 */
import type { LegFault, MakerReport } from '../negotiation/taker/api.js';

/** How often a maker failed, and when it did last. */
export interface FailureRecord {
  readonly failures: number;
  readonly at: number;
  /** The last fault. */
  readonly fault: string;
}

/** By `nick NICK` and `bond KEY` (`bondKey`), the oldest failure first. */
export type FailedMakers = ReadonlyMap<string, FailureRecord>;

/** Most entries; the oldest one is forgotten. */
export const MOST_FAILED_MAKERS = 1_000;
const HOUR = 3_600;
const DAY = 24 * HOUR;
/** After this time a maker is as good as any other. */
export const FORGET_AFTER = 30 * DAY;
const LONGEST_DOUBT = 14 * DAY;

/** Not the maker's fault, or a limit of our own. */
const INNOCENT: ReadonlySet<LegFault> = new Set([
  'unused',
  'shared',
  'amount-range',
  'fee-limit',
  'many-coins',
]);
/** It may have been away, our commitment was used before, or a directory sent an old message of it. */
const LIGHT: ReadonlySet<string> = new Set<LegFault>([
  'silent',
  'refused',
  'bad-key',
  'coin-unconfirmed',
]);

/** The keys under which a maker is remembered. */
export function failureKeys(nick: string, bond: string | undefined): readonly string[] {
  return bond === undefined ? [`nick ${nick}`] : [`nick ${nick}`, `bond ${bond}`];
}

/** How long a maker is asked later: an hour after silence, a day after a lie, doubled each time. */
function doubtFor({ failures, fault }: FailureRecord): number {
  const first = LIGHT.has(fault) ? HOUR : DAY;
  return Math.min(LONGEST_DOUBT, first * 2 ** Math.min(failures - 1, 20));
}

/** Whether the maker, by nick or bond, failed too recently to be asked among the first. */
export function failedLately(
  memory: FailedMakers,
  nick: string,
  bond: string | undefined,
  now: number,
): boolean {
  return failureKeys(nick, bond).some((key) => {
    const record = memory.get(key);
    return record !== undefined && now - record.at < doubtFor(record);
  });
}

/** At most `MOST_FAILED_MAKERS` records that are not too old, the oldest first. */
export function boundedMemory(
  entries: Iterable<readonly [string, FailureRecord]>,
  now: number,
): FailedMakers {
  const fresh = [...entries]
    // A time in the future comes from a clock that was wrong.
    .map(([key, record]) => [key, { ...record, at: Math.min(record.at, now) }] as const)
    .filter(([, { at }]) => now - at < FORGET_AFTER)
    .toSorted(([, a], [, b]) => a.at - b.at);
  return new Map(fresh.slice(-MOST_FAILED_MAKERS));
}

/**
 * The memory after a coinjoin: makers that failed are added, those that signed are removed. `bondOf`
 * returns the key of a maker's bond (`bondKey`).
 */
export function remember(
  memory: FailedMakers,
  reports: readonly Pick<MakerReport, 'nick' | 'step' | 'failure'>[],
  bondOf: (nick: string) => string | undefined,
  now: number,
): FailedMakers {
  const next = new Map(memory);
  for (const { nick, step, failure } of reports) {
    for (const key of failureKeys(nick, bondOf(nick))) {
      if (step === 'signed') next.delete(key);
      if (failure === undefined || INNOCENT.has(failure.fault)) continue;
      const failures = (next.get(key)?.failures ?? 0) + 1;
      next.set(key, { failures, at: now, fault: failure.fault });
    }
  }
  return boundedMemory(next, now);
}
