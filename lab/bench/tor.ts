/**
 * What a delivery costs behind a real Tor: a private Tor network, peers on circuits of their own, public
 * messages at a steady pace, and beside them a conversation, pings and messages to absent nicks. The
 * directory of the build before, that of this build, and the naive relay run one after the other.
 */
import {
  startPrivateTorNetwork,
  type PrivateTorNetwork,
} from '../../src/lab/private-network/network.js';
import { sleep } from './fleet.js';
import { idleShare, machineTicks, processSeconds } from './processor-time.js';
import { startChild, type Child } from './process.js';
import { printTable, quantile, spread } from './table.js';
import type { TorClientsReport } from './tor-clients-process.js';
import {
  startDirectorySubject,
  startNaiveSubject,
  THIS_BUILD,
  type Subject,
} from './tor-subjects.js';

/** Of each kind, beside the public messages. */
const BESIDE_PER_SECOND = 2;
/**
 * The same for all relays before their first round: a directory runs for weeks, so that neither the compiler nor
 * Tor's first windows are part of what a delivery costs. Five times as much of everything else beside it.
 */
const WARM_UP = [
  { messages: 2_000, perSecond: 50 },
  // The way of single messages is another one, and was compiled during the rounds otherwise.
  { messages: 600, perSecond: 10 },
];
const WARM_UP_SECONDS = WARM_UP.reduce(
  (sum, { messages, perSecond }) => sum + messages / perSecond,
  0,
);
const WARM_UP_BESIDE_PER_SECOND = 10;
/** With more peers fewer messages: as many deliveries in the same time, which the machine can do. */
const WARM_UP_PEERS = 150;
const SETTLE_MS = 1_500;
/** A message that takes longer counts as lost. */
const LOST_MS = 20_000;
/** A row whose machine had less idle time is void. */
const LEAST_IDLE = 0.1;

export interface TorBenchOptions {
  /** Numbers of peers, each with its rates in public messages per second. */
  readonly scales: readonly { readonly peers: number; readonly rates: readonly number[] }[];
  /** Duration of one round. */
  readonly seconds: number;
  readonly rounds: number;
  /** A clone of the version before, built. */
  readonly before: string | undefined;
  /** Bytes of the largest packet; undefined: what the loopback has. */
  readonly mtu: number | undefined;
  /** Names of the relays to leave out. */
  readonly without: readonly string[];
}

type Latencies = Pick<TorClientsReport, 'public' | 'private' | 'pong' | 'gone'>;

interface Round extends Latencies {
  readonly relayMicros: number;
  readonly torMicros: number;
  readonly idle: number;
}

interface Contender {
  readonly name: string;
  readonly start: (network: PrivateTorNetwork) => Promise<Subject>;
}

function contenders({ before, without }: TorBenchOptions): readonly Contender[] {
  const all: Contender[] = [
    ...(before === undefined
      ? []
      : [
          {
            name: 'before',
            start: (network: PrivateTorNetwork) => startDirectorySubject(network, before),
          },
        ]),
    { name: 'now', start: (network) => startDirectorySubject(network, THIS_BUILD) },
    { name: 'naive', start: startNaiveSubject },
  ];
  return all.filter(({ name }) => !without.includes(name));
}

async function untilDelivered(clients: Child, expected: number): Promise<void> {
  const until = performance.now() + LOST_MS;
  for (;;) {
    const delivered = Number(await clients.ask('deliveries'));
    if (delivered >= expected) return;
    if (performance.now() > until) {
      throw new Error(`${delivered} deliveries instead of ${expected}`);
    }
    await sleep(100);
  }
}

/** Sends public messages, and measures from before the first until after the last one arrived. */
async function measure(
  clients: Child,
  { relayPid, torPid }: Subject,
  peers: number,
  rate: number,
  seconds: number,
): Promise<Round> {
  const messages = Math.round(rate * seconds);
  const expected = messages * (peers - 1);
  await clients.ask('report');
  const relay = processSeconds(relayPid);
  const tor = processSeconds(torPid);
  const ticks = machineTicks();
  await clients.ask('speak', rate, messages);
  const idle = idleShare(ticks, machineTicks());
  await untilDelivered(clients, expected);
  const relayMicros = ((processSeconds(relayPid) - relay) * 1e6) / expected;
  const torMicros = ((processSeconds(torPid) - tor) * 1e6) / expected;
  await sleep(SETTLE_MS);
  const report: TorClientsReport = JSON.parse(await clients.ask('report'));
  if (report.deliveries !== expected) {
    throw new Error(`${report.deliveries} deliveries instead of ${expected}`);
  }
  return { ...report, relayMicros, torMicros, idle };
}

