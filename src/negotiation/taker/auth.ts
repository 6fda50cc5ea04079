/**
 * Makers get our proof all at the same time. The first maker that sees it announces that it is used
 * (`!hp2`, docs/protocol.md, section 8.4), and a maker that answers `fill` later would refuse it. So
 * `auth` waits until every maker that was asked with this proof has sent its key, or for `authHoldMs`
 * after the first key.
 */
import { formatRevelation } from '../../protocol/podle.js';
import type { RoundEffect, RoundTerms } from './api.js';
import type { Gathering, OpenLeg } from './legs.js';

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

/** Sends the `auth` of every maker whose proof need not wait any more; of all with `isOver`. */
export function releaseAuths(state: Gathering, isOver: boolean): Released {
  const legs = new Map(state.legs);
  const shown = new Set(state.shown);
  const effects: RoundEffect[] = [];
  let isHeld = false;
  for (const [nick, leg] of state.legs) {
    if (leg.step !== 'auth') continue;
    const { commitment } = leg.podle;
    if (!isOver && !state.shown.has(commitment) && isAwaited(state, commitment)) {
      isHeld = true;
      continue;
    }
    shown.add(commitment);
    legs.set(nick, { ...leg, step: 'ioauth' });
    effects.push(authFor(state.terms, leg, leg.boxes), {
      kind: 'deadline',
      nick,
      ms: state.terms.policy.makerWaitMs,
    });
  }
  if (effects.length === 0) return { state, effects };
  if (!isHeld) effects.push({ kind: 'hold', ms: undefined });
  return { state: { ...state, legs, shown }, effects };
}
