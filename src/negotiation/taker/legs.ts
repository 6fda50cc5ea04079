/**
 * The makers of a taker's round. A leg is the state of one maker. A seat is a place in the transaction; there
 * are as many as wanted makers. Decides which maker is asked for which seat, and which one replaces it. A
 * maker that sent an `error` without our mark keeps its seat, because the error may be an old one; a spare
 * maker is asked for the same seat at once, and the first of them that is ready gets it. Pure.
 */
import type { BoxSession } from '../../protocol/encryption.js';
import { shownText } from '../payloads.js';
import type {
  Asked,
  Candidate,
  Leg,
  LegFault,
  RoundEffect,
  RoundState,
  RoundTerms,
  RoundTransition,
} from './api.js';
import { makerCost, offerFault } from './fees.js';

export type Gathering = Extract<RoundState, { readonly phase: 'gathering' }>;

export type Collecting = Extract<
  RoundState,
  { readonly phase: 'collecting' | 'checking' | 'signing' }
>;

export type ActiveLeg = Exclude<Leg, { readonly step: 'failed' }>;

export const unchanged = (state: RoundState): RoundTransition => ({ state, effects: [] });

export function withLeg<S extends RoundState>(state: S, leg: Leg): S {
  return { ...state, legs: new Map(state.legs).set(leg.candidate.nick, leg) };
}

export function preceded(
  effects: readonly RoundEffect[],
  { state, effects: more }: RoundTransition,
): RoundTransition {
  return { state, effects: [...effects, ...more] };
}

export const isFailed = (leg: Leg): boolean => leg.step === 'failed';

export type ReadyLeg = Extract<Leg, { readonly step: 'ready' }>;

export const isReady = (leg: Leg): leg is ReadyLeg => leg.step === 'ready';

/** A maker that has not named its coins yet. */
export type OpenLeg = Extract<Leg, { readonly step: 'pubkey' | 'auth' | 'ioauth' }>;

export const isOpen = (leg: Leg): leg is OpenLeg =>
  leg.step === 'pubkey' || leg.step === 'auth' || leg.step === 'ioauth';

/** Opens a ciphertext with the session it was made for, if any. */
export function openWith(
  boxes: readonly BoxSession[],
  args: readonly string[],
): { readonly box: BoxSession; readonly text: string } | undefined {
  for (const box of boxes) {
    const text = box.decrypt(args);
    if (text.ok) return { box, text: text.value };
  }
  return undefined;
}

/** Marks a maker as failed; the caller continues or ends the round. */
export function dropLeg<S extends RoundState>(
  state: S,
  leg: ActiveLeg,
  fault: LegFault,
  detail: string,
): { readonly state: S; readonly effects: readonly RoundEffect[] } {
  const { nick } = leg.candidate;
  const failure = { step: leg.step, fault, detail: shownText(detail) };
  return {
    state: withLeg(state, { step: 'failed', candidate: leg.candidate, failure }),
    effects: [
      { kind: 'deadline', nick, ms: undefined },
      { kind: 'forget', nick },
    ],
  };
}

type Choice = Pick<RoundTerms, 'candidates' | 'amount' | 'policy'>;

/** Makers that may be asked, each nick once, and makers without a suitable offer. */
export function suitable({ candidates, amount, policy }: Choice): {
  readonly chosen: readonly Candidate[];
  readonly legs: ReadonlyMap<string, Leg>;
} {
  const chosen = new Map<string, Candidate>();
  const legs = new Map<string, Leg>();
  for (const candidate of candidates) {
    const { nick, offer } = candidate;
    if (chosen.has(nick)) continue;
    const fault = offerFault(offer, amount, policy);
    if (fault === undefined) {
      chosen.set(nick, candidate);
      legs.delete(nick);
    } else {
      legs.set(nick, { step: 'failed', candidate, failure: { step: 'fill', ...fault } });
    }
  }
  return { chosen: [...chosen.values()], legs };
}

/**
 * The most that the maker of each seat may cost. A sweep fixed its amount for the makers chosen first,
 * so a replacement must not cost more.
 */
export function seatLimits(
  terms: Choice & { readonly makers: number; readonly sweep: boolean },
): readonly number[] {
  const first = suitable(terms).chosen.slice(0, terms.makers);
  return first.map(({ offer }) => (terms.sweep ? makerCost(offer, terms.amount) : Infinity));
}

/**
 * The makers asked for these seats, in the order of the candidates and at most `most`; and the
 * remaining ones.
 */
export function assign(
  { seatLimits: limits, amount }: RoundTerms,
  candidates: readonly Candidate[],
  seats: readonly number[],
  most = seats.length,
): { readonly asked: readonly Asked[]; readonly left: readonly Candidate[] } {
  const free = new Set(seats);
  const asked: Asked[] = [];
  const left: Candidate[] = [];
  for (const candidate of candidates) {
    const cost = makerCost(candidate.offer, amount);
    let best: number | undefined;
    let bestLimit = Infinity;
    for (const seat of free) {
      const limit = limits[seat] ?? -Infinity;
      // Uses the tightest sufficient seat, which leaves the others to more expensive makers.
      if (cost > limit || (best !== undefined && limit >= bestLimit)) continue;
      best = seat;
      bestLimit = limit;
    }
    if (best === undefined || asked.length >= most) left.push(candidate);
    else {
      free.delete(best);
      asked.push({ candidate, seat: best });
    }
  }
  return { asked, left };
}

/** Whether a maker may have refused, and may still answer. */
const mayHaveRefused = (leg: Leg): boolean => isOpen(leg) && leg.refusal !== undefined;

/** Seats without a maker, and seats whose makers all may have refused. */
function openSeats({ terms, legs, waiting }: Gathering): {
  readonly empty: readonly number[];
  readonly uncertain: readonly number[];
} {
  const sure = new Set(waiting.map(({ seat }) => seat));
  const unsure = new Set<number>();
  for (const leg of legs.values()) {
    if (leg.step === 'failed') continue;
    (mayHaveRefused(leg) ? unsure : sure).add(leg.seat);
  }
  const open = [...terms.seatLimits.keys()].filter((seat) => !sure.has(seat));
  return {
    empty: open.filter((seat) => !unsure.has(seat)),
    uncertain: open.filter((seat) => unsure.has(seat)),
  };
}

/** Asks spare makers for open seats, as many as are allowed. */
export function fillSeats(state: Gathering): Gathering {
  const { terms, spare } = state;
  const { replacements, spares } = terms.policy;
  const { empty, uncertain } = openSeats(state);
  const first = assign(terms, spare, empty, replacements - state.replaced);
  const replaced = state.replaced + first.asked.length;
  const most = Math.min(replacements - replaced, spares - state.spares);
  const second = assign(terms, first.left, uncertain, most);
  return {
    ...state,
    spare: second.left,
    replaced: replaced + second.asked.length,
    spares: state.spares + second.asked.length,
    waiting: [...state.waiting, ...first.asked, ...second.asked],
  };
}

/** All other makers asked for the seat of this one, which is ready. */
export function rivalsOf(
  { legs }: Gathering,
  { candidate: { nick }, seat }: Asked,
): readonly ActiveLeg[] {
  return [...legs.values()].filter(
    (leg): leg is ActiveLeg =>
      leg.step !== 'failed' && leg.seat === seat && leg.candidate.nick !== nick,
  );
}

/** A proof that no maker was shown is free again. */
export function freeUnused({ podle, claimed }: Gathering): readonly RoundEffect[] {
  return podle === undefined || claimed.has(podle.commitment) ? [] : [{ kind: 'free', podle }];
}
