/** The first half of a taker's round: finding makers that can take part. */
import { openBoxSession } from '../../protocol/encryption.js';
import { NEUTRINO_COMPAT, parseFeatures } from '../../protocol/features.js';
import { formatOutpoint } from '../../protocol/outpoint.js';
import { judgeCoins, readDeclaredPart } from './ioauth-check.js';
import type {
  LegBox,
  LegFault,
  RoundEffect,
  RoundEvent,
  RoundTerms,
  RoundTransition,
} from './api.js';
import { authFor, releaseAuths } from './auth.js';
import { finish } from './broadcast.js';
import {
  dropLeg,
  isFailed,
  isReady,
  openWith,
  preceded,
  unchanged,
  withLeg,
  type ActiveLeg,
  type Gathering,
  type OpenLeg,
  type ReadyLeg,
} from './legs.js';
import { assign, fillSeats, rivalsOf, suitable } from './seats.js';
import { formatFill } from '../payloads.js';

/** Most keys of one maker that are tried. */
const MAX_KEYS = 3;

/** A round that has just begun: the wallet is asked for a commitment. */
export function openRound(terms: RoundTerms): RoundTransition {
  const { chosen, legs } = suitable(terms);
  const { asked, left } = assign(terms, chosen, [...terms.seatLimits.keys()]);
  const state: Gathering = {
    phase: 'gathering',
    terms,
    legs,
    spare: left,
    replaced: 0,
    spares: 0,
    podle: undefined,
    committing: true,
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
  return { state: { ...state, legs, waiting: [] }, effects };
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
    if (podle !== undefined && !state.shown.has(podle.commitment)) return askWaiting(next);
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
  return fund(next);
}

/** Asks the wallet for our own coins. */
export function fund(state: Pick<Gathering, 'terms' | 'legs'>): RoundTransition {
  const { terms, legs } = state;
  const parts = [...legs.values()].filter(isReady).map(({ part }) => part);
  const request = {
    amount: terms.amount,
    makerFees: parts.reduce((sum, { fee, txfee }) => sum + fee - txfee, 0),
    foreignInputs: parts.reduce((sum, { coins }) => sum + coins.length, 0),
    foreignOutputs: 2 * parts.length,
    feePerKb: terms.feePerKb,
    sweep: terms.sweep,
  };
  return {
    state: { phase: 'funding', terms, legs },
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

export function onPubkey(
  state: Gathering,
  leg: OpenLeg,
  [key = '', ...more]: readonly string[],
): RoundTransition {
  const { terms } = state;
  const { nick } = leg.candidate;
  const known = leg.boxes.some(({ theirPublicKeyHex }) => theirPublicKeyHex === key.toLowerCase());
  if (known || leg.boxes.length >= MAX_KEYS) return unchanged(state);
  const box = openBoxSession(terms.keys, key);
  if (!box.ok) {
    // A relay may have turned another signed message of the maker into a `pubkey`.
    return box.reason === 'box-key-form'
      ? unchanged(state)
      : replaceLeg(state, leg, 'bad-key', 'its key hides nothing');
  }
  // Only the maker's own signature counts: a directory may report any features of a nick.
  const neutrinoCompat =
    terms.policy.neutrinoCompat && parseFeatures(more).includes(NEUTRINO_COMPAT);
  const keyed: LegBox = { ...box.value, neutrinoCompat };
  const boxes = [...leg.boxes, keyed];
  const step = leg.step === 'pubkey' ? 'auth' : leg.step;
  const next = withLeg(state, { ...leg, step, boxes, refusal: undefined });
  // A second key does not extend the deadline.
  if (leg.step === 'ioauth') {
    return { state: next, effects: [authFor(terms, leg, [keyed])] };
  }
  const isFirst = [...state.legs.values()].every((other) => other.step !== 'auth');
  const effects: RoundEffect[] = [{ kind: 'deadline', nick, ms: undefined }];
  if (isFirst) effects.push({ kind: 'hold', ms: terms.policy.authHoldMs });
  return preceded(effects, releaseAuths(next, false));
}

/** Coins and scripts of the other makers and of the proof. */
function takenBy(state: Gathering, nick: string): ReadonlySet<string> {
  const taken = new Set<string>();
  for (const [other, leg] of state.legs) {
    if (leg.step === 'failed') continue;
    taken.add(formatOutpoint(leg.podle.revelation.utxo));
    if (other === nick) continue;
    const part = 'part' in leg ? leg.part : 'declared' in leg ? leg.declared : undefined;
    if (part === undefined) continue;
    for (const coin of part.coins) taken.add(formatOutpoint(coin));
    taken.add(part.coinjoinScript);
    taken.add(part.changeScript);
  }
  return taken;
}

export function onIoAuth(state: Gathering, leg: OpenLeg, args: readonly string[]): RoundTransition {
  const opened = openWith(leg.boxes, args);
  if (opened === undefined) return unchanged(state);
  const { network, policy } = state.terms;
  const { nick } = leg.candidate;
  const { box, text } = opened;
  const taken = takenBy(state, nick);
  const declared = readDeclaredPart(text, box, { network, makerCoins: policy.makerCoins, taken });
  if (!declared.ok) return replaceLeg(state, leg, declared.fault, declared.detail);
  const { coins } = declared.value;
  return {
    state: withLeg(state, {
      ...leg,
      step: 'coins',
      declared: declared.value,
      box,
      taken: new Set([args.join('')]),
      refusal: undefined,
    }),
    effects: [
      { kind: 'deadline', nick, ms: policy.portWaitMs },
      { kind: 'look-up', nick, coins },
    ],
  };
}

export function onCoins(
  state: Gathering,
  { nick, coins }: Extract<RoundEvent, { readonly kind: 'coins' }>,
): RoundTransition {
  const leg = state.legs.get(nick);
  if (leg?.step !== 'coins') return unchanged(state);
  const part = judgeCoins(leg.declared, coins, leg.candidate.offer, state.terms.amount);
  if (!part.ok) return replaceLeg(state, leg, part.fault, part.detail);
  const { candidate, seat, podle, taken, boxes, box } = leg;
  const ready: ReadyLeg = {
    step: 'ready',
    candidate,
    seat,
    podle,
    taken,
    boxes,
    box,
    refusal: undefined,
    part: part.value,
  };
  const seated = dropRivals(withLeg(state, ready), ready);
  const effects: RoundEffect[] = [{ kind: 'deadline', nick, ms: undefined }, ...seated.effects];
  return preceded(effects, proceed(seated.state));
}

/**
 * Of all makers asked for a seat, one has it: the others are released, and those still waiting become
 * spare again.
 */
function dropRivals(
  state: Gathering,
  ready: ReadyLeg,
): { readonly state: Gathering; readonly effects: readonly RoundEffect[] } {
  const returned = state.waiting.filter(({ seat }) => seat === ready.seat);
  const waiting = state.waiting.filter(({ seat }) => seat !== ready.seat);
  const spare = [...returned.map(({ candidate }) => candidate), ...state.spare];
  let next: Gathering = { ...state, waiting, spare };
  const effects: RoundEffect[] = [];
  for (const rival of rivalsOf(state, ready)) {
    const { refusal } = rival;
    const dropped =
      refusal === undefined
        ? dropLeg(next, rival, 'unused', 'another maker was ready first')
        : dropLeg(next, rival, 'refused', refusal);
    next = dropped.state;
    effects.push(...dropped.effects);
  }
  return { state: next, effects };
}
