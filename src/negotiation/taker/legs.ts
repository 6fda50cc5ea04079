/** Shared by both halves of a taker's round: the handling of makers. */
import type { BoxSession } from '../../protocol/encryption.js';
import type { Leg, LegFault, RoundEffect, RoundState, RoundTransition } from './api.js';
import { shownText } from '../payloads.js';

export type Gathering = Extract<RoundState, { readonly phase: 'gathering' }>;

export type Collecting = Extract<RoundState, { readonly phase: 'collecting' | 'signing' }>;

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
