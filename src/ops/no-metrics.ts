/** Metrics for a program without a metrics page: the metrics package is not loaded. */
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
