/**
 * What the status page draws: figures of a running directory, kept at equal steps for an hour and for a
 * day. Counts and times only, never a nick or an onion. Bounded: two series of at most `SERIES_LENGTH`
 * samples.
 */
import type { Clock } from '../channel/ports.js';

/** Samples of one series. */
export const SERIES_LENGTH = 360;
/** Time between two samples of the last hour, seconds. */
export const STEP_SECONDS = 10;
/** Samples of the last hour that make one of the last day: 4 minutes. */
export const STEPS_PER_DAY_SAMPLE = 24;

/** How several samples become one: their mean, or the largest. */
const COLUMNS = {
  /** Peers with a location. */
  serving: 'mean',
  /** Peers without a location. */
  notServing: 'mean',
  /** Lines received per second. */
  messagesIn: 'mean',
  /** Deliveries per second. */
  messagesOut: 'mean',
  /** Peers with bytes that they have not taken. */
  peersBehind: 'most',
  /** Bytes that the slowest peer has not taken. */
  mostBytes: 'most',
  /** Public messages that wait for the budget. */
  waitingMessages: 'most',
  /** The slowest flush, milliseconds. */
  flushMs: 'most',
  /** The longest delay of the event loop, milliseconds. */
  loopMs: 'most',
  /** Canary: from the handshake to its answer, milliseconds; absent without one. */
  handshakeMs: 'most',
  /** Canary: the slower of two private messages, milliseconds; absent without one. */
  relayMs: 'most',
  /** Refused handshakes, dropped lines and connections ended by the directory, per second. */
  refused: 'mean',
} as const;

export type ColumnName = keyof typeof COLUMNS;
// Exactly the keys of the table.
// oxlint-disable-next-line no-unsafe-type-assertion
export const COLUMN_NAMES = Object.keys(COLUMNS) as readonly ColumnName[];

/** The values of one step; absent where nothing was measured. */
export type Figures = Readonly<Partial<Record<ColumnName, number>>>;

interface Sample {
  /** Clock milliseconds. */
  readonly at: number;
  readonly figures: Figures;
}

/** A sample for another process. */
export interface PastSample {
  readonly ageMs: number;
  readonly figures: Figures;
}

/** Both series, the oldest sample first. */
export interface PastSeries {
  readonly hour: readonly PastSample[];
  readonly day: readonly PastSample[];
}

/** A series as the page gets it: one list per column, all of the same length. */
export interface SeriesJson {
  readonly stepSeconds: number;
  /** Unix seconds. */
  readonly at: readonly number[];
  readonly columns: Readonly<Record<ColumnName, readonly (number | null)[]>>;
}

export interface HistoryOptions {
  readonly clock: Clock;
  /** Milliseconds since 1970; default `Date.now`. */
  readonly epoch?: () => number;
  /** The figures of the step that ends now. @param seconds its length */
  readonly read: (seconds: number) => Figures;
  readonly past?: PastSeries | undefined;
}

/** One sample out of several. */
function merged(samples: readonly Sample[], at: number): Sample {
  const figures: Partial<Record<ColumnName, number>> = {};
  for (const name of COLUMN_NAMES) {
    const values = samples.flatMap(({ figures: { [name]: value } }) => value ?? []);
    if (values.length === 0) continue;
    const sum = values.reduce((a, b) => a + b, 0);
    figures[name] = COLUMNS[name] === 'mean' ? sum / values.length : Math.max(...values);
  }
  return { at, figures };
}

/** Three digits are enough for a plot. */
function rounded(value: number | undefined): number | null {
  return value === undefined ? null : Math.round(value * 1_000) / 1_000;
}

export class StatusHistory {
  readonly #options: HistoryOptions;
  readonly #hour: Sample[];
  readonly #day: Sample[];
  /** Samples that are not part of the day yet. */
  #fresh: Sample[] = [];
  #sampledAt = 0;
  #cancel: (() => void) | undefined;

  constructor(options: HistoryOptions) {
    const { clock, past } = options;
    const now = clock.now();
    const restored = (samples: readonly PastSample[] = []): Sample[] =>
      samples.slice(-SERIES_LENGTH).map(({ ageMs, figures }) => ({ at: now - ageMs, figures }));
    this.#options = options;
    this.#hour = restored(past?.hour);
    this.#day = restored(past?.day);
  }

  /** Takes a sample at each step from now on, until `stop`. */
  start(): void {
    const { clock, read } = this.#options;
    this.#sampledAt = clock.now();
    // Events before the first step are not part of any step.
    read(0);
    this.#next();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** For the page. */
  json(): { readonly hour: SeriesJson; readonly day: SeriesJson } {
    return {
      hour: this.#series(this.#hour, STEP_SECONDS),
      day: this.#series(this.#day, STEP_SECONDS * STEPS_PER_DAY_SAMPLE),
    };
  }

  /** For another process. */
  past(): PastSeries {
    const now = this.#options.clock.now();
    const aged = (samples: readonly Sample[]): readonly PastSample[] =>
      samples.map(({ at, figures }) => ({ ageMs: now - at, figures }));
    return { hour: aged(this.#hour), day: aged(this.#day) };
  }

  #next(): void {
    this.#cancel = this.#options.clock.after(STEP_SECONDS * 1_000, () => {
      this.#sample();
      this.#next();
    });
  }

  #sample(): void {
    const { clock, read } = this.#options;
    const at = clock.now();
    const sample = { at, figures: read((at - this.#sampledAt) / 1_000) };
    this.#sampledAt = at;
    keep(this.#hour, sample);
    this.#fresh.push(sample);
    if (this.#fresh.length < STEPS_PER_DAY_SAMPLE) return;
    keep(this.#day, merged(this.#fresh, at));
    this.#fresh = [];
  }

  #series(samples: readonly Sample[], stepSeconds: number): SeriesJson {
    const { clock, epoch = Date.now } = this.#options;
    const began = epoch() - clock.now();
    const column = (name: ColumnName): readonly (number | null)[] =>
      samples.map(({ figures }) => rounded(figures[name]));
    return {
      stepSeconds,
      at: samples.map(({ at }) => Math.round((began + at) / 1_000)),
      // One list for each name.
      // oxlint-disable-next-line no-unsafe-type-assertion
      columns: Object.fromEntries(
        COLUMN_NAMES.map((name) => [name, column(name)]),
      ) as SeriesJson['columns'],
    };
  }
}

function keep(samples: Sample[], sample: Sample): void {
  samples.push(sample);
  if (samples.length > SERIES_LENGTH) samples.shift();
}
