/** What `killed-schedule.ts` does to the files of a schedule, and what the test expects of them. */
import { join } from 'node:path';
import type { ScheduleFiles, SchedulePlace } from '../../src/roles/schedule-files.js';
import { begun } from '../../src/schedule/outcome.js';
import { withRecord } from '../../src/schedule/run-state.js';
import { payTo, step } from '../helpers/schedules.js';

export const TXID = 'cd'.repeat(32);
export const STEPS = [step({ destination: payTo(1) }), step({ mixdepth: 1 })];
export const NEW_STEPS = [step({ mixdepth: 2 }), step({ mixdepth: 3 })];

/** How far the first step gets, in this order. */
export const PROGRESS = ['open', 'begun', 'sent', 'confirmed'] as const;

export function placeIn(folder: string): SchedulePlace {
  return { path: join(folder, 'main.schedule'), wallet: 'main', network: 'regtest' };
}

type Scene = (files: ScheduleFiles, promise: (what: string) => void) => Promise<void>;

export const SCENES: Readonly<Record<string, Scene>> = {
  async run(files, promise) {
    let state = begun(await files.load(), 0, 1_000);
    await files.save(state);
    promise('begun');
    state = withRecord(state, 0, { progress: { kind: 'sent', txid: TXID, at: 2_000 } });
    await files.save(state);
    promise('sent');
    const progress = { kind: 'confirmed', txid: TXID, height: 100, at: 3_000 } as const;
    await files.save(withRecord(state, 0, { progress }));
    promise('confirmed');
  },
  async replace(files, promise) {
    await files.replace(NEW_STEPS, ['another plan']);
    promise('replaced');
  },
};
