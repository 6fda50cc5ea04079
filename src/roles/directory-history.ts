/** The history of a directory for its status page, and for the process that continues it. */
import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import type { Clock } from '../channel/ports.js';
import type { Directory, DirectoryStats, FlushReport } from '../directory/directory.js';
import type { Movable, Parcels } from '../kit/movable.js';
import { LOOP_LOOK_MS } from '../ops/loop-look.js';
import { isRecord, recordOf } from '../kit/json-record.js';
import type { CanaryReport } from './canary-report.js';
import { Refusals, refusedIn, type RefusalJson } from './refusals.js';
import {
  COLUMN_NAMES,
  SERIES_LENGTH,
  StatusHistory,
  type Figures,
  type PastSample,
  type PastSeries,
} from './status-history.js';

export interface DirectoryHistoryOptions {
  readonly directory: Pick<Directory, 'stats' | 'kinds' | 'queuedBytes'>;
  readonly canary: () => CanaryReport;
  readonly clock: Clock;
  /** Milliseconds since 1970; default `Date.now`. */
  readonly epoch?: () => number;
  readonly past: PastSeries | undefined;
}

function sum(counters: Readonly<Record<string, number>>): number {
  return Object.values(counters).reduce((total, count) => total + count, 0);
}

/** Milliseconds of the last canary probe; absent where it measured nothing. */
function canaryFigures({ state, handshakeMs, relayMs }: CanaryReport): Figures {
  if (state !== 'reachable' && state !== 'not-relaying') return {};
  return {
    ...(handshakeMs === undefined ? {} : { handshakeMs }),
    ...(relayMs === undefined ? {} : { relayMs }),
  };
}

export class DirectoryHistory {
  readonly #options: DirectoryHistoryOptions;
  readonly #series: StatusHistory;
  readonly #refusals: Refusals;
  readonly #loop: IntervalHistogram = monitorEventLoopDelay({ resolution: LOOP_LOOK_MS });
  #before: DirectoryStats;
  #slowestFlushMs = 0;

  constructor(options: DirectoryHistoryOptions) {
    const { clock, directory, past, epoch = Date.now } = options;
    this.#options = options;
    this.#before = directory.stats();
    this.#refusals = new Refusals(clock);
    const read = (seconds: number): Figures => this.#read(seconds);
    this.#series = new StatusHistory({ clock, epoch, past, read });
  }

  /** To be called for each flush. */
  flushed({ tookMs }: FlushReport): void {
    this.#slowestFlushMs = Math.max(this.#slowestFlushMs, tookMs);
  }

  start(): void {
    this.#loop.enable();
    this.#series.start();
  }

  stop(): void {
    this.#loop.disable();
    this.#series.stop();
  }

  /** `/history`. */
  json(): Readonly<Record<string, unknown>> {
    const refusals: readonly RefusalJson[] = this.#refusals.json(this.#options.directory.stats());
    return { ...this.#series.json(), refusals };
  }

  /** The parcel for the next process. */
  readonly move: Movable = {
    hold: () => Promise.resolve([{ key: HISTORY, value: this.#series.past() }]),
    release() {},
  };

  #read(seconds: number): Figures {
    const { directory, canary } = this.#options;
    const now = directory.stats();
    const before = this.#before;
    this.#before = now;
    this.#refusals.note(now);
    const perSecond = (read: (stats: DirectoryStats) => number): number =>
      seconds === 0 ? 0 : Math.max(0, read(now) - read(before)) / seconds;
    const { serving, notServing } = directory.kinds();
    const queued = directory.queuedBytes();
    const loopMs = Math.max(0, this.#loop.max / 1e6 - LOOP_LOOK_MS);
    this.#loop.reset();
    const flushMs = this.#slowestFlushMs;
    this.#slowestFlushMs = 0;
    return {
      serving,
      notServing,
      messagesIn: perSecond(({ messagesIn }) => sum(messagesIn)),
      messagesOut: perSecond(({ messagesOut }) => sum(messagesOut)),
      peersBehind: queued.filter((bytes) => bytes > 0).length,
      mostBytes: queued.reduce((most, bytes) => Math.max(most, bytes), 0),
      waitingMessages: now.waitingMessages,
      flushMs,
      loopMs,
      ...canaryFigures(canary()),
      refused: perSecond(refusedIn),
    };
  }
}

const HISTORY = 'history';
/** Older samples are not shown: the longest series has a day. */
const MAX_AGE_MS = 2 * 86_400_000;
/** Larger figures are none that a directory can have. */
const MAX_FIGURE = 1e15;

function pastSampleOf(value: unknown): readonly PastSample[] {
  const fields = recordOf(value);
  const { ageMs } = fields;
  if (typeof ageMs !== 'number' || !(ageMs >= 0 && ageMs <= MAX_AGE_MS)) return [];
  const given = recordOf(fields['figures']);
  const figures = COLUMN_NAMES.flatMap((name) => {
    const figure = given[name];
    const isFigure = typeof figure === 'number' && figure >= 0 && figure <= MAX_FIGURE;
    return isFigure ? [[name, figure] as const] : [];
  });
  return [{ ageMs, figures: Object.fromEntries(figures) }];
}

function pastSamplesOf(value: unknown): readonly PastSample[] {
  return Array.isArray(value) ? value.slice(-SERIES_LENGTH).flatMap(pastSampleOf) : [];
}

/** The history of the previous process; undefined without one. A sample that cannot be read is left out. */
export function historyIn(parcels: Parcels | undefined): PastSeries | undefined {
  const value = parcels?.get(HISTORY)?.value;
  if (!isRecord(value)) return undefined;
  return { hour: pastSamplesOf(value['hour']), day: pastSamplesOf(value['day']) };
}
