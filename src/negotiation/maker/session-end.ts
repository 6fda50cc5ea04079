/** How a maker's session refuses, repeats answers and ends. */
import type {
  MakerEffect,
  MakerFault,
  MakerOutcome,
  SignedOutcome,
  MakerState,
  MakerStep,
  MakerTerms,
  MakerTransition,
} from './api.js';
import { formatRefusal, shownText } from '../payloads.js';

/** A session that has not ended. */
export type Live = Exclude<MakerState, { readonly state: 'ended' }>;

/** A session in one of these states. */
export type In<S extends Live['state']> = Extract<Live, { readonly state: S }>;

/** The effects of a message without a meaning in this state. */
export const NOTHING: readonly MakerEffect[] = [];

/** The refusal when the maximum number of coinjoins is running. */
export const NO_ROOM = 'too many coinjoins at once, try later';

const error = ({ fill }: MakerTerms, reason: string): MakerEffect => ({
  kind: 'send',
  command: 'error',
  args: formatRefusal(reason, fill.takerKey),
});

/** The message that a state waits for, for an outcome's text. */
export const STEPS: Readonly<Record<Live['state'], MakerStep>> = {
  'awaiting-auth': 'auth',
  'checking-coin': 'checking-coin',
  reserving: 'reserving',
  holding: 'reserving',
  claiming: 'claiming',
  'awaiting-tx': 'tx',
  signing: 'signing',
  'awaiting-push': 'push',
};

function ended(outcome: MakerOutcome, effects: readonly MakerEffect[] = []): MakerTransition {
  return { state: { state: 'ended', outcome }, effects: [...effects, { kind: 'end', outcome }] };
}

/** Ends a session without signatures; releases the reservation. */
export function failed(
  state: Live,
  by: 'taker' | 'us',
  fault: MakerFault,
  detail: string,
  tell?: string,
): MakerTransition {
  const effects: MakerEffect[] = tell === undefined ? [] : [error(state.terms, tell)];
  if ('reserved' in state) {
    const { reservation } = state.reserved;
    effects.push({ kind: 'settle', reservation, settlement: 'unsigned' });
  }
  const outcome: MakerOutcome = {
    result: 'failed',
    by,
    step: STEPS[state.state],
    fault,
    detail: shownText(detail),
  };
  return ended(outcome, effects);
}

/** The outcome of a session whose signatures were sent. */
export function signedOutcome(
  { terms, fee, tx }: In<'awaiting-push'>,
  pushed: boolean,
): SignedOutcome {
  const { amount } = terms.fill;
  return { result: 'signed', txid: tx.txid, pushed, amount, earned: fee - terms.offer.txfee };
}

/** Ends a session whose signatures were sent: its coins stay in use. */
export function signed(
  state: In<'awaiting-push'>,
  pushed: boolean,
  effects: readonly MakerEffect[] = [],
): MakerTransition {
  const { reservation } = state.reserved;
  return ended(signedOutcome(state, pushed), [
    ...effects,
    { kind: 'settle', reservation, settlement: 'signed' },
  ]);
}

/** Refuses a message and continues to wait, unless there were too many. */
export function refuse(
  state: In<'awaiting-auth' | 'awaiting-tx'>,
  fault: MakerFault,
  detail: string,
): MakerTransition {
  const attempts = state.attempts + 1;
  if (attempts >= state.terms.policy.attempts) return failed(state, 'taker', fault, detail, detail);
  return { state: { ...state, attempts }, effects: [error(state.terms, detail)] };
}

/** The same request again: the answer may have been lost. */
export function repeat(state: Live): MakerTransition {
  if (state.repeats >= state.terms.policy.repeats) return { state, effects: NOTHING };
  return { state: { ...state, repeats: state.repeats + 1 }, effects: state.lastAnswer };
}
