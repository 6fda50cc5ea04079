/**
 * One exit, at the router that granted it: packets of its client go to the target in the order of their numbers, each
 * once and within a rate, and packets for its address go down the path in use (row D29).
 */
import type { Clock } from '../../kit/clock.js';
import { BoundedSet } from '../../kit/bounded-map.js';
import { refill, type Bucket } from '../../kit/rate-limit.js';
import { joinBytes } from '../bytes.js';
import type { Hop } from '../path/hops.js';
import { Sequencer, type WaitingRoom } from '../path/sequencer.js';
import type { RoutingMessageOf } from '../routing-messages.js';
import type { Downward } from '../router/ends.js';
import type { ExitRoute, TrafficPolicy } from '../structures.js';
import { readIpPacket, type IpPacket } from './ip-packet.js';
import { isDropped } from './policy.js';

/** Bytes a second from one client, and as many at once. */
export const BYTES_PER_SECOND = 1_048_576;
const NUMBER_BYTES = 8;
/** How many nonces of signed messages are remembered. */
const MAX_NONCES = 64;

/** A packet that was dropped for congestion keeps its place, so that those behind it do not wait for it. */
const NO_PACKET = new Uint8Array(0);

/** What the target of packets knows of an exit. */
export interface ExitHandle {
  /** The allocated address (row D7). */
  readonly route: ExitRoute;
  /** Access to the internet; otherwise to the router. */
  readonly internet: boolean;
  /** Sends a packet to the client; false when it was dropped. */
  toClient(packet: Uint8Array): boolean;
}

/** Where packets of clients go: sockets, or a test. */
export interface ExitTarget {
  /** Takes a packet; its source is the address of the exit. False when the target is full. */
  send(exit: ExitHandle, packet: IpPacket): boolean;
  /** The exit is closed: frees what belongs to it. */
  closed(exit: ExitHandle): void;
}

/** What exits dropped, by reason. */
export interface ExitDrops {
  packet: number;
  order: number;
  policy: number;
  rate: number;
  target: number;
  /** Packets to a client that has no path now, or whose link is full. */
  down: number;
}

export interface GrantedOptions {
  readonly clock: Clock;
  readonly target: ExitTarget;
  readonly dropped: ExitDrops;
  readonly room: WaitingRoom;
  /** The client's key, 32 bytes. */
  readonly key: Uint8Array;
  readonly transaction: bigint;
  readonly internet: boolean;
  readonly route: ExitRoute;
  /** Of the exit and of the client. */
  readonly policies: readonly TrafficPolicy[];
}

/** The path of a client. */
export interface ClientPath {
  readonly hop: Hop;
  readonly down: Downward;
}

export class Granted implements ExitHandle {
  readonly #options: GrantedOptions;
  readonly #order: Sequencer<Uint8Array>;
  readonly #bytes: Bucket;
  readonly #nonces = new BoundedSet<string>(MAX_NONCES);
  #path: ClientPath | undefined;
  #number = 0n;
  /** Set while a message is worked on: the target took no more. */
  #isFull = false;
  #isClosed = false;
  /** The timers of its life, and of a client without a path. */
  cancelExpiry: () => void = () => undefined;
  cancelGrace: () => void = () => undefined;

  constructor(options: GrantedOptions, path: ClientPath) {
    const { clock, room } = options;
    this.#options = options;
    this.#path = path;
    this.#order = new Sequencer<Uint8Array>(clock, (packet) => this.#toTarget(packet), room);
    this.#bytes = { tokens: BYTES_PER_SECOND, filledAt: clock.now() };
  }

  get key(): Uint8Array {
    return this.#options.key;
  }

  get transaction(): bigint {
    return this.#options.transaction;
  }

  get route(): ExitRoute {
    return this.#options.route;
  }

  get internet(): boolean {
    return this.#options.internet;
  }

  /** Undefined while the client has none. */
  get path(): ClientPath | undefined {
    return this.#path;
  }

  set path(path: ClientPath | undefined) {
    this.#path = path;
  }

  /** False for a nonce of an earlier message. */
  isNew(nonce: Uint8Array): boolean {
    const text = Buffer.from(nonce).toString('hex');
    if (this.#nonces.has(text)) return false;
    this.#nonces.add(text);
    return true;
  }

  /** Packets of the client. A message over the rate is dropped, and the client is told (D26). */
  receive({ packets, sequence }: RoutingMessageOf<'traffic'>, down: Downward): void {
    const { dropped } = this.#options;
    const isOver = !this.#pays(packets.reduce((sum, { length }) => sum + length, 0));
    if (isOver) dropped.rate++;
    this.#isFull = false;
    for (const each of packets) {
      const number = new DataView(each.buffer, each.byteOffset, NUMBER_BYTES).getBigUint64(0);
      const packet = isOver ? NO_PACKET : each.slice(NUMBER_BYTES);
      if (!this.#order.add(number, packet)) dropped.order++;
    }
    if (isOver || this.#isFull) down.discard(sequence);
  }

  toClient(packet: Uint8Array): boolean {
    if (this.#isClosed) return false;
    const { dropped, policies } = this.#options;
    const read = readIpPacket(packet);
    if (!read.ok) {
      dropped.packet++;
      return false;
    }
    if (isDropped(policies, read.value, 'down')) {
      dropped.policy++;
      return false;
    }
    const number = new Uint8Array(NUMBER_BYTES);
    new DataView(number.buffer).setBigUint64(0, this.#number);
    const packets = [joinBytes(number, packet)];
    if (this.#path?.down.send({ kind: 'traffic', packets, version: 0n }) !== true) {
      dropped.down++;
      return false;
    }
    this.#number++;
    return true;
  }

  close(): void {
    this.#isClosed = true;
    this.cancelExpiry();
    this.cancelGrace();
    this.#order.close();
    this.#options.target.closed(this);
  }

  #pays(bytes: number): boolean {
    refill(this.#bytes, BYTES_PER_SECOND, BYTES_PER_SECOND, this.#options.clock.now());
    if (this.#bytes.tokens < bytes) return false;
    this.#bytes.tokens -= bytes;
    return true;
  }

  #toTarget(bytes: Uint8Array): void {
    if (bytes === NO_PACKET) return;
    const { dropped, policies, target, route } = this.#options;
    const read = readIpPacket(bytes);
    if (!read.ok) dropped.packet++;
    else if (isDropped(policies, read.value, 'up')) dropped.policy++;
    else if (!target.send(this, { ...read.value, source: route.source })) {
      dropped.target++;
      this.#isFull = true;
    }
  }
}
