/** Memory: of an idle peer, of peers that come and go, and of connections that never end a line. */
import { sleep, startFleet, type Fleet } from './fleet.js';
import type { RelayKind, RelayReport } from './relay-process.js';
import { printTable, spread } from './table.js';

const FEW = 1_000;
const MANY = 6_000;
const CYCLES = 10_000;
const ENDLESS_SOCKETS = 100;
const ENDLESS_BYTES = 1_900_000;
const MEGABYTE = 1e6;
/** Time for closes to be seen. */
const SETTLE_MS = 500;
/** V8 hands pages back to the system some seconds after the collection that emptied them. */
const QUIET_MS = 10_000;

/** Bytes per peer between few and many. */
interface PeerCost {
  readonly rss: number;
  readonly heap: number;
}

async function peerCost(kind: RelayKind): Promise<PeerCost> {
  const fleet = await startFleet(kind);
  try {
    await fleet.join(FEW);
    await sleep(SETTLE_MS);
    const few = await fleet.collect();
    await fleet.join(MANY - FEW);
    await sleep(SETTLE_MS);
    const many = await fleet.collect();
    if (many.peers !== MANY) throw new Error(`${many.peers} peers instead of ${MANY}`);
    return {
      rss: (many.rssBytes - few.rssBytes) / (MANY - FEW),
      heap: (many.heapBytes - few.heapBytes) / (MANY - FEW),
    };
  } finally {
    await fleet.stop();
  }
}

function cycleRow(when: string, report: RelayReport): string[] {
  return [
    when,
    (report.rssBytes / MEGABYTE).toFixed(1),
    (report.heapBytes / MEGABYTE).toFixed(1),
    String(report.peers),
    String(report.timers),
    String(report.descriptors),
  ];
}

interface Cycled {
  readonly rows: readonly string[][];
  /** Of RSS over the counted cycles. */
  readonly percent: number;
}

async function quietReport(fleet: Fleet): Promise<RelayReport> {
  await sleep(SETTLE_MS);
  await fleet.collect();
  await sleep(QUIET_MS);
  return fleet.collect();
}

/** The memory left by peers that came and went, compared with a directory that had no peer yet. */
async function cycles(): Promise<Cycled> {
  const fleet = await startFleet('directory');
  try {
    const start = await quietReport(fleet);
    const rows = [cycleRow('start', start)];
    await fleet.speaker.ask('cycle', CYCLES / 10);
    rows.push(cycleRow(`after ${CYCLES / 10}`, await quietReport(fleet)));
    await fleet.speaker.ask('cycle', CYCLES);
    const after = await quietReport(fleet);
    rows.push(cycleRow(`after ${CYCLES} more`, after));
    return { rows, percent: (after.rssBytes / start.rssBytes - 1) * 100 };
  } finally {
    await fleet.stop();
  }
}

async function printCycles(times: number): Promise<void> {
  const all = await several(times, cycles);
  const percents = all.map(({ percent }) => percent);
  console.log(
    `Connect, handshake under a fresh nick, drop; fifty at once. RSS changed from start to end by ` +
      `${spread(percents, 1)} %. Each process:\n`,
  );
  printTable(
    ['', 'RSS, MB', 'heap, MB', 'peers', 'timers', 'descriptors'],
    all.flatMap(({ rows }) => rows),
  );
}

/** Growth of the process at its worst moment, in bytes. */
async function endless(): Promise<number> {
  const fleet = await startFleet('directory');
  try {
    const { rssBytes } = await fleet.collect();
    await fleet.relay.ask('watch');
    await fleet.speaker.ask('endless', ENDLESS_SOCKETS, ENDLESS_BYTES);
    return Number(await fleet.relay.ask('peak')) - rssBytes;
  } finally {
    await fleet.stop();
  }
}

async function several<T>(times: number, one: () => Promise<T>): Promise<readonly T[]> {
  const all: T[] = [];
  while (all.length < times) all.push(await one());
  return all;
}

export async function benchMemory(quick: boolean): Promise<void> {
  const times = quick ? 1 : 3;
  const rows: string[][] = [];
  for (const kind of ['directory', 'naive'] as const) {
    console.error(`bench: idle peers of ${kind}`);
    const costs = await several(times, () => peerCost(kind));
    rows.push([
      kind,
      spread(
        costs.map(({ rss }) => rss),
        0,
      ),
      spread(
        costs.map(({ heap }) => heap),
        0,
      ),
    ]);
  }
  console.log(
    `Each idle handshaked peer between ${FEW} and ${MANY}, ${times} fresh processes, after a ` +
      'garbage collection: median (least to most).\n',
  );
  printTable(['relay', 'RSS, bytes per peer', 'JavaScript heap of it'], rows);
  console.error('bench: cycles');
  await printCycles(times);
  console.error('bench: endless lines');
  const growth = await several(times, endless);
  console.log(
    `${ENDLESS_SOCKETS} sockets push ${ENDLESS_BYTES / MEGABYTE} MB each without a line's end; the ` +
      'process grew at its worst moment by ' +
      `${spread(
        growth.map((bytes) => bytes / MEGABYTE),
        1,
      )} MB.`,
  );
}
