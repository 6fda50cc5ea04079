/** The coinjoins that a wallet signed as a maker. Pure. */
import type { WalletView } from '../wallet/wallet-view.js';
import type { MakerCoinjoin } from './api.js';

/** The oldest first. */
export function makerCoinjoins(wallet: Pick<WalletView, 'coinjoins'>): readonly MakerCoinjoin[] {
  return wallet
    .coinjoins()
    .filter(({ kind }) => kind === 'coinjoin-maker')
    .map(({ txid, unsignedTxid, signedAt, confirmedAt, state, amount, fee, earned, ...it }) => ({
      txid,
      unsignedTxid,
      signedAt,
      confirmedAt,
      state,
      amount,
      inputs: it.coins.length,
      inputValue: it.inputValue,
      fee,
      earned,
    }));
}