/** p50 and p99 in milliseconds. */
function latencyText(all: readonly number[]): string {
  if (all.length === 0) return '-';
  const text = (share: number): string => (quantile(all, share) / 1000).toFixed(0);
  return `${text(0.5)} / ${text(0.99)}`;
}

function rowOf(peers: number, rate: number, name: string, rounds: readonly Round[]): string[] {
  const column = (pick: (round: Round) => number): string => spread(rounds.map(pick), 1);
  const idle = Math.min(...rounds.map((round) => round.idle));
  const all = (kind: keyof Latencies): string =>
    latencyText(rounds.flatMap((round) => round[kind]));
  return [
    String(peers),
    String(rate),
    name,
    column(({ relayMicros }) => relayMicros),
    column(({ torMicros }) => torMicros),
    column(({ relayMicros, torMicros }) => relayMicros + torMicros),
    all('public'),
    all('private'),
    all('pong'),
    all('gone'),
    `${(idle * 100).toFixed(0)} %${idle < LEAST_IDLE ? ', void' : ''}`,
  ];
}

async function rowsOf(
  network: PrivateTorNetwork,
  { name, start }: Contender,
  { peers, rates }: TorBenchOptions['scales'][number],
  { seconds, rounds }: TorBenchOptions,
): Promise<string[][]> {
  const [subject, tor] = await Promise.all([start(network), network.startTor()]);
  const clients = startChild('tor-clients-process.js', [subject.location, tor.socks.port]);
  const rows: string[][] = [];
  try {
    await clients.ask('join', peers);
    const share = Math.min(1, WARM_UP_PEERS / peers);
    await clients.ask('beside', WARM_UP_BESIDE_PER_SECOND);
    let warmUp = 0;
    for (const { messages, perSecond } of WARM_UP) {
      const fewer = Math.round(messages * share);
      await clients.ask('speak', perSecond * share, fewer);
      warmUp += fewer;
    }
    await clients.ask('beside', BESIDE_PER_SECOND);
    await untilDelivered(clients, warmUp * (peers - 1));
    for (const rate of rates) {
      console.error(`bench: ${peers} peers, ${rate} messages/s, ${name}`);
      await sleep(SETTLE_MS);
      const all: Round[] = [];
      while (all.length < rounds) all.push(await measure(clients, subject, peers, rate, seconds));
      rows.push(rowOf(peers, rate, name, all));
      console.error(rows.at(-1)?.join(' | '));
    }
  } finally {
    await clients.stop();
    await subject.stop();
    await tor.kill();
  }
  return rows;
}

/** Throws when a delivery was lost or doubled. */
export async function benchTor(options: TorBenchOptions): Promise<void> {
  const network = await startPrivateTorNetwork();
  const rows: string[][] = [];
  try {
    for (const scale of options.scales) {
      const scaled: string[][] = [];
      for (const contender of contenders(options)) {
        scaled.push(...(await rowsOf(network, contender, scale, options)));
      }
      // By rate, so that the relays can be compared.
      rows.push(...scale.rates.flatMap((rate) => scaled.filter((row) => row[1] === String(rate))));
    }
  } finally {
    await network.close();
  }
  console.log(
    `Public messages of 180 bytes, ${options.rounds} rounds of ${options.seconds} s after a warm-up of ` +
      `${WARM_UP_SECONDS} s: median (least to most). Beside them, ` +
      `${BESIDE_PER_SECOND} times a second and at random times, two private messages of a conversation, a ping and a private message to an absent nick. ` +
      'CPU in microseconds for each delivery of a public message, that of everything else included. ' +
      `Packets of ${options.mtu ?? 'the loopback, mostly 65,536'} bytes. ` +
      'Latency: p50 / p99 in ms. Every delivery was counted, none is missing or double.\n',
  );
  printTable(
    [
      'peers',
      'messages/s',
      'relay',
      'CPU of the relay',
      'CPU of its tor',
      'together',
      'public',
      'private',
      'pong',
      'gone notice',
      'idle',
    ],
    rows,
  );
}
