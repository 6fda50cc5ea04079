/**
 * Counters and gauges in Prometheus's format. Only sums: no nick, no onion, and not which peer talks to
 * which.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { LOOP_LOOK_MS } from './loop-look.js';

const PREFIX = 'onionmc_';

export interface CounterMetric {
  add(amount?: number, labels?: Readonly<Record<string, string>>): void;
}

export interface HistogramMetric {
  observe(value: number): void;
}

/** The metrics of one program. Names get the prefix `onionmc_`. */
export interface Metrics {
  /** A counter. Label values must come from a fixed set, never from a peer. */
  counter(name: string, help: string, labels?: readonly string[]): CounterMetric;
  /** A gauge, read on each request; left out while it is undefined. */
  gauge(name: string, help: string, read: () => number | undefined): void;
  /** The same with one value for each value of a label. */
  gauges(
    name: string,
    help: string,
    label: string,
    read: () => Readonly<Record<string, number>>,
  ): void;
  /** A counter that is kept elsewhere and read on each request; it must never fall. */
  total(name: string, help: string, read: () => number): void;
  /** The same with one sum for each value of a label. */
  totals(
    name: string,
    help: string,
    label: string,
    read: () => Readonly<Record<string, number>>,
  ): void;
  histogram(name: string, help: string, buckets: readonly number[]): HistogramMetric;
  readonly contentType: string;
  /** All metrics as text. */
  text(): Promise<string>;
}

export interface MetricsOptions {
  /** Also memory, CPU and event loop of the process. Default true. */
  readonly processMetrics?: boolean;
}

export function createMetrics({ processMetrics = true }: MetricsOptions = {}): Metrics {
  const registry = new Registry();
  if (processMetrics) {
    collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LOOP_LOOK_MS });
  }
  const registers = [registry];
  return {
    counter(name, help, labels = []) {
      const counter = new Counter({
        name: PREFIX + name,
        help,
        labelNames: [...labels],
        registers,
      });
      return {
        add(amount = 1, values) {
          if (values === undefined) counter.inc(amount);
          else counter.inc({ ...values }, amount);
        },
      };
    },
    gauge(name, help, read) {
      const gauge: Gauge = new Gauge({
        name: PREFIX + name,
        help,
        registers: [],
        collect() {
          const now = read();
          if (now === undefined) gauge.remove();
          else gauge.set(now);
        },
      });
      registry.registerMetric(gauge);
    },
    gauges(name, help, label, read) {
      const gauge: Gauge = new Gauge({
        name: PREFIX + name,
        help,
        labelNames: [label],
        registers: [],
        collect() {
          gauge.reset();
          for (const [value, now] of Object.entries(read())) gauge.set({ [label]: value }, now);
        },
      });
      registry.registerMetric(gauge);
    },
    total(name, help, read) {
      const counter = new Counter({
        name: PREFIX + name,
        help,
        registers: [],
        collect() {
          counter.reset();
          counter.inc(read());
        },
      });
      registry.registerMetric(counter);
    },
    totals(name, help, label, read) {
      const counter = new Counter({
        name: PREFIX + name,
        help,
        labelNames: [label],
        registers: [],
        collect() {
          counter.reset();
          for (const [value, sum] of Object.entries(read())) counter.inc({ [label]: value }, sum);
        },
      });
      registry.registerMetric(counter);
    },
    histogram(name, help, buckets) {
      const histogram = new Histogram({
        name: PREFIX + name,
        help,
        buckets: [...buckets],
        registers,
      });
      return { observe: (value) => histogram.observe(value) };
    },
    contentType: registry.contentType,
    text: () => registry.metrics(),
  };
}
