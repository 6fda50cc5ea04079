/** One timer for every timeout of every connection. Runs only while there are connections. */
import type { Clock } from '../../channel/ports.js';
import type { DirectoryLimits } from '../limits.js';

/** Longest delay of a timeout; two such delays stay below a second. */
const MAX_PERIOD_MS = 250;
const MIN_PERIOD_MS = 10;

export interface SweepTimer {
  /** Has no effect when it runs. */
  start(): void;
  stop(): void;
  /** After a change of the limits. */
  retime(limits: DirectoryLimits): void;
}

function periodOf(limits: DirectoryLimits): number {
  const shortest = Math.min(
    ...[
      limits.handshakeTimeoutMs,
      limits.heartbeatIntervalMs,
      limits.heartbeatPongWaitMs,
      limits.writeStallTimeoutMs,
    ].filter((ms) => ms > 0),
  );
  return Math.max(MIN_PERIOD_MS, Math.min(MAX_PERIOD_MS, shortest / 4));
}

export function createSweepTimer(
  clock: Clock,
  limits: DirectoryLimits,
  sweep: (now: number) => void,
): SweepTimer {
  let periodMs = periodOf(limits);
  let cancel: (() => void) | undefined;

  function arm(): void {
    cancel = clock.after(periodMs, () => {
      arm();
      sweep(clock.now());
    });
  }

  return {
    start() {
      if (!cancel) arm();
    },
    stop() {
      cancel?.();
      cancel = undefined;
    },
    retime(next) {
      periodMs = periodOf(next);
    },
  };
}
