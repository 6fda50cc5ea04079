/**
 * What a run does next. Everything follows from the steps, the wallet and the time, so a run that was killed
 * at any point continues as if it had not been: a step whose transaction the wallet has is never done again,
 * and every wait ends at a time that the chain or the state has. Pure.
 */
import type { StepOrder } from './api.js';
import type { TransactionFacts, WalletFacts } from './facts.js';
import { orderOf } from './order.js';
import {
  stepLabel,
  withRecord,
  type RunState,
  type StepProgress,
  type WaitReason,
} from './run-state.js';

/** The limits of a run. */
export interface RunTerms {
  /** Fewest makers of a sweep that is tried again. */
  readonly minimumMakers: number;
  /** Smallest amount of a fraction or a sweep, satoshi. */
  readonly mincjamount: number;
  /** Confirmations that the previous step needs before the next one begins; at least 1. */
  readonly confirmations: number;
  /** Seconds before the second attempt of a step; each further wait is twice as long. */
  readonly liquiditywait: number;
  /** Longest wait between two attempts, in seconds. */
  readonly longestWait: number;
  /** Attempts of one step before the run ends. */
  readonly attempts: number;
}

export const DEFAULT_RUN_TERMS: RunTerms = {
  minimumMakers: 4,
  mincjamount: 100_000,
  confirmations: 5,
  liquiditywait: 60,
  longestWait: 1_800,
  attempts: 20,
};

export type Decision =
  | { readonly kind: 'coinjoin'; readonly step: number; readonly order: StepOrder }
  /** A person must give the address of the step. */
  | { readonly kind: 'ask'; readonly step: number }
  | {
      readonly kind: 'wait';
      readonly step: number;
      readonly reason: WaitReason;
      /** Unix seconds; undefined where only a block can end the wait. */
      readonly until: number | undefined;
    }
  /** Every step is done or skipped. */
  | { readonly kind: 'finished' }
  /** A step failed too often. */
  | { readonly kind: 'failed'; readonly step: number };

/** What the wallet knows of a step: a confirmed transaction counts before one that may confirm. */
function transactionOf(
  state: RunState,
  index: number,
  { transactions }: WalletFacts,
): TransactionFacts | undefined {
  const label = stepLabel(state, index);
  const progress = state.records[index]?.progress;
  const txid = progress !== undefined && 'txid' in progress ? progress.txid : undefined;
  const own = transactions.filter(
    (one) => one.label === label || (txid !== undefined && one.txid === txid),
  );
  return (
    own.find((one) => one.state === 'confirmed') ??
    own.find((one) => one.state === 'pending') ??
    own.at(0)
  );
}

function progressOf(found: TransactionFacts, now: number): StepProgress {
  const { txid, height, time } = found;
  if (found.state === 'lost') return { kind: 'open' };
  if (found.state === 'confirmed' && txid !== undefined && height !== undefined) {
    // The times of blocks may be ahead of the clock.
    return { kind: 'confirmed', txid, height, at: Math.min(time, now) };
  }
  return { kind: 'sent', txid, at: time };
}

/** Brings the steps up to what the wallet shows. */
export function reconciled(state: RunState, facts: WalletFacts, now: number): RunState {
  return state.steps.reduce((result, _step, index) => {
    const record = result.records[index];
    const kind = record?.progress.kind;
    if (kind === undefined || kind === 'done' || kind === 'skipped') return result;
    const found = transactionOf(result, index, facts);
    if (found !== undefined) {
      const progress = progressOf(found, now);
      const isLost = progress.kind === 'open' && kind !== 'open' && kind !== 'begun';
      const last = progress.kind === 'confirmed' ? undefined : record?.fault;
      const fault = isLost
        ? 'its transaction can confirm no more: another one spent a coin of it, or it was given up'
        : last;
      return withRecord(result, index, { progress, fault });
    }
    // The journal has a signature before it leaves: nothing was signed for a step without a transaction.
    const isKnown =
      record !== undefined && 'txid' in record.progress && record.progress.txid !== undefined;
    if (!isKnown && kind !== 'open')
      return withRecord(result, index, { progress: { kind: 'open' } });
    return result;
  }, state);
}

type Wait = Extract<Decision, { readonly kind: 'wait' }>;

/** What the step must wait for because of the steps before it. */
function waitAfter(
  { steps, records }: RunState,
  index: number,
  facts: WalletFacts,
  terms: RunTerms,
  now: number,
): Wait | undefined {
  const wait = { kind: 'wait', step: index } as const;
  const isSent = records.slice(0, index).some(({ progress }) => progress.kind === 'sent');
  if (isSent) return { ...wait, reason: 'confirmation', until: undefined };
  const last = records
    .slice(0, index)
    .findLastIndex(({ progress }) => progress.kind === 'confirmed');
  const previous = records[last]?.progress;
  const minutes = steps[last]?.waitMinutes;
  if (previous?.kind !== 'confirmed' || minutes === undefined) return undefined;
  if (facts.height - previous.height + 1 < terms.confirmations) {
    return { ...wait, reason: 'confirmations', until: undefined };
  }
  const until = previous.at + Math.ceil(minutes * 60);
  return now < until ? { ...wait, reason: 'wait', until } : undefined;
}

/** Decides, and brings the state up to date. */
export function decide(
  before: RunState,
  facts: WalletFacts,
  terms: RunTerms,
  now: number,
): { readonly state: RunState; readonly decision: Decision } {
  let state = reconciled(before, facts, now);
  for (;;) {
    const step = state.records.findIndex(({ progress }) => progress.kind === 'open');
    const record = state.records[step];
    if (record === undefined) {
      const sent = state.records.findIndex(({ progress }) => progress.kind === 'sent');
      if (sent === -1) return { state, decision: { kind: 'finished' } };
      const wait = { kind: 'wait', step: sent, reason: 'confirmation', until: undefined } as const;
      return { state, decision: wait };
    }
    if (record.failures >= terms.attempts) return { state, decision: { kind: 'failed', step } };
    const wait = waitAfter(state, step, facts, terms, now);
    if (wait !== undefined) return { state, decision: wait };
    const ordered = orderOf(state, step, facts, terms.mincjamount);
    if (ordered.kind === 'skip') {
      state = withRecord(state, step, { progress: { kind: 'skipped', reason: ordered.reason } });
      continue;
    }
    if (ordered.kind === 'coins') {
      return { state, decision: { kind: 'wait', step, reason: 'coins', until: undefined } };
    }
    if (now < record.retryAt) {
      return { state, decision: { kind: 'wait', step, reason: 'retry', until: record.retryAt } };
    }
    // No coin of the mixdepth can prove itself to makers: an attempt would only fail.
    const mixdepth = state.steps[step]?.mixdepth ?? 0;
    if ((facts.mixdepths[mixdepth]?.age ?? 0) < terms.confirmations) {
      return { state, decision: { kind: 'wait', step, reason: 'young', until: undefined } };
    }
    const decision: Decision =
      ordered.kind === 'ask'
        ? { kind: 'ask', step }
        : { kind: 'coinjoin', step, order: ordered.order };
    return { state, decision };
  }
}
