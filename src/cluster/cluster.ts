/** A node of a cluster: connects the parts; each rule has a module of its own. */
import { randomBytes, type KeyObject } from 'node:crypto';
import type { LocalSide, Neighbours } from '../directory/neighbours.js';
import {
  ClusterError,
  type Cluster,
  type ClusterOptions,
  type ClusterState,
  type NodeState,
} from './api.js';
import type { BusState } from './bus.js';
import { copyClusterTally, createClusterTally, type ClusterTally } from './counters.js';
import { Exchange } from './exchange.js';
import { NO_DIFFERENCES, NO_FACTS, statedFacts } from './facts.js';
import { Inbox } from './inbox.js';
import { Members } from './members.js';
import { ClusterNeighbours } from './neighbours.js';
import { RecordOutbox } from './outbox.js';
import { clusterKeyHex, clusterPublicKey } from './packet.js';
import { keySeals } from './seals.js';

export { ClusterError, type Cluster, type ClusterOptions, type ClusterState } from './api.js';

/** Interval of all deadlines. */
const SWEEP_MS = 250;
/** Most bytes of packets that wait while the state of another process is on its way. */
const MAX_EARLY_BYTES = 33_554_432;
const NAME = /^[A-Za-z0-9_-]{1,64}$/;

function keysOf(nodes: ReadonlyMap<string, string>): ReadonlyMap<string, KeyObject> {
  const keys = new Map<string, KeyObject>();
  for (const [name, hex] of nodes) {
    const key = clusterPublicKey(hex);
    if (!NAME.test(name))
      throw new ClusterError(`[CLUSTER] nodes: not the name of a node: ${name}`);
    if (!key) throw new ClusterError(`[CLUSTER] nodes: the key of ${name} has not 64 hex digits`);
    keys.set(name, key);
  }
  return keys;
}

function checked(options: ClusterOptions): ReadonlyMap<string, KeyObject> {
  const { name, node, nodes, key } = options;
  if (!NAME.test(name)) throw new ClusterError(`[CLUSTER] name: not a name: ${name}`);
  const keys = keysOf(nodes);
  if (nodes.get(node) !== clusterKeyHex(key)) {
    throw new ClusterError(
      `[CLUSTER] nodes: ${node} must be there with the key of this node, ${clusterKeyHex(key)}`,
    );
  }
  return keys;
}

class ClusterNode implements Cluster {
  readonly #options: ClusterOptions;
  readonly #others: readonly string[];
  readonly #tally: ClusterTally = createClusterTally();
  readonly #outbox: RecordOutbox;
  readonly #inbox: Inbox;
  readonly #members: Members;
  readonly #exchange: Exchange;
  readonly #neighbours: ClusterNeighbours;
  #busState: BusState = { connected: false, detail: 'not connected yet' };
  /** Packets that came before the state of the other process. */
  #early: Uint8Array[] | undefined;
  #earlyBytes = 0;
  #cancelSweep: (() => void) | undefined;
  #shown = '';

