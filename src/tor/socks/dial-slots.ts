/**
 * Limits simultaneous dials: a Tor client's work grows with the square of its pending connections (200
 * at once took 6.5 s, 16 at a time 2.6 s), so the others wait.
 */

/** Frees the slot; further calls have no effect. */
export type ReleaseSlot = () => void;

export interface DialSlots {
  readonly busy: number;
  readonly waiting: number;
  /**
   * A slot, in the order of the requests. Rejects with the signal's reason when aborted while waiting,
   * and with `full()` when too many wait already.
   */
  acquire(signal: AbortSignal, full: () => Error): Promise<ReleaseSlot>;
}

export function createDialSlots(limit: number, maxWaiting: number): DialSlots {
  let busy = 0;
  const queue = new Set<() => void>();

  function take(): ReleaseSlot {
    busy += 1;
    let released = false;
    return () => {
      if (released) return;
      released = true;
      busy -= 1;
      const [next] = queue;
      next?.();
    };
  }

  return {
    get busy() {
      return busy;
    },
    get waiting() {
      return queue.size;
    },
    async acquire(signal, full) {
      signal.throwIfAborted();
      if (busy < limit) return take();
      if (queue.size >= maxWaiting) throw full();
      return new Promise((resolve, reject) => {
        const leave = (): void => {
          queue.delete(granted);
          signal.removeEventListener('abort', aborted);
        };
        const granted = (): void => {
          leave();
          resolve(take());
        };
        const aborted = (): void => {
          leave();
          // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- the signal's own reason
          reject(signal.reason);
        };
        queue.add(granted);
        signal.addEventListener('abort', aborted, { once: true });
      });
    },
  };
}
