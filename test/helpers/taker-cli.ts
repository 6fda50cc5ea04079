/** `onionmc coinjoin` in a data directory with a wallet, on the network of a test. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { generateSeed } from '../../src/wallet/seed.js';
import { makeCheapWallet, PASSWORD } from './cheap-wallet.js';
import { runCli, type Ended } from './cli.js';
import type { MakerNetwork } from './maker-network.js';
import { scriptAt } from './wallet-cli.js';

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
  ): Promise<TakerCli> {
    const home = await mkdtemp(join(tmpdir(), 'onionmc-taker-'));
    t.teardown(() => rm(home, { recursive: true, force: true }));
    await writeFile(join(home, 'joinmarket.cfg'), network.config());
    await writeFile(join(home, 'password'), `${PASSWORD}\n`, { mode: 0o600 });
    const cli = new TakerCli(home);
    const { words } = generateSeed(12, (length) => randomBytes(length));
    await makeCheapWallet(cli.datadir, name, { words });
    const outputs: { script: string; value: number }[] = [];
    for (const value of values) {
      // oxlint-disable-next-line no-await-in-loop -- one writer of the wallet at a time
      const { stdout } = await cli.run('wallet', 'address', name, '--json');
      const { address }: { address: string } = JSON.parse(stdout);
      outputs.push({ script: scriptAt(address), value });
    }
    await network.source.pay(outputs);
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
