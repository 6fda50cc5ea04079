/**
 * Finds what a test process forgets: files of `node:fs/promises` that it leaves open, and listeners that it adds again
 * and again. A program that runs for months has the same fault in its own code.
 *
 * Node closes a forgotten file when it collects the handle: with a warning now, with an error in a later version. When
 * that happens is chance, but a handle that is open when the process ends is found each time.
 */
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

/** The start of a line on standard error about a file that is open at the end of a test process. */
export const OPEN_FILE = '(test) a file is open at the end';

/** Lines on standard error: of register.mjs, and of Node about closed files and directories, and listeners. */
const LEAKS = [
  /^\(test\) a file is open at the end/,
  /^\(node:\d+\) .* on garbage collection/,
  /^\(node:\d+\) MaxListenersExceededWarning: /,
];
/** Longest line that is kept until its end comes, characters. */
const MAX_LINE = 4_096;

/** Watches what the process opens from now on. @returns where each file that is still open was opened */
export function watchOpenFiles() {
  const opened = new Map();
  const { open } = promises;
  promises.open = async (...args) => {
    // Before the first wait: later the stack does not have the caller.
    const { stack = '' } = new Error(`${String(args[0])} was opened`);
    const handle = await open(...args);
    opened.set(handle, stack);
    handle.once('close', () => opened.delete(handle));
    return handle;
  };
  syncBuiltinESMExports();
  return () => [...opened].filter(([{ fd }]) => fd !== -1).map(([, stack]) => stack);
}

/** Reads the standard error of a process in pieces. @param found called with each line that tells of a leak */
export function leakReader(found) {
  let rest = '';
  return (text) => {
    const lines = (rest + text).split('\n');
    rest = (lines.pop() ?? '').slice(0, MAX_LINE);
    for (const line of lines) if (LEAKS.some((leak) => leak.test(line))) found(line);
  };
}
