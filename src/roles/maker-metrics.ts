/** A maker's metrics on `/metrics`: sums and counts, no nick, no onion, no coin. */
import type { MakerStatus } from '../maker/api.js';
import { MAKER_STEPS, type MakerFigures } from '../maker/figures.js';
import { earningsOf } from '../maker/status-view.js';
import type { Metrics } from '../ops/metrics.js';
import type { OutsideReport } from './outside-test.js';

export interface MakerMetricSources {
  readonly status: () => MakerStatus;
  readonly figures: MakerFigures;
  readonly outside: () => OutsideReport;
  /** Seconds since 1970. */
  readonly now: () => number;
}

const asNumber = (flag: boolean | undefined): number | undefined =>
  flag === undefined ? undefined : Number(flag);

function registerCoins(metrics: Metrics, status: () => MakerStatus): void {
  const byMixdepth = (
    read: (funds: MakerStatus['mixdepths'][number]) => number,
  ): Record<string, number> =>
    Object.fromEntries(status().mixdepths.map((each) => [String(each.mixdepth), read(each)]));
  metrics.gauges(
    'maker_available_satoshi',
    'Coins that coinjoins could spend now.',
    'mixdepth',
    () => byMixdepth(({ available }) => available),
  );
  metrics.gauges(
    'maker_held_satoshi',
    'Coins of sessions and of signed transactions that may still confirm.',
    'mixdepth',
    () => byMixdepth(({ held }) => held),
  );
  metrics.gauge('maker_offers', 'Offers that are announced.', () => status().offers.length);
  metrics.gauge('maker_offer_max_satoshi', 'The largest amount of any offer.', () =>
    status().offers.reduce((most, { maxsize }) => Math.max(most, maxsize), 0),
  );
  metrics.gauge(
    'maker_bond_value',
    'Value of the announced bond; absent without one, or while it is unknown.',
    () => status().bond?.value,
  );
  metrics.gauge(
    'maker_bond_locked_until_seconds',
    'Lock time of the announced bond in Unix seconds; absent without one.',
    () => status().bond?.lockTime,
  );
  metrics.gauge(
    'maker_height',
    'Height up to which the wallet has read the chain.',
    () => status().height,
  );
}

function registerCoinjoins(metrics: Metrics, sources: MakerMetricSources): void {
  const { status, figures } = sources;
  const earnings = () => earningsOf(status().coinjoins);
  metrics.gauges('maker_sessions', 'Sessions that run, by step.', 'step', () => {
    const counts = Object.fromEntries(MAKER_STEPS.map((step) => [step, 0]));
    for (const { step } of status().sessions) counts[step] = (counts[step] ?? 0) + 1;
    return counts;
  });
  metrics.totals(
    'maker_sessions_ended_total',
    'Sessions that ended since the start, by result.',
    'result',
    () => figures.results,
  );
  metrics.gauges('maker_coinjoins', 'Signed coinjoins of the wallet, by state.', 'state', () => {
    const { confirmed, pending, failed } = earnings();
    return { confirmed, pending, failed };
  });
  metrics.gauge(
    'maker_earned_satoshi',
    'Earned by coinjoins in the chain, in all.',
    () => earnings().earned,
  );
  metrics.gauge(
    'maker_pending_satoshi',
    'Would be earned by coinjoins that may still confirm.',
    () => earnings().pendingEarned,
  );
  metrics.gauge(
    'maker_oldest_pending_seconds',
    'Age of the oldest signed coinjoin that is not settled; absent without one.',
    () => {
      const times = status().coinjoins.flatMap(({ state, signedAt }) =>
        state === 'pending' ? [signedAt] : [],
      );
      return times.length === 0 ? undefined : Math.max(0, sources.now() - Math.min(...times));
    },
  );
}

/** Registers the metrics of a maker; they are read on each request. */
export function registerMakerMetrics(metrics: Metrics, sources: MakerMetricSources): void {
  const { status, outside } = sources;
  registerCoins(metrics, status);
  registerCoinjoins(metrics, sources);
  metrics.gauge(
    'maker_reachable',
    "1 while the maker's own onion answers from outside, else 0; absent while unknown.",
    () => asNumber(status().reachable),
  );
  metrics.gauges('maker_self_tests', 'Tests of the own onion since the start.', 'kind', () => {
    const { tests, failures } = outside();
    return { all: tests, failed: failures };
  });
  metrics.gauge(
    'maker_identity',
    '1 while the maker has a nick and an onion, 0 while they change.',
    () => Number(status().nick !== undefined && status().location !== undefined),
  );
}
