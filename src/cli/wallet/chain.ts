/** The node of the settings, asked once before a command relies on it. */
import type { Chain } from '../../chain/ports.js';
import type { Settings } from '../../config/settings.js';
import { UsageError } from '../errors.js';

/** Opens the view of the chain and asks for its tip. Rejects with a `ChainError`. */
export async function chainOf(settings: Settings, _signal: AbortSignal): Promise<Chain> {
  throw new UsageError(`${settings.configFile}: no chain yet`);
}
