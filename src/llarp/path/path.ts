/**
 * A path, at its creator: it is asked for, confirmed by the farthest hop (PCM, row D23), measured (PLM, row D24), and
 * ends after its lifetime. Routing messages are numbered in each direction (row D32).
 */
import type { Clock } from '../../kit/clock.js';
import type { RandomBytes } from '../crypto.js';
import { unwrapDownstream, wrapUpstream, type Layered } from '../onion.js';
import { readLlarp, writeLlarp } from '../read.js';
import { ROUTING_MESSAGE, type RoutingMessage } from '../routing-messages.js';
import type { PlannedHop } from './commit.js';
import { Sequencer } from './sequencer.js';

/** A path that is not confirmed in this time failed. */
export const BUILD_MS = 10_000;
const LATENCY_EVERY_MS = 20_000;
/** Measurements without an answer after which a path is dead. */
const MAX_SILENT = 3;

export type PathState = 'building' | 'ready' | 'ended';
/** Why a path has ended. */
export type PathEnd = 'not-built' | 'expired' | 'silent' | 'link' | 'closed';

/** A routing message without its number; the path gives it one. */
export type Unnumbered<M> = M extends unknown ? Omit<M, 'sequence'> : never;
/** Changes a message after it got its number: a signature covers the number. */
export type Finish = (message: RoutingMessage) => RoutingMessage;

export interface PathOptions {
  readonly clock: Clock;
  readonly wallClock: () => bigint;
  readonly randomBytes: RandomBytes;
  /** The nearest first, at least one. */
  readonly hops: readonly PlannedHop[];
  readonly lifetimeMs: number;
  /** Sends a LRUM to the first hop; false when the link takes no more. */
  send(layered: Layered): boolean;
  /** A routing message of the farthest hop, in order. */
  onMessage(message: RoutingMessage): void;
  /** A downstream message that is no routing message: the frame of a TDFM. */
  onFrame(bytes: Uint8Array): void;
  onReady(): void;
  /** Called once; the path does nothing afterwards. */
  onEnd(reason: PathEnd): void;
}

export class Path {
  readonly #options: PathOptions;
  readonly #incoming: Sequencer<RoutingMessage>;
  readonly #keys: readonly Uint8Array[];
  #expires: bigint;
  #state: PathState = 'building';
  #sequence = 0n;
  #cancel: () => void;
  #cancelExpiry: () => void;
  #cancelCheck: (() => void) | undefined;
  /** When the last measurement was sent; undefined when it was answered. */
  #measuredAt: number | undefined;
  #silent = 0;
  #latencyMs: number | undefined;
  /** Messages that the first link did not take, and those that the farthest hop said it dropped. */
  readonly dropped = { refused: 0, discarded: 0 };

  constructor(options: PathOptions) {
    const { clock, wallClock, lifetimeMs } = options;
    this.#options = options;
    this.#keys = options.hops.map(({ key }) => key);
    this.#incoming = new Sequencer(clock, (message) => this.#onOrdered(message));
    this.#expires = wallClock() + BigInt(lifetimeMs);
    this.#cancel = clock.after(BUILD_MS, () => this.end('not-built'));
    this.#cancelExpiry = clock.after(lifetimeMs, () => this.end('expired'));
  }

  get state(): PathState {
    return this.#state;
  }

  /** When it ends, in milliseconds since 1970. */
  get expires(): bigint {
    return this.#expires;
  }

  /** The time of a round trip, in milliseconds; undefined before the first measurement. */
  get latencyMs(): number | undefined {
    return this.#latencyMs;
  }

  get hops(): readonly PlannedHop[] {
    return this.#options.hops;
  }

  /** The path id at the farthest hop, 16 bytes: what an introduction names. */
  get farthestId(): Uint8Array {
    return this.hops.at(-1)?.receiveId ?? new Uint8Array(16);
  }

  /** The identity of the farthest hop. */
  get farthestRouter(): Uint8Array {
    return this.hops.at(-1)?.router ?? new Uint8Array(32);
  }

  /** The number of the next routing message that is sent: a DDFM names the one that was dropped. */
  get nextSequence(): bigint {
    return this.#sequence;
  }

  /** Asks the farthest hop at once whether the path works: without an answer in `ms` it ends. */
  check(ms: number): void {
    if (this.#state !== 'ready' || this.#cancelCheck) return;
    const { clock } = this.#options;
    this.#measuredAt ??= clock.now();
    this.send({ kind: 'latency', version: 0n });
    this.#cancelCheck = clock.after(ms, () => this.end('silent'));
  }

  /** Sends a routing message to the farthest hop; false when the path has ended, or its first link takes no more. */
  send(message: Unnumbered<RoutingMessage>, finish?: Finish): boolean {
    if (this.#state === 'ended') return false;
    const { randomBytes } = this.#options;
    const numbered: RoutingMessage = { ...message, sequence: this.#sequence };
    const bytes = writeLlarp(ROUTING_MESSAGE, finish ? finish(numbered) : numbered);
    if (!this.#options.send(wrapUpstream(bytes, this.#keys, randomBytes(32)))) {
      this.dropped.refused++;
      return false;
    }
    // A message that was not sent leaves no gap in the numbers.
    this.#sequence++;
    return true;
  }

  /** A LRDM of the first hop. */
  receive(layered: Layered): void {
    if (this.#state === 'ended') return;
    const bytes = unwrapDownstream(layered, this.#keys);
    const message = readLlarp(ROUTING_MESSAGE, bytes);
    if (!message.ok) this.#options.onFrame(bytes);
    else if (message.value.kind === 'discarded') {
      this.dropped.discarded++;
      this.#options.onMessage(message.value);
    } else this.#incoming.add(message.value.sequence, message.value);
  }

  end(reason: PathEnd): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#cancel();
    this.#cancelExpiry();
    this.#cancelCheck?.();
    this.#incoming.close();
    this.#options.onEnd(reason);
  }

  #onOrdered(message: RoutingMessage): void {
    if (message.kind === 'confirm') this.#onConfirm(message.lifetimeMs);
    else if (message.kind === 'latency' && message.received !== undefined) this.#onMeasured();
    else if (this.#state === 'ready') this.#options.onMessage(message);
  }

  /** PCM: a farthest hop that keeps the path for a shorter time than it was asked for is believed. */
  #onConfirm(lifetimeMs: bigint): void {
    if (this.#state !== 'building') return;
    this.#state = 'ready';
    this.#cancel();
    if (lifetimeMs < BigInt(this.#options.lifetimeMs)) {
      const { clock, wallClock } = this.#options;
      this.#cancelExpiry();
      this.#cancelExpiry = clock.after(Number(lifetimeMs), () => this.end('expired'));
      this.#expires = wallClock() + lifetimeMs;
    }
    this.#measure();
    this.#options.onReady();
  }

  #measure(): void {
    const { clock } = this.#options;
    if (this.#measuredAt !== undefined && ++this.#silent >= MAX_SILENT) {
      this.end('silent');
      return;
    }
    this.#measuredAt = clock.now();
    this.send({ kind: 'latency', version: 0n });
    this.#cancel = clock.after(LATENCY_EVERY_MS, () => this.#measure());
  }

  #onMeasured(): void {
    this.#cancelCheck?.();
    this.#cancelCheck = undefined;
    if (this.#measuredAt === undefined) return;
    this.#latencyMs = this.#options.clock.now() - this.#measuredAt;
    this.#measuredAt = undefined;
    this.#silent = 0;
  }
}
