/** Where the schedule of a command is. */
import { resolve } from 'node:path';
import { peekSettings, type Settings } from '../../config/settings.js';
import { schedulePath, type SchedulePlace } from '../../roles/schedule-files.js';
import { networkOf } from '../wallet/chain.js';

/** The options of every schedule command. */
export interface PlaceOptions {
  readonly datadir?: string;
  readonly file?: string;
  readonly json?: boolean;
}

/** Settings of a taker, and the schedule's place. */
export async function placeOf(
  wallet: string,
  { datadir, file }: PlaceOptions,
): Promise<{ readonly settings: Settings; readonly place: SchedulePlace }> {
  const { settings } = await peekSettings({ role: 'taker', datadir });
  const path = file === undefined ? schedulePath(settings.datadir, wallet) : resolve(file);
  return { settings, place: { path, wallet, network: networkOf(settings) } };
}
