/** Converts the coinjoin settings of `joinmarket.cfg` to the options of `negotiation/`. */
import type { PolicySettings, Settings } from '../config/settings.js';
import type { BlacklistOptions } from '../negotiation/maker/blacklist.js';
import type { ChoicePolicy } from '../taker/choose.js';
import type { RequestLimits } from '../negotiation/maker/request-limits.js';
import type { OfferTerms } from '../maker/offers.js';
import type { MakerPolicy } from '../negotiation/maker/api.js';
import type { SessionLimits } from '../negotiation/maker/sessions.js';
import type { FeePolicy } from '../negotiation/taker/fees.js';
import type { TakerPolicy } from '../negotiation/taker/api.js';
import type { BondPolicy } from '../protocol/fidelity-bond.js';

export { bondFilePath, commitmentListPath } from '../config/data-files.js';

/** How a maker stores used commitments. */
export function blacklistOptions(
  { policy }: Settings,
  ports: Pick<BlacklistOptions, 'store' | 'relay'>,
): BlacklistOptions {
  return { ...ports, acceptBroadcasts: policy.acceptCommitmentBroadcasts };
}

/** `[YIELDGENERATOR]`; one directory or direct link may use half of each limit. */
export function requestLimits({ yieldGenerator: terms }: Settings): Partial<RequestLimits> {
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

/**
 * The terms of offers, for `fundedOffers`.
 * @param family prefix for the addresses of the wallet
 */
export function offerTerms(
  { yieldGenerator: terms }: Settings,
  family: OfferTerms['family'],
): OfferTerms {
  return {
    ordertype: terms.ordertype,
    family,
    cjfeeAbsolute: terms.cjfeeA,
    cjfeeRelative: terms.cjfeeR,
    cjfeeFactor: terms.cjfeeFactor,
    txfee: terms.txfeeContribution,
    txfeeFactor: terms.txfeeContributionFactor,
    minsize: terms.minsize,
    sizeFactor: terms.sizeFactor,
    dual: terms.dualOffers,
  };
}

/** Simultaneous coinjoins, for `MakerCoinjoins.limits`. */
export function sessionLimits({ yieldGenerator: terms }: Settings): Partial<SessionLimits> {
  return { proven: terms.maxSessions };
}

/** A maker's requirements and timeouts, for `MakerCoinjoins.policy`. */
export function makerPolicy({ policy, yieldGenerator }: Settings): Partial<MakerPolicy> {
  return {
    takerUtxoRetries: policy.takerUtxoRetries,
    takerUtxoAge: policy.takerUtxoAge,
    takerUtxoAmtPercent: policy.takerUtxoAmtpercent,
    txWaitMs: yieldGenerator.sessionTimeoutSec * 1000,
    pendingTxTimeoutMs: yieldGenerator.pendingTxTimeoutMin * 60_000,
  };
}

/** A taker's timeouts, requirements and fees, for `runCoinjoin`. */
export function takerPolicy({ policy, timeout }: Settings): Partial<TakerPolicy> {
  return {
    makerWaitMs: timeout.makerTimeoutSec * 1000,
    // The time limit of a round is that of deployed takers (docs/protocol.md, section 9.9).
    roundMs: 20 * timeout.makerTimeoutSec * 1000,
    unconfirmedMs: timeout.unconfirmTimeoutSec * 1000,
    minimumMakers: policy.minimumMakers,
    broadcast: policy.txBroadcast,
    ...feePolicy(policy),
  };
}

function feePolicy(policy: PolicySettings): FeePolicy {
  return {
    maxCjFeeAbs: policy.maxCjFeeAbs ?? undefined,
    maxCjFeeRel: policy.maxCjFeeRel ?? undefined,
    txFees: policy.txFees,
    txFeesFactor: policy.txFeesFactor,
    absurdFeePerKb: policy.absurdFeePerKb,
    maxSweepFeeChange: policy.maxSweepFeeChange,
  };
}

/** Which makers a taker accepts and how it chooses them, for `chooseMakers`. */
export function choicePolicy({ policy }: Settings): ChoicePolicy {
  return {
    ...feePolicy(policy),
    bondlessMakersAllowance: policy.bondlessMakersAllowance,
    maxBondShare: policy.maxBondShare,
    minBondedShare: policy.minBondedShare,
  };
}

/** How bonds are valued, for orderbook, taker and watcher. */
export function bondPolicy({ policy }: Settings): BondPolicy {
  return { interestRate: policy.interestRate, exponent: policy.bondValueExponent };
}
