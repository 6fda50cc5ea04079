/**
 * A maker's side of one coinjoin as a pure state machine (docs/protocol.md, section 9):
 *
 *   fill -> awaiting-auth -> checking-coin -> reserving -> holding -> claiming -> awaiting-tx
 *    -> signing -> awaiting-push -> ended
 *
 * Every event gives a new state and a list of effects for the runner. A message that does not belong to
 * the current state changes nothing: the first word of a private message is not signed (quirk Q18), so
 * any relay can turn an `auth` into a `tx`, or send it again.
 */
import type { MakerEvent, MakerState, MakerTransition } from './api.js';
import { failed, NO_ROOM, NOTHING, repeat, signed, STEPS, type Live } from './session-end.js';
import {
  onCommitmentStored,
  onClash,
  onHeld,
  onPush,
  onReserved,
  onSignatures,
  onTx,
} from './payment.js';
import { onAuth, onCoin } from './proof.js';

function onMessage(
  state: Live,
  { command, args }: Extract<MakerEvent, { readonly kind: 'message' }>,
): MakerTransition {
  const same = command !== 'fill' && command !== 'push' && state.taken[command] === args.join('');
  if (command === 'fill' && state.state === 'awaiting-auth') return repeat(state);
  if (command === 'auth' && state.state === 'awaiting-auth' && !same) return onAuth(state, args);
  if (command === 'auth' && state.state === 'awaiting-tx' && same) return repeat(state);
  if (command === 'tx' && state.state === 'awaiting-tx') {
    // An `auth` that a relay turned into a `tx`.
    return state.taken.auth === args.join('') ? { state, effects: NOTHING } : onTx(state, args);
  }
  if (command === 'tx' && state.state === 'awaiting-push' && same) return repeat(state);
  if (command === 'push' && state.state === 'awaiting-push') return onPush(state, args);
  return { state, effects: NOTHING };
}

function onDeadline(state: Live): MakerTransition {
  switch (state.state) {
    case 'awaiting-push':
      return signed(state, false);
    case 'awaiting-auth':
    case 'awaiting-tx':
      return failed(state, 'taker', 'silent', `no ${STEPS[state.state]} came in time`);
    case 'checking-coin':
    case 'reserving':
    case 'holding':
    case 'claiming':
    case 'signing':
      return failed(state, 'us', 'port', `${STEPS[state.state]} took too long`, 'sorry, try later');
  }
}

/** The state machine. Never throws on a message of a peer. */
export function makerTransition(state: MakerState, event: MakerEvent): MakerTransition {
  if (state.state === 'ended') {
    // Coins that came too late must not stay reserved.
    if (event.kind !== 'reserved' || event.reservation === undefined) {
      return { state, effects: NOTHING };
    }
    const { reservation } = event;
    return { state, effects: [{ kind: 'settle', reservation, settlement: 'unsigned' }] };
  }
  switch (event.kind) {
    case 'message':
      return onMessage(state, event);
    case 'rekeyed':
      return state.state === 'awaiting-auth'
        ? {
            state: { ...state, terms: { ...state.terms, keys: event.keys, box: event.box } },
            effects: NOTHING,
          }
        : { state, effects: NOTHING };
    case 'coin':
      return state.state === 'checking-coin' ? onCoin(state, event.coin) : { state, effects: [] };
    case 'reserved':
      return state.state === 'reserving'
        ? onReserved(state, event.reservation, event.names)
        : { state, effects: NOTHING };
    case 'held':
      return state.state === 'holding' ? onHeld(state) : { state, effects: NOTHING };
    case 'clash':
      return state.state === 'holding' || state.state === 'signing'
        ? onClash(state, event.detail)
        : { state, effects: NOTHING };
    case 'commitment-stored':
      return state.state === 'claiming' ? onCommitmentStored(state) : { state, effects: NOTHING };
    case 'signatures':
      return state.state === 'signing'
        ? onSignatures(state, event.signatures)
        : { state, effects: NOTHING };
    case 'port-failed':
      if (state.state === 'awaiting-push') return { state, effects: NOTHING };
      return failed(state, 'us', 'port', `${event.port}: ${event.detail}`, 'sorry, try later');
    case 'deadline':
      return onDeadline(state);
    case 'end':
      if (state.state === 'awaiting-push') return signed(state, false);
      return failed(
        state,
        event.fault === 'commitment-used' || event.fault === 'replaced' ? 'taker' : 'us',
        event.fault,
        `the session was ${event.fault}`,
        // A taker that proved a coin gets an answer. Of other takers there may be a flood.
        event.fault === 'evicted' && state.state === 'reserving' ? NO_ROOM : undefined,
      );
  }
}
