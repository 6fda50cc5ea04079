/** `onionmc wallet history`: the transactions of a wallet, the oldest first. */
import { print, printFile, printJson } from '../print.js';
import { readWallet, type ReadOptions } from './session.js';
import { historyCsv, historyTable } from './tables.js';

interface HistoryOptions extends ReadOptions {
  readonly json?: boolean;
  readonly csv?: boolean;
}

export function runHistory(name: string, options: HistoryOptions): Promise<void> {
  return readWallet(name, options, ({ wallet }) => {
    const entries = wallet.history();
    if (options.json === true) {
      printJson(entries.map((entry) => ({ ...entry, height: entry.height ?? null })));
    } else if (options.csv === true) {
      printFile(historyCsv(entries));
    } else {
      print(historyTable(entries));
    }
  });
}
