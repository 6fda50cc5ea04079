/** A wallet whose password is quick to check, so that tests of commands need no second of scrypt each time. */
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Network } from '../../src/protocol/constants.js';
import { newWalletSecret } from '../../src/wallet/new-wallet.js';
import { readSeedWords } from '../../src/wallet/seed.js';
import { Wallet } from '../../src/wallet/wallet.js';
import type { WalletStore } from '../../src/wallet/store/api.js';
import { createWalletStore } from '../../src/wallet/store/store.js';

export const PASSWORD = 'a password that is nowhere else';
/** The words of coins.md, vectors of the original. */
export const WORDS =
  'come border huge beach energy near recall upper raven warm maze stable theme smart practice dial dad beef bright pet thrive edge park water';
/** What the header of the wallet file asks for. */
const COST = { log2N: 4, r: 8, p: 1 };

export interface Place {
  readonly datadir: string;
  /** `--datadir` and `--password-file`. */
  readonly options: readonly string[];
  readonly passwordFile: string;
}

/** A data directory with a configuration, and a file with the password. */
export async function walletPlace(
  t: Test,
  blockchain: readonly string[] = [],
  network: Network = 'regtest',
): Promise<Place> {
  const lines = [
    '[BLOCKCHAIN]',
    `network = ${network}`,
    ...blockchain,
    '[MESSAGING:onion]',
    'type = onion',
    '',
  ];
  const datadir = t.testdir({ 'joinmarket.cfg': lines.join('\n') });
  const passwordFile = join(datadir, 'password');
  await writeFile(passwordFile, `${PASSWORD}\n`, { mode: 0o600 });
  return {
    datadir,
    passwordFile,
    options: ['--datadir', datadir, '--password-file', passwordFile],
  };
}

/** Derives the addresses, as `create` does, so that a passphrase is not needed to look. A second of work. */
async function firstOpening(store: WalletStore, passphrase: string | undefined): Promise<void> {
  const wallet = await Wallet.open({
    store,
    chain: undefined,
    ...(passphrase === undefined ? {} : { passphrase }),
    unixTime: () => 1_700_000_000,
    randomBytes: (length) => randomBytes(length),
  });
  await wallet.close();
}

/** Makes the folder of a wallet. Resolves to its first deposit address. */
export async function makeCheapWallet(
  datadir: string,
  name: string,
  options: {
    readonly network?: Network;
    readonly words?: string;
    readonly passphrase?: string;
    readonly birthHeight?: number;
    /** Each costs a fifth of a second when the wallet is opened first. */
    readonly mixdepths?: number;
    readonly isOpened?: boolean;
  } = {},
): Promise<string> {
  const read = readSeedWords(options.words ?? WORDS);
  if (!read.ok) throw new Error('the words of the test are wrong');
  const { secret, firstAddress } = await newWalletSecret({
    network: options.network ?? 'regtest',
    kind: 'native',
    mixdepths: options.mixdepths ?? 5,
    birthHeight: options.birthHeight ?? 0,
    created: 1_700_000_000,
    seed: read.value,
    passphrase: options.passphrase ?? '',
  });
  const folder = join(datadir, 'wallets', name);
  await mkdir(join(datadir, 'wallets'), { recursive: true });
  const store = await createWalletStore(folder, { secret, password: PASSWORD }, { cost: COST });
  if (options.isOpened === true) await firstOpening(store, options.passphrase);
  else await store.close();
  return firstAddress;
}
