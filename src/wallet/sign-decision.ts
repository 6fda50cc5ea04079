/** The decision to sign: checks, signatures and the record, in one step of the journal. Pure but for keys and turns. */
import { bytesToHex } from '@noble/hashes/utils.js';
import { WalletError } from './api.js';
import { coinOf, holdsOf, type CoinTerms } from './coins.js';
import { ownOutputs } from './found.js';
import type { Decision } from './journal.js';
import type { WalletKeys } from './keys.js';
import { isLeaseOpen } from './lease-book.js';
import { labelRecord } from './labels.js';
import type { SignedRecord, WalletRecord } from './records.js';
import type { Signed, SignRequest } from './requests.js';
import { completed, SigningOrder, type OrderedSignature, type SigningView } from './signing.js';
import type { WalletState } from './state.js';
import { nextTurn } from './turns.js';

function viewOf(state: WalletState, terms: CoinTerms): SigningView {
  const { book } = state;
  return {
    coin: (outpoint) => coinOf(state, terms, outpoint),
    holdsOf: (coin) => holdsOf(state, coin, terms.now),
    placeOf: (script) => {
      const own = book.own(script);
      return own?.outsideKey === undefined ? own?.place : undefined;
    },
    isHandedOut: (script) => {
      const own = book.own(script);
      return own !== undefined && book.isHandedOut(own.place);
    },
    leaseCoins: (id) => {
      const lease = state.leases.named(id);
      return lease !== undefined && isLeaseOpen(lease, terms.now) ? lease.coins : undefined;
    },
    signedCoins: (unsigned) => {
      const status = state.signed.stateOf(unsigned);
      if (status !== 'pending' && status !== 'abandoned') return undefined;
      const coins = state.signed.record(unsigned)?.coins ?? [];
      return coins.map(([txid, vout]) => ({ txid, vout }));
    },
  };
}

/**
 * Checks a request against the journal, and signs, each input in a turn of the event loop of its own. The
 * journal makes no other decision meanwhile. Rejects with a `WalletError` where the request does not fit.
 */
export async function decideSigning(
  state: WalletState,
  terms: CoinTerms,
  request: SignRequest,
  keys: WalletKeys,
): Promise<Decision<Signed>> {
  await nextTurn();
  const order = SigningOrder.check(request, viewOf(state, terms));
  const unsigned = order.transaction.txid;
  if (state.signed.record(unsigned) !== undefined) {
    throw new WalletError('request', 'the transaction is signed already: send it again');
  }
  const signatures: OrderedSignature[] = [];
  for (const signature of keys.signing(order)) {
    signatures.push(signature);
    // oxlint-disable-next-line no-await-in-loop -- one input in a turn
    await nextTurn();
  }
  const whole = completed(order, signatures);
  const { coinjoin, lease, replaces, label } = request;
  const record: SignedRecord = {
    kind: 'signed',
    unsigned,
    purpose: request.kind,
    transaction: bytesToHex(order.transaction.bytes),
    coins: request.coins.map(({ txid, vout }) => [txid, vout] as const),
    own: ownOutputs(order.transaction.outputs, state.book),
    time: terms.now,
    height: state.progress.newest,
    ...(whole === undefined ? {} : { whole: { txid: whole.txid, bytes: bytesToHex(whole.bytes) } }),
    ...(lease === undefined ? {} : { lease }),
    ...(replaces === undefined ? {} : { replaces }),
    ...(coinjoin === undefined
      ? {}
      : {
          coinjoin: {
            amount: coinjoin.amount,
            earned: coinjoin.earned,
            script: coinjoin.script,
            ...(coinjoin.fee === undefined ? {} : { fee: coinjoin.fee }),
          },
        }),
  };
  const records: WalletRecord[] = [record];
  if (label !== undefined && label !== '') {
    records.push(labelRecord('tx', whole?.txid ?? unsigned, label, terms.network));
  }
  return {
    records,
    result: {
      unsignedTxid: unsigned,
      signatures: signatures
        .filter(({ lockTime }) => lockTime === undefined)
        .map(({ signature, publicKey }) => ({ signature, publicKey })),
      complete: whole,
    },
  };
}
