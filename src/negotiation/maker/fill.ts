/** Handles a `fill`: finds the offer and opens a session (section 9.3). */
import { formatFeatures, NEUTRINO_COMPAT } from '../../protocol/features.js';
import { offerFee, type Offer } from '../../protocol/offer.js';
import { fail, ok, type Parsed } from '../../protocol/result.js';
import type { MakerEffect, MakerTerms, MakerTransition } from './api.js';
import type { FillTerms } from '../payloads.js';

export type FillRefusal = 'oid' | 'amount' | 'fee';

/** The offer that a fill takes, if its terms are met. */
export function offerFor(
  offers: readonly Offer[],
  { oid, amount }: FillTerms,
): Parsed<Offer, FillRefusal> {
  const offer = offers.find((candidate) => candidate.oid === oid);
  if (offer === undefined) return fail('oid');
  if (amount < offer.minsize || amount > offer.maxsize) return fail('amount');
  // A coinjoin that costs us more than it earns is refused (section 9.6).
  return offerFee(offer, amount) < offer.txfee ? fail('fee') : ok(offer);
}

/** The arguments of `pubkey`. The features are signed with the key, so a relay cannot remove them. */
function pubkeyArgs({ keys, policy }: MakerTerms): string {
  const features = formatFeatures(policy.neutrinoCompat ? [NEUTRINO_COMPAT] : []);
  return features === '' ? keys.publicKeyHex : `${keys.publicKeyHex} ${features}`;
}

/** A new session: sends `pubkey` and waits for `auth`. */
export function openMakerSession(terms: MakerTerms): MakerTransition {
  const answer: MakerEffect = {
    kind: 'send',
    command: 'pubkey',
    args: pubkeyArgs(terms),
  };
  return {
    state: {
      state: 'awaiting-auth',
      terms,
      fee: offerFee(terms.offer, terms.fill.amount),
      attempts: 0,
      repeats: 0,
      taken: {},
      lastAnswer: [answer],
    },
    effects: [answer, { kind: 'deadline', ms: terms.policy.authWaitMs }],
  };
}
