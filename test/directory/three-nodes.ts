/**
 * Three nodes that are one directory, for the scenes of the directory: each connection goes to a random node.
 * With `ONIONMC_DIRECTORY_NODES=3` in the environment, `runDirectory` of `wire.ts` opens these
 * (`test/cluster/directory-scenes.ts`).
 *
 * The bus delivers at once, and records leave at the end of the turn in which they arose, so that a scene that
 * awaits an answer of one node finds the others informed. All nodes have the clock of the scene.
 */
import { createHmac, generateKeyPairSync, randomBytes, randomInt } from 'node:crypto';
import { silentLog } from '../../src/channel/log.js';
import type { Clock, Connection } from '../../src/channel/ports.js';
import type { Bus, BusHandler } from '../../src/cluster/bus.js';
import { createCluster, type Cluster } from '../../src/cluster/cluster.js';
import { clusterKeyHex } from '../../src/cluster/packet.js';
import type { Seals } from '../../src/cluster/seals.js';
import type { TestClock } from '../helpers/test-clock.js';
import type { Directory, DirectoryOptions, DirectoryStats } from '../../src/directory/directory.js';

const NAMES = ['a', 'b', 'c'] as const;

/** Time in which the nodes find each other. */
const WHOLE_MS = 60_000;
const STEP_MS = 250;
/**
 * The scene begins so long after its nodes, or a multiple of it: their timers of a minute are where those of a new
 * directory are.
 */
const PHASE_MS = 60_000;
/** Longest wait for other records. */
const GATHER_MS = 5;

/** Short waits end with the turn, or when the scene moves the time on. */
function promptClock(clock: Clock): Clock {
  return {
    now: () => clock.now(),
    after(ms, fn) {
      if (ms > GATHER_MS) return clock.after(ms, fn);
      let isOn = true;
      const run = (): void => {
        if (!isOn) return;
        stop();
        fn();
      };
      const cancel = clock.after(0, run);
      const stop = (): void => {
        isOn = false;
        cancel();
      };
      queueMicrotask(run);
      return stop;
    },
  };
}

/**
 * Signatures of the scenes with simulated hours, in which each node signs thousands of heartbeats: 64 bytes too, and
 * different for each node and packet, at a tenth of the cost.
 */
function cheapSeals(secrets: ReadonlyMap<string, Uint8Array>, own: string): Seals {
  const of = (node: string, body: Uint8Array): Buffer =>
    createHmac('sha512', secrets.get(node) ?? '')
      .update(body)
      .digest();
  return {
    sign: (body) => of(own, body),
    isSignedBy: (node, body, signature) => secrets.has(node) && of(node, body).equals(signature),
  };
}

/** Delivers each packet before `publish` returns, in order. */
class PromptHub {
  readonly #members = new Map<string, BusHandler>();
  readonly #queue: { readonly to: string | undefined; readonly bytes: Uint8Array }[] = [];
  #delivers = false;

  bus(): Bus {
    let own = '';
    return {
      open: (_prefix, node, handler) => {
        own = node;
        this.#members.set(node, handler);
        handler.state({ connected: true });
        return Promise.resolve();
      },
      publish: (to, bytes) => {
        this.#queue.push({ to, bytes });
        this.#deliver();
        return true;
      },
      close: () => {
        this.#members.delete(own);
        return Promise.resolve();
      },
    };
  }

  #deliver(): void {
    if (this.#delivers) return;
    this.#delivers = true;
    for (let sent = this.#queue.shift(); sent; sent = this.#queue.shift()) {
      for (const [name, handler] of this.#members) {
        if (sent.to === undefined || sent.to === name) handler.packet(sent.bytes);
      }
    }
    this.#delivers = false;
  }
}

type Sums = Readonly<Record<string, number>>;

function sumOf(a: Sums, b: Sums): Sums {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return Object.fromEntries([...names].map((name) => [name, (a[name] ?? 0) + (b[name] ?? 0)]));
}

/** Each node announces each leave to its own peers, and keeps a log for them. */
const LARGEST: ReadonlySet<string> = new Set(['leavesAnnounced', 'logBytes']);

/** The statistics of both nodes together. */
function together(a: DirectoryStats, b: DirectoryStats): DirectoryStats {
  const other = new Map<string, number | Sums>(Object.entries(b));
  const all = Object.entries(a).map(([key, value]: [string, number | Sums]) => {
    const more = other.get(key);
    if (typeof value === 'number') {
      const count = typeof more === 'number' ? more : 0;
      return [key, LARGEST.has(key) ? Math.max(value, count) : value + count];
    }
    return [key, sumOf(value, typeof more === 'object' ? more : {})];
  });
  // The keys are those of `a`, each with a value of its kind.
  // oxlint-disable-next-line no-unsafe-type-assertion
  return Object.fromEntries(all) as DirectoryStats;
}

function only(what: string): never {
  throw new Error(`${what} belongs to one process: use testDirectory`);
}

/** The nodes as one directory: counts are sums, and a connection goes to a random node. */
class Nodes implements Directory {
  readonly #nodes: readonly { readonly directory: Directory; readonly cluster: Cluster }[];
  readonly #choose: () => number;

  constructor(nodes: Nodes['all'], choose: () => number) {
    this.#nodes = nodes;
    this.#choose = choose;
  }

