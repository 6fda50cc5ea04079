/**
 * The auth server of Lokinet endpoints under load (docs/admission.md): requests with codes that we made, at a
 * fixed rate, alone and beside a flood of wrong codes of the chosen kind. The built program answers; a DEALER of
 * this process asks over a unix socket.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Dealer } from 'zeromq';
import { addCode } from '../../src/admission/code-store.js';
import { admissionFiles } from '../../src/admission/open.js';
import { metainfo } from '../../test/admission/sample.js';
import { printTable } from './table.js';

const MAIN = fileURLToPath(new URL('../../../../dist/cli/main.js', import.meta.url));
const PER_SECOND = 1_000;
const FLOOD_PER_SECOND = 500;
const STEP_MS = 10;
const CODES = 100;
/** An endpoint gives up after so long. */
const LATEST_MS = 15_000;

interface Figures {
  readonly sent: number;
  readonly okay: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly worst: number;
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Asks at a fixed rate, whatever the answers; each request is timed from the moment at which it was due. */
async function ask(
  address: string,
  codes: readonly string[],
  rate: number,
  seconds: number,
): Promise<Figures> {
  const dealer = new Dealer({
    linger: 0,
    sendHighWaterMark: 100_000,
    receiveHighWaterMark: 100_000,
  });
  dealer.connect(address);
  const dueAt = new Map<string, number>();
  const times: number[] = [];
  let okay = 0;
  const reading = (async () => {
    for await (const [, tag, verdict] of dealer) {
      const due = dueAt.get(String(tag?.toString('hex')));
      if (due === undefined) continue;
      times.push(performance.now() - due);
      if (verdict?.toString() === 'OKAY') okay++;
    }
  })();
  const info = Buffer.from(metainfo());
  const total = rate * seconds;
  const began = performance.now();
  let sent = 0;
  while (sent < total) {
    const due = Math.min(total, Math.floor(((performance.now() - began) / 1_000) * rate));
    for (; sent < due; sent++) {
      const tag = randomBytes(15);
      dueAt.set(tag.toString('hex'), began + (sent / rate) * 1_000);
      const code = codes[sent % codes.length] ?? '';
      // oxlint-disable-next-line no-await-in-loop -- one socket sends one message at a time
      await dealer.send(['llarp.auth', tag, info, Buffer.from(code)]);
    }
    // oxlint-disable-next-line no-await-in-loop
    await pause(STEP_MS);
  }
  const latest = performance.now() + LATEST_MS;
  // oxlint-disable-next-line no-await-in-loop -- looked for in turns
  while (times.length < sent && performance.now() < latest) await pause(STEP_MS);
  const took = (performance.now() - began) / 1_000;
  dealer.close();
  await reading.catch(() => {});
  if (times.length < sent) throw new Error(`${sent - times.length} requests had no answer`);
  const sorted = times.toSorted((a, b) => a - b);
  return {
    sent,
    okay,
    perSecond: sent / took,
    p50: percentile(sorted, 0.5),
    p99: percentile(sorted, 0.99),
    worst: sorted.at(-1) ?? Number.NaN,
  };
}

async function startServer(datadir: string, address: string): Promise<ChildProcess> {
  const server = spawn(
    process.execPath,
    [MAIN, 'admission', 'serve', '--bind', address, '--datadir', datadir],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  await once(server.stdout, 'data');
  return server;
}

export async function benchAdmission(quick: boolean): Promise<void> {
  const seconds = quick ? 3 : 20;
  const datadir = await mkdtemp(join(tmpdir(), 'omc-bench-'));
  const address = `ipc://${join(datadir, 'auth.socket')}`;
  let server: ChildProcess | undefined;
  try {
    const { codes: path } = admissionFiles(datadir);
    await mkdir(join(datadir, 'admission'), { mode: 0o700 });
    const codes: string[] = [];
    const terms = { addresses: [] };
    for (let i = 0; i < CODES; i++) {
      // oxlint-disable-next-line no-await-in-loop -- one change after the other
      codes.push((await addCode(path, { name: '', terms, now: Date.now() })).text);
    }
    await addCode(path, { name: '', terms, chosen: 'a chosen code', now: Date.now() });
    server = await startServer(datadir, address);
    const wrong = Array.from({ length: 1_000 }, (_, i) => `wrong code ${i}`);
    await ask(address, codes, PER_SECOND, 1);
    const alone = await ask(address, codes, PER_SECOND, seconds);
    const [beside, flood] = await Promise.all([
      ask(address, codes, PER_SECOND, seconds),
      ask(address, wrong, FLOOD_PER_SECOND, seconds),
    ]);
    const row = (name: string, figures: Figures) => [
      name,
      String(figures.sent),
      String(figures.okay),
      figures.perSecond.toFixed(0),
      figures.p50.toFixed(1),
      figures.p99.toFixed(1),
      figures.worst.toFixed(1),
    ];
    printTable(
      ['requests', 'sent', 'OKAY', 'a second', 'p50 ms', 'p99 ms', 'worst ms'],
      [
        row('codes that we made, alone', alone),
        row('codes that we made, beside the flood', beside),
        row('the flood: wrong codes of the chosen kind', flood),
      ],
    );
    if (alone.okay !== alone.sent || beside.okay !== beside.sent || flood.okay !== 0) {
      throw new Error('a request was decided wrongly');
    }
  } finally {
    if (server) {
      server.kill('SIGTERM');
      await once(server, 'close');
    }
    await rm(datadir, { recursive: true, force: true });
  }
}
