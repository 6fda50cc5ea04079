/** What the values of bonds need from the chain (`BondChainView` of the orderbook). */
import type { Chain } from './ports.js';

/** A confirmed, unspent output, or none. */
export type BondOutputView =
  | {
      readonly found: true;
      readonly amount: number;
      readonly confirmedAt: number;
      readonly scriptHex: string;
    }
  | { readonly found: false };

/** The calls of `BondChainView`, by a chain that finds coins of others. */
export function bondView(chain: Chain): {
  tip(): Promise<{ readonly height: number; readonly medianTime: number }>;
  output(txid: string, vout: number): Promise<BondOutputView>;
} {
  return {
    tip: () => chain.tip(),
    async output(txid, vout) {
      const [coin] = await chain.coins([{ txid, vout }]);
      if (coin?.height === undefined) return { found: false };
      const block = await chain.blockAt(coin.height);
      if (block === undefined) return { found: false };
      return { found: true, amount: coin.value, confirmedAt: block.time, scriptHex: coin.script };
    },
  };
}
