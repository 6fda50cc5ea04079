/**
 * The second half of a maker's session: the coins of our wallet, named in `ioauth`, and the transaction
 * that we sign and broadcast (docs/protocol.md, sections 9.5 to 9.8).
 */
import { hexToBytes } from '@noble/hashes/utils.js';
import { DUST_THRESHOLD } from '../../protocol/offer.js';
import { formatOutpoint, type NamedOutpoint } from '../../protocol/outpoint.js';
import { verifyText } from '../../protocol/signature.js';
import { formatIoAuth, formatSignatureText, MAX_COINS, parseTransactionText } from '../payloads.js';
import { checkPayout, type Payout, sumOf } from '../payout.js';
import type { Reservation } from '../ports.js';
import { addressScript } from '../../bitcoin/address.js';
import { coinKind, keyOwnsScript } from '../../bitcoin/script.js';
import { type InputSignature, parseUnsigned, signatureFits, signedIds } from '../transaction.js';
import type { MakerEffect, MakerTransition, Signing } from './api.js';
import { failed, type In, type Live, NOTHING, refuse, signed } from './session-end.js';

/** The payment that a reservation requires; undefined when the wallet's answer cannot be used. */
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
    effects: [{ kind: 'store-commitment', commitment: state.terms.fill.commitment }],
  };
}

/** Another session has coins or addresses of this one, which therefore ends. */
export function onClash(state: In<'holding' | 'signing'>, detail: string): MakerTransition {
  return state.state === 'holding'
    ? failed(state, 'us', 'bad-reservation', detail, 'sorry')
    : failed(state, 'taker', 'payment', detail, 'the transaction does not pay: pay-input');
}

/** The commitment is stored: the taker gets our coins. */
export function onCommitmentStored(state: In<'claiming'>): MakerTransition {
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

/** A transaction goes to the wallet only when it pays us. */
export function onTx(state: In<'awaiting-tx'>, args: readonly string[]): MakerTransition {
  const { terms, reserved } = state;
  const text = terms.box.decrypt(args);
  if (!text.ok) return { state, effects: NOTHING };
  const bytes = parseTransactionText(text.value);
  if (bytes === undefined) return refuse(state, 'transaction', 'bad base64 tx');
  const tx = parseUnsigned(bytes);
  if (!tx.ok) return refuse(state, 'transaction', `the transaction is unusable: ${tx.reason}`);
  const inputs = checkPayout(tx.value, reserved.payout);
  if (!inputs.ok) return refuse(state, 'payment', `the transaction does not pay: ${inputs.reason}`);
  const signing: Signing = { tx: tx.value, inputs: inputs.value };
  return {
    state: {
      ...state,
      state: 'signing',
      signing,
      taken: { ...state.taken, tx: args.join('') },
      lastAnswer: NOTHING,
    },
    effects: [
      { kind: 'deadline', ms: terms.policy.portWaitMs },
      {
        kind: 'sign',
        tx: tx.value,
        request: { transaction: bytes, txid: tx.value.txid, inputs: inputs.value },
      },
    ],
  };
}

/** The wallet has signed: each signature is verified before it is sent. */
export function onSignatures(
  state: In<'signing'>,
  signatures: readonly InputSignature[],
): MakerTransition {
  const { terms, signing, reserved } = state;
  const texts: string[] = [];
  for (const [n, { index, coin }] of signing.inputs.entries()) {
    const signature = signatures[n];
    if (signature === undefined || !signatureFits(signing.tx, index, coin, signature)) {
      return failed(
        state,
        'us',
        'bad-signature',
        `the wallet's signature ${n} does not fit`,
        'sorry',
      );
    }
    texts.push(formatSignatureText(signature, coin));
  }
  const answers = texts.map((text): MakerEffect => ({
    kind: 'send',
    command: 'sig',
    args: terms.box.encrypt(text, terms.randomBytes),
  }));
  return {
    state: {
      ...state,
      state: 'awaiting-push',
      reserved,
      tx: signing.tx,
      repeats: 0,
      lastAnswer: answers,
    },
    effects: [{ kind: 'keep' }, ...answers, { kind: 'deadline', ms: terms.policy.pushWaitMs }],
  };
}

/** The complete transaction, to be broadcast for the taker. */
export function onPush(state: In<'awaiting-push'>, args: readonly string[]): MakerTransition {
  const transaction = parseTransactionText(args.join(''));
  // Only a transaction that this session signed is broadcast (section 9.8).
  if (transaction === undefined || signedIds(transaction)?.unsignedTxid !== state.tx.txid) {
    return { state, effects: NOTHING };
  }
  return signed(state, true, [{ kind: 'broadcast', transaction }]);
}
