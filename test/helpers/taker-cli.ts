/** `onionmc coinjoin` in a data directory with a wallet, on the network of a test. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { generateSeed } from '../../src/wallet/seed.js';
import { openWalletStore } from '../../src/wallet/store/store.js';
import { Wallet } from '../../src/wallet/wallet.js';
import { makeCheapWallet, PASSWORD } from './cheap-wallet.js';
import { runCli, type Ended } from './cli.js';
import type { MakerNetwork } from './maker-network.js';

/** As many as the tests mix coins of, and where these go. */
export const TAKER_MIXDEPTHS = 3;

const unixTime = (): number => Math.floor(Date.now() / 1_000);

/** Deposits that the wallet hands out in this process, and remembers with all its addresses. */
async function depositScripts(
  folder: string,
  { chain }: MakerNetwork,
  count: number,
): Promise<readonly string[]> {
  const store = await openWalletStore(folder, PASSWORD, { mode: 'write' });
  const wallet = await Wallet.open({
    store,
    chain,
    unixTime,
    randomBytes: (length) => randomBytes(length),
  });
  try {
    await wallet.sync({ signal: new AbortController().signal });
    const scripts: string[] = [];
    for (let n = 0; n < count; n++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other, as a person does
      const { script } = await wallet.handOut({ mixdepth: 0, purpose: 'deposit' });
      scripts.push(script);
    }
    return scripts;
  } finally {
    await wallet.close();
  }
}

/** A data directory with a wallet, by default `w`, which has coins in mixdepth 0. */
export class TakerCli {
  readonly datadir: string;
  readonly options: readonly string[];

  private constructor(datadir: string) {
    this.datadir = datadir;
    this.options = ['--datadir', datadir, '--password-file', join(datadir, 'password')];
  }

  static async at(
    t: Test,
    network: MakerNetwork,
    values: readonly number[],
    name = 'w',
    mixdepths = TAKER_MIXDEPTHS,
  ): Promise<TakerCli> {
    const home = await mkdtemp(join(tmpdir(), 'onionmc-taker-'));
    t.teardown(() => rm(home, { recursive: true, force: true }));
    await writeFile(join(home, 'joinmarket.cfg'), network.config());
    await writeFile(join(home, 'password'), `${PASSWORD}\n`, { mode: 0o600 });
    const cli = new TakerCli(home);
    const { words } = generateSeed(12, (length) => randomBytes(length));
    await makeCheapWallet(cli.datadir, name, { words, mixdepths });
    const scripts = await depositScripts(join(home, 'wallets', name), network, values.length);
    await network.source.pay(values.map((value, n) => ({ script: scripts[n] ?? '', value })));
    await network.node.mine(6);
    return cli;
  }

  run(...args: readonly string[]): Promise<Ended> {
    return runCli([...args, ...this.options], { detached: true });
  }

  coinjoin(...args: readonly string[]): Promise<Ended> {
    return this.run('coinjoin', 'w', ...args, '--wait', '2');
  }

  /** Hashes of all files of the data directory, by path. */
  async files(): Promise<Readonly<Record<string, string>>> {
    const names = await readdir(this.datadir, { recursive: true, withFileTypes: true });
    const hashes = names
      .filter((entry) => entry.isFile())
      .map(async (entry) => {
        const path = join(entry.parentPath, entry.name);
        const hash = createHash('sha256')
          .update(await readFile(path))
          .digest('hex');
        return [path, hash] as const;
      });
    return Object.fromEntries(await Promise.all(hashes));
  }
}
