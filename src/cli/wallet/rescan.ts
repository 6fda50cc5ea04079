/** `onionmc wallet rescan`: reads the block chain again from a height. */
import { counted } from '../../kit/decimal.js';
import { print, printJson, printNote } from '../print.js';
import { resumePayments } from './pay.js';
import { withProgress } from './progress.js';
import { writeWallet, type WriteOptions } from './session.js';

interface RescanOptions extends WriteOptions {
  readonly from?: number;
  readonly json?: boolean;
}

export function runRescan(name: string, options: RescanOptions): Promise<void> {
  const how = { ...options, isKeyless: true, isRescan: true };
  return writeWallet(name, how, async (session) => {
    const { wallet, signal } = session;
    const from = options.from ?? wallet.secret.birthHeight;
    const report = await withProgress(`reading the block chain from block ${from}`, (onProgress) =>
      wallet.rescan({ from, signal, onProgress }),
    );
    await resumePayments(session);
    const { height, transactions, notes } = report;
    if (options.json === true) {
      printJson({ from, height, transactions, notes });
      return;
    }
    print(
      `read the blocks ${from} to ${height}: ${counted(transactions, 'new transaction')}, total ${wallet.summary().total} sat`,
    );
    for (const note of notes) printNote(`note: ${note}`);
  });
}
