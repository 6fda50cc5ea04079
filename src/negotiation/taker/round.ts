/**
 * A taker's round as a pure state machine (docs/protocol.md, section 9):
 *
 *   gathering  fill, pubkey, auth, ioauth and a look at the coins; a maker that fails is replaced by the
 *          next candidate. auth is sent to all at once, everything else to each maker when it is ready
 *   funding    the wallet returns our coins; the transaction is built
 *   collecting tx, sig: every maker signs
 *   checking   the makers' coins are looked up once more
 *   signing    our own signatures, last of all
 *   keeping    the wallet stores the complete transaction
 *   pushing    a maker broadcasts it; broadcasting: we do
 *   ended
 *
 * A message that does not belong to the current state changes nothing; `session.ts` of the maker gives
 * the reason.
 */
import { parseOffer } from '../../protocol/offer.js';
import type { LegFault, RoundEvent, RoundState, RoundTransition } from './api.js';
import { onCoins, onIoAuth, onPubkey } from './answers.js';
import { onCommitted, onHoldOver, onUsed, proceed, replaceLeg } from './asking.js';
import { finish, isSending, onBroadcastEvent, sendOff } from './broadcast.js';
import { onFunded } from './funding.js';
import { endForLeg, onRechecked, onSig, onSignatures } from './signatures.js';
import {
  isOpen,
  openWith,
  unchanged,
  withLeg,
  type ActiveLeg,
  type Collecting,
  type Gathering,
} from './legs.js';
import { isRefusalTo, shownText } from '../payloads.js';

function fail(
  state: Gathering | Collecting,
  leg: ActiveLeg,
  fault: LegFault,
  detail: string,
): RoundTransition {
  return state.phase === 'gathering'
    ? replaceLeg(state, leg, fault, detail)
    : endForLeg(state, leg, fault, detail);
}

/** Whether an `error` is another message of the maker that a relay relabelled. */
function isRelabelled(leg: ActiveLeg, args: readonly string[]): boolean {
  // A `pubkey` may have features after its key; an `hp2` has no further arguments.
  const key = /^[0-9a-fA-F]{64}$/.test(args[0] ?? '');
  const offer = parseOffer({ name: leg.candidate.offer.type, args });
  return key || offer.ok || openWith(leg.boxes, args) !== undefined;
}

function onMessage(
  state: RoundState,
  event: Extract<RoundEvent, { readonly kind: 'message' }>,
): RoundTransition {
  const { from, command, args } = event;
  const leg = state.legs.get(from);
  if (leg === undefined || leg.step === 'failed') return unchanged(state);
  if (state.phase === 'gathering') {
    if (command === 'pubkey' && isOpen(leg)) return onPubkey(state, leg, event);
    if (command === 'ioauth' && isOpen(leg)) return onIoAuth(state, leg, args);
  }
  if (state.phase === 'collecting' && command === 'sig' && 'signatures' in leg) {
    return onSig(state, leg, args);
  }
  const refusable = state.phase === 'gathering' || state.phase === 'collecting';
  if (command === 'error' && refusable && leg.step !== 'signed' && !isRelabelled(leg, args)) {
    const text = args.join(' ');
    if (isRefusalTo(text, state.terms.keys.publicKeyHex)) return fail(state, leg, 'refused', text);
    // Signatures name no addressee: any relay may have an old `error` of this maker, and send it here.
    const refusal = { fault: 'refused', detail: shownText(text) } as const;
    const refused = withLeg(state, { ...leg, refusal });
    return refused.phase === 'gathering' ? proceed(refused) : unchanged(refused);
  }
  return unchanged(state);
}

function onDeadline(
  state: Exclude<RoundState, { readonly phase: 'ended' | 'pushing' | 'broadcasting' }>,
  nick: string | undefined,
): RoundTransition {
  if (nick === undefined) return finish(state, 'timeout', 'the round took too long');
  const leg = state.legs.get(nick);
  if (leg === undefined || leg.step === 'failed') return unchanged(state);
  if (state.phase !== 'gathering' && state.phase !== 'collecting') return unchanged(state);
  if (leg.step === 'ready' || leg.step === 'signed' || leg.step === 'auth') return unchanged(state);
  if (leg.step === 'coins') return finish(state, 'port', 'chain: took too long');
  return leg.refusal === undefined
    ? fail(state, leg, 'silent', `no ${leg.step} came in time`)
    : fail(state, leg, leg.refusal.fault, leg.refusal.detail);
}

/** The state machine. Never throws on a message of a peer. */
export function roundTransition(state: RoundState, event: RoundEvent): RoundTransition {
  if (state.phase === 'ended') {
    // Coins and proofs that came too late must not stay reserved.
    if (event.kind === 'committed' && event.podle !== undefined) {
      return { state, effects: [{ kind: 'free', podle: event.podle }] };
    }
    if (event.kind !== 'funded' || event.funding === undefined || 'refused' in event.funding) {
      return unchanged(state);
    }
    return { state, effects: [{ kind: 'settle', funding: event.funding, settlement: 'unsigned' }] };
  }
  if (isSending(state)) return onBroadcastEvent(state, event);
  switch (event.kind) {
    case 'message':
      return onMessage(state, event);
    case 'committed':
      return state.phase === 'gathering' ? onCommitted(state, event) : unchanged(state);
    case 'coins':
      return state.phase === 'gathering' ? onCoins(state, event) : unchanged(state);
    case 'hold-over':
      return state.phase === 'gathering' ? onHoldOver(state) : unchanged(state);
    case 'used':
      return state.phase === 'gathering' ? onUsed(state, event) : unchanged(state);
    case 'rechecked':
      return state.phase === 'checking' ? onRechecked(state, event) : unchanged(state);
    case 'kept':
      return state.phase === 'keeping' ? sendOff(state) : unchanged(state);
    case 'funded':
      return state.phase === 'funding' ? onFunded(state, event) : unchanged(state);
    case 'signatures':
      return state.phase === 'signing' ? onSignatures(state, event) : unchanged(state);
    case 'port-failed':
      return finish(state, 'port', `${event.port}: ${event.detail}`);
    case 'deadline':
      return onDeadline(state, event.nick);
    case 'step-deadline':
      return finish(
        state,
        'port',
        `${state.phase === 'checking' ? 'chain' : 'wallet'}: took too long`,
      );
    case 'stop':
      return finish(state, 'stopped', 'the round was stopped');
    case 'seen':
    case 'broadcast':
      return unchanged(state);
  }
}
