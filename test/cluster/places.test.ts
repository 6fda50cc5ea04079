/**
 * `max_peers` of a directory on several machines: never more, and no newcomer is refused while there is room. The
 * protocol between the nodes is tested with random delays first, then whole nodes.
 */
import { randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import t from 'tap';
import { Places } from '../../src/cluster/places.js';
import type { NodeLife } from '../../src/cluster/api.js';
import { NO_DIFFERENCES } from '../../src/cluster/facts.js';
import { parseClusterRecord, type ClusterRecord } from '../../src/cluster/record.js';
import { openPacket } from '../../src/cluster/packet.js';
import { createTestClock } from '../helpers/test-clock.js';
import { createNickKey } from '../../src/protocol/nick.js';
import { DEFAULT_LIMITS } from '../../src/directory/directory.js';
import { NO_RATES } from '../directory/wire.js';
import {
  createWorld,
  joinProven,
  linesOf,
  NICK_AUTH,
  type World,
  type WorldPeer,
} from './world.js';

const ABC = ['a', 'b', 'c'];

/** Nodes that only count, and the messages between each two of them, in order. */
class Model {
  readonly #clock = createTestClock();
  readonly #queues = new Map<string, { readonly from: string; readonly record: ClusterRecord }[]>();
  readonly #own = new Map<string, number>();
  /** What each node has heard of the peers of each other. */
  readonly #heard = new Map<string, number>();
  readonly #waiting = new Map<string, number>();
  readonly #places = new Map<string, Places>();
  readonly refused: { readonly node: string; readonly inAll: number }[] = [];

  constructor(
    names: readonly string[],
    readonly total: number,
  ) {
    for (const name of names) {
      const others = names.filter((other) => other !== name);
      for (const other of others) this.#queues.set(`${name}>${other}`, []);
      this.#own.set(name, 0);
      this.#waiting.set(name, 0);
      const life: NodeLife = 'alive';
      const member = {
        life,
        heardAt: 0,
        judgedFrom: 0,
        version: '1',
        inSync: true,
        differences: NO_DIFFERENCES,
      };
      const places = new Places({
        node: name,
        others,
        clock: this.#clock,
        members: { connected: true, since: -Infinity, get: () => member },
        total: () => this.total,
        own: () => this.#own.get(name) ?? 0,
        announced: (other) => this.#heard.get(`${name}<${other}`) ?? 0,
        send: (to, record) => this.#queues.get(`${name}>${to}`)?.push({ from: name, record }),
        decided: () => this.#decided(name),
      });
      places.connected();
      this.#places.set(name, places);
    }
    this.beat();
  }

  get inAll(): number {
    return [...this.#own.values()].reduce((sum, count) => sum + count, 0);
  }

  get waiting(): number {
    return [...this.#waiting.values()].reduce((sum, count) => sum + count, 0);
  }

  beat(): void {
    for (const [name, places] of this.#places) {
      for (const other of this.#places.keys()) {
        if (other !== name) this.#places.get(other)?.stated(name, places.statement);
      }
    }
  }

  come(name: string): void {
    switch (this.#places.get(name)?.ask() ?? 'full') {
      case 'free':
        this.#enter(name);
        break;
      case 'asked':
        this.#waiting.set(name, (this.#waiting.get(name) ?? 0) + 1);
        break;
      case 'full':
        this.refused.push({ node: name, inAll: this.inAll });
    }
  }

  leave(name: string): void {
    const own = this.#own.get(name) ?? 0;
    if (own === 0) return;
    this.#own.set(name, own - 1);
    this.#tellCount(name);
  }

  /** The next message from one node to another arrives. */
  pass(from: string, to: string): boolean {
    const next = this.#queues.get(`${from}>${to}`)?.shift();
    if (!next) return false;
    const { record } = next;
    const places = this.#places.get(to);
    if (record.type === 'reserve') places?.reserve(from, record.clock, record.isShort);
    else if (record.type === 'reserved') places?.reserved(from, record.clock, record.held);
    else if (record.type === 'want') this.#heard.set(`${to}<${from}`, record.id);
    return true;
  }

  /** Everything arrives. */
  settle(): void {
    for (let round = 0; round < 20; round++) {
      for (let moved = true; moved;) {
        moved = false;
        for (const key of this.#queues.keys()) {
          const [from = '', to = ''] = key.split('>');
          while (this.pass(from, to)) moved = true;
        }
      }
      this.#clock.advance(250);
      for (const places of this.#places.values()) places.sweep();
    }
  }

  #enter(name: string): void {
    this.#own.set(name, (this.#own.get(name) ?? 0) + 1);
    if (this.inAll > this.total) throw new Error(`${this.inAll} peers of ${this.total}`);
    this.#tellCount(name);
    this.#places.get(name)?.entered();
  }

  /** A `want` stands for joins and leaves: its number is that of the peers now. */
  #tellCount(name: string): void {
    const id = this.#own.get(name) ?? 0;
    for (const [key, queue] of this.#queues) {
      if (key.startsWith(`${name}>`)) queue.push({ from: name, record: { type: 'want', id } });
    }
  }

  #decided(name: string): void {
    const waiting = this.#waiting.get(name) ?? 0;
    this.#waiting.set(name, 0);
    for (let i = 0; i < waiting; i++) this.come(name);
  }
}

t.test('whatever the delays of messages, the nodes together never have too many', (t) => {
  const seat = fc.nat(3);
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant('come' as const), at: seat, to: seat }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), at: seat, to: seat }) },
    { weight: 8, arbitrary: fc.record({ do: fc.constant('pass' as const), at: seat, to: seat }) },
  );
  const names = ['a', 'b', 'c', 'd'];
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.array(step, { minLength: 20, maxLength: 300 }),
      (total, steps) => {
        const model = new Model(names, total);
        for (const { do: action, at, to } of steps) {
          const name = names[at] ?? 'a';
          if (action === 'come') model.come(name);
          else if (action === 'leave') model.leave(name);
          else model.pass(name, names[to] ?? 'a');
        }
        model.settle();
        if (model.waiting > 0) throw new Error(`${model.waiting} newcomers wait for ever`);
        // Nothing is on its way now: all places can be used, wherever newcomers come.
        for (let i = model.inAll; i < total; i++) {
          model.come(names[(i * 7) % 4] ?? 'a');
          model.settle();
        }
        if (model.inAll !== total) throw new Error(`${model.inAll} peers, room for ${total}`);
      },
    ),
    { numRuns: 250 },
  );
  t.pass('250 random interleavings of four nodes');
  t.end();
});

