/**
 * How long an upgrade leaves the peers of a directory unserved (docs/upgrade.md): the built program on
 * loopback, thousands of idle peers, and one peer that sends offers to all of them.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startChild, type Child } from './process.js';
import { printTable, spread } from './table.js';

const MAIN = fileURLToPath(new URL('../../../../dist/cli/main.js', import.meta.url));
const GENERATORS = 2;
/** Nicks of one generator. */
const NICKS = 1_000_000;
/** Offers of the one peer that sends; each goes to all. */
const OFFERS_PER_SECOND = 5;
const CONFIG = `[BLOCKCHAIN]
network = signet
[MESSAGING:onion]
type = onion
onion_serving_host = 127.0.0.1
onion_serving_port = 0
regtest_count = 1,1
[DIRECTORY]
status_port = 0
max_peers = 0
max_unhandshaked = 0
pubmsg_per_minute = 0
orderbook_per_minute = 0
deliveries_per_second = 0
`;

interface Answer {
  readonly done: boolean;
  readonly why?: string;
  readonly pid: number;
  readonly peers: number;
  readonly heldMs: number;
}

interface Running {
  readonly first: ChildProcess;
  readonly port: number;
  upgrade(): Promise<Answer>;
}

async function start(datadir: string): Promise<Running> {
  await writeFile(join(datadir, 'joinmarket.cfg'), CONFIG, { mode: 0o600 });
  const first = spawn(process.execPath, [MAIN, 'directory', '--datadir', datadir], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const port = await new Promise<number>((resolve, reject) => {
    first.once('exit', () => reject(new Error('the directory ended at its start')));
    first.stdout.once('data', (text: Buffer) => {
      resolve(Number(/:(\d+)/.exec(text.toString('latin1'))?.[1]));
    });
  });
  return {
    first,
    port,
    async upgrade() {
      const args = [MAIN, 'upgrade', '--json', '--datadir', datadir];
      const { stdout } = await promisify(execFile)(process.execPath, args);
      const answer: Answer = JSON.parse(stdout);
      if (!answer.done) throw new Error(answer.why);
      return answer;
    },
  };
}

async function measure(peers: number, upgrades: number, loaded: boolean): Promise<string[]> {
  const datadir = await mkdtemp(join(tmpdir(), 'onionmc-bench-'));
  const directory = await start(datadir);
  const generators: Child[] = [];
  let pid = directory.first.pid ?? 0;
  const held: number[] = [];
  let kept = 0;
  try {
    for (let n = 1; n <= GENERATORS; n++) {
      generators.push(startChild('client-process.js', [directory.port, n * NICKS]));
    }
    await Promise.all(generators.map((child) => child.ask('join', peers / GENERATORS)));
    const seconds = 60 + upgrades * 10;
    if (loaded) {
      generators[0]?.ask('paced', OFFERS_PER_SECOND, OFFERS_PER_SECOND * seconds).catch(() => {});
    }
    for (let n = 0; n < upgrades; n++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const answer = await directory.upgrade();
      pid = answer.pid;
      kept = answer.peers;
      held.push(answer.heldMs);
    }
  } finally {
    process.kill(pid, 'SIGKILL');
    await Promise.all(generators.map((child) => child.stop()));
    await rm(datadir, { recursive: true });
  }
  const load = loaded ? `${OFFERS_PER_SECOND} offers/s to all` : 'idle';
  return [peers.toLocaleString('en'), load, `${kept}`, `${upgrades}`, spread(held, 0)];
}

/** `scripts/bench upgrade` */
export async function benchUpgrade(quick: boolean): Promise<void> {
  const upgrades = quick ? 3 : 10;
  const rows: string[][] = [];
  for (const peers of quick ? [1_000] : [1_000, 10_000]) {
    for (const loaded of [false, true]) {
      // oxlint-disable-next-line no-await-in-loop -- one at a time
      rows.push(await measure(peers, upgrades, loaded));
    }
  }
  printTable(
    ['peers', 'load', 'peers after', 'upgrades', 'unserved, ms: median (least to most)'],
    rows,
  );
}
