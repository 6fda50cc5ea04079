/** What the three processes of a soak tell each other over the channel of `child_process.fork`. */
import type { DirectoryStats } from '../../src/directory/stats.js';

/** A look at the directory's process. Sizes in bytes. */
export interface Sample {
  readonly kind: 'sample';
  readonly rss: number;
  /** Heap and buffers outside it, after a full collection. */
  readonly live: number;
  readonly descriptors: number;
  /** Timers that are set. */
  readonly timers: number;
  /** Processor time since the start, milliseconds. */
  readonly cpuMs: number;
  /** Longest delay of its event loop since the last sample, milliseconds. */
  readonly loopDelayMs: number;
  /** Lines it logged at `info` or above. */
  readonly logLines: number;
  /** Unhandled rejections and uncaught exceptions. */
  readonly faults: number;
  readonly stats: DirectoryStats;
}

/** Where the directory listens; its first word. */
export interface Listening {
  readonly kind: 'listening';
  readonly port: number;
}

/** What a directory's process says. */
export type DirectoryReport = Sample | Listening;

/** What the directory's process is told. */
export type DirectoryOrder = 'sample' | 'stop';

/** What the hostile process is told: whom to attack as the soak goes on, or to end everything. */
export type HostileOrder =
  | {
      readonly kind: 'start';
      readonly port: number;
      /** Honest peers that stay for the whole run. */
      readonly victims: readonly Victim[];
      /** The seed of its random choices. */
      readonly seed: number;
    }
  | { readonly kind: 'count' }
  | { readonly kind: 'stop' };

export interface Victim {
  readonly nick: string;
  readonly location: string;
}

/** What the hostile process says: connections and lines so far by kind of attack. */
export interface HostileReport {
  readonly kind: 'attacks';
  readonly attacks: Readonly<Record<string, number>>;
  readonly connections: number;
  readonly open: number;
  readonly faults: number;
}

function isKind(value: unknown, kinds: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null || !('kind' in value)) return false;
  return typeof value.kind === 'string' && kinds.includes(value.kind);
}

export function isDirectoryReport(value: unknown): value is DirectoryReport {
  return isKind(value, ['sample', 'listening']);
}

export function isHostileReport(value: unknown): value is HostileReport {
  return isKind(value, ['attacks']);
}
