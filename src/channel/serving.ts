/** Serves our locations: started before any directory learns of them, and repeated until it succeeds. */
import type { LocationKind } from '../protocol/location.js';
import { createBackoff } from './directories/backoff.js';
import type { ChannelTimings } from './channel-settings.js';
import type { Log } from './log.js';
import type { Clock, Connection, Overlay, Random, Served, ServiceState } from './ports.js';

export interface ServingOptions {
  readonly overlay: Overlay;
  readonly timings: ChannelTimings;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly onConnection: (connection: Connection) => void;
  readonly onServed: (locations: Served['locations']) => void;
  readonly onState: (state: ServiceState, kind: LocationKind) => void;
  readonly onFailed: (error: Error, retryInMs: number) => void;
}

export interface Serving {
  /** Waits for the overlay at most `withdrawMs`; never rejects. */
  close(): Promise<void>;
}

export function startServing(options: ServingOptions): Serving {
  const { overlay, clock, log } = options;
  const closing = new AbortController();
  const backoff = createBackoff(options.timings, options.random);
  let served: Served | undefined;
  let cancelRetry: (() => void) | undefined;
  let attempt = run();

  async function run(): Promise<void> {
    // An overlay may report its state at once; the owner of the channel can listen by now.
    await Promise.resolve();
    try {
      served = await overlay.serve(options.onConnection, {
        signal: closing.signal,
        onState: (state, kind) => {
          if (!closing.signal.aborted) options.onState(state, kind);
        },
      });
    } catch (cause) {
      if (closing.signal.aborted) return;
      const error = cause instanceof Error ? cause : new Error(String(cause));
      const retryInMs = backoff.next();
      log.warn(`cannot serve: ${error.message}`, { retryInMs });
      cancelRetry = clock.after(retryInMs, () => {
        attempt = run();
      });
      options.onFailed(error, retryInMs);
      return;
    }
    if (!closing.signal.aborted) options.onServed(served.locations);
  }

  async function withdraw(): Promise<void> {
    await attempt;
    await served?.close().catch((error: unknown) => {
      log.warn('could not withdraw the service', { reason: String(error) });
    });
  }

  return {
    async close() {
      closing.abort();
      cancelRetry?.();
      let cancelDeadline: (() => void) | undefined;
      const deadline = new Promise<void>((resolve) => {
        cancelDeadline = clock.after(options.timings.withdrawMs, () => {
          log.warn('the service was not withdrawn in time', {
            withinMs: options.timings.withdrawMs,
          });
          resolve();
        });
      });
      await Promise.race([withdraw(), deadline]);
      cancelDeadline?.();
    },
  };
}
