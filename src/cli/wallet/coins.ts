/** `onionmc wallet coins`: every coin, with what it came from and what holds it back. */
import { formatOutpoint } from '../../protocol/outpoint.js';
import type { WalletCoin } from '../../wallet/api.js';
import { print, printJson } from '../print.js';
import { holdReason } from './format.js';
import { readWallet, type ReadOptions } from './session.js';
import { coinsTable } from './tables.js';

interface CoinsOptions extends ReadOptions {
  readonly json?: boolean;
}

/** A coin as `--json` has it. */
export function coinJson(coin: WalletCoin): Record<string, unknown> {
  return {
    outpoint: formatOutpoint(coin),
    value: coin.value,
    address: coin.address,
    path: coin.path,
    mixdepth: coin.mixdepth,
    confirmations: coin.confirmations,
    frozen: coin.frozen !== undefined,
    reason: holdReason(coin),
    origin: coin.origin,
  };
}

export function runCoins(name: string, options: CoinsOptions): Promise<void> {
  return readWallet(name, options, ({ wallet }) => {
    const coins = wallet.coins();
    if (options.json === true) printJson(coins.map(coinJson));
    else print(coinsTable(coins));
  });
}
