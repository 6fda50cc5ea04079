/** Spending on mainnet needs an explicit word. */
import type { Network } from '../../protocol/constants.js';
import { UsageError } from '../errors.js';

/** What the first start of a wallet on mainnet says. */
export const MAINNET_NOTICE =
  'This is a wallet for real bitcoin (mainnet), in software that is new and has no review from outside.\n' +
  'It receives coins and shows them. It spends them only when a command has the option\n' +
  '--mainnet-i-accept-the-risk. The option means: a fault of this program may lose the coins, and you\n' +
  'accept that. To try it without risk, set network = signet in [BLOCKCHAIN] of joinmarket.cfg.';

/** What decides whether a command spends. */
export interface SpendOptions {
  readonly mainnetIAcceptTheRisk?: boolean;
  readonly dryRun?: boolean;
  readonly psbt?: string;
}

/** Throws a `UsageError` for a payment on mainnet without the word, before the password is asked for. */
export function checkMainnet(network: Network, options: SpendOptions): void {
  const spends = options.dryRun !== true && options.psbt === undefined;
  if (network !== 'mainnet' || !spends || options.mainnetIAcceptTheRisk === true) return;
  throw new UsageError(
    'this wallet has real bitcoin, and a fault of this new software may lose them: give --mainnet-i-accept-the-risk if you accept that, or look at the payment with --dry-run',
  );
}

/** Throws a `UsageError` for a maker on mainnet without the word, before the password is asked for. */
export function checkMainnetMaker(network: Network, isAccepted: boolean | undefined): void {
  if (network !== 'mainnet' || isAccepted === true) return;
  throw new UsageError(
    'a maker signs coinjoins with real bitcoin, and a fault of this new software may lose them: give --mainnet-i-accept-the-risk if you accept that',
  );
}
