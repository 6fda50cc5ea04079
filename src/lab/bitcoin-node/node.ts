/** A real bitcoind on regtest, in a folder of its own: for the tests and `onionmc demo`. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { request } from 'node:http';
import { join } from 'node:path';
import { bitcoinCommand } from './program.js';

export interface BitcoinNodeOptions {
  /** Keeps the index of block filters; default true. */
  readonly filterIndex?: boolean;
  /** Has wallets; default false. */
  readonly wallet?: boolean;
  /** Logs in with this user and `rpcPassword` in place of the cookie. */
  readonly rpcUser?: string;
  readonly rpcPassword?: string;
  /** regtest (default), signet with a challenge of its own, or testnet4. */
  readonly network?: 'regtest' | 'signet' | 'testnet4';
  /** Accepts connections of peers at `peerPort`; default false. */
  readonly listen?: boolean;
  /** Further options, such as `-prune=1` or `-mocktime=...`. */
  readonly args?: readonly string[];
}

/** An error that the node answered. */
export class NodeRpcError extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

const FOLDERS = { regtest: 'regtest', signet: 'signet', testnet4: 'testnet4' } as const;
/** One key that need not be secret: blocks of the test's own signet have no signature of others. */
const OWN_SIGNET = ['-signet', '-signetchallenge=51', '-minrelaytxfee=0.00001'];

/** Below the ports that the system gives to outgoing connections: one of them could take it in a restart. */
const PORTS = { from: 12_000, to: 31_999 } as const;

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(PORTS.from, PORTS.to);
    // oxlint-disable-next-line no-await-in-loop -- almost always the first one
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** Removes the process when this one ends in any way. */
const DEATH_SIGNAL = ['/usr/bin/setpriv', '--pdeathsig', 'KILL'];

