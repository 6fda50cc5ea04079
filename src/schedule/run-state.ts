/**
 * What a run knows of its steps. It is on the disk beside the schedule, so that a run continues after a
 * restart. The wallet decides what was done: a transaction with the label of a step is that step. Pure.
 */
import type { ScheduleStep } from './api.js';
import { stepLine } from './lines.js';

/** How far a step is. */
export type StepProgress =
  | { readonly kind: 'open' }
  /** Its coinjoin was begun, at this time. Written before anything is revealed. */
  | { readonly kind: 'begun'; readonly at: number }
  /** Its transaction is signed, and may be in a block at any time. The txid may not be known yet. */
  | { readonly kind: 'sent'; readonly txid: string | undefined; readonly at: number }
  | {
      readonly kind: 'confirmed';
      readonly txid: string;
      readonly height: number;
      /** Time of the block, in Unix seconds. */
      readonly at: number;
    }
  /** A schedule says that it was done, and the wallet does not know how. */
  | { readonly kind: 'done' }
  /** There was nothing to move, for this reason. */
  | { readonly kind: 'skipped'; readonly reason: string };

/** A step with what happened to it. */
export interface StepRecord {
  readonly progress: StepProgress;
  /** Attempts that failed since the run began. */
  readonly failures: number;
  /** Why the last one failed, in one line. */
  readonly fault: string | undefined;
  /** No attempt before this time, in Unix seconds. */
  readonly retryAt: number;
  /** The amounts of its coinjoin, satoshi. */
  readonly paid:
    { readonly amount: number; readonly makerFees: number; readonly minerFee: number } | undefined;
}

/** Why the next step does not begin now. */
export type WaitReason =
  /** The wait that the schedule has after the previous step. */
  | 'wait'
  /** The transaction of the previous step is in no block yet. */
  | 'confirmation'
  /** No coin of the mixdepth has enough confirmations to prove itself to makers. */
  | 'young'
  /** The coins of the previous step have too few confirmations to prove them to makers. */
  | 'confirmations'
  /** Coins of the mixdepth are in no block yet. */
  | 'coins'
  /** The last attempt failed. */
  | 'retry';

/** What a run waits for. */
export interface Waiting {
  /** Number of the step, from 0. */
  readonly step: number;
  readonly reason: WaitReason;
  /** Unix seconds; undefined where a block ends the wait. */
  readonly until: number | undefined;
}

/** A run of a schedule. */
export interface RunState {
  /** 16 random hex digits. */
  readonly id: string;
  readonly wallet: string;
  readonly steps: readonly ScheduleStep[];
  /** One for each step. */
  readonly records: readonly StepRecord[];
  readonly waiting: Waiting | undefined;
}

const NEW_RECORD: StepRecord = {
  progress: { kind: 'open' },
  failures: 0,
  fault: undefined,
  retryAt: 0,
  paid: undefined,
};

/** The record of a step of which nothing is known but its mark. */
export function recordOf({ completed }: ScheduleStep): StepRecord {
  switch (completed.kind) {
    case 'open':
      return NEW_RECORD;
    case 'sent':
      return { ...NEW_RECORD, progress: { kind: 'sent', txid: completed.txid, at: 0 } };
    case 'done':
      return { ...NEW_RECORD, progress: { kind: 'done' } };
  }
}

/** A run that has not begun. */
export function newRun(
  { id, wallet }: Pick<RunState, 'id' | 'wallet'>,
  steps: readonly ScheduleStep[],
): RunState {
  return { id, wallet, steps, records: steps.map(recordOf), waiting: undefined };
}

/** The label of a step's transactions; `step` from 0, in the label from 1. */
export const stepLabel = ({ id }: Pick<RunState, 'id'>, step: number): string =>
  `schedule ${id} step ${step + 1}`;

/** The mark that a line gets for what happened to its step. */
function markFor({ progress }: StepRecord, step: ScheduleStep): ScheduleStep['completed'] {
  switch (progress.kind) {
    case 'open':
    case 'begun':
      return { kind: 'open' };
    case 'sent':
      return progress.txid === undefined ? { kind: 'open' } : { kind: 'sent', txid: progress.txid };
    case 'confirmed':
      return { kind: 'sent', txid: progress.txid };
    case 'done':
    case 'skipped':
      return step.completed.kind === 'sent' ? step.completed : { kind: 'done' };
  }
}

/** Another record for a step, and its mark. */
export function withRecord(state: RunState, index: number, changes: Partial<StepRecord>): RunState {
  const record = state.records[index];
  const step = state.steps[index];
  if (record === undefined || step === undefined) return state;
  const changed = { ...record, ...changes };
  return {
    ...state,
    records: state.records.with(index, changed),
    steps: state.steps.with(index, { ...step, completed: markFor(changed, step) }),
  };
}

/** A line without its mark: what a person may not change once its step began. */
export const lineWithoutMark = (step: ScheduleStep): string =>
  stepLine({ ...step, completed: { kind: 'open' } });
