/**
 * The first half of a maker's session: the `fill` of a taker, and the coin that it proves before we name
 * ours (docs/protocol.md, sections 9.3 to 9.5).
 */
import { hexToBytes } from '@noble/hashes/utils.js';
import { keyOwnsScript } from '../../bitcoin/script.js';
import { formatFeatures, NEUTRINO_COMPAT } from '../../protocol/features.js';
import { DUST_THRESHOLD, type Offer, offerFee } from '../../protocol/offer.js';
import { formatOutpoint } from '../../protocol/outpoint.js';
import { parseRevelation, verifyPodle } from '../../protocol/podle.js';
import { fail, ok, type Parsed } from '../../protocol/result.js';
import { metadataFault } from '../coin-metadata.js';
import type { FillTerms } from '../payloads.js';
import type { ChainCoin, ReservationRequest } from '../ports.js';
import type { MakerEffect, MakerFault, MakerTerms, MakerTransition } from './api.js';
import { type In, NOTHING, refuse } from './session-end.js';

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

/** After a revelation that fits the commitment, the coin is looked up. */
export function onAuth(state: In<'awaiting-auth'>, args: readonly string[]): MakerTransition {
  const { fill, policy, box } = state.terms;
  const text = box.decrypt(args);
  // Not made for this session: from an older one, or a relabelled message, which any relay can send.
  if (!text.ok) return { state, effects: NOTHING };
  const revelation = parseRevelation(text.value);
  if (!revelation.ok) return refuse(state, 'revelation', 'the revelation is malformed');
  const proof = verifyPodle(revelation.value, fill.commitment, policy.takerUtxoRetries);
  if (!proof.ok) return refuse(state, 'podle', `the proof does not hold: ${proof.reason}`);
  return {
    state: {
      ...state,
      state: 'checking-coin',
      revelation: revelation.value,
      taken: { ...state.taken, auth: args.join('') },
      lastAnswer: NOTHING,
    },
    effects: [
      { kind: 'deadline', ms: policy.portWaitMs },
      { kind: 'look-up', coin: revelation.value.utxo },
    ],
  };
}

function coinFault(
  coin: ChainCoin | undefined,
  { terms: { policy, fill }, revelation }: In<'checking-coin'>,
): readonly [MakerFault, string] | undefined {
  const name = formatOutpoint(revelation.utxo);
  if (coin === undefined) return ['coin-missing', `${name} does not exist or is spent`];
  if (coin.confirmations < policy.takerUtxoAge) {
    return ['coin-young', `${name} needs ${policy.takerUtxoAge} confirmations`];
  }
  const least = Math.floor((fill.amount * policy.takerUtxoAmtPercent) / 100);
  if (coin.value < least) return ['coin-small', `${name} must hold ${least} sat`];
  if (!keyOwnsScript(hexToBytes(revelation.p), coin.script)) {
    return ['coin-key', `the key of the proof does not own ${name}`];
  }
  const detail = metadataFault(revelation.utxo, coin);
  return detail === undefined ? undefined : ['coin-metadata', detail];
}

/**
 * The chain has answered. If the coin is old and large enough and belongs to the taker, the wallet is
 * asked.
 */
export function onCoin(state: In<'checking-coin'>, coin: ChainCoin | undefined): MakerTransition {
  const { terms, fee } = state;
  const fault = coinFault(coin, state);
  if (fault !== undefined) {
    const [name, detail] = fault;
    const back = { ...state, state: 'awaiting-auth' as const };
    const refused = refuse(back, name, detail);
    if (refused.state.state === 'ended') return refused;
    return {
      state: refused.state,
      effects: [...refused.effects, { kind: 'deadline', ms: terms.policy.authWaitMs }],
    };
  }
  const { amount } = terms.fill;
  const request: ReservationRequest = {
    offer: terms.offer,
    amount,
    least: amount + terms.offer.txfee - fee + DUST_THRESHOLD,
    boxPublicKey: terms.keys.publicKeyHex,
  };
  // A taker that names its coin with its script can also read ours in that form (section 9.5).
  const extended = terms.policy.neutrinoCompat && state.revelation.utxo.metadata !== undefined;
  return {
    state: { ...state, state: 'reserving' },
    effects: [
      { kind: 'deadline', ms: terms.policy.portWaitMs },
      { kind: 'reserve', request, extended },
    ],
  };
}
