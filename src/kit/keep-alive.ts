/**
 * Keeps the process alive. The timers of a `Clock` do not, so code that waits without a socket needs
 * this.
 */

/** Never called in practice, and has no effect. */
const PERIOD_MS = 2 ** 30;

/** The process does not end by itself until the returned function is called. */
export function keepAlive(): () => void {
  const timer = setInterval(() => {}, PERIOD_MS);
  return () => clearInterval(timer);
}
