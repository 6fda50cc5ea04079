/** `onionmc wallet history`: the transactions of a wallet, the oldest first. */
import type { HistoryEntry } from '../../wallet/api.js';
import { print, printFile, printJson } from '../print.js';
import { readWallet, type ReadOptions } from './session.js';
import { historyCsv, historyTable } from './tables.js';

interface HistoryOptions extends ReadOptions {
  readonly json?: boolean;
  readonly csv?: boolean;
}

/** A transaction as `--json` has it: unknown values are null. */
function entryJson(entry: HistoryEntry): Record<string, unknown> {
  return {
    txid: entry.txid,
    time: entry.time,
    height: entry.height ?? null,
    kind: entry.kind,
    state: entry.state,
    change: entry.change,
    balance: entry.balance,
    fee: entry.fee ?? null,
    coinjoinFee: entry.coinjoinFee ?? null,
    mixdepthFrom: entry.mixdepthFrom ?? null,
    mixdepthTo: entry.mixdepthTo ?? null,
    label: entry.label ?? null,
  };
}

export function runHistory(name: string, options: HistoryOptions): Promise<void> {
  return readWallet(name, options, ({ wallet }) => {
    const entries = wallet.history();
    if (options.json === true) {
      printJson(entries.map(entryJson));
    } else if (options.csv === true) {
      printFile(historyCsv(entries));
    } else {
      print(historyTable(entries));
    }
  });
}
