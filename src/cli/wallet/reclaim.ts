/** `onionmc wallet reclaim`: pays the coins of a coinjoin that never appeared back to the wallet. */
import { peekSettings } from '../../config/settings.js';
import { addressOf } from '../../bitcoin/address.js';
import { networkOf } from './chain.js';
import { checkMainnet } from './mainnet.js';
import { pay, paymentsOf, type PayOptions } from './pay.js';
import { checkCanConfirm } from './questions.js';
import { writeWallet, type WriteOptions } from './session.js';

interface ReclaimOptions extends WriteOptions, Omit<PayOptions, 'dryRun'> {
  readonly feeRate?: number;
}

/** The coinjoin may still appear: the payment should be in one of the next blocks. */
const BLOCKS = 2;

export async function runReclaim(
  name: string,
  txid: string,
  options: ReclaimOptions,
): Promise<void> {
  const { settings } = await peekSettings({ role: 'wallet', datadir: options.datadir });
  checkMainnet(networkOf(settings), options);
  await writeWallet(name, options, async (session) => {
    const { wallet, chain, asker, signal } = session;
    // The plan hands out an address.
    checkCanConfirm(asker, options.yes);
    const payments = paymentsOf(session);
    const feePerKb =
      options.feeRate ??
      Math.max(
        (await chain.feePerKb(BLOCKS, signal)) ?? 0,
        (await chain.minimumFeePerKb(signal)) ?? 1,
      );
    const plan = await payments.planReclaim(txid, feePerKb, signal);
    const { script } = plan.payment;
    const address = addressOf(script, wallet.network) ?? script;
    await pay(session, payments, { plan, address }, options);
  });
}