const accepted = (peers: readonly WorldPeer[]): number =>
  peers.filter((peer) => peer.accepted && !peer.closed).length;

/** Newcomers at once, at each of these nodes. */
function storm(world: World, prefix: string, count: number, nodes = ABC): readonly WorldPeer[] {
  return Array.from({ length: count }, (_, n) =>
    world.node(nodes[n % nodes.length] ?? 'a').join(`J5${prefix}${n}`),
  );
}

/** Records about places that were published since the last call. */
function placeRecords(world: World, since: number): number {
  return world.hub.log
    .slice(since)
    .flatMap(({ bytes }) => openPacket(bytes)?.records ?? [])
    .map(parseClusterRecord)
    .filter((record) => typeof record === 'object' && record.type.startsWith('reserve')).length;
}

for (const most of [1, 2, 3, 10, 50, 160]) {
  t.test(`max_peers = ${most}, three nodes, newcomers at once`, async (t) => {
    const world = await createWorld(ABC, { limits: { maxPeers: most } });
    const first = storm(world, 'p', 3 * most + 5);
    world.pass(500);
    t.equal(accepted(first), most, 'exactly so many');
    t.match(first.find((peer) => !peer.accepted)?.memory.received, /directory is full/);

    const gone = first.filter((peer) => peer.accepted).slice(0, Math.ceil(most / 3));
    for (const peer of gone) peer.leave();
    world.pass(100);
    const second = storm(world, 'q', most + 5, ['b']);
    world.pass(500);
    t.equal(accepted(second), gone.length, 'all at one node: each place that became free');

    // Killed: its peers are gone after seconds, and their places are free.
    world.node('c').kill();
    world.pass(9_000);
    const inAll = world.node('a').cluster.state().peers;
    const third = storm(world, 'r', 2 * most + 5, ['a', 'b']);
    world.pass(500);
    t.equal(accepted(third), most - inAll, 'the places of a dead node');
    t.equal(world.node('a').cluster.state().peers, most);
    t.equal(world.node('b').cluster.state().peers, most, 'as each node sees it');
  });

  t.test(`max_peers = ${most}, a partition in the middle of a storm`, async (t) => {
    const world = await createWorld(ABC, { limits: { maxPeers: most } });
    world.hub.power(false);
    const apart = storm(world, 'p', 4 * most + 6);
    world.pass(2_000);
    t.equal(accepted(apart), 3 * Math.max(1, Math.floor(most / 3)), 'each node uses its share');
    world.hub.power(true);
    world.pass(10_000);
    const before = world.node('a').cluster.state().peers;
    const back = storm(world, 'q', most + 5);
    world.pass(500);
    t.equal(accepted(back), Math.max(0, most - before), 'then the rest');

    // The bus is lost while newcomers wait for the other nodes, and comes back at once.
    for (const peer of [...apart, ...back]) peer.leave();
    world.pass(1_000);
    const late = storm(world, 'r', 2 * most + 6, ['a', 'b']);
    world.hub.power(false);
    world.pass(100);
    world.hub.power(true);
    world.pass(10_000);
    // Two nodes that are cut off have a place each, however low the limit is.
    const limit = Math.max(most, 2);
    t.ok(accepted(late) <= limit, `${accepted(late)} of ${most}`);
    t.ok(
      late.every((peer) => peer.accepted || peer.memory.received.includes('directory is full')),
      'each newcomer has an answer',
    );
  });
}

