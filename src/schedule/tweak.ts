/**
 * Changes a step that failed, to improve the chance of the next attempt: a sweep gets one maker fewer, and
 * the fractions of a mixdepth are drawn again, with the same sum. Nothing else of the schedule changes. Pure.
 */
import type { Random } from '../channel/ports.js';
import { LEAST_FRACTION, type ScheduleStep } from './api.js';
import { fractions } from './draws.js';
import { groupOf, movedBefore } from './order.js';
import type { RunState } from './run-state.js';

/** Indices of the open fractions of the group, from this step on. */
function openFractions({ steps, records }: RunState, index: number): readonly number[] {
  const { to } = groupOf(steps, index);
  return Array.from({ length: to - index }, (_, offset) => index + offset).filter(
    (at) => steps[at]?.amount.kind === 'fraction' && records[at]?.progress.kind === 'open',
  );
}

const isSweep = (step: ScheduleStep | undefined): boolean => step?.amount.kind === 'sweep';

const valueOf = (step: ScheduleStep | undefined): number =>
  step?.amount.kind === 'fraction' ? step.amount.value : 0;

/** Steps in which the fractions from `index` on are drawn again. */
function redrawn(state: RunState, index: number, random: Random): readonly ScheduleStep[] {
  const { steps } = state;
  const { to } = groupOf(steps, index);
  const places = openFractions(state, index);
  const endsInSweep = isSweep(steps[to - 1]);
  const open = places.reduce((sum, at) => sum + valueOf(steps[at]), 0);
  // The sweep takes a part that is drawn too; without one, the sum of the fractions stays the same.
  const drawn = fractions(places.length + (endsInSweep ? 1 : 0), random);
  const whole = endsInSweep ? 1 - movedBefore(state, index) : open;
  // Where the fractions of a person's schedule exceed the whole, there is nothing to divide.
  if (whole <= places.length * LEAST_FRACTION) return steps;
  return places.reduce((result, at, order) => {
    const step = result[at];
    const value = Math.max(LEAST_FRACTION, whole * (drawn[order] ?? 0));
    return step === undefined || value >= 1
      ? result
      : result.with(at, { ...step, amount: { kind: 'fraction', value } });
  }, steps);
}

/** The steps of a run after a failure of one of them, which is open again. */
export function tweaked(
  state: RunState,
  index: number,
  minimumMakers: number,
  random: Random,
): readonly ScheduleStep[] {
  const step = state.steps[index];
  switch (step?.amount.kind) {
    case undefined:
    case 'satoshi':
      return state.steps;
    case 'sweep': {
      const makers = Math.min(step.makers, Math.max(minimumMakers, step.makers - 1));
      return state.steps.with(index, { ...step, makers });
    }
    case 'fraction':
      return redrawn(state, index, random);
  }
}
