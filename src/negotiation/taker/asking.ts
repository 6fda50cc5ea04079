/**
 * The first half of a taker's round, our side: which makers are asked, with which proof and when, until
 * enough of them can take part.
 *
 * Makers get our proof all at the same time. The first maker that sees it announces that it is used
 * (`!hp2`, docs/protocol.md, section 8.4), and a maker that answers `fill` later would refuse it. So
 * `auth` waits until every maker that was asked with this proof has sent its key, or for `authHoldMs`
 * after the first key. Before it leaves, the wallet stores the commitment as used.
 */
import { formatOutpoint } from '../../protocol/outpoint.js';
import { formatRevelation, type Podle } from '../../protocol/podle.js';
import { formatFill } from '../payloads.js';
import {
  NOTHING_REVEALED,
  type LegFault,
  type Revealed,
  type RoundEffect,
  type RoundEvent,
  type RoundTerms,
  type RoundTransition,
} from './api.js';
import { finish } from './broadcast.js';
import {
  type ActiveLeg,
  dropLeg,
  freeUnused,
  type Gathering,
  isFailed,
  isReady,
  type OpenLeg,
  preceded,
  unchanged,
  assign,
  fillSeats,
  suitable,
} from './legs.js';

/** A round that has just begun: the wallet is asked for a commitment. */
export function openRound(terms: RoundTerms): RoundTransition {
  const { chosen, legs } = suitable(terms);
  const { asked, left } = assign(terms, chosen, [...terms.seatLimits.keys()]);
  const state: Gathering = {
    phase: 'gathering',
    terms,
    legs,
    revealed: NOTHING_REVEALED,
    spare: left,
    replaced: 0,
    spares: 0,
    podle: undefined,
    committing: true,
    claimed: new Set(),
    shown: new Set(),
    waiting: asked,
  };
  if (chosen.length < Math.max(1, terms.policy.minimumMakers)) {
    const unsuited = legs.size > 0 ? `; offers of ${legs.size} do not suit` : '';
    const detail = `${chosen.length} makers to choose from${unsuited}`;
    return finish(state, 'too-few-makers', detail);
  }
  return {
    state,
    effects: [
      { kind: 'round-deadline', ms: terms.policy.roundMs },
      { kind: 'step-deadline', ms: terms.policy.portWaitMs },
      { kind: 'commit', amount: terms.amount },
    ],
  };
}

/** Sends `fill` to all makers that wait for the commitment. */
function askWaiting(state: Gathering): RoundTransition {
  const { podle, waiting, terms } = state;
  if (podle === undefined || waiting.length === 0) return unchanged(state);
  const legs = new Map(state.legs);
  const effects: RoundEffect[] = [];
  for (const { candidate, seat } of waiting) {
    const { nick, offer } = candidate;
    legs.set(nick, {
      step: 'pubkey',
      candidate,
      seat,
      podle,
      taken: new Set(),
      boxes: [],
      refusal: undefined,
    });
    const args = formatFill({
      oid: offer.oid,
      amount: terms.amount,
      takerKey: terms.keys.publicKeyHex,
      commitment: podle.commitment,
    });
    effects.push(
      { kind: 'send', to: nick, command: 'fill', args: [args] },
      { kind: 'deadline', nick, ms: terms.policy.makerWaitMs },
    );
  }
  const revealed = { ...state.revealed, commitment: true };
  return { state: { ...state, legs, waiting: [], revealed }, effects };
}

/** Asks spare makers for open seats, and continues when no maker is awaited. */
export function proceed(state: Gathering): RoundTransition {
  const next = askSpares(state);
  if (next.state.phase !== 'gathering') return next;
  // The maker that failed may have been the last one whose key was awaited.
  return preceded(next.effects, releaseAuths(next.state, false));
}

function askSpares(state: Gathering): RoundTransition {
  const { terms, podle } = state;
  const legs = [...state.legs.values()];
  const next = fillSeats(state);
  if (next.committing) return unchanged(next);
  if (next.waiting.length > 0) {
    if (podle !== undefined && !state.claimed.has(podle.commitment)) {
      return askWaiting(next);
    }
    // After one maker has seen the proof, others may refuse it.
    return {
      state: { ...next, podle: undefined, committing: true },
      effects: [
        { kind: 'step-deadline', ms: terms.policy.portWaitMs },
        { kind: 'commit', amount: terms.amount },
      ],
    };
  }
  const ready = legs.filter(isReady);
  if (legs.some((leg) => !isFailed(leg) && !isReady(leg))) return unchanged(next);
  if (ready.length < Math.max(1, terms.policy.minimumMakers)) {
    return finish(next, 'too-few-makers', `${ready.length} makers are ready`);
  }
  return preceded(freeUnused(next), fund(next));
}

