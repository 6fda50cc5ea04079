/** What Lokinet says about itself, for a status page and metrics: asked at intervals over its RPC. */
import type { Log } from '../channel/log.js';
import type { Clock, DaemonState } from '../channel/ports.js';
import { errorText } from '../kit/error-text.js';
import { shownLine } from '../kit/shown-text.js';
import type { LokinetRpc, LokinetStatus } from './rpc.js';

const INTERVAL_MS = 30_000;

interface DaemonOptions {
  readonly rpc: LokinetRpc;
  readonly clock: Clock;
  readonly log: Log;
}

/** The values of a status under their names in `DaemonState`. */
export function daemonValues({
  networkReady,
  paths,
}: LokinetStatus): Pick<DaemonState, 'circuits' | 'networkLive'> {
  return {
    ...(paths === undefined ? {} : { circuits: paths > 0 }),
    ...(networkReady === undefined ? {} : { networkLive: networkReady }),
  };
}

/** Asks from the first call of `read` until `stop`. */
export class LokinetDaemon {
  readonly #options: DaemonOptions;
  readonly #stop = new AbortController();
  #state: DaemonState = { name: 'Lokinet', connected: false, detail: 'not asked yet' };
  #isStarted = false;
  #cancelNext: (() => void) | undefined;

  constructor(options: DaemonOptions) {
    this.#options = options;
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

  async #look(): Promise<void> {
    const { rpc, clock, log } = this.#options;
    const { signal } = this.#stop;
    try {
      const version = await rpc.version(signal);
      const status = await rpc.status(signal);
      const answeredAt = clock.now();
      this.#state = {
        name: 'Lokinet',
        connected: true,
        version,
        ...daemonValues(status),
        answeredAt,
      };
    } catch (error) {
      if (signal.aborted) return;
      const reason = errorText(error);
      log.debug('Lokinet does not report its state', { reason });
      const { version, answeredAt } = this.#state;
      this.#state = {
        name: 'Lokinet',
        connected: false,
        detail: shownLine(reason),
        ...(version === undefined ? {} : { version }),
        ...(answeredAt === undefined ? {} : { answeredAt }),
      };
    }
    this.#cancelNext = clock.after(INTERVAL_MS, () => void this.#look());
  }
}
