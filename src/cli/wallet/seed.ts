/** `onionmc wallet seed`: shows the seed words. */
import { seedOf } from '../../wallet/seed.js';
import { print, printJson, printNote } from '../print.js';
import { wordLines } from './ask-seed-words.js';
import { confirm } from './questions.js';
import { withFolder, type FolderOptions } from './session.js';

interface SeedOptions extends FolderOptions {
  readonly yes?: boolean;
  readonly json?: boolean;
}

const QUESTION = 'Anybody who sees the words can take all coins. Is the screen private: show them?';

export function runSeed(name: string, options: SeedOptions): Promise<void> {
  return withFolder(name, options, 'read', async ({ store, asker }) => {
    if (!(await confirm(asker, QUESTION, options.yes))) return;
    const { entropy, hasPassphrase } = store.secret;
    const seed = seedOf(entropy);
    if (options.json === true) {
      printJson({ words: seed.words.split(' '), passphrase: hasPassphrase });
      return;
    }
    print(process.stdout.isTTY ? wordLines(seed) : seed.words);
    if (hasPassphrase) printNote('a passphrase, which is stored nowhere, belongs to these words');
  });
}
