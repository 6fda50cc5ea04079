/** What happens to a run when a step begins, when its coinjoin ends, and when a person answers. Pure. */
import type { Random } from '../channel/ports.js';
import { shownLine } from '../kit/shown-text.js';
import type { CoinjoinOutcome } from '../taker/api.js';
import type { ScheduleStep, StepDestination } from './api.js';
import type { RunTerms } from './decide.js';
import { lineWithoutMark, recordOf, withRecord, type RunState } from './run-state.js';
import { tweaked } from './tweak.js';

/** Longest fault that is kept. */
const MAX_FAULT = 300;

type Failed = Extract<CoinjoinOutcome, { readonly ok: false }>;

/** What is done about a fault. */
const REMEDIES: Readonly<Record<Failed['fault'], 'end' | 'retry' | 'tweak'>> = {
  // Only a person can change these.
  'no-fee-limit': 'end',
  'bad-policy': 'end',
  'bad-funding': 'end',
  'too-large': 'end',
  wallet: 'end',
  // These pass without a change of the step.
  chain: 'retry',
  port: 'retry',
  'absurd-fee': 'retry',
  'miner-fee': 'retry',
  'no-commitment': 'retry',
  'not-broadcast': 'retry',
  stopped: 'retry',
  // Another amount or another number of makers may do.
  'sweep-fee': 'tweak',
  'fee-limit': 'tweak',
  'too-few-makers': 'tweak',
  'no-funds': 'tweak',
  unsigned: 'tweak',
  'bad-signature': 'tweak',
  timeout: 'tweak',
};

/** The step begins. This must be on the disk before the coinjoin reveals anything. */
export function begun(state: RunState, step: number, now: number): RunState {
  const progress = { kind: 'begun', at: now } as const;
  return { ...withRecord(state, step, { progress }), waiting: undefined };
}

/** Seconds before the next attempt. */
export function retryDelay(failures: number, { liquiditywait, longestWait }: RunTerms): number {
  return Math.min(longestWait, liquiditywait * 2 ** Math.min(30, failures - 1));
}

/** The coinjoin of a step ended. */
export function ended(
  state: RunState,
  index: number,
  outcome: CoinjoinOutcome,
  {
    terms,
    now,
    random,
  }: { readonly terms: RunTerms; readonly now: number; readonly random: Random },
): RunState {
  const record = state.records[index];
  if (record === undefined) return state;
  if (outcome.ok) {
    const { txid, amount, makerFees, minerFee } = outcome;
    const paid = { amount, makerFees, minerFee };
    return withRecord(state, index, {
      progress: { kind: 'sent', txid, at: now },
      fault: undefined,
      failures: 0,
      paid,
    });
  }
  const fault = shownLine(outcome.detail, MAX_FAULT);
  // The transaction may appear at any time. What the wallet shows decides whether it is done again.
  if (outcome.revealed.signatures || outcome.fault === 'not-broadcast') {
    return withRecord(state, index, {
      progress: { kind: 'sent', txid: undefined, at: now },
      fault,
    });
  }
  const progress = { kind: 'open' } as const;
  if (outcome.fault === 'stopped') return withRecord(state, index, { progress, fault });
  const remedy = REMEDIES[outcome.fault];
  const failures =
    remedy === 'end' ? Math.max(terms.attempts, record.failures + 1) : record.failures + 1;
  const retryAt = now + retryDelay(failures, terms);
  const changed = withRecord(state, index, { progress, fault, failures, retryAt });
  if (remedy !== 'tweak') return changed;
  return { ...changed, steps: tweaked(changed, index, terms.minimumMakers, random) };
}

/** A person gave the address of a step. */
export function answered(
  state: RunState,
  index: number,
  destination: Extract<StepDestination, { readonly kind: 'address' }>,
): RunState {
  const step = state.steps[index];
  if (step === undefined) return state;
  return { ...state, steps: state.steps.with(index, { ...step, destination }) };
}

/**
 * A run that a person starts again: attempts are counted anew, and no failure delays the first one.
 */
export function restarted(state: RunState): RunState {
  return {
    ...state,
    records: state.records.map((record) => ({ ...record, failures: 0, retryAt: 0 })),
    waiting: undefined,
  };
}

/** A run with the lines of a schedule file that was changed meanwhile. Marks of the file count. */
export function withSteps(state: RunState, steps: readonly ScheduleStep[]): RunState {
  const records = steps.map((step, index) => {
    const known = state.records[index];
    const fresh = recordOf(step);
    if (known === undefined) return fresh;
    const isOpen = known.progress.kind === 'open' || known.progress.kind === 'begun';
    return isOpen && fresh.progress.kind !== 'open' ? fresh : known;
  });
  const merged: RunState = { ...state, steps, records };
  // The mark of a step whose transaction was sent before a crash is written again.
  return records.reduce<RunState>(
    (result, record, index) => withRecord(result, index, record),
    merged,
  );
}

/**
 * The first step that began and is another one in the file now, from 0; undefined where there is none. A mark
 * may be changed by a person, and open steps may be changed, added and removed.
 */
export function changedStep(state: RunState, steps: readonly ScheduleStep[]): number | undefined {
  const at = state.records.findIndex(({ progress }, index) => {
    const now = steps[index];
    const before = state.steps[index];
    const isOpen = progress.kind === 'open' || before === undefined;
    return !isOpen && (now === undefined || lineWithoutMark(now) !== lineWithoutMark(before));
  });
  return at === -1 ? undefined : at;
}
