/** `onionmc wallet check`: proves the backup of the seed words. */
import { proveSeed } from '../../wallet/new-wallet.js';
import { WalletError } from '../../wallet/api.js';
import { print, printJson } from '../print.js';
import { askSeedWords } from './ask-seed-words.js';
import { walletPassphrase } from './secrets.js';
import { withFolder, type FolderOptions } from './session.js';

interface CheckOptions extends FolderOptions {
  readonly wordsFile?: string;
  readonly json?: boolean;
}

export function runCheck(name: string, options: CheckOptions): Promise<void> {
  return withFolder(name, options, 'read', async ({ store, asker }) => {
    const { secret } = store;
    const seed = await askSeedWords(options.wordsFile, asker);
    const passphrase = secret.hasPassphrase ? await walletPassphrase(options, asker) : '';
    const { isSame, address } = await proveSeed(secret, seed, passphrase);
    if (!isSame) {
      const found =
        seed.entropy === secret.entropy
          ? 'the words are right, and this passphrase gives another wallet'
          : 'these words give another wallet';
      throw new WalletError(
        'passphrase',
        `${name}: ${found} (first address ${address}): your backup does not restore this one`,
      );
    }
    if (options.json === true) printJson({ ok: true, address });
    else print(`the backup is right: it gives the first address of ${name}, ${address}`);
  });
}
