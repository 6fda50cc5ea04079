/** The metrics of a program that nobody can ask for them: the package that keeps them is not loaded. */
import type { Metrics } from './metrics.js';

export const NO_METRICS: Metrics = {
  counter: () => ({ add() {} }),
  gauge() {},
  gauges() {},
  total() {},
  totals() {},
  histogram: () => ({ observe() {} }),
  contentType: 'text/plain; charset=utf-8',
  text: () => Promise.resolve(''),
};
