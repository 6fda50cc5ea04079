/** The search for the coins of a wallet that was recovered or imported, and what it says. */
import type { Chain } from '../../chain/ports.js';
import type { Settings } from '../../config/settings.js';
import { walletRules } from '../../config/wallet-rules.js';
import { counted } from '../../kit/decimal.js';
import type { WalletStore } from '../../wallet/store/api.js';
import { print, printJson, printNote } from '../print.js';
import { formatBtc } from '../../bitcoin/amount.js';
import { withProgress } from './progress.js';
import { openWallet, type Surroundings } from './session.js';

interface NewSession extends Surroundings {
  readonly store: WalletStore;
  readonly chain: Chain;
  readonly passphrase: string;
  readonly settings: Settings;
}

/** What was read, and what not, for a person. */
function scannedWords(from: number, height: number, mixdepths: number): string {
  const older =
    from > 0 ? ` Blocks before ${from} were not read ("rescan --from" reads them).` : '';
  return (
    `read the blocks ${from} to ${height} for ${counted(mixdepths, 'mixdepth')}, with at least 1 000 addresses ` +
    `on each branch and all 960 bond addresses.${older} Not looked for: other mixdepths, other kinds of addresses`
  );
}

/** Reads the chain, tells the result, and closes the wallet. The wallet stays also after an error. */
export async function firstScan(
  name: string,
  { store, chain, passphrase, settings, signal }: NewSession,
  isJson: boolean,
): Promise<void> {
  const { hasPassphrase, birthHeight: from, mixdepths } = store.secret;
  const wallet = await openWallet({
    store,
    chain,
    mode: 'write',
    ...(hasPassphrase ? { passphrase } : {}),
    ...walletRules(settings),
  });
  try {
    const { height, transactions, notes } = await withProgress(
      `reading the block chain from block ${from}`,
      (onProgress) => wallet.sync({ signal, onProgress }),
    );
    const { total, available, bonds } = wallet.summary();
    if (isJson) {
      const { network, fingerprint } = store.secret;
      const scanned = { from, to: height, mixdepths };
      const sums = { total, available, bonds: bonds.length };
      printJson({ name, network, fingerprint, scanned, transactions, ...sums, notes });
      return;
    }
    printNote(scannedWords(from, height, mixdepths));
    for (const note of notes) printNote(`note: ${note}`);
    print(
      `${name}: ${counted(transactions, 'transaction')}, ${formatBtc(total)} BTC, ${counted(bonds.length, 'bond')}`,
    );
    if (transactions === 0) {
      printNote(
        'no transaction was found: if you expected coins, check the words, the passphrase and the network',
      );
    }
  } finally {
    await wallet.close();
  }
}
