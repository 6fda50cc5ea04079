/** The fee rate of a payment: as named, or as the source of the chain estimates it. */
import type { Chain } from '../../chain/ports.js';
import { WalletError } from '../api.js';

/** How a rate is chosen. */
export type FeeWish =
  /** Satoshi per 1,000 virtual bytes. */
  | { readonly feePerKb: number }
  /** The first confirmation within this many blocks. */
  | { readonly blocks: number };

/**
 * The fee rate in sat/kvB.
 * @throws WalletError `chain` when the source has no estimate, which the text says how to do without.
 */
export async function chooseFeePerKb(
  chain: Chain,
  wish: FeeWish,
  signal?: AbortSignal,
): Promise<number> {
  if ('feePerKb' in wish) return wish.feePerKb;
  const estimate = await chain.feePerKb(wish.blocks, signal);
  if (estimate !== undefined) return estimate;
  throw new WalletError(
    'chain',
    `there is no estimate of the fee for ${wish.blocks} blocks: give --fee-rate in sat/vB`,
  );
}
