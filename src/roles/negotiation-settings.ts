/** What `joinmarket.cfg` says about coinjoins, in the terms of `negotiation/`. */
import { join, resolve } from 'node:path';
import type { Settings } from '../config/settings.js';
import type { DoorLimits } from '../negotiation/door.js';
import type { MakerPolicy } from '../negotiation/maker-api.js';
import type { SessionLimits } from '../negotiation/maker-sessions.js';
import type { TakerPolicy } from '../negotiation/taker-api.js';

const DEFAULT_LIST = join('cmtdata', 'commitmentlist');

/** `[POLICY] commitment_list_location`, absolute; relative paths start at the data directory. */
export function commitmentListPath({ datadir, policy }: Settings): string {
  const location = policy.commitmentListLocation;
  return resolve(datadir, location === '' || location === '.' ? DEFAULT_LIST : location);
}

/** `[YIELDGENERATOR]`; one directory or direct link may use half of what there is. */
export function doorLimits({ yieldGenerator: terms }: Settings): Partial<DoorLimits> {
  return {
    orderbookNickMs: terms.orderbookIntervalSec * 1000,
    orderbookPerLink: terms.orderbookPerSecond / 2,
    orderbookTotal: terms.orderbookPerSecond,
    fillsPerNick: terms.fillsPerMinute,
    fillsPerLink: terms.fillsPerSecond / 2,
    fillsTotal: terms.fillsPerSecond,
    refusalsTotal: terms.fillsPerSecond,
  };
}

export function sessionLimits({ yieldGenerator: terms }: Settings): Partial<SessionLimits> {
  return { proven: terms.maxSessions };
}

export function makerPolicy({ policy, yieldGenerator }: Settings): Partial<MakerPolicy> {
  return {
    takerUtxoRetries: policy.takerUtxoRetries,
    takerUtxoAge: policy.takerUtxoAge,
    takerUtxoAmtPercent: policy.takerUtxoAmtpercent,
    txWaitMs: yieldGenerator.sessionTimeoutSec * 1000,
    pendingTxTimeoutMs: yieldGenerator.pendingTxTimeoutMin * 60_000,
  };
}

export function takerPolicy({ policy, timeout }: Settings): Partial<TakerPolicy> {
  return {
    makerWaitMs: timeout.makerTimeoutSec * 1000,
    // The whole round gets what deployed takers give it (protocol document, section 9.9).
    roundMs: 20 * timeout.makerTimeoutSec * 1000,
    unconfirmedMs: timeout.unconfirmTimeoutSec * 1000,
    minimumMakers: policy.minimumMakers,
    broadcast: policy.txBroadcast,
    maxCjFeeAbs: policy.maxCjFeeAbs ?? undefined,
    maxCjFeeRel: policy.maxCjFeeRel ?? undefined,
    txFees: policy.txFees,
    txFeesFactor: policy.txFeesFactor,
    absurdFeePerKb: policy.absurdFeePerKb,
    maxSweepFeeChange: policy.maxSweepFeeChange,
  };
}
