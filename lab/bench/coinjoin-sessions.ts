/** A maker with many sessions at once: the CPU time of its longest turn of the event loop, for each step. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { serveDirectory } from './coinjoin-directory.js';
import type { Side } from './coinjoin-sides.js';
import type { Child } from './process.js';
import { printTable, quantile, spread } from './table.js';

const SESSIONS = 20;
const STEPS = ['fill', 'auth', 'tx'] as const;
const ROUTES = ['direct', 'directory'] as const;
/** Longest turn of the event loop, in milliseconds of CPU time. */
export const LONGEST_TURN_MS = 20;
/** Until the messages have arrived at the halted maker, and until it has answered them. */
const ARRIVE_MS = 200;

type Route = (typeof ROUTES)[number];
type Step = (typeof STEPS)[number];

interface Turns {
  readonly longestMs: number;
  readonly totalMs: number;
  readonly sessions: number;
  readonly outcomes: number;
}

/** The maker is halted while the messages of a step arrive, so that it finds all of them at once. */
async function once(
  side: Side,
  route: Route,
  file: string | undefined,
): Promise<ReadonlyMap<Step, Turns>> {
  const directory = await serveDirectory(createLoopbackOverlay({ host: '127.0.0.1', port: 0 }));
  const coins = file === undefined ? [] : [file];
  const maker = side.start('coinjoin-busy-maker.js', [SESSIONS, directory.port, ...coins]);
  let takers: Child | undefined;
  try {
    await maker.ask('ready');
    takers = side.start('coinjoin-many-takers.js', [SESSIONS, directory.port, route, ...coins]);
    await takers.ask('start');
    const steps = new Map<Step, Turns>();
    for (const step of STEPS) {
      // oxlint-disable-next-line no-await-in-loop -- one step after the other
      steps.set(step, await burst(maker, takers, step !== 'tx'));
    }
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by our child
    const results = JSON.parse(await takers.ask('results')) as string[];
    const wrong = results.filter((result) => result !== 'complete');
    if (wrong.length > 0) throw new Error(`${wrong.length} sessions failed: ${wrong[0]}`);
    await maker.ask('close');
    return steps;
  } finally {
    await Promise.all([maker.stop(), takers?.stop()]);
    await directory.close();
  }
}

/** @param isAnswered whether the takers have a next step, which shows that all were answered */
async function burst(maker: Child, takers: Child, isAnswered: boolean): Promise<Turns> {
  await takers.ask('full');
  await maker.ask('watch');
  maker.signal('SIGSTOP');
  await takers.ask('release');
  await sleep(ARRIVE_MS);
  maker.signal('SIGCONT');
  await takers.ask(isAnswered ? 'full' : 'results');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by our child
  return JSON.parse(await maker.ask('turns')) as Turns;
}

/** Runs that are shown in one row for each step. */
interface Runs {
  readonly route: Route;
  readonly name: string;
  readonly isNow: boolean;
  readonly once: () => Promise<ReadonlyMap<Step, Turns>>;
  readonly done: ReadonlyMap<Step, Turns>[];
}

/** Each version with a wallet in memory, and this one with a wallet on the disk, too. */
function runsOf(sides: readonly Side[], folder: string): readonly Runs[] {
  return ROUTES.flatMap((route): Runs[] => {
    const inMemory = sides.map((side): Runs => ({
      route,
      name: side.name,
      isNow: side.name === 'now',
      once: () => once(side, route, undefined),
      done: [],
    }));
    const onDisk = sides.filter(({ name }) => name === 'now');
    return [
      ...inMemory,
      ...onDisk.map((side): Runs => ({
        route,
        name: 'now, wallet on disk',
        isNow: true,
        once: () => once(side, route, join(folder, 'coins.json')),
        done: [],
      })),
    ];
  });
}

/** Prints a table; returns which limits this version exceeds. */
export async function benchSessions(
  sides: readonly Side[],
  times: number,
): Promise<readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'onionmc-bench-'));
  const all = runsOf(sides, folder);
  try {
    for (let n = 0; n < times; n++) {
      for (const runs of all) {
        // oxlint-disable-next-line no-await-in-loop -- in turn
        runs.done.push(await runs.once());
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const rows: string[][] = [];
  const faults: string[] = [];
  for (const { route, name, isNow, done } of all) {
    for (const step of STEPS) {
      const turns = done.flatMap((run) => run.get(step) ?? []);
      const longest = turns.map(({ longestMs }) => longestMs);
      const each = turns.map(({ totalMs }) => totalMs / SESSIONS);
      rows.push([route, step, name, spread(longest, 1), spread(each, 1)]);
      const median = quantile(longest, 0.5);
      if (isNow && !(median <= LONGEST_TURN_MS)) {
        faults.push(`${step} (${route}, ${name}): a turn took ${median.toFixed(1)} ms of CPU time`);
      }
    }
  }
  console.log(
    `${SESSIONS} takers at one maker over loopback; the messages of a step arrive at once. ` +
      `${times} times each: median (least to most).\n`,
  );
  printTable(['route', 'message', '', 'longest turn, CPU ms', 'CPU of a session, ms'], rows);
  return faults;
}
