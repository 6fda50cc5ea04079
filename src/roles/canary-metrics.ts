/** The canary's metrics on `/metrics`. */
import type { Metrics } from '../ops/metrics.js';
import type { ProbeOutcome, ProbeResult } from '../probe/probe.js';
import type { CanaryReport, CanaryState } from './canary-report.js';
import type { Counts } from './directory-figures.js';

const ROUND_TRIP_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Number of tests by outcome. */
export type CanaryCounts = Record<Exclude<ProbeOutcome, 'stopped'>, number>;

/** All zero, except for the counts of the previous process. */
export function canaryCounts(past: Counts = {}): CanaryCounts {
  return {
    unreachable: past['unreachable'] ?? 0,
    'no-answer': past['no-answer'] ?? 0,
    unfit: past['unfit'] ?? 0,
    refused: past['refused'] ?? 0,
    accepted: past['accepted'] ?? 0,
    'relay-untested': past['relay-untested'] ?? 0,
    'accepts-only': past['accepts-only'] ?? 0,
    'relays-in-part': past['relays-in-part'] ?? 0,
    relays: past['relays'] ?? 0,
  };
}

/** Absent while unknown, so that no alert fires before the first test. */
const REACHED: Readonly<Record<CanaryState, 0 | 1 | undefined>> = {
  off: undefined,
  waiting: undefined,
  untested: undefined,
  reachable: 1,
  'not-relaying': 1,
  elsewhere: 0,
  unreachable: 0,
};

const RELAYED: Readonly<Record<CanaryState, 0 | 1 | undefined>> = {
  ...REACHED,
  'not-relaying': 0,
};

/**
 * Registers the metrics. The returned function takes the result of each test and counts it in
 * `outcomes`.
 */
export function registerCanaryMetrics(
  metrics: Metrics,
  report: () => CanaryReport,
  outcomes: CanaryCounts,
): (result: ProbeResult) => void {
  metrics.gauge(
    'self_onion_reachable',
    '1 while the outside reaches this directory through its onion, else 0; absent while unknown.',
    () => REACHED[report().state],
  );
  metrics.gauge(
    'self_relay_working',
    '1 while messages sent through the onion arrive, else 0; absent while unknown.',
    () => RELAYED[report().state],
  );
  metrics.gauges('self_seconds', 'Duration of a step of the last canary probe.', 'step', () => {
    const { dialMs, handshakeMs, relayMs } = report();
    const steps = Object.entries({ dial: dialMs, handshake: handshakeMs, relay: relayMs });
    return Object.fromEntries(
      steps.flatMap(([step, ms]) => (ms === undefined ? [] : [[step, ms / 1000]])),
    );
  });
  metrics.totals('self_tests_total', 'Canary probes by result.', 'outcome', () => outcomes);
  const roundTrip = metrics.histogram(
    'self_round_trip_seconds',
    'From a handshake sent through the onion to its answer.',
    ROUND_TRIP_SECONDS,
  );
  return (result) => {
    if (result.outcome === 'stopped') return;
    outcomes[result.outcome]++;
    if ('handshakeMs' in result) roundTrip.observe(result.handshakeMs / 1000);
  };
}