  get all(): readonly { readonly directory: Directory; readonly cluster: Cluster }[] {
    return this.#nodes;
  }

  get #first(): Directory {
    const [first] = this.#nodes;
    if (!first) throw new Error('there is no node');
    return first.directory;
  }

  #sum(read: (directory: Directory) => number): number {
    return this.#nodes.reduce((total, { directory }) => total + read(directory), 0);
  }

  #each(act: (directory: Directory) => void): void {
    for (const { directory } of this.#nodes) act(directory);
  }

  accept(connection: Connection): void {
    (this.#nodes[this.#choose()]?.directory ?? this.#first).accept(connection);
  }

  get operator(): Directory['operator'] {
    return this.#first.operator;
  }

  get peerCount(): number {
    return this.#sum(({ peerCount }) => peerCount);
  }

  get connectionCount(): number {
    return this.#sum(({ connectionCount }) => connectionCount);
  }

  stats(): DirectoryStats {
    return this.#nodes.map(({ directory }) => directory.stats()).reduce(together);
  }

  kinds(): ReturnType<Directory['kinds']> {
    const all = this.#nodes.map(({ directory }) => directory.kinds());
    return all.reduce((a, b) => ({
      serving: a.serving + b.serving,
      notServing: a.notServing + b.notServing,
      answerPings: a.answerPings + b.answerPings,
      verified: a.verified + b.verified,
    }));
  }

  queuedBytes(): number[] {
    return this.#nodes.flatMap(({ directory }) => directory.queuedBytes());
  }

  setLimits(limits: Parameters<Directory['setLimits']>[0]): void {
    this.#each((directory) => directory.setLimits(limits));
  }

  stopAccepting(): void {
    this.#each((directory) => directory.stopAccepting());
  }

  connections(): readonly Connection[] {
    return this.#nodes.flatMap(({ directory }) => directory.connections());
  }

  flush(): void {
    this.#each((directory) => directory.flush());
  }

  copyPeers(): never {
    return only('copyPeers');
  }

  snapshot(): never {
    return only('snapshot');
  }

  prepare(): never {
    return only('prepare');
  }

  forget(): never {
    return only('forget');
  }

  restore(): never {
    return only('restore');
  }

  async refusedGone(): Promise<void> {
    await Promise.all(this.#nodes.map(({ directory }) => directory.refusedGone()));
  }

  async close(): Promise<void> {
    await Promise.all(this.#nodes.map(({ cluster }) => cluster.close()));
    await Promise.all(this.#nodes.map(({ directory }) => directory.close()));
  }
}

function isTestClock(clock: Clock): clock is TestClock {
  return 'advance' in clock;
}

/** Whether the scenes run against three nodes. */
export const WITH_THREE_NODES = process.env['ONIONMC_DIRECTORY_NODES'] === '3';
/** Timers that stay while nobody is connected: each node of a cluster has one. */
export const CLUSTER_TIMERS = WITH_THREE_NODES ? NAMES.length : 0;
/** Whether a scene of this file takes hours of simulated time. */
const HAS_HOURS = process.env['ONIONMC_CLUSTER_SEALS'] === 'cheap';

/**
 * The directory of a scene: one process, or three nodes.
 * @param create one directory
 * @param isOneNode all connections go to the same node: the scene is about a limit of each machine
 */
export async function openDirectory(
  create: (options: Pick<DirectoryOptions, 'clock' | 'neighbours'>) => Directory,
  clock: Clock,
  isOneNode = false,
): Promise<Directory> {
  if (!WITH_THREE_NODES) return create({ clock });
  const since = clock.now();
  const hub = new PromptHub();
  const keys = NAMES.map((name) => [name, generateKeyPairSync('ed25519').privateKey] as const);
  const nodes = new Map(keys.map(([name, key]) => [name, clusterKeyHex(key)]));
  const secrets = new Map(NAMES.map((name) => [name, randomBytes(32)]));
  const opened = keys.map(([node, key]) => {
    const cluster = createCluster({
      name: 'scenes',
      network: 'signet',
      node,
      nodes,
      key,
      ...(HAS_HOURS ? { seals: cheapSeals(secrets, node) } : {}),
      bus: hub.bus(),
      clock: promptClock(clock),
      log: silentLog,
      version: 'test',
    });
    return { cluster, directory: create({ clock, neighbours: cluster.neighbours }) };
  });
  for (const { cluster } of opened) {
    // oxlint-disable-next-line no-await-in-loop -- in this order
    await cluster.start();
  }
  const isWhole = (): boolean =>
    opened.every(({ cluster }) => {
      const { connected, nodes: others } = cluster.state();
      return connected && others.every(({ life, inSync }) => life === 'alive' && inSync);
    });
  const deadline = performance.now() + WHOLE_MS;
  while (!isWhole()) {
    if (performance.now() > deadline) throw new Error('the nodes do not find each other');
    if (isTestClock(clock)) clock.advance(STEP_MS);
    // oxlint-disable-next-line no-await-in-loop -- until they have found each other
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (isTestClock(clock)) {
    while ((clock.now() - since) % PHASE_MS !== 0) clock.advance(STEP_MS);
  }
  const one = randomInt(NAMES.length);
  return new Nodes(opened, () => (isOneNode ? one : randomInt(NAMES.length)));
}
