/** The node of the settings, asked once before a command relies on it. */
import { silentLog, type Log } from '../../channel/log.js';
import type { Chain } from '../../chain/ports.js';
import type { Settings } from '../../config/settings.js';
import { systemClock } from '../../overlay/system-clock.js';
import type { Network } from '../../protocol/constants.js';
import { openChain } from '../../roles/open-chain.js';
import { UsageError } from '../errors.js';
import { printNote } from '../print.js';

/** The network of the node, and so of a wallet: `blockchain_source = regtest` stands for regtest. */
export function networkOf({ node, network }: Settings): Network {
  return node?.network ?? network;
}

/** A person waits at the terminal, so a wait for the node is said there. */
const noteLog: Log = {
  ...silentLog,
  info: (text) => printNote(`note: ${text}`),
  warn: (text) => printNote(`warning: ${text}`),
};

/**
 * Opens the view of the chain. Rejects with a `ChainError` when the node does not answer, or with a
 * `UsageError` when the settings name none.
 */
export async function chainOf(settings: Settings, signal: AbortSignal): Promise<Chain> {
  const chain = await openChain({ settings, clock: systemClock, log: noteLog, signal });
  if (chain !== undefined) return chain;
  throw new UsageError(
    `${settings.configFile}: [BLOCKCHAIN] blockchain_source is no-blockchain, and a wallet needs a bitcoin node: set bitcoin-rpc`,
  );
}
