/** What a maker signs and broadcasts: `tx`, `sig` and `push` (sections 9.6 to 9.8). */
import type { MakerEffect, MakerTransition, Signing } from './api.js';
import { failed, NOTHING, refuse, signed, type In } from './endings.js';
import { checkPayout } from '../payout.js';
import { formatSignatureText, parseTransactionText } from '../payloads.js';
import { parseUnsigned, signatureFits, signedIds, type InputSignature } from '../transaction.js';

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
