/** Whether a soak passed, point by point. */
import * as bounds from './bounds.js';
import type { HonestPeerFaults } from './honest-peers.js';
import type { Sample } from './reports.js';
import { percentile, sumOf, type Deliveries, type Row } from './table.js';

export interface Point {
  readonly what: string;
  /** The value seen, and the value allowed. */
  readonly seen: string;
  readonly passed: boolean;
}

export interface Evidence {
  readonly rows: readonly Row[];
  readonly total: Deliveries;
  readonly faults: Readonly<HonestPeerFaults>;
  /** Unhandled rejections and uncaught exceptions of the other two processes. */
  readonly otherFaults: number;
  /** Before the first peer came. */
  readonly before: Sample;
  /** After all peers left. */
  readonly after: Sample;
  /** Exit code of the directory's process. */
  readonly exitCode: number;
}

const ms = (value: number): string => `${value.toFixed(0)} ms`;
const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

function isZero(what: string, count: number): Point {
  return { what, seen: String(count), passed: count === 0 };
}

function atMost(what: string, value: number, bound: number, unit: (n: number) => string): Point {
  return { what, seen: `${unit(value)} (bound ${unit(bound)})`, passed: value <= bound };
}

function same(what: string, before: number, after: number): Point {
  return { what, seen: `${before} before, ${after} after`, passed: after <= before };
}

/** Growth from the highest of the first fifth of the rows to the highest of the last. */
function growth(rows: readonly Row[], of: (sample: Sample) => number): number {
  const fifth = Math.max(1, Math.floor(rows.length / 5));
  const highest = (some: readonly Row[]): number =>
    Math.max(...some.map(({ sample }) => of(sample)));
  return highest(rows.slice(-fifth)) - highest(rows.slice(0, fifth));
}

export function judge(evidence: Evidence): readonly Point[] {
  const { rows, total, faults, before, after } = evidence;
  const points = [
    isZero('honest deliveries lost', sumOf(total, 'lost')),
    isZero('honest deliveries doubled', sumOf(total, 'doubled')),
    isZero('stray deliveries', sumOf(total, 'stray')),
    isZero('messages under a false name', faults.forged),
    isZero('honest peers cut off', faults.cutOff),
    isZero('honest peers refused', faults.refused),
    atMost('private p99', percentile(total.private.latencies, 0.99), bounds.PRIVATE_P99_MS, ms),
    atMost('public p95', percentile(total.public.latencies, 0.95), bounds.PUBLIC_P95_MS, ms),
    isZero('unhandled rejections', after.faults + evidence.otherFaults),
    isZero('exit code of the directory', evidence.exitCode),
    isZero('peers after all left', after.stats.peers),
    isZero('connections after all left', after.stats.connections),
    isZero('nick claims after all left', after.stats.nickClaims),
    same('descriptors', before.descriptors, after.descriptors),
    same('timers', before.timers, after.timers),
    atMost('live memory left over', after.live - before.live, bounds.LIVE_LEFTOVER_BYTES, mb),
    atMost(
      'log lines a minute',
      after.logLines / Math.max(1, rows.length),
      bounds.LOG_LINES_PER_MINUTE,
      (lines) => lines.toFixed(1),
    ),
  ];
  if (rows.length >= bounds.ROWS_FOR_GROWTH) {
    points.push(
      atMost(
        'live memory growth',
        growth(rows, (s) => s.live),
        bounds.LIVE_GROWTH_BYTES,
        mb,
      ),
      atMost(
        'resident memory growth',
        growth(rows, (s) => s.rss),
        bounds.RSS_GROWTH_BYTES,
        mb,
      ),
    );
  }
  return points;
}
