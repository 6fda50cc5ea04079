/**
 * Records on their way to the bus. Records of the same moment leave in one packet, in their order; a packet is
 * numbered even when it is not sent, so that the others see that something is missing.
 */
import type { Clock } from '../kit/clock.js';
import type { ClusterTally } from './counters.js';
import { sealPacket } from './packet.js';
import { formatClusterRecord, type ClusterRecord } from './record.js';
import type { Seals } from './seals.js';

/** How long a record waits for others. */
const GATHER_MS = 2;
/** Characters after which a packet is full; NATS takes a megabyte. */
const FULL_PACKET_CHARS = 131_072;
/**
 * How long records wait after the state was copied for another process. The other process speaks meanwhile, or this one
 * goes on after that time: nodes that hear nothing for so long do not count as dead.
 */
const HELD_MS = 2_000;
/** Numbers that a process that continues leaves out, so that none is used twice. */
const RESTORED_GAP = 1_000_000;

export interface OutboxOptions {
  readonly cluster: string;
  readonly node: string;
  readonly epoch: string;
  readonly seals: Seals;
  readonly clock: Clock;
  readonly tally: ClusterTally;
  readonly publish: (to: string | undefined, bytes: Uint8Array) => boolean;
}

interface Pending {
  readonly to: string | undefined;
  readonly text: string;
}

/** The numbers of the last packets, for another process. */
export interface OutboxState {
  readonly epoch: string;
  readonly toAll: number;
  readonly toNodes: ReadonlyMap<string, number>;
}

export class RecordOutbox {
  readonly #options: OutboxOptions;
  #epoch: string;
  #toAll = 0;
  readonly #toNodes = new Map<string, number>();
  #pending: Pending[] = [];
  #chars = 0;
  #cancelFlush: (() => void) | undefined;
  /** Until then records wait, unless `flush` is called. */
  #heldUntil = -Infinity;
  #isStopped = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#epoch = options.epoch;
  }

  get epoch(): string {
    return this.#epoch;
  }

  /** The number of the last packet to all. */
  get lastSeq(): number {
    return this.#toAll;
  }

  /** Nothing more is sent: the node said that it stops, or another process continues it. */
  stop(): void {
    this.#isStopped = true;
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    this.#pending = [];
    this.#chars = 0;
  }

  /** @param to one node; undefined: all */
  push(to: string | undefined, record: ClusterRecord): void {
    if (this.#isStopped) return;
    const text = JSON.stringify(formatClusterRecord(record));
    this.#pending.push({ to, text });
    this.#chars += text.length;
    if (this.#chars >= FULL_PACKET_CHARS) this.flush();
    else this.#cancelFlush ??= this.#options.clock.after(this.#waitMs(), () => this.flush());
  }

  /** Sends what waits, and copies the numbers for another process. What comes now waits for a while. */
  handOver(): OutboxState {
    this.flush();
    this.#heldUntil = this.#options.clock.now() + HELD_MS;
    return this.state();
  }

  /** Sends what waits, unless the state was handed over a moment ago. */
  flushSoon(): void {
    if (this.#heldUntil <= this.#options.clock.now()) this.flush();
  }

  flush(): void {
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    const pending = this.#pending;
    this.#pending = [];
    this.#chars = 0;
    let texts: string[] = [];
    for (const [i, { to, text }] of pending.entries()) {
      texts.push(text);
      const next = pending[i + 1];
      if (next && next.to === to) continue;
      this.#send(to, texts);
      texts = [];
    }
  }

  state(): OutboxState {
    return { epoch: this.#epoch, toAll: this.#toAll, toNodes: new Map(this.#toNodes) };
  }

  /** Continues the numbers of another process. */
  restore({ epoch, toAll, toNodes }: OutboxState): void {
    this.#epoch = epoch;
    this.#toAll = toAll + RESTORED_GAP;
    for (const [node, seq] of toNodes) this.#toNodes.set(node, seq + RESTORED_GAP);
  }

  #waitMs(): number {
    return Math.max(GATHER_MS, this.#heldUntil - this.#options.clock.now());
  }

  #send(to: string | undefined, texts: readonly string[]): void {
    const { cluster, node, seals, tally, publish } = this.#options;
    const seq = (to === undefined ? this.#toAll : (this.#toNodes.get(to) ?? 0)) + 1;
    if (to === undefined) this.#toAll = seq;
    else this.#toNodes.set(to, seq);
    const bytes = sealPacket({ cluster, node, epoch: this.#epoch, to, seq }, texts, seals);
    if (publish(to, bytes)) {
      tally.packetsOut++;
      tally.bytesOut += bytes.length;
    } else {
      tally.unsent++;
    }
  }
}
