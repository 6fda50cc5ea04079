/**
 * One session from its selection to its end: the states of section 6 and of appendix B as one machine. Pure.
 *
 * | here         | section 6            | appendix B    |
 * | ------------ | -------------------- | ------------- |
 * | IDLE         | (select provider)    | IDLE          |
 * | DISCOVERING  | (select provider)    | DISCOVERING   |
 * | UNPAID       | UNPAID               | UNPAID        |
 * | CONFIRMING   | PENDING              | CONFIRMING    |
 * | CONNECTING   | ACTIVE ("confirmed") | CONNECTING    |
 * | ACTIVE       | ACTIVE               | ACTIVE        |
 * | EXPIRED      | EXPIRED              | DISCONNECTED  |
 * | DISCONNECTED | DISCONNECTED         | DISCONNECTED  |
 *
 * A renewal is a session of its own whose `parent` is the renewed one. It begins in UNPAID, as in appendix B, and goes
 * to CONFIRMING, as in section 6, while the renewed session stays ACTIVE with its tunnel.
 */
import type { Session } from '../model.js';
import type { Amount, PaymentOrder, PaymentReceipt } from '../ports.js';

/** What was chosen, as it was described then: the session must keep to it. */
export interface Selected {
  readonly providerId: string;
  readonly gateId: string;
  readonly spaceId: string;
  readonly days: number;
  /** Atomic units for a day. */
  readonly pricePerDay: Amount;
  /** The wallet of the provider's description; undefined where it names none. */
  readonly wallet: string | undefined;
  /** Id of the session that this one renews. */
  readonly parent: string | undefined;
}

export interface Payment {
  readonly order: PaymentOrder;
  /** Undefined until the payer has said that it was sent. */
  readonly receipt: PaymentReceipt | undefined;
}

/** Payload bytes. */
export interface Usage {
  readonly sent: number;
  readonly received: number;
}

interface Granted {
  readonly selected: Selected;
  readonly session: Session;
  /** Undefined for a free session. */
  readonly payment: Payment | undefined;
  readonly usage: Usage;
}

/** Why a session is over. */
export type ExpiryCause = 'time' | 'data' | 'unpaid' | 'renewed';
/** Why a session is not connected. `refused`: by the exit; `failed`: nothing was paid. */
export type StopCause = 'user' | 'refused' | 'failed';

export type SessionState =
  | { readonly state: 'IDLE' }
  | { readonly state: 'DISCOVERING'; readonly selected: Selected }
  | {
      readonly state: 'UNPAID';
      readonly selected: Selected;
      readonly session: Session;
      /** Seconds since 1970: `unpaid-expiry` after the session was made, or the manager's end if that is earlier. */
      readonly payBy: number;
    }
  /** The order is on disk, and may have been paid. `payment` is undefined for a free session. */
  | ({ readonly state: 'CONFIRMING' } & Granted)
  | ({ readonly state: 'CONNECTING' } & Granted)
  | ({ readonly state: 'ACTIVE' } & Granted)
  | ({ readonly state: 'EXPIRED'; readonly cause: ExpiryCause } & Granted)
  | ({
      readonly state: 'DISCONNECTED';
      readonly cause: StopCause;
      readonly reason: string;
      /** Whether the manager has granted the session, so that it can be used again without a payment. */
      readonly granted: boolean;
    } & Granted);

export type SessionEvent =
  | { readonly kind: 'select'; readonly selected: Selected }
  /** The manager made the session. */
  | { readonly kind: 'create'; readonly session: Session; readonly payBy: number }
  /** The payment was agreed to: from here on it may leave. */
  | { readonly kind: 'order'; readonly order: PaymentOrder }
  | { readonly kind: 'paid'; readonly receipt: PaymentReceipt }
  /** The payer is certain that nothing was paid. */
  | { readonly kind: 'not-paid'; readonly reason: string }
  /** The manager's newest word on the session; moves on when it is paid and active. */
  | { readonly kind: 'update'; readonly session: Session }
  | { readonly kind: 'connect' }
  | { readonly kind: 'lose' }
  | { readonly kind: 'refuse'; readonly reason: string }
  /** Bytes since the last event of this kind, and the limit of all, if there is one. */
  | { readonly kind: 'use'; readonly usage: Usage; readonly limit: number | undefined }
  | { readonly kind: 'tick'; readonly now: number }
  | { readonly kind: 'disconnect' }
  | { readonly kind: 'resume'; readonly now: number }
  /** A renewal of this session is granted. */
  | { readonly kind: 'replace' };

