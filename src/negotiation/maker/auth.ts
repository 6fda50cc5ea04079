/** The taker's proof before a maker names its coins: `auth`, and a look at the chain. */
import { hexToBytes } from '@noble/hashes/utils.js';
import { DUST_THRESHOLD } from '../../protocol/offer.js';
import { formatOutpoint } from '../../protocol/outpoint.js';
import { parseRevelation, verifyPodle } from '../../protocol/podle.js';
import { metadataFault } from '../coin-metadata.js';
import type { MakerFault, MakerTransition } from './api.js';
import { NOTHING, refuse, type In } from './endings.js';
import type { ChainCoin, ReservationRequest } from '../ports.js';
import { keyOwnsScript } from '../transaction.js';

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
