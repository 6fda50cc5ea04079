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
import type { Neighbours } from '../../src/directory/neighbours.js';
import { memoryPeer, type MemoryPeer } from './memory-connection.js';

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

/** Short waits end with the turn, when the scene moves the time on, or with `settle`. */
class PromptClock implements Clock {
  readonly #clock: Clock;
  readonly #due = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  after(ms: number, fn: () => void): () => void {
    if (ms > GATHER_MS) return this.#clock.after(ms, fn);
    const run = (): void => {
      if (!this.#due.has(run)) return;
      stop();
      fn();
    };
    const cancel = this.#clock.after(0, run);
    const stop = (): void => {
      this.#due.delete(run);
      cancel();
    };
    this.#due.add(run);
    queueMicrotask(run);
    return stop;
  }

  /** Ends all short waits now, and those that arise by it. */
  settle(): void {
    for (const run of this.#due) run();
  }
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

/** Each node keeps a log for its own peers. */
const LARGEST: ReadonlySet<string> = new Set(['logBytes']);

/** Counts the peers that left all nodes: each node announces them to its own peers. */
class Leaves {
  count = 0;

  /** The neighbours of a node, watched. */
  watch(neighbours: Neighbours): Neighbours {
    return new Proxy(neighbours, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...rest: unknown[]): unknown => {
          const result: unknown = Reflect.apply(value, target, rest);
          if (name === 'left' && result === false) this.count++;
          return result;
        };
      },
    });
  }
}

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

function ofOneProcess(what: string): never {
  throw new Error(`${what} belongs to one process: use testDirectory`);
}

type OperatorOf = Pick<Directory['operator'], 'list' | 'kick' | 'bans'>;
type Kick = ReturnType<OperatorOf['kick']>;

/** What an operator gets who gives each command on each node. Bans belong to one node, see `oneNode`. */
class Operators implements OperatorOf {
  readonly #all: readonly OperatorOf[];

  constructor(all: readonly OperatorOf[]) {
    this.#all = all;
  }

  list(most: number): ReturnType<OperatorOf['list']> {
    return this.#all
      .flatMap((operator) => operator.list(most))
      .toSorted((a, b) => b.connectedMs - a.connectedMs)
      .slice(0, most);
  }

  kick(...args: Parameters<OperatorOf['kick']>): Kick {
    const results = this.#all.map((operator) => operator.kick(...args));
    const [first] = results;
    if (!first) throw new Error('there is no node');
    return results.find(({ done }) => done) ?? first;
  }

  bans(): ReturnType<OperatorOf['bans']> {
    return this.#all.flatMap((operator) => operator.bans());
  }
}

interface NodesOptions {
  readonly nodes: readonly { readonly directory: Directory; readonly cluster: Cluster }[];
  /** All connections and commands go to this one. */
  readonly only: number | undefined;
  readonly leaves: Leaves;
  /** Lets all nodes hear each other now. */
  readonly settle: () => void;
}

/** The nodes as one directory: counts are sums, and a connection goes to a random node. */
class Nodes implements Directory {
  readonly #options: NodesOptions;
  readonly #nodes: NodesOptions['nodes'];

  constructor(options: NodesOptions) {
    this.#options = options;
    this.#nodes = options.nodes;
  }

  settle(): void {
    this.#options.settle();
  }

  #at(index: number): Directory {
    const node = this.#nodes[index];
    if (!node) throw new Error('there is no such node');
    return node.directory;
  }

  #sum(read: (directory: Directory) => number): number {
    return this.#nodes.reduce((total, { directory }) => total + read(directory), 0);
  }

  #each(act: (directory: Directory) => void): void {
    for (const { directory } of this.#nodes) act(directory);
  }

  accept(connection: Connection): void {
    this.#at(this.#options.only ?? randomInt(this.#nodes.length)).accept(connection);
  }

  get operator(): Directory['operator'] {
    const { only } = this.#options;
    if (only !== undefined) return this.#at(only).operator;
    const all: OperatorOf = new Operators(this.#nodes.map(({ directory }) => directory.operator));
    // A scene uses these three; another one fails.
    // oxlint-disable-next-line no-unsafe-type-assertion
    return all as Directory['operator'];
  }

  get peerCount(): number {
    return this.#sum(({ peerCount }) => peerCount);
  }

  get connectionCount(): number {
    return this.#sum(({ connectionCount }) => connectionCount);
  }

  stats(): DirectoryStats {
    const sums = this.#nodes.map(({ directory }) => directory.stats()).reduce(together);
    return { ...sums, leavesAnnounced: this.#options.leaves.count };
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
    return ofOneProcess('copyPeers');
  }

  snapshot(): never {
    return ofOneProcess('snapshot');
  }

  prepare(): never {
    return ofOneProcess('prepare');
  }

  forget(): never {
    return ofOneProcess('forget');
  }

  restore(): never {
    return ofOneProcess('restore');
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
  const prompt = new PromptClock(clock);
  const leaves = new Leaves();
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
      clock: prompt,
      log: silentLog,
      version: 'test',
    });
    const neighbours = leaves.watch(cluster.neighbours);
    return { cluster, directory: create({ clock, neighbours }) };
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
  return new Nodes({
    nodes: opened,
    only: isOneNode ? randomInt(NAMES.length) : undefined,
    leaves,
    settle: () => prompt.settle(),
  });
}

/** A connection in memory to this directory; whatever the peer does, all nodes have heard of it afterwards. */
export function connectPeer(
  directory: Directory,
  ...[circuit, via]: Parameters<typeof memoryPeer>
): MemoryPeer {
  const peer = memoryPeer(circuit, via);
  const settle = (): void => {
    if (directory instanceof Nodes) directory.settle();
  };
  directory.accept(peer.connection);
  return {
    connection: peer.connection,
    get received() {
      return peer.received;
    },
    get closed() {
      return peer.closed;
    },
    say(bytes) {
      peer.say(bytes);
      settle();
    },
    drain(bytes) {
      peer.drain(bytes);
      settle();
    },
    leave() {
      peer.leave();
      settle();
    },
  };
}

/** The options of a test that looks into one process, with the reason why it cannot be seen from outside. */
export function oneProcess(reason: string): { readonly skip: string | false } {
  return { skip: WITH_THREE_NODES && reason };
}