  constructor(options: ClusterOptions) {
    const keys = checked(options);
    const { node, clock, bus, key } = options;
    const { wallClock = Date.now } = options;
    const seals = options.seals ?? keySeals(key, keys);
    const tally = this.#tally;
    this.#options = options;
    this.#others = [...keys.keys()].filter((name) => name !== node);
    this.#early = options.inherits === true ? [] : undefined;
    const cluster = `${options.name}.${options.network}`;
    const epoch = randomBytes(12).toString('hex');
    this.#outbox = new RecordOutbox({
      cluster,
      node,
      epoch,
      seals,
      clock,
      tally,
      publish: (to, bytes) => bus.publish(to, bytes),
    });
    const outbox = this.#outbox;
    const send = outbox.push.bind(outbox);
    this.#inbox = new Inbox({
      cluster,
      node,
      nodes: keys.keys(),
      seals,
      clock,
      tally,
      randomHex: () => randomBytes(16).toString('hex'),
      send,
      lastSeq: () => outbox.lastSeq,
    });
    this.#inbox.adoptOwn(epoch, 0);
    this.#members = new Members({
      nodes: this.#others,
      clock,
      onDeath: (dead) => this.#exchange.died(dead),
      onCutOff: () => this.#exchange.cutOff(),
      onConnected: () => this.#exchange.connected(),
    });
    this.#exchange = new Exchange({
      node,
      others: this.#others,
      clock,
      log: options.log,
      version: options.version,
      facts: () => (options.facts ? statedFacts(options.facts(), wallClock()) : NO_FACTS),
      tally,
      members: this.#members,
      outbox,
    });
    this.#neighbours = new ClusterNeighbours({
      node,
      clock,
      nodeCount: keys.size,
      others: this.#others,
      exchange: this.#exchange,
      members: this.#members,
      outbox,
      inbox: this.#inbox,
      tally,
      onRestored: () => this.#restored(),
    });
  }

  get neighbours(): Neighbours {
    return this.#neighbours;
  }

  async start(): Promise<void> {
    const { bus, name, network, node } = this.#options;
    await bus.open(`onionmc.${name}.${network}`, node, {
      packet: (bytes) => this.#onPacket(bytes),
      state: (state) => this.#onBus(state),
    });
    if (!this.#early) this.#run();
  }

  state(): ClusterState {
    const { name, node, clock } = this.#options;
    const { connected, since } = this.#members;
    return {
      name,
      node,
      connected,
      detail: connected ? undefined : (this.#busState.detail ?? 'no packet comes back'),
      sinceMs: clock.now() - since,
      nodes: this.#others.map((other) => this.#nodeState(other)),
      peers: this.#exchange.peerCount,
      share: this.#neighbours.shares,
      counters: copyClusterTally(this.#tally),
    };
  }

  async close(): Promise<void> {
    if (!this.#early) {
      this.#outbox.push(undefined, { type: 'bye' });
      this.#outbox.flush();
    }
    await this.leave();
  }

  async leave(): Promise<void> {
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
    this.#exchange.stop();
    // While the bus closes, peers come and go; a node that speaks after its `bye` would live again.
    this.#outbox.stop();
    await this.#options.bus.close();
  }

  #nodeState(name: string): NodeState {
    const member = this.#members.get(name);
    const heardAt = member?.heardAt;
    return {
      name,
      life: member?.life ?? 'unknown',
      peers: this.#exchange.view.count(name),
      inSync: member?.inSync ?? false,
      isOver: this.#exchange.caps.state(name).isOver,
      heardMs: heardAt === undefined ? undefined : this.#options.clock.now() - heardAt,
      version: member?.version,
      ...(member?.differences ?? NO_DIFFERENCES),
    };
  }

  /** From now on heartbeats and deadlines. */
  #run(): void {
    this.#exchange.heartbeat.send();
    this.#arm();
  }

  #arm(): void {
    this.#cancelSweep = this.#options.clock.after(SWEEP_MS, () => {
      this.#arm();
      this.#batch(() => this.#exchange.sweep());
      this.#tellChange();
    });
  }

  #batch(work: () => void): void {
    const local: LocalSide | undefined = this.#exchange.local;
    if (local) local.batch(work);
    else work();
  }

  /** The state of another process is here: reads what came meanwhile. */
  #restored(): void {
    const early = this.#early;
    if (!early) return;
    this.#early = undefined;
    this.#batch(() => {
      for (const bytes of early) this.#read(bytes);
    });
    this.#run();
  }

  #onPacket(bytes: Uint8Array): void {
    if (!this.#early) {
      this.#batch(() => this.#read(bytes));
      return;
    }
    this.#earlyBytes += bytes.length;
    if (this.#earlyBytes <= MAX_EARLY_BYTES) this.#early.push(bytes.slice());
  }

  #read(bytes: Uint8Array): void {
    const received = this.#inbox.receive(bytes);
    if (!received) return;
    if (received.node === this.#options.node) {
      this.#members.echo();
      return;
    }
    this.#members.heard(received.node);
    this.#exchange.receive(received);
  }

  #onBus(state: BusState): void {
    const isNew = state.connected && !this.#busState.connected;
    this.#busState = state;
    this.#batch(() => {
      if (!state.connected) this.#members.lost();
      // Not at each fault that the bus reports: the heartbeat may be what causes it.
      else if (isNew && !this.#early) this.#exchange.heartbeat.send();
    });
    this.#tellChange();
  }

  /** Reports and logs changes that an operator wants to know. */
  #tellChange(): void {
    const { log, onChange } = this.#options;
    const { connected } = this.#members;
    const lives = this.#others.map((name) => `${name} ${this.#members.get(name)?.life}`);
    const shown = `${connected}; ${lives.join('; ')}`;
    if (shown === this.#shown) return;
    this.#shown = shown;
    const text = connected ? 'cluster: connected' : 'cluster: cut off from the other nodes';
    log.info(text, {
      nodes: lives.join(', '),
      reason: connected ? undefined : this.#busState.detail,
    });
    onChange?.();
  }
}

/** A node that is not started yet. Throws a ClusterError when the options contradict each other. */
export function createCluster(options: ClusterOptions): Cluster {
  return new ClusterNode(options);
}
