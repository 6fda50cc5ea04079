/**
 * How long an upgrade leaves the peers of a directory unserved (docs/upgrade.md): the built program on
 * loopback, thousands of idle peers, two that talk with each other, and one that sends offers to all.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { ClientReport } from './client-process.js';
import { startChild, type Child } from './process.js';
import { printTable, spread } from './table.js';

const MAIN = fileURLToPath(new URL('../../../../dist/cli/main.js', import.meta.url));
const GENERATORS = 2;
/** Nicks of one generator. */
const NICKS = 1_000_000;
/** Offers of the one peer that sends; each goes to all. */
const OFFERS_PER_SECOND = 5;
/** Private messages of the pair that talks; the slowest one shows the pause from outside. */
const PRIVATE_PER_SECOND = 200;
const SETTLE_MS = 1_000;
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
privmsg_per_second = 0
# Peers that read nothing stay.
write_stall_timeout_sec = 3600
send_queue_bytes = 1073741824
`;
/** Peers that read nothing, and what is sent to each: the system takes about half of it. */
const BEHIND = 4;
const BEHIND_BYTES = 8_000_000;

/** The durations of upgrades of one directory. */
export interface UpgradeFigures {
  /** Peers after the last one. */
  readonly peers: number;
  /** The pause as the program reports it, in milliseconds, for each upgrade. */
  readonly heldMs: readonly number[];
  /** The longest way of a private message during each upgrade, in milliseconds. */
  readonly longestMs: readonly number[];
}

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

async function start(main: string, datadir: string): Promise<Running> {
  await writeFile(join(datadir, 'joinmarket.cfg'), CONFIG, { mode: 0o600 });
  const first = spawn(process.execPath, [main, 'directory', '--datadir', datadir], {
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
      const args = [main, 'upgrade', '--json', '--datadir', datadir];
      const { stdout } = await promisify(execFile)(process.execPath, args);
      const answer: Answer = JSON.parse(stdout);
      if (!answer.done) throw new Error(answer.why);
      return answer;
    },
  };
}

/** The longest way of a message since the last call, in milliseconds. */
async function longestWay(child: Child): Promise<number> {
  const report: ClientReport = JSON.parse(await child.ask('report'));
  return report.latencies.reduce((most, micros) => Math.max(most, micros), 0) / 1000;
}

export interface UpgradeLoad {
  readonly peers: number;
  readonly upgrades: number;
  /** Whether a peer sends offers to all meanwhile. */
  readonly loaded: boolean;
  /** How many of the peers read nothing while much waits for them. */
  readonly behind?: number;
}

/**
 * Upgrades a directory several times, one after the other.
 * @param main the program's `cli/main.js`
 */
export async function measureUpgrades(
  main: string,
  { peers, upgrades, loaded, behind = 0 }: UpgradeLoad,
): Promise<UpgradeFigures> {
  const datadir = await mkdtemp(join(tmpdir(), 'onionmc-bench-'));
  const directory = await start(main, datadir);
  const generators: Child[] = [];
  let pid = directory.first.pid ?? 0;
  const heldMs: number[] = [];
  const longestMs: number[] = [];
  let kept = 0;
  try {
    for (let n = 1; n <= GENERATORS; n++) {
      generators.push(startChild('client-process.js', [directory.port, n * NICKS]));
    }
    const [speaker, pair] = generators;
    if (speaker === undefined || pair === undefined) throw new Error('no generators');
    await Promise.all(generators.map((child) => child.ask('join', (peers - behind) / GENERATORS)));
    if (behind > 0) {
      await pair.ask('stop reading', behind);
      await speaker.ask('fill', BEHIND_BYTES);
      await pause(SETTLE_MS);
    }
    const seconds = 60 + upgrades * 10;
    if (loaded)
      speaker.ask('paced', OFFERS_PER_SECOND, OFFERS_PER_SECOND * seconds).catch(() => {});
    await pair.ask('private', PRIVATE_PER_SECOND);
    await longestWay(pair);
    for (let n = 0; n < upgrades; n++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const answer = await directory.upgrade();
      pid = answer.pid;
      kept = answer.peers;
      heldMs.push(answer.heldMs);
      // The messages of the pause have arrived by then.
      // oxlint-disable-next-line no-await-in-loop -- as above
      await pause(SETTLE_MS);
      // oxlint-disable-next-line no-await-in-loop -- as above
      longestMs.push(await longestWay(pair));
    }
  } finally {
    process.kill(pid, 'SIGKILL');
    await Promise.all(generators.map((child) => child.stop()));
    await rm(datadir, { recursive: true });
  }
  return { peers: kept, heldMs, longestMs };
}

function textOf({ loaded, behind = 0 }: Pick<UpgradeLoad, 'loaded' | 'behind'>): string {
  if (behind > 0) return `${behind} read nothing`;
  return loaded ? `${OFFERS_PER_SECOND} offers/s to all` : 'a pair that talks';
}

/**
 * `scripts/bench upgrade`
 * @param peers their number, at least 4; by default 1,000 and 10,000
 */
export async function benchUpgrade(quick: boolean, peers?: number): Promise<void> {
  const upgrades = quick ? 3 : 10;
  const sizes = peers === undefined ? [1_000, ...(quick ? [] : [10_000])] : [peers];
  const rows: string[][] = [];
  for (const size of sizes) {
    const loads = [{ loaded: false }, { loaded: true }, { loaded: false, behind: BEHIND }];
    for (const load of loads) {
      // oxlint-disable-next-line no-await-in-loop -- one at a time
      const figures = await measureUpgrades(MAIN, { peers: size, upgrades, ...load });
      rows.push([
        size.toLocaleString('en-US'),
        textOf(load),
        `${figures.peers}`,
        `${upgrades}`,
        spread(figures.heldMs, 0),
        spread(figures.longestMs, 0),
      ]);
    }
  }
  printTable(
    ['peers', 'load', 'peers after', 'upgrades', 'unserved, ms', 'slowest message, ms'],
    rows,
  );
}
