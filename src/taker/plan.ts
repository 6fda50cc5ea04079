/**
 * What a coinjoin would do, before anything is revealed: coins, the most that makers and miners get, tries
 * that are left, and the reason why it cannot begin. Nothing is written, and no maker is contacted.
 */
import { addressScript } from '../bitcoin/address.js';
import { dustLimit, feeFor, formatSatPerVbyte } from '../bitcoin/fee.js';
import { scriptKind } from '../bitcoin/script.js';
import type { Chain } from '../chain/ports.js';
import { counted, grouped } from '../kit/decimal.js';
import { MAX_COINS } from '../negotiation/payloads.js';
import type { Candidate, TakerPolicy } from '../negotiation/taker/api.js';
import {
  drawnRate,
  FALLBACK_FEE_PER_KB,
  makerCost,
  offerFault,
  policyFault,
} from '../negotiation/taker/fees.js';
import type { RandomBytes } from '../protocol/encryption.js';
import { DUST_THRESHOLD, MAX_SATOSHI } from '../protocol/offer.js';
import { WalletError, type SelectionRule, type WalletCoin } from '../wallet/api.js';
import { eligibleCoins, fundsText } from '../wallet/payment/eligible.js';
import { randomBelow } from '../wallet/payment/random.js';
import type { Wallet } from '../wallet/wallet.js';
import {
  dearestSweep,
  expectedVsize,
  mostMakerFees,
  scriptLike,
  sumOf,
  sweepAmount,
  type SweepTerms,
  type Worst,
} from './amounts.js';
import type { CoinjoinPlan, CoinjoinRequest } from './api.js';
import { chooseCoins } from './coins.js';
import { noCommitmentText } from './commitment-text.js';
import type { TakerCommitments } from './commitments.js';
import { planWarnings } from './warnings.js';
import { kindOf } from './wallet-taker.js';

/** A maker that may be asked. */
export interface PlannedMaker extends Candidate {
  /** Whether its bond has a value. */
  readonly bonded?: boolean | undefined;
}

