/** What a step asks a taker for, from the coins that there are. Pure. */
import type { RunState } from './run-state.js';
import { stepLabel } from './run-state.js';
import { NO_ROUNDING, type ScheduleStep, type StepOrder } from './api.js';
import type { WalletFacts } from './facts.js';

/** Rounded to significant figures, in whole satoshi; half is rounded up. */
export function roundedAmount(value: number, figures: number): number {
  const unit = 10 ** Math.max(0, String(value).length - figures);
  return Math.round(value / unit) * unit;
}

/** The consecutive steps of one mixdepth around a step: its first index and the index after its last. */
export function groupOf(
  steps: readonly ScheduleStep[],
  index: number,
): { readonly from: number; readonly to: number } {
  const isOther = (step: ScheduleStep): boolean => step.mixdepth !== steps[index]?.mixdepth;
  const before = steps.slice(0, index).findLastIndex(isOther);
  const after = steps.slice(index).findIndex(isOther);
  return { from: before + 1, to: after === -1 ? steps.length : index + after };
}

/** Sum of the fractions that steps before this one moved out of its mixdepth. */
export function movedBefore({ steps, records }: RunState, index: number): number {
  const { from } = groupOf(steps, index);
  return steps.slice(from, index).reduce((sum, { amount }, offset) => {
    const kind = records[from + offset]?.progress.kind;
    const isMoved = kind !== 'open' && kind !== 'begun' && kind !== 'skipped';
    return sum + (isMoved && amount.kind === 'fraction' ? amount.value : 0);
  }, 0);
}

/**
 * The amount of a fraction: as large a part of what can be spent now as the fraction is of what earlier
 * steps of its group have left. Without fees that is the fraction of what there was before the group.
 */
function fractionOf(state: RunState, index: number, fraction: number, available: number): number {
  const left = 1 - movedBefore(state, index);
  // A schedule of a person may have fractions that exceed the whole together.
  return Math.floor(available * Math.min(1, left <= 0 ? 1 : fraction / left));
}

/**
 * What a fraction leaves in its mixdepth, satoshi: where a sweep comes later in its group, the smallest amount
 * of a sweep, and as much again for the fees until then. Else the sweep would be skipped, and the coins stay.
 */
function leftForSweep({ steps }: RunState, index: number, mincjamount: number): number {
  const later = steps.slice(index + 1, groupOf(steps, index).to);
  return later.some(({ amount }) => amount.kind === 'sweep') ? 2 * mincjamount : 0;
}

/** A step that can begin, one that needs an address first, or the reason for which there is nothing to do. */
export type Ordered =
  | { readonly kind: 'order'; readonly order: StepOrder }
  | { readonly kind: 'ask' }
  | { readonly kind: 'coins' }
  | { readonly kind: 'skip'; readonly reason: string };

/** The request of a step; `mincjamount` is the smallest amount of a sweep or a fraction. */
export function orderOf(
  state: RunState,
  index: number,
  facts: WalletFacts,
  mincjamount: number,
): Ordered {
  const step = state.steps[index];
  const coins = step && facts.mixdepths[step.mixdepth];
  if (step === undefined || coins === undefined)
    return { kind: 'skip', reason: 'no such mixdepth' };
  const { mixdepth, makers, amount, destination, rounding } = step;
  const { available, pending } = coins;
  // A sweep leaves nothing behind, so it waits for what is on its way.
  if (pending > 0 && (amount.kind !== 'satoshi' || available === 0)) return { kind: 'coins' };
  if (available === 0) return { kind: 'skip', reason: `mixdepth ${mixdepth} has no coin to spend` };
  if (amount.kind !== 'satoshi' && available < mincjamount) {
    const reason = `mixdepth ${mixdepth} has ${available} sat, less than mincjamount (${mincjamount} sat)`;
    return { kind: 'skip', reason };
  }
  if (destination.kind === 'ask') return { kind: 'ask' };
  const order = { mixdepth, makers, destination, label: stepLabel(state, index) };
  if (amount.kind === 'sweep') return { kind: 'order', order: { ...order, amount: 'sweep' } };
  if (amount.kind === 'satoshi') {
    return { kind: 'order', order: { ...order, amount: amount.value } };
  }
  const most = available - leftForSweep(state, index, mincjamount);
  if (most < mincjamount) {
    const reason = `a part of the ${available} sat in mixdepth ${mixdepth} would leave too little for the sweep after it`;
    return { kind: 'skip', reason };
  }
  const exact = fractionOf(state, index, amount.value, available);
  const rounded = rounding === NO_ROUNDING ? exact : roundedAmount(exact, rounding);
  const value = Math.min(most, Math.max(mincjamount, rounded > available ? exact : rounded));
  return { kind: 'order', order: { ...order, amount: value } };
}
