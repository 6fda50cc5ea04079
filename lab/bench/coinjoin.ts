/**
 * Coinjoins: the duration of a round with 9 makers over the private Tor network beside the answers of its
 * slowest makers, the CPU time of its taker, and the longest turn of a maker's event loop with 20 sessions.
 * `--before FOLDER` runs the same programs on the sources of another version too, in turn.
 */
import { startPrivateTorNetwork } from '../../src/lab/private-network/network.js';
import { createTorOverlay } from '../../src/overlay/tor.js';
import { connectControl } from '../../src/tor/control/client.js';
import { serveDirectory } from './coinjoin-directory.js';
import { judge, type Judged } from './coinjoin-phases.js';
import type { Stamp } from './coinjoin-scene.js';
import { benchSessions } from './coinjoin-sessions.js';
import { sidesOf, type Side } from './coinjoin-sides.js';
import type { TakerReport } from './coinjoin-taker-process.js';
import type { Child } from './process.js';
import { printTable, quantile, spread } from './table.js';

const MAKERS = 9;
const ROUNDS = 20;
const QUICK_ROUNDS = 3;
/** Most that a round may take, as a multiple of the answers of its slowest makers. */
const MOST_RATIO = 1.5;
/** Most of the CPU time of the version before. */
const MOST_CPU = 0.5;

/** The programs of one version, which run for the whole benchmark. */
interface Players {
  readonly side: Side;
  readonly taker: Child;
  readonly makers: readonly Child[];
  readonly rounds: Judged[];
}

interface TorPorts {
  readonly dialSocks: number;
  readonly serveSocks: number;
  readonly serveControl: number;
  readonly host: string;
  readonly port: number;
}

async function startPlayers(side: Side, tor: TorPorts): Promise<Players> {
  const { dialSocks, serveSocks, serveControl, host, port } = tor;
  const makers = Array.from({ length: MAKERS }, (_, n) =>
    side.start('coinjoin-maker-process.js', [
      side.name,
      n,
      MAKERS,
      serveSocks,
      serveControl,
      host,
      port,
    ]),
  );
  const taker = side.start('coinjoin-taker-process.js', [side.name, MAKERS, dialSocks, host, port]);
  await Promise.all(makers.map((maker) => maker.ask('ready')));
  return { side, taker, makers, rounds: [] };
}

async function round({ side, taker, makers }: Players): Promise<Judged> {
  await Promise.all(makers.map((maker) => maker.ask('round')));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by our child
  const report = JSON.parse(await taker.ask('round')) as TakerReport;
  if (report.fault !== undefined)
    throw new Error(`a round of ${side.name} failed: ${report.fault}`);
  const stamps = await Promise.all(
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by our child
    makers.map(async (maker) => JSON.parse(await maker.ask('stamps')) as Stamp[]),
  );
  return judge(side.name, report, stamps);
}

async function overTor(sides: readonly Side[], rounds: number): Promise<readonly Players[]> {
  const network = await startPrivateTorNetwork();
  const players: Players[] = [];
  try {
    const [dialler, server] = await Promise.all([
      network.startTor({ name: 'takers' }),
      network.startTor({ name: 'makers', controlPort: true }),
    ]);
    const { controlEndpoint: endpoint } = server;
    if (endpoint?.kind !== 'tcp') throw new Error('this tor has no control port');
    const directory = await serveDirectory(
      createTorOverlay({
        socks: { kind: 'tcp', ...server.socks },
        serving: {
          kind: 'control',
          identity: { kind: 'ephemeral' },
          listen: { host: '127.0.0.1', port: 0 },
          connectControl: (signal) => connectControl({ endpoint, signal }),
        },
      }),
    );
    const ports: TorPorts = {
      dialSocks: dialler.socks.port,
      serveSocks: server.socks.port,
      serveControl: endpoint.port,
      host: directory.host,
      port: directory.port,
    };
    for (const side of sides) {
      // oxlint-disable-next-line no-await-in-loop -- their makers are told apart by their order
      players.push(await startPlayers(side, ports));
    }
    for (let n = 0; n < rounds; n++) {
      for (const each of players) {
        // oxlint-disable-next-line no-await-in-loop -- in turn
        each.rounds.push(await round(each));
      }
    }
    await directory.close();
    return players;
  } finally {
    await Promise.all(
      players.flatMap(({ taker, makers }) => [taker, ...makers].map((child) => child.stop())),
    );
    await network.close();
  }
}

