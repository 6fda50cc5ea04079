/** `onionmc maker history`: the coinjoins of a wallet as a maker. */
import { printJson } from './print.js';
import { readWallet, type ReadOptions } from './wallet/session.js';

interface HistoryOptions extends ReadOptions {
  readonly json?: boolean;
}

export function runMakerHistory(name: string, options: HistoryOptions): Promise<void> {
  return readWallet(name, options, ({ wallet }) => {
    printJson(wallet.history().filter(({ kind }) => kind === 'coinjoin-maker'));
  });
}
