/** What a command continues before its own work: payments and coinjoins of earlier runs that are open. */
import type { Chain } from '../../chain/ports.js';
import type { Settings } from '../../config/settings.js';
import { resumeCoinjoins } from '../../taker/resume.js';
import type { Wallet } from '../../wallet/wallet.js';
import { printNote } from '../print.js';
import { resumePayments } from './pay.js';

/** A wallet that was read up to the tip, open for writing; its coinjoins do not run. */
export interface ResumeSession {
  readonly wallet: Wallet;
  readonly chain: Chain;
  readonly settings: Settings;
  readonly signal: AbortSignal;
}

/**
 * Sends again what the network does not have, frees the coins of what never left, and says what became of
 * the rest. Rejects with a ChainError when the node does not answer.
 */
export async function resumeAll(session: ResumeSession): Promise<void> {
  const { wallet, chain, signal } = session;
  await resumePayments(session);
  for (const { txid, unsignedTxid, text } of await resumeCoinjoins(wallet, chain, signal)) {
    printNote(`note: the coinjoin ${txid ?? unsignedTxid} of an earlier run: ${text}`);
  }
}

/** What `resumeAll` would look at. A dry run frees nothing and sends nothing. */
export function tellOpen(wallet: Wallet): void {
  for (const { txid, unsignedTxid, kind, state } of wallet.signedTransactions()) {
    if (state !== 'pending' || kind === 'coinjoin-maker') continue;
    const what = kind === 'coinjoin-taker' ? 'coinjoin' : 'transaction';
    printNote(
      `note: the ${what} ${txid ?? unsignedTxid} of an earlier run is not settled; a command that is no dry run continues it`,
    );
  }
}
