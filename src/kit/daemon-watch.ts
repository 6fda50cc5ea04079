/** What a program beside this one (Tor, Lokinet) says about itself: asked at intervals, for a status page. Pure. */
import type { Clock } from './clock.js';
import { errorText } from './error-text.js';
import { shownLine } from './shown-text.js';

/**
 * The state of the program that carries a location (for an onion: Tor), as the program reports it. A value that
 * it does not report is absent.
 */
export interface DaemonState {
  /** The name of the program, for a person: `Tor`. */
  readonly name: string;
  /** Whether it answers on its control connection. */
  readonly connected: boolean;
  /** The reason why it does not answer, for a person. */
  readonly detail?: string;
  /** Its version, as it reports it. */
  readonly version?: string;
  /** Progress of its start in percent, 0 to 100. */
  readonly bootstrapPercent?: number;
  /** The last step of its start, in its own words. */
  readonly bootstrapStep?: string;
  /** Whether it has a circuit through its network. */
  readonly circuits?: boolean;
  /** Whether it received data from its network recently. */
  readonly networkLive?: boolean;
  /** Clock milliseconds of its last answers; absent before the first. */
  readonly answeredAt?: number;
}

/** Interval between two questions, milliseconds. */
export const DAEMON_INTERVAL_MS = 30_000;

/** What it says when it answers. */
export type DaemonAnswers = Omit<DaemonState, 'name' | 'connected' | 'detail' | 'answeredAt'>;

/** What a `DaemonWatch` needs. */
export interface DaemonWatchOptions {
  readonly name: string;
  readonly clock: Clock;
  /**
   * Asks once. Rejects with an Error when it does not answer. Undefined: the connection has ended since, which
   * `lost` has reported.
   */
  readonly ask: (signal: AbortSignal) => Promise<DaemonAnswers | undefined>;
  /** It did not answer. */
  readonly onFailed: (reason: string) => void;
}

/** Asks from the first call of `read` until `stop`. One question at a time. */
export class DaemonWatch {
  readonly #options: DaemonWatchOptions;
  readonly #stop = new AbortController();
  #state: DaemonState;
  #isStarted = false;
  #cancelNext: (() => void) | undefined;

  constructor(options: DaemonWatchOptions) {
    this.#options = options;
    this.#state = { name: options.name, connected: false, detail: 'not asked yet' };
  }

  /** The last answers. The first call starts to ask. */
  read(): DaemonState {
    if (!this.#isStarted && !this.#stop.signal.aborted) {
      this.#isStarted = true;
      void this.#look();
    }
    return this.#state;
  }

  /** Asks no more. */
  stop(): void {
    this.#stop.abort();
    this.#cancelNext?.();
  }

  /** It does not answer now. Keeps what stays true: the version, and when it answered last. */
  lost(reason: string): void {
    const { version, answeredAt } = this.#state;
    this.#state = {
      name: this.#options.name,
      connected: false,
      detail: shownLine(reason),
      ...(version === undefined ? {} : { version }),
      ...(answeredAt === undefined ? {} : { answeredAt }),
    };
  }

  async #look(): Promise<void> {
    const { name, clock, ask, onFailed } = this.#options;
    const { signal } = this.#stop;
    try {
      const answers = await ask(signal);
      if (answers) this.#state = { name, connected: true, ...answers, answeredAt: clock.now() };
    } catch (error) {
      if (signal.aborted) return;
      const reason = errorText(error);
      this.lost(reason);
      onFailed(reason);
    }
    if (signal.aborted) return;
    this.#cancelNext = clock.after(DAEMON_INTERVAL_MS, () => void this.#look());
  }
}
