/**
 * What the open steps of a schedule would move and cost at most, if the coins that there are now went through
 * them. Nothing is asked of anybody. Pure.
 */
import { feeFor } from '../bitcoin/fee.js';
import { transactionVsize } from '../bitcoin/size.js';
import type { MixdepthFacts, WalletFacts } from './facts.js';
import { orderOf } from './order.js';
import { withRecord, type RunState } from './run-state.js';

export interface CostTerms {
  /** Most that one maker gets: satoshi, and a share of the amount; the higher one counts. */
  readonly maxFeeAbs: number | undefined;
  readonly maxFeeRel: number | undefined;
  /** Highest fee rate that may be drawn, sat/kvB. */
  readonly feePerKb: number;
  /** How far above the expected fee the real one may be, as a share of it. */
  readonly tolerance: number;
  readonly mincjamount: number;
}

/** A step of a dry run; amounts in satoshi. */
export interface StepCost {
  /** From 0. */
  readonly step: number;
  readonly amount: number;
  readonly makerFees: number;
  readonly minerFee: number;
  /** Why there is nothing to do; undefined for a step that moves coins. */
  readonly skipped: string | undefined;
}

/** Coins that a maker is expected to bring, as in a taker's plan. */
const MAKER_INPUTS = 3;
const SCRIPT = `0014${'00'.repeat(20)}`;

function minerFeeOf(
  ownInputs: number,
  makers: number,
  hasChange: boolean,
  terms: CostTerms,
): number {
  const vsize = transactionVsize({
    inputs: Array.from({ length: ownInputs + MAKER_INPUTS * makers }, () => 'p2wpkh' as const),
    outputs: Array.from({ length: (hasChange ? 2 : 1) + 2 * makers }, () => SCRIPT),
  });
  return Math.floor(feeFor(vsize, terms.feePerKb) * (1 + terms.tolerance));
}

function makerFeesOf(amount: number, makers: number, { maxFeeAbs = 0, maxFeeRel = 0 }: CostTerms) {
  return makers * Math.max(maxFeeAbs, Math.ceil(amount * maxFeeRel));
}

/** The coins after a step that moved an amount. */
function moved(
  mixdepths: readonly MixdepthFacts[],
  from: number,
  spent: number,
  to: { readonly mixdepth: number; readonly value: number } | undefined,
): readonly MixdepthFacts[] {
  return mixdepths.map((facts): MixdepthFacts => {
    const { mixdepth } = facts;
    const arrives = mixdepth === to?.mixdepth ? to.value : 0;
    const leaves = mixdepth === from ? spent : 0;
    const available = facts.available + arrives - leaves;
    const kept = leaves > 0 ? 1 : facts.count;
    const count = available === 0 ? 0 : kept + (arrives > 0 ? 1 : 0);
    return { ...facts, available, count, pending: 0 };
  });
}

/** A state in which an address stands for each one that is asked for. */
function answeredAll(state: RunState): RunState {
  const steps = state.steps.map((step) => {
    const destination = { kind: 'address', address: '', script: '' } as const;
    return step.destination.kind === 'ask' ? { ...step, destination } : step;
  });
  return { ...state, steps };
}

/** The open steps, in their order. Coins that are on their way count as if they had arrived. */
export function costsOf(
  before: RunState,
  facts: WalletFacts,
  terms: CostTerms,
): readonly StepCost[] {
  let state = answeredAll(before);
  let mixdepths: readonly MixdepthFacts[] = facts.mixdepths.map((one) => {
    return { ...one, available: one.available + one.pending, pending: 0 };
  });
  const costs: StepCost[] = [];
  for (const [index, step] of state.steps.entries()) {
    const kind = state.records[index]?.progress.kind;
    if (kind !== 'open' && kind !== 'begun') continue;
    const ordered = orderOf(state, index, { ...facts, mixdepths }, terms.mincjamount);
    if (ordered.kind !== 'order') {
      const skipped = ordered.kind === 'skip' ? ordered.reason : undefined;
      costs.push({ step: index, amount: 0, makerFees: 0, minerFee: 0, skipped });
      continue;
    }
    const { makers, amount } = ordered.order;
    const source = mixdepths[step.mixdepth];
    const available = source?.available ?? 0;
    const isSweep = amount === 'sweep';
    const minerFee = minerFeeOf(source?.count ?? 1, makers, !isSweep, terms);
    const makerFees = makerFeesOf(isSweep ? available : amount, makers, terms);
    const value = isSweep ? available - makerFees - minerFee : amount;
    const spent = value + makerFees + minerFee;
    if (value <= 0 || spent > available) {
      const skipped = `mixdepth ${step.mixdepth} may have too little for the fees at worst`;
      costs.push({ step: index, amount: Math.max(0, value), makerFees, minerFee, skipped });
      continue;
    }
    const target = { mixdepth: (step.mixdepth + 1) % mixdepths.length, value };
    const isInternal = step.destination.kind === 'internal';
    mixdepths = moved(mixdepths, step.mixdepth, spent, isInternal ? target : undefined);
    state = withRecord(state, index, { progress: { kind: 'done' } });
    costs.push({ step: index, amount: value, makerFees, minerFee, skipped: undefined });
  }
  return costs;
}
