/** A directory whose program can be replaced on disk, as an operator replaces it. */
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { runCli, startProgram, type Ended, type RunningCli } from '../helpers/cli.js';
import { loopbackConfig } from '../helpers/config.js';
import { NO_RATES_CONFIG } from '../directory/many.js';

const MAIN = new URL('../../dist/cli/main.js', import.meta.url).href;

export interface Program {
  readonly datadir: string;
  /** The first process. */
  readonly first: RunningCli;
  /** The process that is the directory now, according to its log. */
  pid(): number;
  /** The standard error of the first process and its successors. */
  stderr(): string;
  /** Replaces the program on disk; undefined restores the real one. */
  replace(source?: string): Promise<void>;
  upgrade(): Promise<Ended>;
}

export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** The whole configuration; default: loopback without rates. */
  readonly config?: string;
  /** More lines of `[DIRECTORY]`. */
  readonly extra?: string;
  /** More files of the data directory, by name. */
  readonly files?: Readonly<Record<string, string>>;
}

/** The real program, with code of the test before it. */
export function realProgram(before = ''): string {
  return `${before}\nawait import(${JSON.stringify(MAIN)});\n`;
}

/** Starts it. The test ends the process that is the directory at the end. */
export async function startUpgradable(t: Test, options: ProgramOptions = {}): Promise<Program> {
  const base = await mkdtemp(join(tmpdir(), 'omch-'));
  const datadir = join(base, 'data');
  const main = join(base, 'main.mjs');
  await mkdir(datadir, { mode: 0o700 });
  const config =
    options.config ?? loopbackConfig({ extra: `${NO_RATES_CONFIG}\n${options.extra ?? ''}` });
  for (const [name, text] of Object.entries({ ...options.files, 'joinmarket.cfg': config })) {
    // oxlint-disable-next-line no-await-in-loop -- small files
    await writeFile(join(datadir, name), text, { mode: 0o600 });
  }

  async function replace(source = realProgram()): Promise<void> {
    await writeFile(`${main}.new`, source);
    await rename(`${main}.new`, main);
  }
  await replace();
  const first = startProgram(
    process.execPath,
    [main, 'directory', 'upgradable', '--datadir', datadir],
    options.env === undefined ? {} : { env: options.env },
  );
  let stderr = '';
  first.child.stderr?.on('data', (text: string) => (stderr += text));
  // The successors share its outputs, which end with the last process.
  t.teardown(async () => {
    for (const pid of new Set([first.child.pid ?? 0, latestPid()])) {
      try {
        process.kill(pid, 'SIGTERM');
      } catch {
        // Gone already.
      }
    }
    await first.ended;
    await rm(base, { recursive: true, force: true });
  });
  function latestPid(): number {
    const pids = [...stderr.matchAll(/"pid":(\d+),"version".*upgrade done/g)];
    return Number(pids.at(-1)?.[1] ?? first.child.pid);
  }
  return {
    datadir,
    first,
    pid: latestPid,
    stderr: () => stderr,
    replace,
    upgrade: () => runCli(['upgrade', '--json', '--datadir', datadir]),
  };
}
