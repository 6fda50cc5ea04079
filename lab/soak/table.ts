/** The table of a soak: one row a minute, and one for the whole run. */
import { DELIVERY_KINDS, type DeliveryKind, type Tally } from './ledger.js';
import type { Sample } from './reports.js';

export type Deliveries = Readonly<Record<DeliveryKind, Tally>>;

export interface Row {
  readonly label: string;
  readonly deliveries: Deliveries;
  readonly honest: number;
  /** Attacks started. */
  readonly attacks: number;
  /** Share of one processor that the directory used. */
  readonly cpu: number;
  readonly sample: Sample;
  /** Longest delay of the honest peers' own event loop, milliseconds: latencies include it. */
  readonly ownLoopMs: number;
}

/** The value that a share of the numbers does not exceed; 0 for no numbers. */
export function percentile(numbers: readonly number[], share: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

export function sumOf(deliveries: Deliveries, count: 'due' | 'lost' | 'doubled' | 'stray'): number {
  return DELIVERY_KINDS.reduce((sum, kind) => sum + deliveries[kind][count], 0);
}

/** All rows of a run as one. */
export function addUp(all: readonly Deliveries[]): Deliveries {
  const add = (kind: DeliveryKind): Tally => {
    const total = {
      due: 0,
      delivered: 0,
      lost: 0,
      doubled: 0,
      stray: 0,
      latencies: [] as number[],
    };
    for (const { [kind]: part } of all) {
      total.due += part.due;
      total.delivered += part.delivered;
      total.lost += part.lost;
      total.doubled += part.doubled;
      total.stray += part.stray;
      for (const latency of part.latencies) total.latencies.push(latency);
    }
    return total;
  };
  return { public: add('public'), private: add('private'), leave: add('leave') };
}

const sum = (counters: Readonly<Record<string, number>>): number =>
  Object.values(counters).reduce((total, count) => total + count, 0);
const mb = (bytes: number): string => (bytes / 1e6).toFixed(1);

interface Column {
  readonly title: string;
  readonly width: number;
  readonly of: (row: Row) => string | number;
}

const COLUMNS: readonly Column[] = [
  { title: 'minute', width: 6, of: (row) => row.label },
  { title: 'honest', width: 6, of: (row) => row.honest },
  { title: 'conns', width: 5, of: ({ sample }) => sample.stats.connections },
  { title: 'public', width: 7, of: (row) => row.deliveries.public.delivered },
  { title: 'private', width: 7, of: (row) => row.deliveries.private.delivered },
  { title: 'leaves', width: 6, of: (row) => row.deliveries.leave.delivered },
  { title: 'lost', width: 4, of: (row) => sumOf(row.deliveries, 'lost') },
  { title: 'twice', width: 5, of: (row) => sumOf(row.deliveries, 'doubled') },
  {
    title: 'priv p50/p99/max ms',
    width: 19,
    of: ({
      deliveries: {
        private: { latencies },
      },
    }) => [0.5, 0.99, 1].map((share) => percentile(latencies, share).toFixed(0)).join('/'),
  },
  {
    title: 'pub p95 ms',
    width: 10,
    of: (row) => percentile(row.deliveries.public.latencies, 0.95).toFixed(0),
  },
  { title: 'attacks', width: 7, of: (row) => row.attacks },
  { title: 'dropped', width: 8, of: ({ sample }) => sum(sample.stats.dropped) },
  { title: 'closed', width: 7, of: ({ sample }) => sum(sample.stats.closed) },
  { title: 'rss MB', width: 6, of: ({ sample }) => mb(sample.rss) },
  { title: 'live MB', width: 7, of: ({ sample }) => mb(sample.live) },
  { title: 'fds', width: 4, of: ({ sample }) => sample.descriptors },
  { title: 'timers', width: 6, of: ({ sample }) => sample.timers },
  { title: 'cpu %', width: 5, of: (row) => (row.cpu * 100).toFixed(0) },
  { title: 'loop ms', width: 7, of: ({ sample }) => sample.loopDelayMs.toFixed(0) },
  { title: 'own loop ms', width: 11, of: (row) => row.ownLoopMs.toFixed(0) },
];

export const tableHead = (): string =>
  COLUMNS.map(({ title, width }) => title.padStart(width)).join('  ');

export const tableRow = (row: Row): string =>
  COLUMNS.map(({ of, width }) => String(of(row)).padStart(width)).join('  ');

/** The counters that are not 0, in order. */
export function nonZero(counters: Readonly<Record<string, number>>): string {
  const entries = Object.entries(counters).filter(([, count]) => count > 0);
  return entries.map(([name, count]) => `${name} ${count}`).join(', ') || 'none';
}
