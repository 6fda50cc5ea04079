/** The canary of a directory node, from the node's options, with its metrics. */
import { randomBytes } from 'node:crypto';
import type { Log } from '../channel/log.js';
import type { Clock } from '../channel/ports.js';
import type { Metrics } from '../ops/metrics.js';
import { createNickKey } from '../protocol/nick.js';
import { Canary } from './canary.js';
import { registerCanaryMetrics, type CanaryCounts } from './canary-metrics.js';
import type { CanaryReport } from './canary-report.js';
import type { DirectoryNodeOptions } from './directory-node-api.js';
import type { SelfTests } from './self-tests.js';

/** What the node itself gives to its canary. */
export interface CanarySide {
  readonly nick: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly selfTests: SelfTests;
  /** Counts its tests. */
  readonly counts: CanaryCounts;
  /** The state of the previous process, to continue with. */
  readonly past: CanaryReport | undefined;
  readonly onUnreachable: () => void;
}

export function createNodeCanary(options: DirectoryNodeOptions, node: CanarySide): Canary {
  const { network, overlay, canaryIntervalMs = 0, random = Math.random } = options;
  const { nick, clock, log, metrics, selfTests, counts, past, onUnreachable } = node;
  const canary = new Canary({
    past,
    dialer: overlay,
    network,
    nick,
    intervalMs: canaryIntervalMs,
    newNickKey: () => createNickKey(randomBytes),
    selfTests,
    showsCode: options.gate !== undefined,
    clock,
    random,
    log,
    onUnreachable,
    onTest: (result) => {
      count(result);
      options.onCanaryProbe?.(result);
    },
  });
  const count = registerCanaryMetrics(metrics, () => canary.report(), counts);
  return canary;
}