/** Asks the wallet for our own coins. */
export function fund(state: Pick<Gathering, 'terms' | 'legs' | 'revealed'>): RoundTransition {
  const { terms, legs, revealed } = state;
  const parts = [...legs.values()].filter(isReady).map(({ part }) => part);
  const request = {
    amount: terms.amount,
    makerFees: parts.reduce((sum, { fee, txfee }) => sum + fee - txfee, 0),
    foreignInputs: parts.reduce((sum, { coins }) => sum + coins.length, 0),
    foreignOutputs: 2 * parts.length,
    foreignInputScripts: parts.flatMap(({ coins }) => coins.map(({ script }) => script)),
    foreignOutputScripts: parts.flatMap((part) => [part.coinjoinScript, part.changeScript]),
    feePerKb: terms.feePerKb,
    sweep: terms.sweep,
  };
  return {
    state: { phase: 'funding', terms, legs, revealed },
    effects: [
      { kind: 'step-deadline', ms: terms.policy.portWaitMs },
      { kind: 'fund', request },
    ],
  };
}

/** A maker has failed: the round finds another one, or ends. */
export function replaceLeg(
  state: Gathering,
  leg: ActiveLeg,
  fault: LegFault,
  detail: string,
): RoundTransition {
  const dropped = dropLeg(state, leg, fault, detail);
  return preceded(dropped.effects, proceed(dropped.state));
}

export function onCommitted(
  state: Gathering,
  { podle }: Extract<RoundEvent, { readonly kind: 'committed' }>,
): RoundTransition {
  if (!state.committing) return unchanged(state);
  const clear: RoundEffect = { kind: 'step-deadline', ms: undefined };
  const next = { ...state, podle, committing: false };
  if (podle !== undefined) return preceded([clear], proceed(next));
  if ([...state.legs.values()].every(isFailed)) {
    return finish(state, 'no-commitment', 'the wallet has no unused commitment left');
  }
  // The remaining makers may suffice.
  return preceded([clear], proceed({ ...next, waiting: [], spare: [] }));
}

/** One `auth` for each of these keys of a maker. */
export function authFor(
  { randomBytes }: RoundTerms,
  { podle, candidate }: OpenLeg,
  boxes: OpenLeg['boxes'],
): RoundEffect {
  const args = boxes.map((box) => {
    const form = box.neutrinoCompat ? 'extended' : 'plain';
    return box.encrypt(formatRevelation(podle.revelation, form), randomBytes);
  });
  return { kind: 'send', to: candidate.nick, command: 'auth', args };
}

export interface Released {
  readonly state: Gathering;
  readonly effects: readonly RoundEffect[];
}

/** Whether a maker that should answer has not sent a key for this proof. */
function isAwaited({ legs }: Gathering, commitment: string): boolean {
  return [...legs.values()].some(
    (leg) =>
      leg.step === 'pubkey' && leg.refusal === undefined && leg.podle.commitment === commitment,
  );
}

/** What is known after this proof has left. */
function withCoin(revealed: Revealed, { revelation: { utxo } }: Podle): Revealed {
  const { txid, vout } = utxo;
  const name = formatOutpoint({ txid, vout });
  if (revealed.coins.some((coin) => formatOutpoint(coin) === name)) return revealed;
  return { ...revealed, coins: [...revealed.coins, { txid, vout }] };
}

/**
 * Sends the `auth` of every maker whose proof is stored as used. Has the wallet store each proof that need
 * not wait for further makers; with `isOver` no proof waits.
 */
export function releaseAuths(state: Gathering, isOver: boolean): Released {
  const legs = new Map(state.legs);
  const claimed = new Set(state.claimed);
  const effects: RoundEffect[] = [];
  let { revealed } = state;
  let isHeld = false;
  for (const [nick, leg] of state.legs) {
    if (leg.step !== 'auth') continue;
    const { commitment } = leg.podle;
    if (state.shown.has(commitment)) {
      legs.set(nick, { ...leg, step: 'ioauth' });
      revealed = withCoin(revealed, leg.podle);
      effects.push(authFor(state.terms, leg, leg.boxes), {
        kind: 'deadline',
        nick,
        ms: state.terms.policy.makerWaitMs,
      });
    } else if (!claimed.has(commitment)) {
      if (!isOver && isAwaited(state, commitment)) {
        isHeld = true;
      } else {
        claimed.add(commitment);
        effects.push({ kind: 'use', podle: leg.podle });
      }
    }
  }
  if (effects.length === 0) return { state, effects };
  const isStoring = claimed.size > state.shown.size;
  const { portWaitMs, authHoldMs } = state.terms.policy;
  const ms = isStoring ? portWaitMs : isHeld ? authHoldMs : undefined;
  effects.push({ kind: 'hold', ms });
  return { state: { ...state, legs, claimed, revealed }, effects };
}

/** The wallet has stored a commitment: its proof leaves. */
export function onUsed(
  state: Gathering,
  { commitment }: Extract<RoundEvent, { readonly kind: 'used' }>,
): RoundTransition {
  if (!state.claimed.has(commitment)) return unchanged(state);
  return releaseAuths({ ...state, shown: new Set(state.shown).add(commitment) }, false);
}

/** Makers have waited long enough for slower ones, or the wallet took too long to store a proof. */
export function onHoldOver(state: Gathering): RoundTransition {
  if (state.claimed.size > state.shown.size) {
    return finish(state, 'port', 'wallet: took too long');
  }
  return releaseAuths(state, true);
}
