/** `onionmc wallet show`: the balance of each mixdepth, and the bonds. */
import type { WalletCoin } from '../../wallet/api.js';
import { formatOutpoint } from '../../protocol/outpoint.js';
import { print, printJson } from '../print.js';
import { checkMixdepth, readWallet, type ReadOptions } from './session.js';
import { summaryTable } from './tables.js';
import { holdReason } from './format.js';

interface ShowOptions extends ReadOptions {
  readonly mixdepth?: number;
  readonly json?: boolean;
}

/** A bond as `--json` has it; the lock time in Unix seconds. */
function bondJson(coin: WalletCoin): Record<string, unknown> {
  return {
    outpoint: formatOutpoint(coin),
    value: coin.value,
    address: coin.address,
    path: coin.path,
    locktime: coin.lockTime ?? null,
    confirmations: coin.confirmations,
    reason: holdReason(coin),
  };
}

export function runShow(name: string, options: ShowOptions): Promise<void> {
  return readWallet(name, options, ({ wallet }) => {
    const { mixdepth } = options;
    checkMixdepth(wallet, mixdepth);
    const whole = wallet.summary();
    const mixdepths = whole.mixdepths.filter(
      (sums) => mixdepth === undefined || sums.mixdepth === mixdepth,
    );
    const summary = { ...whole, mixdepths };
    if (options.json !== true) {
      print(summaryTable(name, summary));
      return;
    }
    const { network, height, total, available, bonds } = summary;
    printJson({ network, height, total, available, mixdepths, bonds: bonds.map(bondJson) });
  });
}
