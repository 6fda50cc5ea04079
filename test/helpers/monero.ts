/** A monerod on regtest and a monero-wallet-rpc, both real, which a test can kill and start again. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { freePorts } from '../../src/lab/private-network/free-ports.js';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');
const UNPACKED = join(ROOT, '.build/debian/monero/usr');
const LIBRARIES = join(UNPACKED, 'lib/x86_64-linux-gnu');
const START_MS = 60_000;
const LOOK_MS = 50;
const MAX_LOG_CHARS = 50_000;
/**
 * A reward can be spent 60 blocks later, and a payment hides among 16 outputs. From 76 outputs on, ten blocks deep, the
 * wallet draws 75 different ones by age; with 76 to 78 of them it draws for ever. So more of them are mined.
 */
export const BLOCKS_TO_SPEND = 95;

export const WALLET_LOGIN = { user: 'client', password: 'a "quoted" pass\\word' } as const;

/** A program that can be ended and started again on its port. */
export interface Running {
  readonly port: number;
  readonly log: string;
  /** Ends it at once, as a crash does. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

async function connects(port: number): Promise<boolean> {
  const socket = createConnection({ host: '127.0.0.1', port });
  const ok = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  });
  socket.destroy();
  return ok;
}

class MoneroProgram implements Running {
  #child: ChildProcess | undefined;
  #log = '';
  constructor(
    private readonly name: string,
    private readonly args: readonly string[],
    readonly port: number,
  ) {}

  get log(): string {
    return this.#log;
  }

  async kill(): Promise<void> {
    const running = this.#child;
    this.#child = undefined;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    running.kill('SIGKILL');
    await once(running, 'exit');
  }

  async start(): Promise<void> {
    const { LD_LIBRARY_PATH: before = '' } = process.env;
    const child = spawn(join(UNPACKED, 'bin', this.name), [...this.args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, LD_LIBRARY_PATH: `${LIBRARIES}:${before}` },
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        this.#log = (this.#log + chunk.toString('utf8')).slice(-MAX_LOG_CHARS);
      });
    }
    const deadline = performance.now() + START_MS;
    while (!(await connects(this.port))) {
      if (child.exitCode !== null || performance.now() > deadline) {
        throw new Error(`${this.name} does not start: ${this.#log}`);
      }
      await new Promise((resolve) => {
        setTimeout(resolve, LOOK_MS);
      });
    }
  }
}

/**
 * Writes a script that runs one of the programs with these options before its own, and leaves its process id in
 * `NAME.pid` beside it. @returns its path
 */
export async function moneroScript(
  folder: string,
  name: 'monerod' | 'monero-wallet-rpc',
  args: readonly string[],
): Promise<string> {
  const path = join(folder, `${name}.sh`);
  const program = join(UNPACKED, 'bin', name);
  await writeFile(
    path,
    `#!/bin/sh\necho $$ > '${join(folder, `${name}.pid`)}'\nLD_LIBRARY_PATH='${LIBRARIES}' exec '${program}' ${args.join(' ')} "$@"\n`,
    { mode: 0o755 },
  );
  return path;
}

export interface MoneroNode extends Running {
  /** Mines; resolves when the blocks are there. */
  mine(blocks: number, address: string): Promise<void>;
  /** Ids of the transactions that wait for a block. */
  pool(): Promise<readonly string[]>;
  /** Empties the pool, as a node does that was restarted without it. */
  flushPool(): Promise<void>;
  walletRpc(options?: {
    readonly folder?: string;
    readonly login?: boolean;
  }): Promise<WalletProgram>;
}

export interface WalletProgram extends Running {
  readonly url: URL;
  readonly folder: string;
}

/** Starts a node without peers; the end of the test ends it and the wallets. */
export async function startMonero(test: Test): Promise<MoneroNode> {
  const root = await mkdtemp(join(tmpdir(), 'onionmc-monero-'));
  test.teardown(() => rm(root, { recursive: true, force: true }));
  const [port = 0, p2p = 0] = await freePorts(2);
  const node = new MoneroProgram(
    'monerod',
    [
      '--regtest',
      '--offline',
      '--fixed-difficulty=1',
      `--data-dir=${join(root, 'node')}`,
      `--rpc-bind-port=${port}`,
      `--p2p-bind-port=${p2p}`,
      '--no-zmq',
      '--no-igd',
      '--non-interactive',
      '--max-log-files=1',
    ],
    port,
  );
  test.teardown(() => node.kill());
  await node.start();

  async function ask(path: string, body: unknown): Promise<unknown> {
    const response = await fetch(`http://127.0.0.1:${port}/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const answer: unknown = await response.json();
    if (typeof answer === 'object' && answer !== null && 'error' in answer) {
      throw new Error(`${path}: ${JSON.stringify(answer.error)}`);
    }
    return answer;
  }
  const call = (method: string, params: unknown): Promise<unknown> =>
    ask('json_rpc', { jsonrpc: '2.0', id: '0', method, params });

  return Object.assign(node, {
    async mine(blocks: number, address: string) {
      await call('generateblocks', { amount_of_blocks: blocks, wallet_address: address });
    },
    async pool() {
      const text = JSON.stringify(await ask('get_transaction_pool_hashes', {}));
      return [...text.matchAll(/[0-9a-f]{64}/g)].map(([txid]) => txid);
    },
    async flushPool() {
      await call('flush_txpool', {});
    },
    async walletRpc({ folder = join(root, 'wallets'), login = true } = {}) {
      await mkdir(folder, { recursive: true });
      const [walletPort = 0] = await freePorts(1);
      const wallet = new MoneroProgram(
        'monero-wallet-rpc',
        [
          `--wallet-dir=${folder}`,
          // Without it the program writes to the home folder.
          `--shared-ringdb-dir=${join(folder, 'ringdb')}`,
          `--daemon-address=127.0.0.1:${port}`,
          '--trusted-daemon',
          `--rpc-bind-port=${walletPort}`,
          `--log-file=${join(root, 'wallet-rpc.log')}`,
          ...(login
            ? [`--rpc-login=${WALLET_LOGIN.user}:${WALLET_LOGIN.password}`]
            : ['--disable-rpc-login']),
        ],
        walletPort,
      );
      test.teardown(() => wallet.kill());
      await wallet.start();
      const url = new URL(`http://127.0.0.1:${walletPort}/json_rpc`);
      return Object.assign(wallet, { url, folder });
    },
  });
}
