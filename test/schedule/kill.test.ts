/**
 * A program that runs a schedule is killed with SIGKILL before every call that changes its folder, and the
 * schedule is read again: no promise is lost, no step is forgotten, and the next program goes on.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  readScheduleFiles,
  ScheduleFileError,
  ScheduleFiles,
} from '../../src/roles/schedule-files.js';
import { begun } from '../../src/schedule/outcome.js';
import { withRecord } from '../../src/schedule/run-state.js';
import { bundle, inParallel, run } from '../wallet/store/children.js';
import { NEW_STEPS, placeIn, PROGRESS, SCENES, STEPS, TXID } from './schedule-scene.js';

/** A schedule; with `isBegun`, its first step has a transaction that is not in the marks of the lines. */
async function prepare(folder: string, isBegun: boolean): Promise<void> {
  await mkdir(folder);
  const files = await ScheduleFiles.open(placeIn(folder));
  await files.replace(STEPS, []);
  if (isBegun) {
    const state = begun(await files.load(), 0, 1_000);
    await files.save(withRecord(state, 0, { progress: { kind: 'sent', txid: undefined, at: 2 } }));
  }
  await files.close();
}

const mixdepths = (steps: readonly { readonly mixdepth: number }[]): readonly number[] =>
  steps.map(({ mixdepth }) => mixdepth);

async function afterRun(t: Test, folder: string, promised: readonly string[]): Promise<void> {
  const { state, isRunning } = await readScheduleFiles(placeIn(folder));
  const least = Math.max(0, ...PROGRESS.map((kind, i) => (promised.includes(kind) ? i : 0)));
  const found = PROGRESS.findIndex((kind) => kind === state.records[0]?.progress.kind);
  if (isRunning) t.fail('the lock of a dead program counts');
  if (found < least || found > least + 1)
    t.fail(`promised ${PROGRESS[least]}, has ${PROGRESS[found]}`);
  const files = await ScheduleFiles.open(placeIn(folder));
  const progress = { kind: 'sent', txid: TXID, at: 4_000 } as const;
  await files.save(withRecord(await files.load(), 0, { progress }));
  await files.close();
  const again = await readScheduleFiles(placeIn(folder));
  if (again.state.records[0]?.progress.kind !== 'sent') t.fail('the next program cannot go on');
}

async function afterReplace(t: Test, folder: string, promised: readonly string[]): Promise<void> {
  try {
    const { state } = await readScheduleFiles(placeIn(folder));
    const isOld = mixdepths(state.steps)[0] === 0;
    const kind = state.records[0]?.progress.kind;
    if (kind !== (isOld ? 'sent' : 'open'))
      t.fail(`the ${isOld ? 'old' : 'new'} steps are ${kind}`);
    if (isOld && promised.includes('replaced')) t.fail('the old steps are there');
  } catch (error) {
    // New steps with the old state: refused, not begun.
    if (!(error instanceof ScheduleFileError) || promised.includes('replaced')) throw error;
    if (!/is another one than when it began/.test(error.message)) throw error;
  }
  const files = await ScheduleFiles.open(placeIn(folder));
  await files.replace(NEW_STEPS, []);
  await files.close();
  const { state } = await readScheduleFiles(placeIn(folder));
  if (mixdepths(state.steps)[0] !== 2) t.fail('it cannot be replaced again');
}

const AFTER: Readonly<Record<string, typeof afterRun>> = { run: afterRun, replace: afterReplace };

for (const name of Object.keys(SCENES)) {
  t.test(`${name}: a program killed at each of its calls`, async (t) => {
    const base = t.testdir();
    const child = bundle(join(import.meta.dirname, 'killed-schedule.ts'), base);
    const live = async (folder: string, at: number) => {
      await prepare(folder, name === 'replace');
      const { lines, signal } = await run([child, folder, name, String(at)]);
      const of = (word: string): readonly string[] =>
        lines.filter((line) => line.startsWith(word)).map((line) => line.slice(word.length + 1));
      return { calls: of('call'), promised: of('promised'), signal };
    };
    const whole = await live(join(base, 'whole'), Infinity);
    t.ok(whole.promised.includes('end'), 'without a kill it ends');
    t.ok(whole.calls.includes('rename') && whole.calls.includes('sync'));
    await inParallel([...whole.calls.keys()], async (at) => {
      const folder = join(base, String(at));
      const { signal, promised } = await live(folder, at);
      if (signal !== 'SIGKILL') t.fail(`${at}, ${whole.calls[at]}: ended by ${signal}`);
      await AFTER[name]?.(t, folder, promised);
    });
    t.pass(`${whole.calls.length} places`);
  });
}