export const IDLE: SessionState = { state: 'IDLE' };
const NO_USAGE: Usage = { sent: 0, received: 0 };

/** The event does not belong to the state, or names another session or payment. */
export class SessionStateError extends Error {
  /** Stable, for programs. */
  override readonly name = 'SessionStateError';
}

/**
 * The state after an event. Throws a SessionStateError for an event that has no meaning in the state; `tick`,
 * `update`, `use` and `disconnect` have one in every state, and may change nothing.
 */
export function next(state: SessionState, event: SessionEvent): SessionState {
  switch (event.kind) {
    case 'select':
      return state.state === 'IDLE'
        ? { state: 'DISCOVERING', selected: event.selected }
        : impossible(state, event);
    case 'create':
      return state.state === 'DISCOVERING'
        ? created(state.selected, event.session, event.payBy)
        : impossible(state, event);
    case 'order':
      return state.state === 'UNPAID'
        ? ordered(state.selected, state.session, event.order)
        : impossible(state, event);
    case 'paid':
      return paid(state, event.receipt);
    case 'not-paid':
      return notPaid(state, event.reason);
    case 'update':
      return updated(state, event.session);
    case 'connect':
      return state.state === 'CONNECTING'
        ? { ...state, state: 'ACTIVE' }
        : impossible(state, event);
    case 'lose':
      return state.state === 'ACTIVE'
        ? { ...state, state: 'CONNECTING' }
        : impossible(state, event);
    case 'refuse':
      return refused(state, event.reason);
    case 'use':
      return used(state, event.usage, event.limit);
    case 'tick':
      return ticked(state, event.now);
    case 'disconnect':
      return disconnected(state);
    case 'resume':
      return resumed(state, event.now);
    case 'replace':
      return isLive(state) || state.state === 'DISCONNECTED'
        ? { ...granted(state), state: 'EXPIRED', cause: 'renewed' }
        : impossible(state, event);
  }
}

/** Whether a tunnel may stand, or stands. */
export function isLive(
  state: SessionState,
): state is Extract<SessionState, { state: 'CONNECTING' | 'ACTIVE' }> {
  return state.state === 'CONNECTING' || state.state === 'ACTIVE';
}

/** States that no event leaves but the removal of the session. */
export function isOver(state: SessionState): boolean {
  return state.state === 'EXPIRED';
}

function created(selected: Selected, session: Session, payBy: number): SessionState {
  const base = { selected, session };
  if (session.price > 0n && !isGranted(session)) return { state: 'UNPAID', ...base, payBy };
  const state = isGranted(session) ? 'CONNECTING' : 'CONFIRMING';
  return { state, ...base, payment: undefined, usage: NO_USAGE };
}

/** The manager counts the session as paid and active. */
const isGranted = (session: Session): boolean =>
  session.activated > 0 && (session.paid || session.price === 0n);

function ordered(selected: Selected, session: Session, order: PaymentOrder): SessionState {
  if (order.sessionId !== session.sessionId || order.paymentId !== session.paymentId) {
    throw new SessionStateError('the payment belongs to another session');
  }
  const payment = { order, receipt: undefined };
  return { state: 'CONFIRMING', selected, session, payment, usage: NO_USAGE };
}

function paid(state: SessionState, receipt: PaymentReceipt): SessionState {
  if (state.state !== 'CONFIRMING' || state.payment === undefined) {
    throw new SessionStateError(`a payment was reported in the state ${state.state}`);
  }
  const { order } = state.payment;
  if (receipt.order.sessionId !== order.sessionId || receipt.order.paymentId !== order.paymentId) {
    throw new SessionStateError('the receipt belongs to another session');
  }
  return { ...state, payment: { order, receipt } };
}