/** What a plan depends on. */
export interface PlanOptions {
  /** Synced to the tip. */
  readonly wallet: Wallet;
  readonly chain: Chain;
  readonly commitments: TakerCommitments;
  /** Limits, fees and timeouts; the request's own take the place of its limits for makers. */
  readonly policy: TakerPolicy;
  /** In the order in which they would be asked, without two makers of one bond. */
  readonly candidates: readonly PlannedMaker[];
  readonly randomBytes: RandomBytes;
  /** How coins are chosen (`merge_algorithm`). */
  readonly rule?: SelectionRule | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The policy with the limits of a request. */
export function policyOf(request: CoinjoinRequest, policy: TakerPolicy): TakerPolicy {
  const { maxFeeAbs, maxFeeRel, minimumMakers, broadcast } = request;
  return { ...policy, maxCjFeeAbs: maxFeeAbs, maxCjFeeRel: maxFeeRel, minimumMakers, broadcast };
}

/** Script that gets our equal output; for a fresh address of the wallet one as long as it. */
export const destinationScript = ({ destination }: CoinjoinRequest, wallet: Wallet): string =>
  destination.kind === 'internal' ? scriptLike(kindOf(wallet)) : destination.script;

/** What a sweep of these coins is computed from. */
export function sweepTerms(
  { request, feePerKb }: Pick<CoinjoinPlan, 'request' | 'feePerKb'>,
  coins: readonly WalletCoin[],
  { wallet, candidates, policy }: Pick<PlanOptions, 'wallet' | 'candidates' | 'policy'>,
): SweepTerms {
  const { makers, minimumMakers } = request;
  const own = {
    inputs: coins.map(({ script }) => script),
    destination: destinationScript(request, wallet),
    kind: kindOf(wallet),
  };
  return {
    total: sumOf(coins),
    budget: (count) => feeFor(expectedVsize(own, count, false), feePerKb),
    candidates,
    makers,
    minimumMakers,
    policy: policyOf(request, policy),
  };
}

type Rate =
  | { readonly feePerKb: number; readonly fault: undefined }
  | { readonly feePerKb: number; readonly fault: string };

async function rateOf(
  { fee }: CoinjoinRequest,
  { chain, policy, randomBytes, signal }: PlanOptions,
): Promise<Rate> {
  const estimate = fee.kind === 'rate' ? fee.feePerKb : await chain.feePerKb(fee.blocks, signal);
  const chance = randomBelow(1_000_000, randomBytes) / 1_000_000;
  const rate = drawnRate(policy, estimate ?? FALLBACK_FEE_PER_KB, chance);
  if (!rate.ok) {
    const text = `${rate.detail}: give a lower fee rate`;
    return { feePerKb: estimate ?? FALLBACK_FEE_PER_KB, fault: text };
  }
  const least = (await chain.minimumFeePerKb(signal)) ?? 1;
  if (rate.feePerKb >= least) return { feePerKb: rate.feePerKb, fault: undefined };
  const text = `the node relays nothing below ${formatSatPerVbyte(least)} sat/vB: give a higher fee rate`;
  return { feePerKb: rate.feePerKb, fault: text };
}

/** What is spent, and at what most. */
interface Spending {
  readonly amount: number;
  readonly coins: readonly WalletCoin[];
  readonly worst: Worst;
  readonly makers: readonly PlannedMaker[];
  readonly obstacle: string | undefined;
  readonly isAmple: boolean;
}

const NO_COST: Worst = { makerFees: 0, minerFee: 0 };

interface SpendingInput {
  readonly request: CoinjoinRequest;
  readonly options: PlanOptions;
  readonly eligible: readonly WalletCoin[];
  readonly feePerKb: number;
  /** What the mixdepth has, for a person. */
  readonly funds: string;
}

const tooFew = (fitting: number, { minimumMakers }: CoinjoinRequest): string =>
  `the offers of ${counted(fitting, 'maker')} fit, and ${minimumMakers} are needed: wait for more offers, ` +
  'allow higher fees, or another amount';

function sweepSpending({ request, options, eligible, feePerKb, funds }: SpendingInput): Spending {
  const none = { amount: 0, coins: eligible, worst: NO_COST, makers: [], isAmple: true };
  if (eligible.length === 0) return { ...none, obstacle: `nothing can be spent: ${funds}` };
  const terms = sweepTerms({ request, feePerKb }, eligible, options);
  const { total } = terms;
  const sweep = sweepAmount(terms);
  if (sweep === undefined) {
    const { candidates } = options;
    const fits = candidates.filter(({ offer }) => offer.minsize <= total && offer.maxsize >= total);
    return { ...none, amount: total, obstacle: tooFew(fits.length, request) };
  }
  const { amount, makers } = sweep;
  const dearest = dearestSweep(terms, sweep);
  const { makerFees, minerFee } =
    dearest !== undefined && dearest.amount < amount ? dearest : sweep;
  return {
    amount,
    coins: eligible,
    worst: { makerFees: Math.max(0, makerFees), minerFee: minerFee + Math.min(0, makerFees) },
    makers: sweep.candidates.slice(0, makers),
    obstacle: undefined,
    isAmple: true,
  };
}

function fixedSpending(input: SpendingInput, amount: number): Spending {
  const { request, options, eligible, feePerKb, funds } = input;
  const { wallet, rule = 'default' } = options;
  const policy = policyOf(request, options.policy);
  const fitting = options.candidates.filter(
    ({ offer }) => offerFault(offer, amount, policy) === undefined,
  );
  const makers = fitting.slice(0, request.makers);
  const none = { amount, coins: [], worst: NO_COST, makers, isAmple: true };
  const chosen = chooseCoins({
    coins: eligible,
    amount,
    makers: request.makers,
    makerFees: mostMakerFees(fitting, amount, request.makers),
    feePerKb,
    tolerance: policy.maxSweepFeeChange,
    destination: destinationScript(request, wallet),
    kind: kindOf(wallet),
    rule,
  });
  const short = `${grouped(amount)} sat and fees are more than what can be spent: ${funds}`;
  if (chosen === undefined) return { ...none, obstacle: short };
  const fees = makers.reduce((sum, { offer }) => sum + makerCost(offer, amount), 0);
  const inputs = chosen.coins.map(({ script }) => script);
  const own = { inputs, destination: destinationScript(request, wallet), kind: kindOf(wallet) };
  const least = feeFor(expectedVsize(own, makers.length, false), feePerKb);
  if (sumOf(chosen.coins) < amount + fees + least) return { ...none, obstacle: short };
  return { amount, ...chosen, makers, obstacle: undefined };
}

/** Why the wallet or the request makes any coinjoin impossible. */
function requestFault(
  request: CoinjoinRequest,
  { wallet, policy }: PlanOptions,
): string | undefined {
  try {
    wallet.checkSpending();
  } catch (error) {
    if (error instanceof WalletError) return error.message;
    throw error;
  }
  const { amount, makers, minimumMakers, mixdepth } = request;
  const { mixdepths } = wallet.secret;
  if (!Number.isInteger(mixdepth) || mixdepth < 0 || mixdepth >= mixdepths) {
    return `there is no mixdepth ${mixdepth}: this wallet has 0 to ${mixdepths - 1}`;
  }
  if (!Number.isInteger(makers) || makers < 1 || makers < minimumMakers) {
    return `${makers} makers are fewer than the ${minimumMakers} needed: ask for more makers`;
  }
  const { destination } = request;
  if (
    destination.kind === 'address' &&
    addressScript(wallet.network, destination.address) !== destination.script
  ) {
    return `the destination is no address of ${wallet.network}`;
  }
  // The wallet would refuse to sign, after makers have seen our coins.
  if (
    destination.kind === 'address' &&
    wallet.placeOf(destination.script) !== undefined &&
    !wallet.isHandedOut(destination.script)
  ) {
    return (
      'the destination is an address of this wallet that it did not hand out: use INTERNAL, or an address of ' +
      '"onionmc wallet address"'
    );
  }
  const fault = policyFault(policyOf(request, policy));
  if (fault !== undefined) return fault.detail;
  const dust = Math.max(DUST_THRESHOLD, dustLimit(destinationScript(request, wallet)));
  if (amount === 'sweep') return undefined;
  const isFit = Number.isSafeInteger(amount) && amount >= dust && amount <= MAX_SATOSHI;
  return isFit ? undefined : `${amount} sat cannot be joined: the least is ${grouped(dust)} sat`;
}

/** Plans a coinjoin. Rejects with a `ChainError` when the source of the chain does not answer. */
export async function planCoinjoin(
  request: CoinjoinRequest,
  options: PlanOptions,
): Promise<CoinjoinPlan> {
  const { wallet, chain, commitments, candidates, signal } = options;
  const { mixdepth } = request;
  const policy = policyOf(request, options.policy);
  const fault = requestFault(request, options);
  const tip = await chain.tip(signal);
  const rate = await rateOf(request, options);
  const { feePerKb } = rate;
  const all = wallet.coins();
  const eligible = eligibleCoins(all, mixdepth, tip);
  const funds = fundsText(all, mixdepth, tip);
  const input = { request, options, eligible, feePerKb, funds };
  const spending =
    request.amount === 'sweep' ? sweepSpending(input) : fixedSpending(input, request.amount);
  const { amount, coins, worst, makers } = spending;
  const fitting = candidates.filter(({ offer }) => offerFault(offer, amount, policy) === undefined);
  const proofs = wallet.canSign ? await commitments.coins({ amount, mixdepth, coins }, signal) : [];
  const obstacle = (): string | undefined => {
    const early = fault ?? rate.fault ?? spending.obstacle;
    if (early !== undefined) return early;
    if (coins.length > MAX_COINS) {
      return `${coins.length} coins are more than the ${MAX_COINS} of one coinjoin: join a smaller amount`;
    }
    if (fitting.length < request.minimumMakers) return tooFew(fitting.length, request);
    return noCommitmentText(proofs, amount);
  };
  return {
    request,
    amount,
    coins: coins.map(({ txid, vout, value }) => ({ txid, vout, value })),
    feePerKb,
    worst,
    fitting: fitting.length,
    makers: makers.map(({ nick, offer, bonded = false }) => {
      return { nick, fee: makerCost(offer, amount), bonded };
    }),
    commitments: proofs,
    obstacle: obstacle(),
    warnings: planWarnings({
      request,
      amount,
      worst,
      fitting: fitting.length,
      isAmple: spending.isAmple,
      coins: all,
      spent: coins,
      kind: scriptKind(scriptLike(kindOf(wallet))),
      isOwn: (script) => wallet.placeOf(script),
      wasFunded: (script) => wallet.wasFunded(script),
    }),
  };
}
