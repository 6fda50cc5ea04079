/**
 * The soak: a directory in one process, attackers in another, honest peers in this one. Prints a row
 * a minute, then each point with its bound. Exit code 0 passed, 1 failed, 2 wrong arguments.
 */
import { cpus } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorText } from '../../src/kit/error-text.js';
import { LOST_AFTER_MS } from './bounds.js';
import { startChild } from './child.js';
import { startHonestPeers, type HonestPeers } from './honest-peers.js';
import { watchFaults } from './faults.js';
import { createLedger, type Ledger } from './ledger.js';
import { readOptions, USAGE, type SoakOptions } from './options.js';
import { createChance } from './random.js';
import {
  isDirectoryReport,
  isHostileReport,
  type DirectoryOrder,
  type DirectoryReport,
  type HostileOrder,
  type HostileReport,
  type Sample,
} from './reports.js';
import { addUp, nonZero, tableHead, tableRow, type Row } from './table.js';
import { judge } from './verdict.js';

const STEP_MS = 50;
const ROW_MS = 60_000;
/** The time in which the directory must notice that all peers left. */
const EMPTY_LIMIT_MS = 40_000;
const NUMBERS = { makers: 12, takers: 8, temporary: 20 };

const faults = watchFaults('honest');
const ownDelay = monitorEventLoopDelay({ resolution: 10 });
const say = (text: string): void => void process.stdout.write(`${text}\n`);

function startProcesses() {
  return {
    directory: startChild<DirectoryOrder, DirectoryReport>(
      './directory-process.js',
      ['--expose-gc'],
      isDirectoryReport,
    ),
    hostile: startChild<HostileOrder, HostileReport>('./hostile-process.js', [], isHostileReport),
  };
}
type Processes = ReturnType<typeof startProcesses>;

async function sampleOf({ directory }: Processes): Promise<Sample> {
  const heard = directory.hears();
  directory.tell('sample');
  const report = await heard;
  if (report.kind !== 'sample') throw new Error(`the directory sent ${report.kind} instead`);
  return report;
}

async function attacksOf({ hostile }: Processes, kind: 'count' | 'stop'): Promise<HostileReport> {
  const heard = hostile.hears();
  hostile.tell({ kind });
  return heard;
}

const sum = (counters: Readonly<Record<string, number>>): number =>
  Object.values(counters).reduce((total, count) => total + count, 0);

/** Runs all peers until `untilMs`, in small steps. */
async function live(honestPeers: HonestPeers, ledger: Ledger, untilMs: number): Promise<void> {
  while (performance.now() < untilMs) {
    honestPeers.step();
    ledger.sweep();
    await sleep(STEP_MS);
  }
}

/** Waits for deliveries under way; those that do not arrive become overdue. */
async function waitForDeliveries(honestPeers: HonestPeers, ledger: Ledger): Promise<void> {
  while (ledger.openTotal > 0) await live(honestPeers, ledger, performance.now() + STEP_MS);
}

async function untilEmpty(processes: Processes): Promise<Sample> {
  const limit = performance.now() + EMPTY_LIMIT_MS;
  for (;;) {
    const sample = await sampleOf(processes);
    const { stats, timers } = sample;
    if ((stats.connections === 0 && timers === 0) || performance.now() > limit) return sample;
    await sleep(200);
  }
}

async function soak({ minutes, seed }: SoakOptions, processes: Processes): Promise<boolean> {
  const listening = await processes.directory.hears();
  if (listening.kind !== 'listening') throw new Error('the directory does not listen');
  const { port } = listening;
  const before = await sampleOf(processes);
  const ledger = createLedger(LOST_AFTER_MS, () => performance.now());
  const honestPeers = startHonestPeers({ port, size: NUMBERS, ledger, chance: createChance(seed) });
  await honestPeers.open();
  processes.hostile.tell({ kind: 'start', port, victims: honestPeers.victims, seed: seed + 1 });

  const rows: Row[] = [];
  ownDelay.enable();
  const started = performance.now();
  const end = started + minutes * 60_000;
  let { cpuMs } = before;
  let rowAt = started;
  let attacksBefore = 0;
  say(tableHead());
  for (let from = started; from < end; from += ROW_MS) {
    await live(honestPeers, ledger, Math.min(from + ROW_MS, end));
    const sample = await sampleOf(processes);
    const attacks = sum((await attacksOf(processes, 'count')).attacks);
    const now = performance.now();
    const row: Row = {
      label: String(rows.length + 1),
      deliveries: ledger.take(),
      honest: honestPeers.size,
      attacks: attacks - attacksBefore,
      cpu: (sample.cpuMs - cpuMs) / (now - rowAt),
      sample,
      ownLoopMs: ownDelay.max / 1e6,
    };
    ownDelay.reset();
    ({ cpuMs } = sample);
    rowAt = now;
    attacksBefore = attacks;
    rows.push(row);
    say(tableRow(row));
  }

  honestPeers.stopSending();
  await waitForDeliveries(honestPeers, ledger);
  await honestPeers.endTemporary();
  await waitForDeliveries(honestPeers, ledger);
  ownDelay.disable();
  const last = await attacksOf(processes, 'stop');
  await processes.hostile.ended();
  await honestPeers.close();
  const after = await untilEmpty(processes);
  processes.directory.tell('stop');
  const exitCode = await processes.directory.ended();

  const total = addUp([...rows.map(({ deliveries }) => deliveries), ledger.take()]);
  const cpu = (after.cpuMs - before.cpuMs) / (performance.now() - started);
  const attacks = sum(last.attacks);
  say(
    tableRow({
      label: 'total',
      deliveries: total,
      honest: honestPeers.size,
      attacks,
      cpu,
      sample: after,
      ownLoopMs: Math.max(...rows.map((row) => row.ownLoopMs)),
    }),
  );
  say('');
  say(`honest peers came ${honestPeers.joins} times and left ${honestPeers.leaves} times`);
  say(`conversations of seven messages brought to their end: ${honestPeers.conversations}`);
  say(`hostile connections: ${last.connections}; attacks: ${nonZero(last.attacks)}`);
  say(`lines dropped: ${nonZero(after.stats.dropped)}`);
  say(`handshakes refused: ${nonZero(after.stats.handshakesRejected)}`);
  say(`connections closed: ${nonZero(after.stats.closed)}`);
  say('');

  const points = judge({
    rows,
    total,
    faults: honestPeers.faults,
    otherFaults: last.faults + faults.count,
    before,
    after,
    exitCode,
  });
  for (const { what, seen, passed } of points) say(`${passed ? 'ok  ' : 'FAIL'}  ${what}: ${seen}`);
  return points.every(({ passed }) => passed);
}

async function main(): Promise<void> {
  let options: SoakOptions | 'help';
  try {
    options = readOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`soak: ${errorText(error)}\n`);
    process.exitCode = 2;
    return;
  }
  if (options === 'help') {
    say(USAGE);
    return;
  }
  // The processes started below end with this one, for any cause.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  const [cpu] = cpus();
  say(
    `soak: ${options.minutes} minutes, seed ${options.seed}, Node ${process.version}, ` +
      `${cpus().length} x ${cpu?.model ?? 'processor'}`,
  );
  const passed = await soak(options, startProcesses());
  say(passed ? 'soak: passed' : 'soak: failed');
  process.exitCode = passed ? 0 : 1;
}

await main().catch((error: unknown) => {
  process.stderr.write(`soak: ${errorText(error)}\n`);
  process.exit(1);
});
