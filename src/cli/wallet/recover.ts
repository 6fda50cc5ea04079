/** `onionmc wallet recover`: a wallet from its seed words; looks for its coins, and says where it looked. */
import { newWalletSecret } from '../../wallet/new-wallet.js';
import { createWalletStore } from '../../wallet/store/store.js';
import { printNote } from '../print.js';
import { askSeedWords } from './ask-seed-words.js';
import { chainOf } from './chain.js';
import { ensureConfig, newFolder, noteMainnet } from './new-folder.js';
import { withProgress } from './progress.js';
import { confirm } from './questions.js';
import { firstPassphrase, firstPassword } from './secrets.js';
import { firstScan } from './first-scan.js';
import { unixTime, withSurroundings, type FolderOptions } from './session.js';
import type { Asker } from './terminal.js';

interface RecoverOptions extends FolderOptions {
  readonly passphrase?: boolean;
  readonly wordsFile?: string;
  readonly from?: number;
  readonly mixdepths: number;
  readonly nested?: boolean;
  readonly json?: boolean;
}

/** A passphrase that is forgotten here gives another, empty wallet, so a person is asked. */
async function passphraseOf(options: RecoverOptions, asker: Asker): Promise<string> {
  const isSaid = options.passphrase === true || options.passphraseFile !== undefined;
  const asks = !isSaid && options.wordsFile === undefined && asker.canAsk;
  const passphrase =
    isSaid || (asks && (await confirm(asker, 'Does a passphrase belong to the words?', false)));
  return firstPassphrase({ ...options, passphrase }, asker);
}

export function runRecover(name: string, options: RecoverOptions): Promise<void> {
  return withSurroundings(async (around) => {
    const { asker, signal } = around;
    const { folder, settings, network } = await newFolder(name, options);
    // A wallet without its coins is of no use: the node must answer first.
    const chain = await chainOf(settings, signal);
    try {
      const seed = await askSeedWords(options.wordsFile, asker);
      const passphrase = await passphraseOf(options, asker);
      const { secret, firstAddress } = await newWalletSecret({
        network,
        kind: options.nested === true ? 'nested' : 'native',
        mixdepths: options.mixdepths,
        birthHeight: options.from ?? 0,
        created: unixTime(),
        seed,
        passphrase,
      });
      printNote(
        `these words${passphrase === '' ? '' : ' with the passphrase'} give a wallet with the fingerprint ${secret.fingerprint} and the first address ${firstAddress}`,
      );
      const password = await firstPassword(options, asker);
      noteMainnet(network);
      await ensureConfig(options);
      const store = await withProgress('deriving the key from the password', () =>
        createWalletStore(folder, { secret, password }),
      );
      await firstScan(
        name,
        { ...around, store, chain, passphrase, settings },
        options.json === true,
      );
    } finally {
      await chain.close();
    }
  });
}