function printDurations(players: readonly Players[]): void {
  printTable(
    ['', 'round, ms', 'sum of the slowest answers, ms', 'ratio'],
    players.map(({ side, rounds }) => [
      side.name,
      spread(
        rounds.map(({ tookMs }) => tookMs),
        0,
      ),
      spread(
        rounds.map(({ slowestMs }) => slowestMs),
        0,
      ),
      spread(
        rounds.map(({ tookMs, slowestMs }) => tookMs / slowestMs),
        2,
      ),
    ]),
  );
  const rows = players.flatMap(({ side, rounds }) =>
    (rounds[0]?.phases ?? []).map(({ name }, n) => {
      const of = (read: (phase: Judged['phases'][number]) => number): string =>
        spread(
          rounds.flatMap(({ phases }) => phases.slice(n, n + 1).map(read)),
          1,
        );
      return [
        side.name,
        name,
        of(({ allMs }) => allMs),
        of(({ outMs }) => outMs),
        of(({ atMakerMs }) => atMakerMs),
        of(({ backMs }) => backMs),
      ];
    }),
  );
  console.log('The slowest maker of each phase:\n');
  printTable(['', 'phase', 'answer, ms', 'there, ms', 'at the maker, ms', 'back, ms'], rows);
}

function printCpu(players: readonly Players[]): void {
  printTable(
    ['', 'first round of the process, CPU ms', 'later rounds, CPU ms'],
    players.map(({ side, rounds }) => {
      const [first, ...later] = rounds.map(({ cpuMs }) => cpuMs);
      return [side.name, first?.toFixed(0) ?? '', spread(later, 0)];
    }),
  );
}

function faultsOf(players: readonly Players[]): readonly string[] {
  const [before, now] = players.length > 1 ? players : [undefined, players[0]];
  if (now === undefined) return [];
  const faults: string[] = [];
  const median = (each: Players, read: (round: Judged) => number): number =>
    quantile(each.rounds.map(read), 0.5);
  const ratio = median(now, ({ tookMs, slowestMs }) => tookMs / slowestMs);
  if (!(ratio <= MOST_RATIO)) {
    faults.push(`a round takes ${ratio.toFixed(2)} times the answers of its slowest makers`);
  }
  if (before !== undefined) {
    const share = median(now, ({ cpuMs }) => cpuMs) / median(before, ({ cpuMs }) => cpuMs);
    console.log(
      `CPU time of a taker's round: ${(share * 100).toFixed(0)} % of the version before.\n`,
    );
    if (!(share <= MOST_CPU))
      faults.push(`the CPU time is ${(share * 100).toFixed(0)} % of before`);
  }
  return faults;
}

/** Fails when a round, a taker's CPU time or a maker's turn exceeds its limit. */
export async function benchCoinjoin(quick: boolean, before: string | undefined): Promise<void> {
  const sides = sidesOf(before);
  const rounds = quick ? QUICK_ROUNDS : ROUNDS;
  const players = await overTor(sides, rounds);
  console.log(
    `A round with ${MAKERS} makers over the private Tor network, ${rounds} rounds: median (least to most).\n`,
  );
  printDurations(players);
  printCpu(players);
  const faults = [...faultsOf(players), ...(await benchSessions(sides, quick ? 1 : 5))];
  for (const fault of faults) console.error(`bench: coinjoin: ${fault}`);
  if (faults.length > 0) process.exitCode = 1;
}
