/** What a soak of coinjoins found out, and whether it passed. Pure. */
import { percentile } from '../table.js';
import type { Point } from '../verdict.js';
import type { MinedCoinjoin } from './accountant.js';

/** How a round ended. */
export interface RoundRecord {
  readonly number: number;
  readonly isSweep: boolean;
  /** Whether as many honest makers as needed could take part. */
  readonly hadEnough: boolean;
  /** Undefined when it did not complete. */
  readonly txid: string | undefined;
  /** `fault: detail` of a round that did not complete. */
  readonly reason: string;
  readonly seconds: number;
  /** Names of what makers did wrong. */
  readonly misbehaviours: readonly string[];
  /** Makers that failed in it. */
  readonly failed: number;
}

export interface SoakResult {
  readonly rounds: readonly RoundRecord[];
  readonly coinjoins: readonly MinedCoinjoin[];
  /** Of the accountant. */
  readonly faults: readonly string[];
  /** Books of wallets that differ from the chain, sessions that are left, unexpected faults. */
  readonly left: readonly string[];
  /** Looks of makers at the chain that the node did not answer. */
  readonly unanswered: number;
  /** Unhandled rejections and uncaught exceptions. */
  readonly unhandled: number;
}

/** The least share of completed rounds. */
const LEAST_COMPLETED = 0.99;

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

export function judge(result: SoakResult): readonly Point[] {
  const { rounds, coinjoins, faults, left, unhandled } = result;
  const enough = rounds.filter(({ hadEnough }) => hadEnough);
  const done = enough.filter(({ txid }) => txid !== undefined).length;
  const share = enough.length === 0 ? 1 : done / enough.length;
  const mined = new Set(coinjoins.map(({ txid }) => txid));
  const missing = rounds.filter(({ txid }) => txid !== undefined && !mined.has(txid)).length;
  return [
    {
      what: 'rounds that had enough honest makers and completed',
      seen: `${done} of ${enough.length}, ${percent(share)} (bound ${percent(LEAST_COMPLETED)})`,
      passed: share >= LEAST_COMPLETED,
    },
    {
      what: 'completed coinjoins that are not in a block',
      seen: String(missing),
      passed: missing === 0,
    },
    {
      what: 'parties with less than agreed, to the satoshi',
      seen: `${faults.length} of ${coinjoins.length} coinjoins`,
      passed: faults.length === 0,
    },
    {
      what: 'books that differ from the chain',
      seen: String(left.length),
      passed: left.length === 0,
    },
    { what: 'unhandled rejections', seen: String(unhandled), passed: unhandled === 0 },
  ];
}

/** The lines above the verdict. */
export function summaryLines(result: SoakResult): readonly string[] {
  const { rounds, coinjoins, faults, left, unanswered } = result;
  const seconds = rounds.filter(({ txid }) => txid !== undefined).map((round) => round.seconds);
  const at = (share: number): string => percentile(seconds, share).toFixed(2);
  const completed = rounds.filter(({ txid }) => txid !== undefined);
  const counts = new Map<string, number>();
  for (const name of rounds.flatMap(({ misbehaviours }) => misbehaviours)) {
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const shown = [...counts].toSorted(([a], [b]) => a.localeCompare(b));
  const sum = (of: (coinjoin: MinedCoinjoin) => number): number =>
    coinjoins.reduce((total, coinjoin) => total + of(coinjoin), 0);
  return [
    `rounds: ${rounds.length}; completed: ${completed.length}, of them sweeps: ` +
      `${completed.filter(({ isSweep }) => isSweep).length}; ` +
      `without enough honest makers: ${rounds.filter(({ hadEnough }) => !hadEnough).length}`,
    `seconds per completed round: median ${at(0.5)}, p95 ${at(0.95)}, longest ${at(1)}`,
    `makers that failed in a round: ${rounds.reduce((all, { failed }) => all + failed, 0)}`,
    `in blocks: ${coinjoins.length} coinjoins, ${sum(({ makers }) => makers.length)} makers, ` +
      `${sum(({ makerFees }) => makerFees)} sat to makers, ${sum(({ minerFee }) => minerFee)} sat to miners`,
    `looks at the chain that the node did not answer, and that were repeated: ${unanswered}`,
    `misbehaviour: ${shown.map(([name, count]) => `${name} ${count}`).join(', ') || 'none'}`,
    ...rounds
      .filter(({ txid, hadEnough }) => txid === undefined && hadEnough)
      .map(({ number, reason }) => `round ${number} did not complete: ${reason}`),
    ...faults.map((fault) => `accountant: ${fault}`),
    ...left.map((fault) => `left: ${fault}`),
  ];
}
