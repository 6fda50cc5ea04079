/** `onionmc wallet send`: a payment from one mixdepth. */
import { resolve } from 'node:path';
import { peekSettings, type Settings } from '../../config/settings.js';
import type { Outpoint } from '../../protocol/outpoint.js';
import { chooseFeePerKb, type FeeWish } from '../../wallet/payment/fee-rate.js';
import { printNote } from '../print.js';
import { networkOf } from './chain.js';
import { checkMainnet } from './mainnet.js';
import { pay, paymentsOf, printPsbt, type PayOptions } from './pay.js';
import { paymentTarget } from './payment-target.js';
import { checkMixdepth, writeWallet, type WriteOptions } from './session.js';

interface SendOptions extends WriteOptions, PayOptions {
  readonly mixdepth?: number;
  readonly coin?: readonly Outpoint[];
  readonly feeRate?: number;
  readonly blocks?: number;
  readonly acceptAbsurdFee?: boolean;
  readonly psbt?: string;
}

/** Up to this `tx_fees` is a number of blocks, above it sat/kvB. */
const MOST_BLOCKS = 1_000;

/** What the command says, otherwise `[POLICY] tx_fees`. */
export function feeWish(
  { feeRate, blocks }: Pick<SendOptions, 'feeRate' | 'blocks'>,
  { policy }: Pick<Settings, 'policy'>,
): FeeWish {
  if (feeRate !== undefined) return { feePerKb: feeRate };
  const wished = blocks ?? policy.txFees;
  return wished <= MOST_BLOCKS ? { blocks: wished } : { feePerKb: wished };
}

export async function runSend(
  name: string,
  amount: string,
  to: string | undefined,
  options: SendOptions,
): Promise<void> {
  // What is wrong with the arguments is told before the password is asked for.
  const { settings } = await peekSettings({ role: 'wallet', datadir: options.datadir });
  const network = networkOf(settings);
  const target = paymentTarget(amount, to, network);
  checkMainnet(network, options);
  await writeWallet(name, options, async (session) => {
    const { wallet, chain, signal } = session;
    checkMixdepth(wallet, options.mixdepth);
    const { coin: coins } = options;
    const wish = feeWish(options, settings);
    const payments = paymentsOf(session);
    const plan = await payments.plan(
      {
        amount: target.amount,
        script: target.script,
        mixdepth: options.mixdepth,
        coins,
        rule: settings.policy.mergeAlgorithm,
        feePerKb: await chooseFeePerKb(chain, wish, signal),
        acceptAbsurdFee: options.acceptAbsurdFee,
      },
      signal,
    );
    const { address, label } = target;
    if (label !== undefined) printNote(`the payment request says: ${label}`);
    if (options.psbt === undefined || options.dryRun === true) {
      await pay(session, payments, { plan, address, label }, options);
      return;
    }
    const psbt = await payments.psbt(plan);
    await printPsbt(resolve(options.psbt), psbt, { plan, address }, options.json === true);
  });
}
