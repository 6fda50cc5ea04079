/** Takes over the wallet of another program: its seed, what it handed out, labels and frozen coins. */
import type { Network } from '../../protocol/constants.js';
import { WalletImportError, type ForeignWallet } from '../../wallet/import/foreign-wallet.js';
import { foreignFormOf, readForeignWallet } from '../../wallet/import/read-foreign-wallet.js';
import { newWalletSecret, takenOver } from '../../wallet/new-wallet.js';
import { seedOf } from '../../wallet/seed.js';
import { createWalletStore } from '../../wallet/store/store.js';
import { UsageError } from '../errors.js';
import { printNote } from '../print.js';
import { chainOf } from './chain.js';
import { firstScan } from './first-scan.js';
import { ensureConfig, newFolder, noteMainnet } from './new-folder.js';
import { withProgress } from './progress.js';
import { confirm } from './questions.js';
import { filePassword, firstPassphrase, firstPassword } from './secrets.js';
import { unixTime, type FolderOptions, type Surroundings } from './session.js';

export interface ImportOptions extends FolderOptions {
  readonly filePasswordFile?: string;
  readonly passphrase?: boolean;
  readonly from?: number;
  readonly json?: boolean;
}

/** A file of another program. */
export interface ForeignFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly meta: Uint8Array | undefined;
  /** Of the new wallet. */
  readonly name: string;
}

/** Decrypts and reads the file; its errors name it. */
async function readFile(
  { path, bytes, meta }: ForeignFile,
  options: ImportOptions,
  { asker, signal }: Surroundings,
): Promise<ForeignWallet> {
  const isEncrypted = foreignFormOf(bytes)?.encrypted === true;
  const password = isEncrypted ? await filePassword(options.filePasswordFile, asker) : undefined;
  try {
    return await withProgress('deriving the key of the old file', (onProgress) =>
      readForeignWallet(bytes, password, { meta, signal, onProgress }),
    );
  } catch (error) {
    if (!(error instanceof WalletImportError)) throw error;
    throw new UsageError(`${path}: ${error.message}`, { cause: error });
  }
}

function checkNetwork({ networks }: ForeignWallet, path: string, network: Network): void {
  if (networks.includes(network)) return;
  throw new UsageError(
    `${path}: a wallet of ${networks.join(' or ')}, and [BLOCKCHAIN] network is ${network}`,
  );
}

/** The passphrase of the file, or the one that a person adds where the file does not say. */
async function passphraseOf(
  { passphrase }: ForeignWallet,
  options: ImportOptions,
  { asker }: Surroundings,
): Promise<string> {
  if (passphrase !== undefined) return passphrase;
  const isSaid = options.passphrase === true || options.passphraseFile !== undefined;
  const question = 'Does a passphrase belong to the seed words of this wallet?';
  const wanted = isSaid || (asker.canAsk && (await confirm(asker, question, false)));
  return firstPassphrase({ ...options, passphrase: wanted }, asker);
}

/** Imports the file. Nothing is written before it was read, and before the node answered. */
export async function importForeign(
  file: ForeignFile,
  options: ImportOptions,
  around: Surroundings,
): Promise<void> {
  const { path, name } = file;
  const { folder, settings, network } = await newFolder(name, options);
  const foreign = await readFile(file, options, around);
  checkNetwork(foreign, path, network);
  const { entropy, kind, mixdepths, indices, frozen, labels } = foreign;
  const chain = await chainOf(settings, around.signal);
  try {
    const passphrase = await passphraseOf(foreign, options, around);
    const { secret, firstAddress } = await newWalletSecret({
      network,
      kind,
      mixdepths,
      birthHeight: options.from ?? foreign.birthHeight ?? 0,
      created: foreign.created ?? unixTime(),
      seed: seedOf(entropy),
      passphrase,
    });
    const { fingerprint } = secret;
    if (foreign.fingerprint !== undefined && foreign.fingerprint !== fingerprint) {
      throw new UsageError(
        `${path}: the file is of a wallet with the fingerprint ${foreign.fingerprint}, and this passphrase gives ${fingerprint}`,
      );
    }
    printNote(
      `a wallet of ${foreign.program}, fingerprint ${fingerprint}, first address ${firstAddress}`,
    );
    for (const note of foreign.notes) printNote(`note: ${note}`);
    const password = await firstPassword(options, around.asker);
    noteMainnet(network);
    await ensureConfig(options);
    const records = takenOver({ indices, frozen, labels, commitments: [] }, secret);
    const store = await withProgress('deriving the key from the password', () =>
      createWalletStore(folder, { secret, password, records }),
    );
    await firstScan(name, { ...around, store, chain, passphrase, settings }, options.json === true);
  } finally {
    await chain.close();
  }
}