t.test('far from the limit no newcomer waits, and hardly anything is said about it', async (t) => {
  const world = await createWorld(ABC, { limits: { maxPeers: 5_000 } });
  const opener = storm(world, 'o', 3);
  world.pass(500);
  t.equal(accepted(opener), 3);
  const since = world.hub.log.length;
  const crowd = Array.from({ length: 600 }, (_, n) => {
    const peer = world.node('a').join(`J5p${n}`);
    peer.memory.drain();
    return peer;
  });
  t.equal(accepted(crowd), 600, 'at once, before anything was heard of other nodes');
  world.pass(1_000);
  const said = placeRecords(world, since);
  t.ok(said <= 12, `${said} records about places for 600 newcomers`);
});

t.test('a node that stops answering delays newcomers near the limit, and only once', async (t) => {
  const world = await createWorld(ABC, { limits: { maxPeers: 4 } });
  world.hub.lose = ({ from, to }) => from === 'b' && to === 'a';
  const first = world.node('a').join('J5x');
  world.pass(2_000);
  t.notOk(first.accepted, 'b may have taken the place');
  world.pass(2_000);
  t.ok(first.accepted, 'then counts what b says to all');
  const next = world.node('a').join('J5y');
  world.pass(100);
  t.ok(next.accepted);
  world.hub.lose = () => false;
  const last = storm(world, 'z', 9);
  world.pass(1_000);
  t.equal(accepted(last), 2);
});

t.test('a peer that proved its key waits for its place, too', async (t) => {
  const world = await createWorld(ABC, { ...NICK_AUTH, limits: { maxPeers: 2 } });
  world.hub.lose = ({ from, to }) => from === 'b' && to === 'a';
  const slow = joinProven(world, 'a', createNickKey(randomBytes));
  world.pass(1_000);
  t.strictSame(linesOf(slow.take(), 807), [], 'no answer while b may have taken the place');
  world.hub.lose = () => false;
  world.pass(1_500);
  t.match(linesOf(slow.take(), 807), [/ok/]);
  const other = joinProven(world, 'b', createNickKey(randomBytes));
  world.pass(500);
  t.match(linesOf(other.take(), 807), [/ok/]);
  const stranger = storm(world, 'z', 1);
  world.pass(500);
  t.equal(accepted(stranger), 0, 'now it is full');

  // Somebody has the nick of a peer that comes later and proves its key.
  other.leave();
  const key = createNickKey(randomBytes);
  const thief = world.node('b').join(key.nick);
  world.pass(500);
  t.ok(thief.accepted);
  const owner = joinProven(world, 'c', key);
  world.pass(500);
  t.ok(thief.closed, 'the owner takes its nick and its place');
  t.notOk(owner.closed);
  t.equal(world.node('c').cluster.state().peers, 2);
});

t.test(
  'a lower limit takes effect, and what was held of the higher one is given back',
  async (t) => {
    const world = await createWorld(ABC, { limits: { maxPeers: 300 } });
    const before = storm(world, 'p', 9);
    world.pass(1_000);
    for (const { directory } of world.nodes) {
      directory.setLimits({ ...DEFAULT_LIMITS, ...NO_RATES, maxPeers: 20 });
    }
    const after = storm(world, 'q', 60);
    world.pass(1_000);
    t.equal(accepted([...before, ...after]), 20);
  },
);
