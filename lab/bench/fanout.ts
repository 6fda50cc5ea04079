/**
 * Fan-out: deliveries a second, the cost of one, and its latency at a steady pace. The
 * relay runs in one process, its peers in two others on the same machine.
 */
import { sleep, startFleet, type Fleet } from './fleet.js';
import type { RelayKind } from './relay-process.js';
import { printTable, quantile, spread } from './table.js';

const BURST_MESSAGES = 200;
const RATES = [10, 100, 1000];
/** After this time without a delivery, missing ones count as lost. */
const QUIET_MS = 3_000;
/**
 * The naive relay makes one write per delivery at any pace, so its bursts show its ceiling. Paces up to this
 * share of the ceiling are measured.
 */
const SUSTAINABLE = 0.6;

interface Scale {
  readonly peers: readonly number[];
  readonly bursts: number;
  readonly paces: number;
  readonly paceSeconds: number;
}

const FULL: Scale = { peers: [100, 500, 1000, 3000], bursts: 5, paces: 3, paceSeconds: 2 };
const QUICK: Scale = { peers: [100, 1000], bursts: 3, paces: 3, paceSeconds: 1 };

interface Round {
  readonly perSecond: number;
  readonly cpuMicros: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Runs `send` and waits until each of `expected` deliveries was counted; throws on one too few or many. */
async function round(fleet: Fleet, expected: number, send: () => Promise<number>): Promise<Round> {
  const linesBefore = await counted(fleet);
  const { cpuMicros: cpuBefore } = await fleet.report();
  const startedAt = await send();
  const latencies: number[] = [];
  let lines = 0;
  let lastAt = 0;
  let movedAt = performance.now();
  while (lines < expected && performance.now() - movedAt < QUIET_MS) {
    await sleep(20);
    const reports = await fleet.clientReports();
    const now = reports.reduce((sum, report) => sum + report.lines, 0) - linesBefore;
    if (now > lines) movedAt = performance.now();
    lines = now;
    lastAt = Math.max(...reports.map((report) => report.lastAt));
    for (const report of reports) for (const one of report.latencies) latencies.push(one);
  }
  const { cpuMicros } = await fleet.report();
  // A line too many may come late.
  await sleep(50);
  lines = (await counted(fleet)) - linesBefore;
  if (lines !== expected) throw new Error(`${lines} deliveries instead of ${expected}`);
  return {
    perSecond: expected / ((lastAt - startedAt) / 1e6),
    cpuMicros: (cpuMicros - cpuBefore) / expected,
    p50Ms: quantile(latencies, 0.5) / 1000,
    p99Ms: quantile(latencies, 0.99) / 1000,
  };
}

/** Lines so far; forgets latencies. */
async function counted(fleet: Fleet): Promise<number> {
  const reports = await fleet.clientReports();
  return reports.reduce((sum, { lines }) => sum + lines, 0);
}

async function rounds(times: number, one: () => Promise<Round>): Promise<readonly Round[]> {
  const all: Round[] = [];
  while (all.length < times) all.push(await one());
  return all;
}

function burstRound(fleet: Fleet, peers: number): Promise<Round> {
  return round(fleet, BURST_MESSAGES * (peers - 1), async () =>
    Number(await fleet.speaker.ask('burst', BURST_MESSAGES)),
  );
}

function pacedRound(fleet: Fleet, peers: number, rate: number, seconds: number): Promise<Round> {
  return round(fleet, rate * seconds * (peers - 1), async () => {
    await fleet.speaker.ask('paced', rate, rate * seconds);
    return 0;
  });
}

interface Rows {
  readonly bursts: string[][];
  readonly paces: string[][];
}

async function measure(kind: RelayKind, peers: number, scale: Scale, rows: Rows): Promise<void> {
  const fleet = await startFleet(kind);
  try {
    await fleet.join(peers);
    // The first burst includes compilation.
    await burstRound(fleet, peers);
    const bursts = await rounds(scale.bursts, () => burstRound(fleet, peers));
    const perSecond = bursts.map((one) => one.perSecond);
    rows.bursts.push([
      String(peers),
      kind,
      spread(perSecond, 0),
      spread(
        bursts.map((one) => one.cpuMicros),
        3,
      ),
    ]);
    for (const rate of RATES) {
      const row = [String(peers), String(rate), kind];
      if (kind === 'naive' && rate * (peers - 1) > SUSTAINABLE * quantile(perSecond, 0.5)) {
        rows.paces.push([...row, 'cannot keep up', '-', '-']);
        continue;
      }
      const paced = await rounds(scale.paces, () =>
        pacedRound(fleet, peers, rate, scale.paceSeconds),
      );
      const column = (pick: (one: Round) => number, digits: number): string =>
        spread(paced.map(pick), digits);
      rows.paces.push([
        ...row,
        column((one) => one.cpuMicros, 2),
        column((one) => one.p50Ms, 1),
        column((one) => one.p99Ms, 1),
      ]);
    }
  } finally {
    await fleet.stop();
  }
}

/** Throws when a delivery was lost or doubled. */
export async function benchFanout(quick: boolean): Promise<void> {
  const scale = quick ? QUICK : FULL;
  const rows: Rows = { bursts: [], paces: [] };
  for (const peers of scale.peers) {
    console.error(`bench: ${peers} peers`);
    for (const kind of ['directory', 'naive'] as const) await measure(kind, peers, scale, rows);
  }
  console.log(
    `Burst of ${BURST_MESSAGES} messages in one write, ${scale.bursts} rounds: ` +
      'median (least to most). Every delivery was counted, none is missing or double.\n',
  );
  printTable(
    ['peers', 'relay', 'deliveries/s', 'relay CPU, microseconds per delivery'],
    rows.bursts,
  );
  console.log(
    `Steady pace, ${scale.paces} rounds of ${scale.paceSeconds} s: median (least to most).\n`,
  );
  printTable(
    ['peers', 'messages/s', 'relay', 'CPU, microseconds per delivery', 'p50, ms', 'p99, ms'],
    rows.paces,
  );
}
