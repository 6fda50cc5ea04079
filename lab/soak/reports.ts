/** The messages between the three processes of a soak, over the channel of `child_process.fork`. */
import type { DirectoryStats } from '../../src/directory/stats.js';

/** A sample of the directory's process. Sizes in bytes. */
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
  /** Lines that it logged at `info` or above. */
  readonly logLines: number;
  /** Unhandled rejections and uncaught exceptions. */
  readonly faults: number;
  readonly stats: DirectoryStats;
}

/** The port of the directory; its first message. */
export interface Listening {
  readonly kind: 'listening';
  readonly port: number;
}

/** A report of the directory's process. */
export type DirectoryReport = Sample | Listening;

/** An order to the directory's process. */
export type DirectoryOrder = 'sample' | 'stop';

/** An order to the hostile process: the victims during the soak, or the end of all attacks. */
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

/** A report of the hostile process: connections and lines so far, by kind of attack. */
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
