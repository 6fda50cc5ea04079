/** Ends the process for any reason, after the parts of the running program were stopped. */
import { ExitCode } from '../ops/exit.js';
import { errorText } from '../kit/error-text.js';
import type { Shutdown } from '../ops/shutdown.js';
import { exitCodeFor } from './errors.js';
import { printNote } from './print.js';

/** Errors name up to a hundred directories. */
const MAX_ERROR = 20_000;

let active: Shutdown | undefined;
let onOutputClosed = (): ExitCode => ExitCode.OK;

/**
 * The running program. From here on errors and a closed output stop it in order.
 * @param whenOutputCloses how the program ends when the reader of its output closes it (`| head`);
 *   by default this is not a failure
 */
export function setActive(shutdown: Shutdown, whenOutputCloses?: () => ExitCode): void {
  active = shutdown;
  if (whenOutputCloses !== undefined) onOutputClosed = whenOutputCloses;
}

function end(code: ExitCode): void {
  if (active === undefined) process.exit(code);
  else void active.stop(code);
}

/** Prints one line to standard error and ends with the exit code of the error. */
export function failWith(error: unknown): void {
  // An error caused by our own stop is not a failure; the exit code is that of the stop.
  if (active?.signal.aborted === true) return;
  printNote(`onionmc: ${errorText(error, MAX_ERROR)}`);
  end(exitCodeFor(error));
}

const isClosedPipe = ({ code }: NodeJS.ErrnoException): boolean => code === 'EPIPE';

/**
 * Standard output cannot be written. A closed reader (`| head`) ends the program without an error.
 * Anything else is a failure, because a result is lost.
 */
export function outputFailed(error: NodeJS.ErrnoException): void {
  if (isClosedPipe(error)) end(onOutputClosed());
  else failWith(new Error(`standard output cannot be written (${error.code ?? error.message})`));
}

/** A log line that does not fit on a full disk is lost; the program continues. */
export function endWithOutput(): void {
  process.stdout.on('error', outputFailed);
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (isClosedPipe(error)) end(onOutputClosed());
  });
}
