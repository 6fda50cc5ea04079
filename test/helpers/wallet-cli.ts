/** `onionmc wallet` with the real node of a test, without a terminal. */
import { randomBytes } from 'node:crypto';
import type { Test } from 'tap';
import { addressScript } from '../../src/bitcoin/address.js';
import { generateSeed } from '../../src/wallet/seed.js';
import type { BitcoinNode } from './bitcoin-node.js';
import { makeCheapWallet, walletPlace, type Place } from './cheap-wallet.js';
import { runCli, type Ended } from './cli.js';

/** The script of an address on regtest. */
export function scriptAt(address: string): string {
  const script = addressScript('regtest', address);
  if (script === undefined) throw new Error(`${address} is no address of regtest`);
  return script;
}

/** Runs wallet commands in one data directory. */
export class WalletCli {
  readonly datadir: string;
  /** `--datadir` and `--password-file`. */
  readonly options: readonly string[];

  private constructor({ datadir, options }: Place) {
    this.datadir = datadir;
    this.options = options;
  }

  /** A data directory whose configuration names the node. */
  static async at(t: Test, node: BitcoinNode, more: readonly string[] = []): Promise<WalletCli> {
    return new WalletCli(await walletPlace(t, [...rpcLines(node), ...more]));
  }

  /** Makes a wallet with a seed of its own. Resolves to the words. */
  async make(name: string): Promise<string> {
    const { words } = generateSeed(12, (length) => randomBytes(length));
    await makeCheapWallet(this.datadir, name, { words });
    return words;
  }

  run(...args: readonly string[]): Promise<Ended> {
    return runCli(['wallet', ...args, ...this.options], { detached: true });
  }

  /** The value that a command prints with `--json`; the test fails when it does not succeed. */
  async json<T = unknown>(t: Test, ...args: readonly string[]): Promise<T> {
    const { code, stdout, stderr } = await this.run(...args, '--json');
    t.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the test compares it
    return JSON.parse(stdout === '' ? 'null' : stdout) as T;
  }

  /** The script of a fresh deposit address. */
  async deposit(t: Test, name: string, mixdepth = 0): Promise<{ address: string; script: string }> {
    const { address } = await this.json<{ address: string }>(
      t,
      'address',
      name,
      '--mixdepth',
      String(mixdepth),
    );
    return { address, script: scriptAt(address) };
  }
}

export const rpcLines = (node: BitcoinNode): readonly string[] => [
  `rpc_port = ${node.rpcPort}`,
  `rpc_cookie_file = ${node.cookieFile}`,
];

/** A slow machine shows how far a long step is. */
const PROGRESS = /^[a-z ]+ \.\.\.(?: \d+ %)?\n/gm;

/** One line on standard error, nothing on standard output, and this exit code. */
export function refused(
  t: Test,
  { code, stdout, stderr }: Ended,
  exitCode: number,
  why: RegExp,
): void {
  t.equal(code, exitCode, stderr);
  t.match(stderr, why);
  const said = stderr.replaceAll(PROGRESS, '');
  t.match(said, /^onionmc: [^\n]*\n$/, 'one line');
  t.equal(stdout, '');
}
