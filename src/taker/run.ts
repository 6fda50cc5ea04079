/**
 * Runs a coinjoin that was planned, from the first `fill` to a transaction in the network. Everything that a
 * restart needs is in the journal before it leaves the program; `resume.ts` continues from there.
 */
import { rateOf } from '../bitcoin/fee.js';
import { parseTransaction } from '../bitcoin/transaction.js';
import type { Log } from '../channel/log.js';
import { errorText } from '../kit/error-text.js';
import type { Clock } from '../kit/clock.js';
import { shownText } from '../negotiation/payloads.js';
import type { NegotiationChannel } from '../negotiation/resender.js';
import {
  NOTHING_REVEALED,
  type Candidate,
  type MakerReport,
  type Revealed,
} from '../negotiation/taker/api.js';
import { runCoinjoin, type RoundProgress } from '../negotiation/taker/coinjoin.js';
import { makerCost, offerFault } from '../negotiation/taker/fees.js';
import { affordable, sweepWithin } from './amounts.js';
import type {
  CoinjoinEvent,
  CoinjoinOutcome,
  CoinjoinPhase,
  CoinjoinPlan,
  CompleteCoinjoin,
} from './api.js';
import { policyOf, sweepTerms, type PlanOptions } from './plan.js';
import { RoundChain } from './round-chain.js';
import { asRunningRound } from './running-rounds.js';
import { WalletTaker } from './wallet-taker.js';

/** What a coinjoin needs beside its plan. The candidates may be fewer than, or others than, those of the plan. */
export interface RunOptions extends PlanOptions {
  /** Reaches the makers. The caller closes it. */
  readonly channel: NegotiationChannel;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends it early. The outcome says what was revealed. */
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: CoinjoinEvent) => void) | undefined;
}

const PHASES: Readonly<Record<RoundProgress['phase'], CoinjoinPhase | undefined>> = {
  gathering: 'gathering',
  funding: 'funding',
  collecting: 'collecting',
  checking: 'signing',
  signing: 'signing',
  keeping: 'signing',
  pushing: 'pushing',
  broadcasting: 'broadcasting',
  ended: undefined,
};

type Failed = Extract<CoinjoinOutcome, { readonly ok: false }>;

const failed = (
  fault: Failed['fault'],
  detail: string,
  makers: readonly MakerReport[] = [],
  revealed: Revealed = NOTHING_REVEALED,
): Failed => ({ ok: false, fault, detail, failed: makers, revealed });

/** Makers that failed; one that was not needed did not. */
const failures = (makers: readonly MakerReport[]): readonly MakerReport[] =>
  makers.filter(({ failure }) => failure !== undefined && failure.fault !== 'unused');

/** The amount, and the makers that cannot cost more than the plan allows. */
interface Round {
  readonly amount: number;
  readonly makers: number;
  readonly candidates: readonly Candidate[];
}

/** A sweep that costs at most what the plan allows, with these makers. */
function sweepRound(
  plan: CoinjoinPlan,
  options: Pick<RunOptions, 'wallet' | 'candidates' | 'policy'>,
): Round | undefined {
  const coins = plan.coins.map((coin) => options.wallet.coin(coin));
  return sweepWithin(sweepTerms(plan, coins, options), plan.worst);
}

function fixedRound(plan: CoinjoinPlan, amount: number, options: RunOptions): Round | undefined {
  const { request } = plan;
  const policy = policyOf(request, options.policy);
  const fitting = options.candidates.filter(
    ({ offer }) => offerFault(offer, amount, policy) === undefined,
  );
  const candidates = affordable(fitting, amount, request.makers, plan.worst.makerFees);
  const makers = Math.min(request.makers, candidates.length);
  return makers < Math.max(1, request.minimumMakers) ? undefined : { amount, makers, candidates };
}

/** The transaction that a round made; its wallet signed it. */
function completeOf(
  transaction: Uint8Array,
  reports: readonly MakerReport[],
  { amount }: Round,
  taker: WalletTaker,
): CompleteCoinjoin {
  const parsed = parseTransaction(transaction);
  const { paid } = taker;
  if (!parsed.ok || paid === undefined) throw new Error('a round ended unsettled');
  const { txid, vsize } = parsed.value;
  const { makerFees, minerFee } = paid;
  return {
    txid,
    amount,
    makers: reports
      .filter(({ step }) => step === 'signed')
      .map(({ nick, offer }) => ({ nick, fee: makerCost(offer, amount) })),
    makerFees,
    minerFee,
    feeRate: rateOf(minerFee, vsize),
  };
}