/** Only while nothing says otherwise: a receipt, or a manager that counts the session as paid. */
function notPaid(state: SessionState, reason: string): SessionState {
  const isUnpaid =
    state.state === 'UNPAID' ||
    (state.state === 'CONFIRMING' && state.payment?.receipt === undefined && !state.session.paid);
  if (!isUnpaid) {
    throw new SessionStateError(`"not paid" was reported in the state ${state.state}`);
  }
  const { selected, session } = state;
  const base = { selected, session, payment: undefined, usage: NO_USAGE };
  return { ...base, state: 'DISCONNECTED', cause: 'failed', reason, granted: false };
}

function updated(state: SessionState, session: Session): SessionState {
  if (state.state === 'IDLE' || state.state === 'DISCOVERING') return state;
  const fault = otherSession(state.session, session);
  if (fault !== undefined) throw new SessionStateError(`the manager changed ${fault}`);
  if (state.state !== 'CONFIRMING') return { ...state, session };
  return { ...state, state: isGranted(session) ? 'CONNECTING' : 'CONFIRMING', session };
}

/** What the manager may not change after the session was made: its payment is bound to it (section 10.3). */
function otherSession(known: Session, session: Session): string | undefined {
  if (session.sessionId !== known.sessionId) return 'the id of the session';
  if (session.paymentId !== known.paymentId) return 'the payment id';
  if (session.wallet !== known.wallet) return 'the wallet';
  if (session.price !== known.price) return 'the price';
  if (session.days !== known.days) return 'the days';
  if ((session.gateId ?? known.gateId) !== known.gateId) return 'the gate';
  return (session.spaceId ?? known.spaceId) === known.spaceId ? undefined : 'the space';
}

function refused(state: SessionState, reason: string): SessionState {
  if (!isLive(state)) return impossible(state, { kind: 'refuse', reason });
  return { ...granted(state), state: 'DISCONNECTED', cause: 'refused', reason, granted: true };
}

/** Bytes that are told after the end count, too. */
function used(state: SessionState, more: Usage, limit: number | undefined): SessionState {
  if (!('usage' in state)) return state;
  const usage = {
    sent: state.usage.sent + Math.max(0, more.sent),
    received: state.usage.received + Math.max(0, more.received),
  };
  const isOut = limit !== undefined && usage.sent + usage.received >= limit;
  return isOut && isLive(state)
    ? { ...granted(state), usage, state: 'EXPIRED', cause: 'data' }
    : { ...state, usage };
}

/** A session in CONFIRMING does not expire: its money is on the way. */
function ticked(state: SessionState, now: number): SessionState {
  if (state.state === 'UNPAID') {
    if (now < state.payBy) return state;
    const { selected, session } = state;
    return {
      state: 'EXPIRED',
      cause: 'unpaid',
      selected,
      session,
      payment: undefined,
      usage: NO_USAGE,
    };
  }
  const mayEnd = isLive(state) || (state.state === 'DISCONNECTED' && state.granted);
  if (!mayEnd || now < state.session.expires) return state;
  return { ...granted(state), state: 'EXPIRED', cause: 'time' };
}

function disconnected(state: SessionState): SessionState {
  const end = { state: 'DISCONNECTED', cause: 'user', reason: '' } as const;
  if (state.state === 'UNPAID') {
    const { selected, session } = state;
    return { ...end, selected, session, payment: undefined, usage: NO_USAGE, granted: false };
  }
  if (state.state !== 'CONFIRMING' && !isLive(state)) return state;
  return { ...granted(state), ...end, granted: state.state !== 'CONFIRMING' };
}

/** A session that was paid goes on where it stopped. */
function resumed(state: SessionState, now: number): SessionState {
  if (state.state !== 'DISCONNECTED' || !(state.granted || state.payment !== undefined)) {
    return impossible(state, { kind: 'resume', now });
  }
  const base = granted(state);
  if (!state.granted) return { ...base, state: 'CONFIRMING' };
  if (now >= state.session.expires) return { ...base, state: 'EXPIRED', cause: 'time' };
  return { ...base, state: 'CONNECTING' };
}

const granted = ({ selected, session, payment, usage }: Granted): Granted => ({
  selected,
  session,
  payment,
  usage,
});

function impossible(state: SessionState, event: SessionEvent): never {
  throw new SessionStateError(`"${event.kind}" is not possible in the state ${state.state}`);
}
