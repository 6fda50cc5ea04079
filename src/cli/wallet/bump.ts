/** `onionmc wallet bump`: replaces an unconfirmed payment by one with a higher fee. */
import { peekSettings } from '../../config/settings.js';
import { addressOf } from '../../bitcoin/address.js';
import { parseTransaction } from '../../bitcoin/transaction.js';
import { formatOutpoint } from '../../protocol/outpoint.js';
import { leastBumpFeePerKb } from '../../wallet/payment/bump.js';
import type { Wallet } from '../../wallet/wallet.js';
import { networkOf } from './chain.js';
import { checkMainnet } from './mainnet.js';
import { pay, paymentsOf, type PayOptions } from './pay.js';
import { writeWallet, type Session, type WriteOptions } from './session.js';

interface BumpOptions extends WriteOptions, PayOptions {
  readonly feeRate?: number;
  readonly acceptAbsurdFee?: boolean;
}

/** Without a wish, the payment should be in one of the next blocks. */
const BLOCKS = 2;

/** What the payment has paid, and its size. A payment that the wallet does not know has none. */
function oldTerms(wallet: Wallet, txid: string): { readonly fee: number; readonly vsize: number } {
  const signed = wallet.signedTransactions().find((one) => one.txid === txid);
  const parsed = parseTransaction(signed?.bytes ?? new Uint8Array(0));
  if (!parsed.ok) return { fee: 0, vsize: 0 };
  const { inputs, outputs } = parsed.value;
  const values = new Map(wallet.coins().map((coin) => [formatOutpoint(coin), coin.value]));
  const spent = inputs.reduce((sum, input) => sum + (values.get(formatOutpoint(input)) ?? 0), 0);
  const paid = outputs.reduce((sum, { value }) => sum + value, 0);
  return { fee: Math.max(0, spent - paid), vsize: parsed.value.vsize };
}

/** The rate that was asked for; otherwise the estimate, and at least what nodes take as a replacement. */
async function feePerKbFor(
  { wallet, chain, signal }: Session,
  txid: string,
  feeRate: number | undefined,
): Promise<number> {
  if (feeRate !== undefined) return feeRate;
  const { fee, vsize } = oldTerms(wallet, txid);
  if (vsize === 0) return 0;
  const least = leastBumpFeePerKb(fee, vsize, await chain.minimumFeePerKb(signal));
  return Math.max(least, (await chain.feePerKb(BLOCKS, signal)) ?? 0);
}

export async function runBump(name: string, txid: string, options: BumpOptions): Promise<void> {
  const { settings } = await peekSettings({ role: 'wallet', datadir: options.datadir });
  checkMainnet(networkOf(settings), options);
  await writeWallet(name, options, async (session) => {
    const { wallet, signal } = session;
    const payments = paymentsOf(session);
    const feePerKb = await feePerKbFor(session, txid, options.feeRate);
    const plan = await payments.planBump(txid, feePerKb, options.acceptAbsurdFee, signal);
    const { script } = plan.payment;
    const address = addressOf(script, wallet.network) ?? script;
    await pay(session, payments, { plan, address }, options);
  });
}
