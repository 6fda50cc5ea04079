/** Decides when the channel is ready (docs/protocol.md, section 4.3, without its quirk Q6). */
import type { Clock } from '../ports.js';

export interface Readiness {
  /** `onReady` was called. */
  readonly fired: boolean;
  /** Dialling begins. */
  start(): void;
  directoryUp(): void;
  close(): void;
}

export interface ReadinessOptions {
  readonly clock: Clock;
  readonly waitMs: number;
  /** Number of directories, now. */
  readonly total: () => number;
  /** Ready with the first connected directory, without waiting for others. */
  readonly atFirst?: boolean | undefined;
  /** Number of connected directories. */
  readonly countUp: () => number;
  /** Called at most once. */
  readonly onReady: (info: { readonly directories: number; readonly late: boolean }) => void;
}

export function createReadiness(options: ReadinessOptions): Readiness {
  const { clock, waitMs, total, atFirst = false, countUp, onReady } = options;
  let done = false;
  let fired = false;
  let late = false;
  let cancelTimer: (() => void) | undefined;

  function ready(directories: number): void {
    done = true;
    fired = true;
    cancelTimer?.();
    onReady({ directories, late });
  }

  return {
    get fired() {
      return fired;
    },
    start() {
      cancelTimer = clock.after(waitMs, () => {
        const up = countUp();
        if (up > 0) return ready(up);
        late = true;
      });
    },
    directoryUp() {
      const up = countUp();
      if (!done && (up === total() || late || (atFirst && up > 0))) ready(up);
    },
    close() {
      done = true;
      cancelTimer?.();
    },
  };
}
