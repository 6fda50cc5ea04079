/** A peer with a live orderbook in a process of its own, which watches its event loop. */
import { randomBytes } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createAudit } from '../../src/audit/audit.js';
import { silentLog } from '../../src/channel/log.js';
import { openMessageChannel, type OnionMessageChannel } from '../../src/channel/message-channel.js';
import { openLiveBook, type OpenLiveBook } from '../../src/orderbook/live-book.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { createNickKey } from '../../src/protocol/nick.js';
import { sleep } from './fleet.js';
import { answerQuestions } from './process.js';

export interface BookReport {
  readonly makers: number;
  readonly signedBonds: number;
  /** From the first question to the last bond checked, in milliseconds. */
  readonly tookMs: number;
  readonly cpuMs: number;
  /** How late timers of 1 ms were: the worst, and 99 of 100, in milliseconds. */
  readonly worstMs: number;
  readonly p99Ms: number;
  /** The most processor time between two such timers: the worst delay on an idle machine. */
  readonly worstCpuMs: number;
  /** The first call of each, which blocks. */
  readonly snapshotMs: number;
  readonly statisticsMs: number;
  readonly heapBytes: number;
}

const RESOLUTION_MS = 1;
const NANO = 1e6;
const POLL_MS = 50;
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
let channel: OnionMessageChannel | undefined;
let book: OpenLiveBook | undefined;

async function open(ports: readonly number[], sliced: boolean): Promise<void> {
  const clock = systemClock;
  channel = openMessageChannel({
    network: 'signet',
    directories: ports.map((port) => ({ kind: 'loopback', host: '127.0.0.1', port })),
    overlay: createLoopbackOverlay({ host: '127.0.0.1', port: 0 }),
    nickKey: createNickKey(randomBytes),
    serve: false,
    passive: true,
    clock,
    random: Math.random,
    log: silentLog,
    ...(sliced ? {} : { timings: { checksTurnMs: Infinity } }),
  });
  const audit = createAudit({ channel, clock, log: silentLog });
  book = openLiveBook({
    channel,
    clock,
    random: Math.random,
    log: silentLog,
    audit,
    ...(sliced ? {} : { bondLimits: { checksPerSlice: Infinity, sliceMs: Infinity } }),
  });
  while (channel.directories().some(({ state }) => state !== 'up')) {
    // oxlint-disable-next-line no-await-in-loop -- until they are up
    await sleep(10);
  }
}

/** The time of its first call, without warm-up, in milliseconds. */
function timed(work: () => unknown): number {
  const before = performance.now();
  work();
  return performance.now() - before;
}

/** Measures the processor time between two timers of 1 ms; returns the most, in ms. */
function watchTurns(): () => number {
  let most = 0;
  let last = process.cpuUsage();
  const timer = setInterval(() => {
    const { user, system } = process.cpuUsage(last);
    last = process.cpuUsage();
    most = Math.max(most, (user + system) / 1000);
  }, RESOLUTION_MS);
  return () => {
    clearInterval(timer);
    return most;
  };
}

/** Resolves when so many makers are known and their bonds are checked. */
async function collect(makers: number): Promise<BookReport> {
  if (!book) throw new Error('no book is open');
  const checked = new Set<string>();
  book.on('change', ({ upserts }) => {
    for (const { maker, bond } of upserts) if (bond?.state === 'signed') checked.add(maker);
  });
  delay.enable();
  delay.reset();
  const worstTurn = watchTurns();
  const cpu = process.cpuUsage();
  const start = performance.now();
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- until all are there
    await sleep(POLL_MS);
    if (checked.size === makers) break;
  }
  const tookMs = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  delay.disable();
  const worstCpuMs = worstTurn();
  return {
    makers: book.makers,
    signedBonds: book.statistics().bondedMakers,
    tookMs,
    cpuMs: (user + system) / 1000,
    worstMs: delay.max / NANO - RESOLUTION_MS,
    p99Ms: delay.percentile(99) / NANO - RESOLUTION_MS,
    worstCpuMs,
    snapshotMs: timed(() => book?.snapshot()),
    statisticsMs: timed(() => book?.statistics()),
    heapBytes: process.memoryUsage().heapUsed,
  };
}

answerQuestions(async (name, args) => {
  if (name === 'open') {
    const [sliced, ...ports] = args;
    return open(ports, sliced === 1);
  }
  if (name === 'collect') return collect(args[0] ?? 0);
  throw new Error(`unknown question: ${name}`);
});
