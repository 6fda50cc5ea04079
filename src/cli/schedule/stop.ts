/** `onionmc schedule stop`: asks the program that runs a schedule to end after the coinjoin that runs. */
import { ExitCode } from '../../ops/exit.js';
import { requestStop } from '../../roles/schedule-files.js';
import { print, printJson, printNote } from '../print.js';
import { placeOf, type PlaceOptions } from './place.js';

export async function runStop(wallet: string, options: PlaceOptions): Promise<void> {
  const { place } = await placeOf(wallet, options);
  const isRunning = await requestStop(place.path);
  if (!isRunning) process.exitCode = ExitCode.FAILED;
  if (options.json === true) printJson({ file: place.path, stopped: isRunning });
  else if (isRunning) print('it ends after the coinjoin that runs; "onionmc schedule show" tells');
  else printNote(`onionmc: ${place.path}: no program runs this schedule`);
}
