/**
 * The laboratory of LLARP v0 under load (docs/llarp.md): fifty routers on UDP sockets of this process with two hundred
 * paths, routers that leave and join, and lost packets; the memory of a path; the throughput of one path of three hops
 * beside plain sockets; and the functions that cost most.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { LAB_NETWORK, UdpRouter } from '../../src/lab/llarp/udp-router.js';
import { fuzzRandom } from '../fuzz/random.js';
import { memoryOfPaths } from './llarp-memory.js';
import { benchThroughput } from './llarp-throughput.js';
import { Traffic, type Figures } from './llarp-traffic.js';
import { printTable, quantile, spread } from './table.js';

const ROUTERS = 50;
const PAIRS = 100;
/** Routers behind a router to which it extends paths. */
const REACH = 5;
const MESSAGE_BYTES = 1_000;
/** Messages travel over three links up and three down. */
const LINKS = 6;
const LOSS_PERCENT = [0, 2];
/** The pairs send in turns, so that a message waits for few others of this one process. */
const PARTS = 10;
/** A router leaves and another one joins after so many rounds. */
const LEAVES_EVERY = 5;
const DRAIN_MS = 15_000;
const BUILD_MS = 90_000;

class Lab {
  readonly #started = new Map<unknown, UdpRouter>();
  readonly #random = fuzzRandom('bench');
  readonly #lossPercent: number;
  readonly traffic = new Traffic({
    now: () => performance.now(),
    random: (below) => this.#random.below(below),
    reach: REACH,
    messageBytes: MESSAGE_BYTES,
  });

  constructor(lossPercent: number) {
    this.#lossPercent = lossPercent;
  }

  async join(): Promise<void> {
    const loses = (): boolean => this.#random.next() * 100 < this.#lossPercent;
    const router = await UdpRouter.start({ network: LAB_NETWORK, loses });
    this.#started.set(router.node.router, router);
    this.traffic.add({ router: router.node.router });
  }

  async leave(): Promise<void> {
    const { traffic } = this;
    const gone = traffic.leave(this.#random.below(traffic.members.length));
    await this.#started.get(gone?.router)?.close();
    this.#started.delete(gone?.router);
  }

  async close(): Promise<void> {
    for (const router of this.#started.values()) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await router.close();
    }
  }
}

/** Opens the paths in turns, so that the processor keeps up with the handshakes. */
async function openAll(traffic: Traffic): Promise<void> {
  const latest = performance.now() + BUILD_MS;
  for (let pairs = 5; pairs <= PAIRS; pairs += 5) {
    traffic.open(pairs);
    // oxlint-disable-next-line no-await-in-loop -- looked at again and again
    while (traffic.readyPaths < pairs * 2 && performance.now() < latest) await pause(20);
  }
}

async function runLab(
  lossPercent: number,
  rounds: number,
): Promise<{ readonly figures: Figures; readonly cpuMs: number }> {
  const lab = new Lab(lossPercent);
  const { traffic } = lab;
  try {
    for (let i = 0; i < ROUTERS; i++) {
      // oxlint-disable-next-line no-await-in-loop -- each takes a port
      await lab.join();
    }
    await openAll(traffic);
    const before = process.cpuUsage();
    for (let round = 0; round < rounds; round++) {
      for (let part = 0; part < PARTS; part++) {
        traffic.send(part, PARTS);
        if (round % LEAVES_EVERY === 2 && part === 0) {
          // oxlint-disable-next-line no-await-in-loop -- one after the other
          await lab.leave();
          // oxlint-disable-next-line no-await-in-loop
          await lab.join();
        }
        traffic.open(PAIRS);
        const latest = performance.now() + DRAIN_MS;
        // oxlint-disable-next-line no-await-in-loop -- looked at again and again
        while (traffic.waiting > 0 && performance.now() < latest) await pause(2);
      }
    }
    const unexplained = traffic.finish();
    if (unexplained > 0) throw new Error(`${unexplained} messages were lost without a reason`);
    const { user, system } = process.cpuUsage(before);
    return { figures: traffic.figures, cpuMs: (user + system) / 1_000 };
  } finally {
    await lab.close();
  }
}

export async function benchLlarp(quick: boolean): Promise<void> {
  const rows: string[][] = [];
  for (const loss of LOSS_PERCENT) {
    // oxlint-disable-next-line no-await-in-loop -- one lab after the other
    const { figures, cpuMs } = await runLab(loss, quick ? 3 : 8);
    const { sent, delivered, refused, discarded, broken, built, notBuilt } = figures;
    const perLink = figures.oneWayMs.map((ms) => ms / LINKS);
    rows.push([
      `${loss} %`,
      `${built} / ${notBuilt}`,
      quantile(figures.buildMs, 0.5).toFixed(0),
      quantile(figures.buildMs, 0.99).toFixed(0),
      `${sent} / ${delivered}`,
      `${refused} / ${discarded} / ${broken}`,
      quantile(perLink, 0.5).toFixed(1),
      quantile(perLink, 0.99).toFixed(1),
      (cpuMs / LINKS / delivered).toFixed(2),
    ]);
  }
  printTable(
    [
      'lost',
      'paths built / not',
      'build p50 ms',
      'build p99 ms',
      'messages sent / delivered',
      'refused / discarded / of routers that left',
      'per link p50 ms',
      'per link p99 ms',
      'processor ms per message and link, with all else',
    ],
    rows,
  );
  const memory = memoryOfPaths(quick ? 100 : 400);
  printTable(
    ['paths of three hops', 'bytes of heap for one: creator and three hops'],
    [[String(memory.paths), memory.bytesEach.map((bytes) => bytes.toFixed(0)).join(', ')]],
  );
  const { rates, heaviest } = await benchThroughput(quick ? 1 : 3);
  printTable(
    ['5 MB through', 'MB/s', 'MB per second of processor time'],
    rates.map(({ name, perSecond, perCpuSecond }) => [
      name,
      spread(perSecond, 1),
      spread(perCpuSecond, 1),
    ]),
  );
  printTable(
    ['heaviest functions of the path', 'share of processor time'],
    heaviest.map(({ name, share }) => [name, `${(share * 100).toFixed(0)} %`]),
  );
}
