/**
 * Keeps the process alive. The timers of a `Clock` never do that, so whoever promised to go on, and
 * waits for the moment without a socket, holds the process by this.
 */

/** Never called in practice, and nothing happens when it is. */
const PERIOD_MS = 2 ** 30;

/** The process does not end by itself until the returned function was called. */
export function keepAlive(): () => void {
  const timer = setInterval(() => {}, PERIOD_MS);
  return () => clearInterval(timer);
}
