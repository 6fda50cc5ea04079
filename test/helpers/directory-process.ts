/** `onionmc directory` in a process of its own, on loopback, with figures of its cost. */
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { startCli } from './cli.js';
import { loopbackConfig } from './config.js';
import { openDescriptors } from './descriptors.js';

/** Ticks of the processor times in /proc, per second; the same on every Linux. */
const TICKS_PER_SECOND = 100;

/** What a process costs. */
export interface ProcessFigures {
  /** Resident memory, bytes. */
  rss(): Promise<number>;
  /** Processor time so far, seconds, to a hundredth. */
  cpuSeconds(): Promise<number>;
}

export interface DirectoryProcess extends ProcessFigures {
  readonly port: number;
  /** Open descriptors, without those of the readers of its status page. */
  descriptors(): Promise<number>;
  /** Resolves when that many are open; rejects with the open ones after half a minute. */
  untilDescriptors(count: number): Promise<void>;
  /** The object of `/status`. */
  status(): Promise<Readonly<Record<string, unknown>>>;
}

/** Reads the figures of a living process. */
export function processFigures(pid: number): ProcessFigures {
  const proc = `/proc/${pid}`;
  return {
    async rss() {
      const text = await readFile(`${proc}/status`, 'latin1');
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1]) * 1024;
    },
    async cpuSeconds() {
      const text = await readFile(`${proc}/stat`, 'latin1');
      // After the program's name, which may contain blanks: fields 14 and 15 of proc(5).
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
      return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
    },
  };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/**
 * Resolves when it listens; the end of the test stops it.
 * @param statusPort a free port of 127.0.0.1
 * @param extra further lines of `[DIRECTORY]`
 */
export async function startDirectoryProcess(
  t: Test,
  statusPort: number,
  extra: string,
): Promise<DirectoryProcess> {
  const datadir = await mkdtemp(join(tmpdir(), 'onionmc-directory-'));
  await writeFile(join(datadir, 'joinmarket.cfg'), loopbackConfig({ statusPort, extra }));
  const cli = startCli(['directory', '--datadir', datadir]);
  const { child } = cli;
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'close');
    }
    await rm(datadir, { recursive: true, force: true });
  });
  const [, port = ''] = await cli.shows('stdout', /^127\.0\.0\.1:(\d+)\n/);
  const { pid } = child;
  if (pid === undefined) throw new Error('the directory did not start');
  return {
    ...processFigures(pid),
    port: Number(port),
    descriptors: async () => (await openDescriptors(pid, statusPort)).length,
    async untilDescriptors(count) {
      const deadline = performance.now() + 90_000;
      for (;;) {
        const open = await openDescriptors(pid, statusPort);
        if (open.length === count) return;
        if (performance.now() > deadline) {
          throw new Error(`${open.length} descriptors, not ${count}: ${open.join(', ')}`);
        }
      }
    },
    async status() {
      const response = await fetch(`http://127.0.0.1:${statusPort}/status`);
      const body: unknown = await response.json();
      if (!isRecord(body)) throw new Error('/status is not an object');
      return body;
    },
  };
}
