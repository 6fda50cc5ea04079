/** A directory on several machines in memory: its nodes, its peers, and the bus between them. */
import { generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto';
import { createCluster, type Cluster } from '../../src/cluster/cluster.js';
import type { OwnFacts } from '../../src/cluster/facts.js';
import { clusterKeyHex } from '../../src/cluster/packet.js';
import {
  DEFAULT_LIMITS,
  type Directory,
  type DirectoryOptions,
} from '../../src/directory/directory.js';
import { formatNickProof, parseNickChallenge, proveNick } from '../../src/protocol/nick-auth.js';
import type { NickKey } from '../../src/protocol/nick.js';
import { encodeEnvelope } from '../../src/protocol/envelope.js';
import { silentLog, type Log } from '../../src/channel/log.js';
import { memoryPeer, type MemoryPeer } from '../directory/memory-connection.js';
import {
  hello,
  NO_RATES,
  parseLine,
  testDirectory,
  type Hello,
  type Line,
} from '../directory/wire.js';
import { createTestClock, type TestClock } from '../helpers/test-clock.js';
import { createMemoryHub, type MemoryHub } from './memory-hub.js';

/** A peer that reads everything at once. */
export interface WorldPeer {
  readonly memory: MemoryPeer;
  readonly nick: string;
  /** Whether its handshake was accepted. */
  readonly accepted: boolean;
  readonly closed: boolean;
  /** The lines after its 795 since the last call. */
  take(): readonly Line[];
  send(type: number, line: string): void;
  leave(): void;
}

export interface WorldNode {
  readonly name: string;
  readonly key: KeyObject;
  readonly cluster: Cluster;
  readonly directory: Directory;
  readonly clock: TestClock;
  /** A connection of a new peer; the answer comes with `World.pass`. */
  join(nick: string, options?: Hello): WorldPeer;
  /** Stops without a word. */
  kill(): void;
  readonly isDead: boolean;
}

export interface World {
  readonly hub: MemoryHub;
  readonly nodes: readonly WorldNode[];
  node(name: string): WorldNode;
  /** Moves the time of all nodes on, and all packets and bytes that move in it. */
  pass(ms: number): void;
  /** Starts a node anew, with the keys of before. */
  restart(name: string, options?: NodeOptions): Promise<WorldNode>;
  readonly keys: ReadonlyMap<string, KeyObject>;
  /** A peer on a connection that no node has yet. */
  stray(nick: string): WorldPeer;
}

export interface NodeOptions {
  readonly limits?: Partial<DirectoryOptions['limits']>;
  readonly directory?: Partial<DirectoryOptions>;
  readonly inherits?: boolean;
  readonly log?: Log;
}

const STEP_MS = 50;
/** When the clocks of the nodes begin: milliseconds since 1970. */
const WALL_CLOCK_MS = 1_700_000_000_000;
/** The answer to the handshake, and pings. */
const UNREAD_TYPES = new Set([795, 798]);

export async function createWorld(
  names: readonly string[],
  options: NodeOptions & {
    readonly clockOffset?: (name: string) => number;
    readonly facts?: (name: string) => Partial<OwnFacts>;
  } = {},
): Promise<World> {
  const hub = createMemoryHub();
  const keys = new Map(names.map((name) => [name, generateKeyPairSync('ed25519').privateKey]));
  const publicKeys = new Map([...keys].map(([name, key]) => [name, clusterKeyHex(key)]));
  const nodes = new Map<string, WorldNode>();
  const peers = new Set<MemoryPeer>();

  async function start(name: string, nodeOptions: NodeOptions): Promise<WorldNode> {
    const key = keys.get(name);
    if (!key) throw new Error(`no node ${name}`);
    const clock = createTestClock();
    clock.advance(options.clockOffset?.(name) ?? 0);
    const cluster = createCluster({
      name: 'pit',
      network: 'signet',
      node: name,
      nodes: publicKeys,
      key,
      bus: hub.bus(),
      clock,
      log: nodeOptions.log ?? silentLog,
      version: '1.0',
      facts: () => ({ motd: '', limits: '', reached: undefined, ...options.facts?.(name) }),
      wallClock: () => WALL_CLOCK_MS + clock.now(),
      ...(nodeOptions.inherits === true ? { inherits: true } : {}),
    });
    const directory = testDirectory({
      clock,
      limits: { ...DEFAULT_LIMITS, ...NO_RATES, ...nodeOptions.limits },
      neighbours: cluster.neighbours,
      ...nodeOptions.directory,
    });
    await cluster.start();
    let dead = false;
    const node: WorldNode = {
      name,
      key,
      cluster,
      directory,
      clock,
      get isDead() {
        return dead;
      },
      join(nick, helloOptions) {
        const memory = memoryPeer();
        peers.add(memory);
        directory.accept(memory.connection);
        memory.say(encodeEnvelope(793, hello(nick, helloOptions)));
        return worldPeer(memory, nick);
      },
      kill() {
        dead = true;
        void cluster.leave();
      },
    };
    nodes.set(name, node);
    return node;
  }

  for (const name of names) {
    // oxlint-disable-next-line no-await-in-loop -- in this order
    await start(name, options);
  }
  const world: World = {
    hub,
    keys,
    get nodes() {
      return [...nodes.values()];
    },
    node(name) {
      const node = nodes.get(name);
      if (!node) throw new Error(`no node ${name}`);
      return node;
    },
    pass(ms) {
      for (let left = ms; left > 0; left -= STEP_MS) {
        for (const node of nodes.values()) {
          if (!node.isDead) node.clock.advance(Math.min(STEP_MS, left));
        }
        hub.run();
        for (const peer of peers) peer.drain();
      }
    },
    stray(nick) {
      const memory = memoryPeer();
      peers.add(memory);
      return worldPeer(memory, nick);
    },
    restart: (name, nodeOptions) => start(name, { ...options, ...nodeOptions }),
  };
  world.pass(3_000);
  return world;
}

function worldPeer(memory: MemoryPeer, nick: string): WorldPeer {
  let taken = 0;
  return {
    memory,
    nick,
    get accepted() {
      return memory.received.includes('\\"accepted\\": true');
    },
    get closed() {
      return memory.closed;
    },
    take() {
      const text = memory.received.slice(taken);
      taken = memory.received.length;
      return text
        .split('\r\n')
        .filter((line) => line !== '')
        .map(parseLine)
        .filter(({ type }) => !UNREAD_TYPES.has(type));
    },
    send: (type, line) => memory.say(encodeEnvelope(type, line)),
    leave: () => memory.leave(),
  };
}

/** The lines of one type. */
export function linesOf(lines: readonly Line[], type: number): readonly string[] {
  return lines.filter((line) => line.type === type).map(({ line }) => line);
}

/** The nicks in the answer to a 791, sorted. */
export function listedBy(world: World, peer: WorldPeer): readonly string[] {
  peer.take();
  peer.send(791, '');
  world.pass(100);
  return linesOf(peer.take(), 789)
    .flatMap((line) => line.split(','))
    .filter((entry) => entry !== '')
    .map((entry) => entry.split(';')[0] ?? '')
    .toSorted();
}

/** Joins with a proof of the nick's key. */
export function joinProven(world: World, node: string, key: NickKey, location?: string): WorldPeer {
  const options = { features: { nick_auth: true, ping: true }, ...(location ? { location } : {}) };
  const peer = world.node(node).join(key.nick, options);
  world.pass(50);
  const [line] = linesOf(peer.take(), 803);
  const challenge = parseNickChallenge(line ?? '');
  if (!challenge.ok) throw new Error('no challenge');
  const payload = hello(key.nick, options);
  peer.send(805, formatNickProof(proveNick(key, challenge.value, payload)));
  world.pass(100);
  return peer;
}

/** Directories that ask for proofs. */
export const NICK_AUTH = { directory: { nickAuth: { required: false, randomBytes } } };
