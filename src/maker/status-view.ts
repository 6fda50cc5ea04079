/**
 * What a maker's page shows. No key, no address, no transaction id, no outpoint and no nick of a taker: the
 * page needs no password. Sums, amounts and times are exact, and tell which coinjoins on the chain were
 * the maker's; so the page is for its operator only.
 */
import type { MakerCoinjoin, MakerStatus } from './api.js';
import type { SessionResult } from './figures.js';

/** Most coinjoins of the list; the sums and the days count all of them. */
export const COINJOINS_LISTED = 100;
/** Most days of the history: three years. */
export const DAYS_KEPT = 1_096;
const DAY_SECONDS = 86_400;

/** The result of the tests from outside. */
export interface OutsideTests {
  readonly tests: number;
  readonly failures: number;
  /** Absent before the first test. */
  readonly testedSecondsAgo?: number;
  /** From the start of the dial to the connection, and from there to the answer, in milliseconds. */
  readonly dialMs?: number;
  readonly answerMs?: number;
}

export interface StatusViewInput {
  readonly status: MakerStatus;
  /** Seconds since 1970. */
  readonly now: number;
  readonly version: string;
  readonly upSeconds: number;
  readonly results: Readonly<Record<SessionResult, number>>;
  readonly outside: OutsideTests;
}

/** Sums over all coinjoins. Amounts in satoshi. */
export interface Earnings {
  /** Coinjoins that are in the chain, and what they earned. */
  readonly confirmed: number;
  readonly earned: number;
  /** Signed coinjoins that may still confirm, and what they would earn. */
  readonly pending: number;
  readonly pendingEarned: number;
  /** Signed coinjoins that will not confirm. */
  readonly failed: number;
}

/** What the maker earned, in all and while waiting. */
export function earningsOf(coinjoins: readonly MakerCoinjoin[]): Earnings {
  const sums = { confirmed: 0, earned: 0, pending: 0, pendingEarned: 0, failed: 0 };
  for (const { state, earned } of coinjoins) {
    if (state === 'confirmed') {
      sums.confirmed++;
      sums.earned += earned;
    } else if (state === 'pending') {
      sums.pending++;
      sums.pendingEarned += earned;
    } else sums.failed++;
  }
  return sums;
}

/** One day with at least one confirmed coinjoin. */
export interface EarningsDay {
  /** Unix seconds of the start of the day, UTC. */
  readonly at: number;
  readonly coinjoins: number;
  /** Satoshi of the equal outputs together. */
  readonly amount: number;
  readonly earned: number;
}

/** Earnings by day, the oldest first. */
export interface EarningsHistory {
  /** What was earned before the first day of the list. */
  readonly before: { readonly coinjoins: number; readonly earned: number };
  readonly days: readonly EarningsDay[];
}

/** The days on which coinjoins confirmed; at most the last `DAYS_KEPT` of them. */
export function earningsByDay(coinjoins: readonly MakerCoinjoin[]): EarningsHistory {
  const days = new Map<number, { coinjoins: number; amount: number; earned: number }>();
  for (const { state, confirmedAt, amount, earned } of coinjoins) {
    if (state !== 'confirmed' || confirmedAt === undefined) continue;
    const at = Math.floor(confirmedAt / DAY_SECONDS) * DAY_SECONDS;
    const day = days.get(at) ?? { coinjoins: 0, amount: 0, earned: 0 };
    day.coinjoins++;
    day.amount += amount;
    day.earned += earned;
    days.set(at, day);
  }
  const all = [...days].toSorted(([a], [b]) => a - b).map(([at, day]) => ({ at, ...day }));
  const older = all.slice(0, Math.max(0, all.length - DAYS_KEPT));
  const before = {
    coinjoins: older.reduce((sum, day) => sum + day.coinjoins, 0),
    earned: older.reduce((sum, day) => sum + day.earned, 0),
  };
  return { before, days: all.slice(older.length) };
}

/**
 * Whether takers can use the maker, and the reason if not. A change of the identity that is planned is no
 * fault.
 */
export function makerHealth({ noOffer, reachable, nextIdentityAt }: MakerStatus): {
  readonly ok: boolean;
  readonly reason?: string;
} {
  if (reachable === false) return { ok: false, reason: 'its onion does not answer from outside' };
  if (noOffer !== undefined && nextIdentityAt === undefined)
    return { ok: false, reason: `no offer: ${noOffer}` };
  return { ok: true };
}

const coinjoinJson = ({
  signedAt,
  confirmedAt,
  state,
  amount,
  inputs,
  inputValue,
  fee,
  earned,
}: MakerCoinjoin) => ({ signedAt, confirmedAt, state, amount, inputs, inputValue, fee, earned });

/** `/status`: times in Unix seconds, amounts in satoshi; the newest coinjoin first. */
export function statusJson(input: StatusViewInput): Readonly<Record<string, unknown>> {
  const { status, now, version, upSeconds, results, outside } = input;
  const { network, nick, location, reachable, offers, noOffer, mixdepths, bond } = status;
  const { nextIdentityAt, height, coinjoins } = status;
  return {
    role: 'maker',
    version,
    network,
    now,
    uptimeSeconds: Math.round(upSeconds),
    health: makerHealth(status),
    identity: { nick, location, nextChangeAt: nextIdentityAt },
    outside: { reachable, ...outside },
    offers: offers.map(({ type, oid, minsize, maxsize, txfee, cjfee }) => {
      return { ordertype: type, oid, minsize, maxsize, txfee, cjfee };
    }),
    noOffer,
    mixdepths: mixdepths.map(({ mixdepth, available, held }) => ({ mixdepth, available, held })),
    sessions: status.sessions.map(({ step, amount, since }) => {
      return { step, amount, seconds: Math.max(0, Math.round(now - since)) };
    }),
    ended: results,
    earnings: earningsOf(coinjoins),
    coinjoins: coinjoins.slice(-COINJOINS_LISTED).toReversed().map(coinjoinJson),
    bond: bond && { value: bond.value, lockTime: bond.lockTime },
    height,
  };
}
