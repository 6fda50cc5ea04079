/** How high a chain surely is, for a program that has no node to ask. */
import type { Network } from './constants.js';

const BLOCK_SECONDS = 600;
/** One difficulty period: over years the blocks of a network are ahead or behind by less. */
const MARGIN_BLOCKS = 2016;

/** A block of each network whose blocks come in time: its height, and its time in Unix seconds. */
const KNOWN_BLOCKS: Partial<Record<Network, { readonly height: number; readonly time: number }>> = {
  mainnet: { height: 840_000, time: 1_713_571_767 },
  signet: { height: 0, time: 1_598_918_400 },
};

/**
 * A height that the chain has reached by then, as far as its pace tells, two weeks of grace included;
 * undefined where the pace tells nothing (testnet, regtest).
 * @param unixSeconds now
 */
export function surelyReached(network: Network, unixSeconds: number): number | undefined {
  const known = KNOWN_BLOCKS[network];
  if (known === undefined) return undefined;
  const blocks = Math.floor((unixSeconds - known.time) / BLOCK_SECONDS);
  return Math.max(0, known.height + blocks - MARGIN_BLOCKS);
}
