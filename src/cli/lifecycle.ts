/** How the process ends, whatever ends it: the running program's parts are stopped first. */
import { ExitCode } from '../ops/exit.js';
import { errorText } from '../kit/shown-text.js';
import type { Shutdown } from '../ops/shutdown.js';
import { exitCodeFor } from './errors.js';
import { printNote } from './print.js';

/** Errors name up to a hundred directories. */
const MAX_ERROR = 20_000;

let active: Shutdown | undefined;
let onOutputClosed = (): ExitCode => ExitCode.OK;

/**
 * The program that runs now; from here on errors and a closed output stop it in order.
 * @param whenOutputCloses says how the program ends when the reader of its output closes it (`| head`);
 *   by default that is no failure
 */
export function setActive(shutdown: Shutdown, whenOutputCloses?: () => ExitCode): void {
  active = shutdown;
  if (whenOutputCloses !== undefined) onOutputClosed = whenOutputCloses;
}

function end(code: ExitCode): void {
  if (active === undefined) process.exit(code);
  else void active.stop(code);
}

/** One line on standard error, and the end with the exit code of the error. */
export function failWith(error: unknown): void {
  // What is cut off because we stop has not failed; the exit code is that of the stop.
  if (active?.signal.aborted === true) return;
  printNote(`onionmc: ${errorText(error, MAX_ERROR)}`);
  end(exitCodeFor(error));
}

const hasGone = ({ code }: NodeJS.ErrnoException): boolean => code === 'EPIPE';

/**
 * Standard output cannot be written. A reader that has gone (`| head`) ends the program without an error;
 * anything else is a failure, because a result is lost.
 */
export function outputFailed(error: NodeJS.ErrnoException): void {
  if (hasGone(error)) end(onOutputClosed());
  else failWith(new Error(`standard output cannot be written (${error.code ?? error.message})`));
}

/** A log line on a full disk is lost, and no reason to end. */
export function endWithOutput(): void {
  process.stdout.on('error', outputFailed);
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (hasGone(error)) end(onOutputClosed());
  });
}
