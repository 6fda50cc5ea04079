/** The maker's inputs: coins of its wallet, checked, and named in `ioauth` (section 9.5). */
import { hexToBytes } from '@noble/hashes/utils.js';
import { DUST_THRESHOLD } from '../../protocol/offer.js';
import { formatOutpoint, type NamedOutpoint } from '../../protocol/outpoint.js';
import { verifyText } from '../../protocol/signature.js';
import type { MakerEffect, MakerTransition } from './api.js';
import { failed, type In, type Live } from './endings.js';
import { sumOf, type Payout } from '../payout.js';
import type { Reservation } from '../ports.js';
import { formatIoAuth, MAX_COINS } from '../payloads.js';
import { addressScript, coinKind, keyOwnsScript } from '../transaction.js';

/** What a reservation must be paid; undefined when the wallet's answer cannot be used. */
function payoutOf(state: Live, reservation: Reservation): Payout | undefined {
  const { terms, fee } = state;
  const { coins, coinjoinAddress, changeAddress, authPublicKey, authSignature } = reservation;
  const { amount } = terms.fill;
  const coinjoinScript = addressScript(terms.network, coinjoinAddress);
  const changeScript = addressScript(terms.network, changeAddress);
  const change = sumOf(coins) - amount - terms.offer.txfee + fee;
  const names = new Set(coins.map(formatOutpoint));
  const usable =
    coins.length > 0 &&
    coins.length <= MAX_COINS &&
    names.size === coins.length &&
    coins.every(({ script }) => coinKind(script) !== undefined) &&
    change >= DUST_THRESHOLD &&
    coinjoinScript !== changeScript &&
    verifyText(terms.keys.publicKeyHex, authPublicKey, authSignature) &&
    coins.some(({ script }) => keyOwnsScript(hexToBytes(authPublicKey), script));
  if (!usable || coinjoinScript === undefined || changeScript === undefined) return undefined;
  return { coins, amount, coinjoinScript, changeScript, change };
}

const nameOnly = ({ txid, vout }: NamedOutpoint): NamedOutpoint => ({ txid, vout });

/** The wallet has answered: its coins are checked, first alone, then against all other sessions. */
export function onReserved(
  state: In<'reserving'>,
  reservation: Reservation | undefined,
  names: readonly NamedOutpoint[] = reservation?.coins.map(nameOnly) ?? [],
): MakerTransition {
  if (reservation === undefined) {
    return failed(state, 'us', 'no-coins', 'no coins fit the amount', 'amount out of range');
  }
  const payout = payoutOf(state, reservation);
  if (payout === undefined) {
    const end = failed(state, 'us', 'bad-reservation', 'the wallet gave unusable coins', 'sorry');
    const settle: MakerEffect = { kind: 'settle', reservation, settlement: 'unsigned' };
    return { state: end.state, effects: [settle, ...end.effects] };
  }
  return {
    state: { ...state, state: 'holding', reserved: { reservation, payout, names } },
    effects: [{ kind: 'hold', payout }],
  };
}

/** Only this session has these coins and addresses: the commitment is stored. */
export function onHeld(state: In<'holding'>): MakerTransition {
  return {
    state: { ...state, state: 'claiming' },
    // Stored before our coins are sent: after a restart it must not be accepted again.
    effects: [{ kind: 'claim', commitment: state.terms.fill.commitment }],
  };
}

/** Another session has coins or addresses of this one, which therefore ends. */
export function onClash(state: In<'holding' | 'signing'>, detail: string): MakerTransition {
  return state.state === 'holding'
    ? failed(state, 'us', 'bad-reservation', detail, 'sorry')
    : failed(state, 'taker', 'payment', detail, 'the transaction does not pay: pay-input');
}

/** The commitment is stored: the taker gets our coins. */
export function onClaimed(state: In<'claiming'>): MakerTransition {
  const { terms, reserved } = state;
  const { authPublicKey, coinjoinAddress, changeAddress, authSignature } = reserved.reservation;
  const text = formatIoAuth({
    coins: reserved.names,
    authPublicKey,
    coinjoinAddress,
    changeAddress,
    signature: authSignature,
  });
  const answer: MakerEffect = {
    kind: 'send',
    command: 'ioauth',
    args: terms.box.encrypt(text, terms.randomBytes),
  };
  return {
    state: { ...state, state: 'awaiting-tx', attempts: 0, repeats: 0, lastAnswer: [answer] },
    effects: [answer, { kind: 'deadline', ms: terms.policy.txWaitMs }],
  };
}