export class BitcoinNode {
  readonly datadir: string;
  readonly rpcPort: number;
  readonly peerPort: number;
  readonly #options: BitcoinNodeOptions;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(datadir: string, rpcPort: number, peerPort: number, options: BitcoinNodeOptions) {
    this.datadir = datadir;
    this.rpcPort = rpcPort;
    this.peerPort = peerPort;
    this.#options = options;
  }

  get cookieFile(): string {
    return join(this.datadir, FOLDERS[this.#options.network ?? 'regtest'], '.cookie');
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts it, with further options this time; resolves when it answers. */
  async start(more: readonly string[] = []): Promise<void> {
    this.launch(more);
    await this.ready();
  }

  /** Starts it and does not wait. */
  launch(more: readonly string[] = []): void {
    const command = bitcoinCommand('bitcoind');
    if (command === undefined) throw new Error('there is no bitcoind on this machine');
    const {
      filterIndex = true,
      wallet = false,
      rpcUser,
      rpcPassword,
      network = 'regtest',
    } = this.#options;
    const args = [
      `-datadir=${this.datadir}`,
      ...(network === 'signet' ? OWN_SIGNET : [`-${network}`]),
      `-rpcport=${this.rpcPort}`,
      '-rpcbind=127.0.0.1',
      '-rpcallowip=127.0.0.1',
      '-server=1',
      '-printtoconsole=0',
      '-dbcache=16',
      '-par=1',
      '-dnsseed=0',
      '-fixedseeds=0',
      '-upnp=0',
      '-natpmp=0',
      '-connect=0',
      '-fallbackfee=0.0001',
      ...(this.#options.listen === true
        ? ['-listen=1', `-bind=127.0.0.1:${this.peerPort}`, '-listenonion=0']
        : ['-listen=0']),
      ...(filterIndex ? ['-blockfilterindex=1'] : []),
      ...(wallet ? [] : ['-disablewallet']),
      ...(rpcUser === undefined
        ? []
        : [`-rpcuser=${rpcUser}`, `-rpcpassword=${rpcPassword ?? ''}`]),
      ...(this.#options.args ?? []),
      ...more,
    ];
    const [program, ...rest] = existsSync(DEATH_SIGNAL[0] ?? '')
      ? [...DEATH_SIGNAL, ...command, ...args]
      : [...command, ...args];
    const child = spawn(program ?? '', rest, { stdio: ['ignore', 'ignore', 'ignore'] });
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      const ended = (): void => {
        if (this.#child === child) this.#child = undefined;
        resolve();
      };
      child.once('exit', ended);
      child.once('error', ended);
    });
  }

  /** Resolves when it answers; rejects when it ended. */
  async ready(): Promise<void> {
    for (;;) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- bitcoind does not report when it listens
        await this.rpc('getblockchaininfo');
        return;
      } catch {
        if (this.#child === undefined)
          throw new Error(`bitcoind did not start: ${await this.logEnd()}`);
      }
      // oxlint-disable-next-line no-await-in-loop
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** The last lines of its log. */
  async logEnd(): Promise<string> {
    const file = join(this.datadir, FOLDERS[this.#options.network ?? 'regtest'], 'debug.log');
    return (await readFile(file, 'utf8').catch(() => 'no log')).slice(-1_500);
  }

  /** Ends it with a signal; resolves when it has ended. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    this.#child?.kill(signal);
    await this.#ended;
  }

  /** Ends it and starts it again, with further options. */
  async restart(
    more: readonly string[] = [],
    signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM',
  ): Promise<void> {
    await this.stop(signal);
    await this.start(more);
  }

  /** Writes its blocks to disk. Without it, a kill loses the newest ones. */
  async flush(): Promise<void> {
    await this.rpc('gettxoutsetinfo');
  }

  /** Calls a method; the caller knows what it answers. Rejects with a `NodeRpcError`. */
  async rpc<T = unknown>(method: string, ...params: readonly unknown[]): Promise<T> {
    const { rpcUser, rpcPassword } = this.#options;
    const auth =
      rpcUser === undefined
        ? await readFile(this.cookieFile, 'utf8')
        : `${rpcUser}:${rpcPassword ?? ''}`;
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
    const text = await new Promise<string>((resolve, reject) => {
      const options = { host: '127.0.0.1', port: this.rpcPort, method: 'POST', auth, agent: false };
      const call = request(options, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.once('error', reject);
        answer.once('end', () => resolve(Buffer.concat(chunks).toString()));
      });
      call.once('error', reject);
      call.end(body);
    });
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the test knows its node
    const { result, error } = JSON.parse(text) as {
      result: T;
      error?: { code: number; message: string } | null;
    };
    if (error !== undefined && error !== null) throw new NodeRpcError(error.code, error.message);
    return result;
  }

  /** Mines blocks with the mempool; the rewards go to a script. Returns the last hash. */
  async mine(count = 1, script = '51'): Promise<string> {
    const hashes = await this.rpc<string[]>('generatetodescriptor', count, `raw(${script})`);
    return hashes.at(-1) ?? this.rpc<string>('getbestblockhash');
  }

  #salt = 0;

  /** Mines a block with exactly these transactions (hex). Returns its hash. */
  async mineExactly(transactions: readonly string[]): Promise<string> {
    // Without the salt, a block could be the same as one that was made invalid.
    this.#salt += 1;
    const salt = this.#salt.toString(16).padStart(8, '0');
    const { hash } = await this.rpc<{ hash: string }>(
      'generateblock',
      `raw(04${salt}7551)`,
      transactions,
    );
    return hash;
  }

  /** Replaces the newest blocks by `depth + 1` others; the first one has these transactions (hex). */
  async reorganize(depth: number, transactions: readonly string[] = []): Promise<string> {
    const height = await this.rpc<number>('getblockcount');
    const lost = await this.rpc<string>('getblockhash', height - depth + 1);
    await this.rpc('invalidateblock', lost);
    let hash = await this.mineExactly(transactions);
    // oxlint-disable-next-line no-await-in-loop -- each block builds on the one before
    for (let mined = 0; mined < depth; mined += 1) hash = await this.mineExactly([]);
    return hash;
  }
}
