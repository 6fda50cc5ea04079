/** A lower estimate of the chain's height, for a program without a node. */
import type { Network } from './constants.js';

const BLOCK_SECONDS = 600;
/** One difficulty period: over years a network's blocks are ahead or behind by less. */
const MARGIN_BLOCKS = 2016;

/** A block of each network with a steady block rate: its height, and its time in Unix seconds. */
const KNOWN_BLOCKS: Partial<Record<Network, { readonly height: number; readonly time: number }>> = {
  mainnet: { height: 840_000, time: 1_713_571_767 },
  signet: { height: 0, time: 1_598_918_400 },
};

/**
 * A height that the chain has surely reached by then, with two weeks of grace; undefined for networks
 * without a steady block rate (testnet, regtest).
 * @param unixSeconds now
 */
export function leastHeight(network: Network, unixSeconds: number): number | undefined {
  const known = KNOWN_BLOCKS[network];
  if (known === undefined) return undefined;
  const blocks = Math.floor((unixSeconds - known.time) / BLOCK_SECONDS);
  return Math.max(0, known.height + blocks - MARGIN_BLOCKS);
}
