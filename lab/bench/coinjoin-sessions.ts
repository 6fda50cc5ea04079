/** A maker with many sessions at once: the CPU time of its longest turn of the event loop, for each step. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { serveDirectory } from './coinjoin-directory.js';
import type { Side } from './coinjoin-sides.js';
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
async function once(side: Side, route: Route): Promise<ReadonlyMap<Step, Turns>> {
  const directory = await serveDirectory(createLoopbackOverlay({ host: '127.0.0.1', port: 0 }));
  const maker = side.start('coinjoin-busy-maker.js', [SESSIONS, directory.port]);
  const takers = side.start('coinjoin-many-takers.js', [SESSIONS, directory.port, route]);
  try {
    await maker.ask('ready');
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
    return steps;
  } finally {
    await Promise.all([maker.stop(), takers.stop()]);
    await directory.close();
  }
}

/** @param isAnswered whether the takers have a next step, which shows that all were answered */
async function burst(
  maker: ReturnType<Side['start']>,
  takers: ReturnType<Side['start']>,
  isAnswered: boolean,
): Promise<Turns> {
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

/** Prints a table; returns which limits this version exceeds. */
export async function benchSessions(
  sides: readonly Side[],
  times: number,
): Promise<readonly string[]> {
  const rows: string[][] = [];
  const faults: string[] = [];
  for (const route of ROUTES) {
    const bySide = new Map(sides.map((side) => [side, [] as ReadonlyMap<Step, Turns>[]]));
    for (let n = 0; n < times; n++) {
      for (const [side, runs] of bySide) {
        // oxlint-disable-next-line no-await-in-loop -- in turn
        runs.push(await once(side, route));
      }
    }
    for (const [{ name }, runs] of bySide) {
      const of = (step: Step, read: (turns: Turns) => number): readonly number[] =>
        runs.flatMap((run) => {
          const turns = run.get(step);
          return turns === undefined ? [] : [read(turns)];
        });
      for (const step of STEPS) {
        const longest = of(step, ({ longestMs }) => longestMs);
        const total = of(step, ({ totalMs }) => totalMs / SESSIONS);
        rows.push([route, step, name, spread(longest, 1), spread(total, 1)]);
        const median = quantile(longest, 0.5);
        if (name === 'now' && !(median <= LONGEST_TURN_MS)) {
          faults.push(`${step} (${route}): a turn took ${median.toFixed(1)} ms of CPU time`);
        }
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