/** A listener that throws must not end a coinjoin half-way, nor hide how it ended. */
function teller({ onEvent, log }: RunOptions): (event: CoinjoinEvent) => void {
  return (event) => {
    try {
      onEvent?.(event);
    } catch (error) {
      log.error('a listener of a coinjoin failed', { reason: shownText(errorText(error)) });
    }
  };
}

/**
 * Runs a planned coinjoin. Always resolves; nothing of it runs afterwards. The cost never exceeds the plan's
 * worst case. With the fault `not-broadcast` our signatures are out: `resumeCoinjoins` continues.
 */
export async function runTakerCoinjoin(
  plan: CoinjoinPlan,
  options: RunOptions,
): Promise<CoinjoinOutcome> {
  try {
    return await asRunningRound(options.wallet, () => run(plan, options));
  } catch (error) {
    return failed('wallet', shownText(errorText(error)));
  }
}

async function run(plan: CoinjoinPlan, options: RunOptions): Promise<CoinjoinOutcome> {
  const { request, obstacle, worst, coins, feePerKb } = plan;
  const { wallet, chain, commitments, randomBytes, log, clock, channel, signal } = options;
  if (obstacle !== undefined) return failed('wallet', obstacle);
  const isSweep = request.amount === 'sweep';
  let round = isSweep ? sweepRound(plan, options) : fixedRound(plan, plan.amount, options);
  if (round === undefined) {
    const detail = `too few makers cost no more than planned; ${request.minimumMakers} are needed: plan again`;
    return failed('too-few-makers', detail);
  }
  const policy = policyOf(request, options.policy);
  const tell = teller(options);
  const view = new RoundChain(chain, clock);
  const taker = new WalletTaker({
    wallet,
    chain,
    commitments,
    randomBytes,
    log,
    request,
    coins,
    worst,
    tolerance: policy.maxSweepFeeChange,
    onComplete: ({ bytes }) => view.watch(bytes, wallet.height),
  });
  let shown = '';
  const onProgress = ({ phase, makers }: RoundProgress): void => {
    const name = PHASES[phase];
    if (name === undefined) return;
    const text = JSON.stringify([name, [...makers]]);
    if (text !== shown) tell({ kind: 'phase', phase: name, makers });
    shown = text;
  };
  /** A sweep without the makers that failed: dearer ones may take their places. */
  const resize = (candidates: readonly Candidate[]): Round | undefined => {
    const next = sweepRound(plan, { ...options, candidates });
    round = next ?? round;
    return next;
  };
  const result = await runCoinjoin({
    channel,
    network: wallet.network,
    wallet: taker,
    chain: view,
    commitments: commitments.store,
    ...round,
    sweep: isSweep,
    ...(isSweep && { resize }),
    feePerKb,
    policy,
    clock,
    randomBytes,
    log,
    ...(signal === undefined ? {} : { signal }),
    onProgress,
    onAgain: (reason) => tell({ kind: 'again', reason }),
  });
  await taker.settled();
  const { unsignedTxid } = taker;
  if (!result.ok) {
    const { fault, detail, makers, revealed, transaction } = result;
    const end = failed(fault, detail, failures(makers), revealed);
    if (transaction === undefined) return end;
    return { ...end, transaction: completeOf(transaction, makers, round, taker) };
  }
  if (unsignedTxid === undefined) throw new Error('a round ended unsettled');
  try {
    await wallet.markSeen(unsignedTxid, true);
  } catch (error) {
    // The next look at the chain marks it.
    log.error('a coinjoin is complete, but its record was not written', {
      reason: shownText(errorText(error)),
    });
  }
  tell({
    kind: 'phase',
    phase: 'done',
    makers: new Map(
      result.makers.map(({ nick, step, failure }) => [nick, failure ? 'failed' : step]),
    ),
  });
  return {
    ok: true,
    ...completeOf(result.transaction, result.makers, round, taker),
    failed: failures(result.makers),
    broadcastBy: result.broadcastBy,
  };
}
