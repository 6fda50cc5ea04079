/** Programs that a test starts and kills. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { buildSync } from 'esbuild';

/** Children at the same time. */
const AT_ONCE = 4;

/** A program as one file, which starts several times as fast. Returns its path. */
export function bundle(entry: string, folder: string): string {
  const outfile = join(folder, 'child.mjs');
  buildSync({ entryPoints: [entry], bundle: true, platform: 'node', format: 'esm', outfile });
  return outfile;
}

/** Runs a program to its end: the lines of its output, and the signal that ended it. */
export function run(args: readonly string[]) {
  return new Promise<{ readonly lines: readonly string[]; readonly signal: string | null }>(
    (resolve) => {
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      let text = '';
      child.stdout.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      child.once('close', (_code, signal) => {
        resolve({ lines: text.split('\n').filter((line) => line !== ''), signal });
      });
    },
  );
}

/** Runs `work` for each of the items, some at a time. */
export async function inParallel<T>(
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const workers = Array.from({ length: AT_ONCE }, async () => {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    for (const item of queue) await work(item);
  });
  await Promise.all(workers);
}
