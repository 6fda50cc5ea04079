/**
 * How long commands take to start, next to `node -e 0`: wall time to the end, or to the first byte where a
 * command continues. The cases run in turn, so that a busy machine slows all of them alike.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { printTable, quantile, spread } from './table.js';

const MAIN = fileURLToPath(new URL('../../../../dist/cli/main.js', import.meta.url));
const ROUNDS = 15;
const QUICK_ROUNDS = 5;

interface Case {
  readonly name: string;
  readonly args: readonly string[];
  /** Times `node -e 0`. */
  readonly aim?: number;
  readonly until: 'end' | 'first byte';
}

/** Milliseconds. The program is ended after its first byte. */
async function timeOf({ args, until }: Case): Promise<number> {
  const began = performance.now();
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  if (until === 'end') {
    child.stdout.resume();
    await once(child, 'close');
    return performance.now() - began;
  }
  await once(child.stdout, 'data');
  const took = performance.now() - began;
  child.kill('SIGKILL');
  await once(child, 'close');
  return took;
}

/** The page that `onionmc status` reads; the figures do not matter, so no directory has to run. */
async function serveStatus(): Promise<{ readonly port: number; close(): Promise<void> }> {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json').end('{"peers":0}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return {
    port: address.port,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** `scripts/bench start` */
export async function benchStart(quick: boolean): Promise<void> {
  const datadir = await mkdtemp(join(tmpdir(), 'onionmc-bench-'));
  await writeFile(join(datadir, 'joinmarket.cfg'), '[MESSAGING:onion]\nregtest_count = 1,1\n');
  const page = await serveStatus();
  const url = `http://127.0.0.1:${page.port}`;
  const cases: readonly Case[] = [
    { name: 'node -e 0', args: ['-e', '0'], until: 'end' },
    { name: '--version', args: [MAIN, '--version'], aim: 1.5, until: 'end' },
    { name: '--help', args: [MAIN, '--help'], aim: 2.5, until: 'end' },
    {
      name: 'status, first byte',
      args: [MAIN, 'status', '--url', url],
      aim: 3.5,
      until: 'first byte',
    },
    {
      name: 'doctor, first check',
      args: [MAIN, 'doctor', '--datadir', datadir],
      aim: 3.5,
      until: 'first byte',
    },
  ];
  const times = cases.map((): number[] => []);
  try {
    for (let round = 0; round < (quick ? QUICK_ROUNDS : ROUNDS); round++) {
      for (const [n, one] of cases.entries()) {
        // oxlint-disable-next-line no-await-in-loop -- one program at a time
        times[n]?.push(await timeOf(one));
      }
    }
  } finally {
    await page.close();
    await rm(datadir, { recursive: true });
  }
  const base = quantile(times[0] ?? [], 0.5);
  const rows = cases.map(({ name, aim }, n) => {
    const values = times[n] ?? [];
    const ratio = quantile(values, 0.5) / base;
    return [name, spread(values, 0), ratio.toFixed(2), aim === undefined ? '' : `${aim}`];
  });
  printTable(['command', 'ms, median (least to most)', 'times node -e 0', 'aim'], rows);
}
