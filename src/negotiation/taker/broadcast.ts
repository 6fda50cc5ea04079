/** The end of a round: broadcasts the transaction and determines the result. */
import { randomBelow } from './transaction.js';
import type { CompleteTransaction } from '../ports.js';
import type {
  MakerReport,
  RoundEffect,
  RoundEvent,
  RoundFault,
  RoundResult,
  RoundState,
  RoundTransition,
} from './api.js';
import { formatTransactionText, shownText } from '../payloads.js';
import { MAX_SIGNED_BYTES } from '../transaction.js';
import { freeUnused } from './legs.js';

type Sending = Extract<RoundState, { readonly phase: 'pushing' | 'broadcasting' }>;

export function isSending(state: RoundState): state is Sending {
  return state.phase === 'pushing' || state.phase === 'broadcasting';
}

function reports({ legs }: Pick<RoundState, 'legs'>): readonly MakerReport[] {
  return [...legs.values()].map((leg) => ({
    nick: leg.candidate.nick,
    offer: leg.candidate.offer,
    step: leg.step,
    failure: leg.step === 'failed' ? leg.failure : undefined,
  }));
}

function ended(
  state: Exclude<RoundState, { readonly phase: 'ended' }>,
  result: RoundResult,
): RoundTransition {
  const { terms, legs, revealed } = state;
  const effects: RoundEffect[] = state.phase === 'gathering' ? [...freeUnused(state)] : [];
  if ('funding' in state) {
    // Before the transaction is sent, no other side has our signatures.
    const settlement = isSending(state) ? 'signed' : 'unsigned';
    effects.push({ kind: 'settle', funding: state.funding, settlement });
  }
  return {
    state: { phase: 'ended', terms, legs, revealed, result },
    effects: [...effects, { kind: 'end', result }],
  };
}

/** Ends a round that did not succeed. */
export function finish(
  state: Exclude<RoundState, { readonly phase: 'ended' }>,
  fault: RoundFault,
  detail: string,
): RoundTransition {
  return ended(state, {
    ok: false,
    fault,
    detail: shownText(detail),
    makers: reports(state),
    transaction: isSending(state) ? state.final.bytes : undefined,
    revealed: state.revealed,
  });
}

function done(state: Sending): RoundTransition {
  const { final, pushedTo } = state;
  return ended(state, {
    ok: true,
    txid: final.txid,
    transaction: final.bytes,
    broadcastBy: state.phase === 'pushing' ? pushedTo : undefined,
    makers: reports(state),
  });
}

function broadcast(state: Omit<Sending, 'phase'>): RoundTransition {
  return {
    state: { ...state, phase: 'broadcasting' },
    effects: [
      { kind: 'step-deadline', ms: state.terms.policy.portWaitMs },
      { kind: 'broadcast', transaction: state.final.bytes },
    ],
  };
}

/** The transaction is complete: the wallet stores it, then it is sent. */
export function keep(
  round: Pick<Sending, 'terms' | 'legs' | 'funding' | 'revealed'> & {
    readonly final: CompleteTransaction;
  },
): RoundTransition {
  return {
    state: { ...round, phase: 'keeping' },
    effects: [
      { kind: 'step-deadline', ms: round.terms.policy.portWaitMs },
      { kind: 'keep', final: round.final },
    ],
  };
}

/** The transaction is complete and stored: a random maker broadcasts it, or we do. */
export function sendOff(kept: Extract<RoundState, { readonly phase: 'keeping' }>): RoundTransition {
  const round = { ...kept, revealed: { ...kept.revealed, signatures: true } };
  const { terms, legs, final } = round;
  const { policy, randomBytes } = terms;
  const makers = [...legs].flatMap(([nick, { step }]) => (step === 'signed' ? [nick] : []));
  const alone = policy.broadcast === 'self' || final.bytes.length > MAX_SIGNED_BYTES;
  // Several makers and ourselves are chosen with equal probability (section 9.8).
  const choices = policy.broadcast === 'random-peer' ? makers.length + 1 : makers.length;
  const pushedTo = alone ? undefined : makers[randomBelow(choices, randomBytes)];
  const over: RoundEffect = { kind: 'round-deadline', ms: undefined };
  if (pushedTo === undefined) {
    const { state, effects } = broadcast({ ...round, pushedTo });
    return { state, effects: [over, ...effects] };
  }
  return {
    state: { ...round, phase: 'pushing', pushedTo },
    effects: [
      over,
      { kind: 'watch', txid: final.txid },
      { kind: 'step-deadline', ms: policy.unconfirmedMs },
      { kind: 'send', to: pushedTo, command: 'push', args: [formatTransactionText(final.bytes)] },
    ],
  };
}

/** Events during the broadcast. */
export function onBroadcastEvent(state: Sending, event: RoundEvent): RoundTransition {
  const { phase, terms } = state;
  switch (event.kind) {
    case 'seen':
      return done(state);
    case 'broadcast':
      return phase === 'broadcasting' ? done(state) : { state, effects: [] };
    case 'step-deadline':
    case 'port-failed': {
      // Our own broadcast continues when we no longer wait for the maker's, and whatever an older call says.
      const awaited = phase === 'pushing' ? 'watch' : 'broadcast';
      if (event.kind === 'port-failed' && event.port !== awaited) return { state, effects: [] };
      if (phase === 'pushing' && terms.policy.broadcast !== 'not-self') return broadcast(state);
      const detail =
        event.kind === 'port-failed' ? event.detail : 'the transaction was not seen in time';
      return finish(state, 'not-broadcast', detail);
    }
    case 'stop':
      return finish(state, 'not-broadcast', 'the round was stopped');
    case 'message':
    case 'committed':
    case 'used':
    case 'coins':
    case 'funded':
    case 'rechecked':
    case 'signatures':
    case 'kept':
    case 'deadline':
    case 'hold-over':
      return { state, effects: [] };
  }
}
