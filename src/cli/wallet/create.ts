/** `onionmc wallet create`: a new seed, shown once and asked back, then the encrypted folder. */
import { randomBytes } from 'node:crypto';
import type { Settings } from '../../config/settings.js';
import { errorText } from '../../kit/error-text.js';
import { leastHeight } from '../../protocol/tip-estimate.js';
import { newWalletSecret } from '../../wallet/new-wallet.js';
import { generateSeed, type Seed } from '../../wallet/seed.js';
import { createWalletStore } from '../../wallet/store/store.js';
import { print, printJson, printNote } from '../print.js';
import { SEED_WARNING, showAndAskBack } from './ask-seed-words.js';
import { chainOf, networkOf } from './chain.js';
import { ensureConfig, newFolder, noteMainnet } from './new-folder.js';
import { withProgress } from './progress.js';
import { firstPassphrase, firstPassword } from './secrets.js';
import { openWallet, unixTime, withSurroundings, type FolderOptions } from './session.js';

interface CreateOptions extends FolderOptions {
  readonly words: '12' | '24';
  readonly passphrase?: boolean;
  readonly mixdepths: number;
  readonly json?: boolean;
}

/**
 * Height of the best block, so that the chain is not read from its start after a loss. Without a node a
 * height that was surely reached; 0 when that is not known either.
 */
async function birthHeight(settings: Settings, signal: AbortSignal): Promise<number> {
  try {
    const chain = await chainOf(settings, signal);
    try {
      return (await chain.tip(signal)).height;
    } finally {
      await chain.close();
    }
  } catch (error) {
    signal.throwIfAborted();
    printNote(
      `note: the node was not asked for the height of the chain: ${errorText(error)}. The wallet can be made without it`,
    );
    return leastHeight(networkOf(settings), Date.now() / 1_000) ?? 0;
  }
}

/** Shows the words where a person can answer; otherwise they are part of the output. */
async function showWords(seed: Seed, options: CreateOptions): Promise<void> {
  if (options.json === true) return;
  printNote(SEED_WARNING);
  print(seed.words);
}

export function runCreate(name: string, options: CreateOptions): Promise<void> {
  return withSurroundings(async ({ asker, signal }) => {
    const { folder, settings, network } = await newFolder(name, options);
    const password = await firstPassword(options, asker);
    noteMainnet(network);
    const passphrase = await firstPassphrase(options, asker);
    const seed = generateSeed(options.words === '24' ? 24 : 12, (length) => randomBytes(length));
    const isAsked = asker.canAsk && options.json !== true;
    if (isAsked) await showAndAskBack(seed, asker);
    const { secret, firstAddress } = await newWalletSecret({
      network,
      kind: 'native',
      mixdepths: options.mixdepths,
      birthHeight: await birthHeight(settings, signal),
      created: unixTime(),
      seed,
      passphrase,
    });
    await ensureConfig(options);
    const store = await withProgress('deriving the key from the password', () =>
      createWalletStore(folder, { secret, password }),
    );
    // The addresses are in the journal from the start, so that a passphrase is not asked for to show them.
    const wallet = await openWallet({
      store,
      chain: undefined,
      mode: 'write',
      ...(passphrase === '' ? {} : { passphrase }),
    });
    await wallet.close();
    if (!isAsked) await showWords(seed, options);
    if (options.json === true) {
      const words = seed.words.split(' ');
      printJson({ name, network, folder, words, fingerprint: secret.fingerprint, firstAddress });
      return;
    }
    printNote(`${folder}: a wallet of ${network}, fingerprint ${secret.fingerprint}`);
    printNote(`next: onionmc wallet address ${name}`);
  });
}
