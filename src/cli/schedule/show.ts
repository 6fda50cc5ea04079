/** `onionmc schedule show`: the steps, their state, and what comes next. It needs neither password nor node. */
import { shownJson } from '../../kit/shown-text.js';
import { readScheduleFiles } from '../../roles/schedule-files.js';
import { print, printJson } from '../print.js';
import { placeOf, type PlaceOptions } from './place.js';
import { scheduleJson, stepsTable, waitText } from './view.js';

export async function runShow(wallet: string, options: PlaceOptions): Promise<void> {
  const { place } = await placeOf(wallet, options);
  const { state, isRunning } = await readScheduleFiles(place);
  if (options.json === true) {
    printJson({ ...scheduleJson(state, place.path), running: isRunning });
    return;
  }
  print(stepsTable(state));
  if (state.waiting !== undefined) print(waitText(state.waiting));
  const file = options.file === undefined ? '' : ` --file ${shownJson(options.file)}`;
  print(
    isRunning ? 'a program runs it' : `it is not running: onionmc schedule run ${wallet}${file}`,
  );
}
