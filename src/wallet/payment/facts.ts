/** What a wallet remembers about scripts, for the warnings of a payment. */
import { parseTransaction, type TransactionOutput } from '../../bitcoin/transaction.js';
import { BRANCH } from '../api.js';
import type { SignedTransaction } from '../requests.js';
import type { Wallet } from '../wallet.js';
import type { ScriptFacts } from './warnings.js';

/** Outputs of a transaction of the journal. */
function outputsOf({ transaction }: SignedTransaction): readonly TransactionOutput[] {
  const parsed = parseTransaction(transaction);
  return parsed.ok ? parsed.value.outputs : [];
}

/** The scripts that signed transactions paid, and those of the wallet that were funded. */
export function scriptFacts(wallet: Wallet): ScriptFacts {
  const paid = new Set<string>();
  const open = new Map<string, string>();
  for (const signed of wallet.signedTransactions()) {
    if (signed.state !== 'pending' && signed.state !== 'confirmed') continue;
    for (const { script } of outputsOf(signed)) {
      if (wallet.placeOf(script)?.branch === BRANCH.internal) continue;
      paid.add(script);
      if (signed.state === 'pending') open.set(script, signed.txid ?? signed.unsignedTxid);
    }
  }
  return {
    isOwn: (script) => wallet.placeOf(script) !== undefined,
    wasPaid: (script) => paid.has(script) || wallet.wasFunded(script),
    openPayment: (script) => open.get(script),
  };
}
