/**
 * The streams of one hidden service, to and from others. Bounded in number; segments of unknown streams are answered
 * with a reset, at a bounded rate.
 */
import { BoundedMap } from '../../kit/bounded-map.js';
import type { Clock } from '../../kit/clock.js';
import { TokenBucket } from '../../kit/rate-limit.js';
import type { RandomBytes } from '../crypto.js';
import { readSegment, writeSegment, type Segment } from './segment.js';
import { RESET_REASONS, Stream, type ResetReason, type StreamHandlers } from './stream.js';

/** Most streams, and most that one other service has opened. */
export const MAX_STREAMS = 1_024;
export const MAX_STREAMS_OF_ONE = 64;
/** How many ended streams are remembered: the other side may repeat its last segment. */
const MAX_ENDED = 1_024;
/** Resets of unknown streams. */
const RESETS_PER_SECOND = 20;

/** Takes a stream that another service opened; `attach` must be called at once. @param from its address */
export type OnStream = (stream: Stream, from: string) => void;

export interface StreamsOptions {
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  /** Sends a datagram to the service with this address. */
  send(address: string, payload: Uint8Array): void;
  /** The way to this service may be broken. */
  onDoubt(address: string): void;
}

interface Entry {
  readonly stream: Stream;
  readonly address: string;
  readonly isOwn: boolean;
}

const keyOf = (address: string, id: string, isOwn: boolean): string =>
  `${address} ${id} ${isOwn ? 'own' : 'other'}`;

export class Streams {
  readonly #options: StreamsOptions;
  readonly #streams = new Map<string, Entry>();
  readonly #ended = new BoundedMap<string, Segment | undefined>(MAX_ENDED);
  /** By port. */
  readonly #listeners = new Map<number, OnStream>();
  /** Accepted streams by address. */
  readonly #counts = new Map<string, number>();
  readonly #resets: TokenBucket;
  /** Datagrams that were dropped, by reason. */
  readonly dropped = { malformed: 0, unknown: 0, full: 0 };

  constructor(options: StreamsOptions) {
    this.#options = options;
    this.#resets = new TokenBucket(options.clock, RESETS_PER_SECOND, RESETS_PER_SECOND);
  }

  get size(): number {
    return this.#streams.size;
  }

  /** Whether a stream to or from this service is open. */
  hasStreamTo(address: string): boolean {
    return [...this.#streams.values()].some((entry) => entry.address === address);
  }

  /** Accepts streams to a port; returns a function that ends that. Open streams stay. */
  listen(port: number, onStream: OnStream): () => void {
    if (this.#listeners.has(port)) throw new RangeError(`port ${port} is taken`);
    this.#listeners.set(port, onStream);
    return () => void this.#listeners.delete(port);
  }

  /** Asks a service for a stream to a port. Undefined when there are too many. */
  open(address: string, port: number, handlers: StreamHandlers): Stream | undefined {
    if (this.#streams.size >= MAX_STREAMS) return undefined;
    const id = Buffer.from(this.#options.randomBytes(8)).toString('hex');
    if (this.#streams.has(keyOf(address, id, true))) return undefined;
    const stream = this.#add(address, id, port);
    stream.attach(handlers);
    return stream;
  }

  /** A datagram of a service arrived. */
  receive(address: string, payload: Uint8Array): void {
    const read = readSegment(payload);
    if (!read.ok) {
      this.dropped.malformed++;
      return;
    }
    const segment = read.value;
    const key = keyOf(address, segment.stream, !segment.fromOpener);
    const entry = this.#streams.get(key);
    if (entry) entry.stream.receive(segment);
    else if (this.#ended.has(key)) this.#answerEnded(address, key, segment);
    else if (segment.opens && segment.fromOpener) this.#accept(address, segment);
    else this.#refuse(address, segment, 'unknown');
  }

  /** The service cannot be reached: ends the streams that it has not accepted yet. Others end by its silence. */
  unreachable(address: string): void {
    for (const { stream, address: each } of this.#streams.values()) {
      if (each === address && stream.isOpening) stream.fail('unreachable');
    }
  }

  close(): void {
    this.#listeners.clear();
    for (const { stream } of this.#streams.values()) stream.reset();
  }

  #add(address: string, id: string, port: number | undefined): Stream {
    const { clock } = this.#options;
    const isOwn = port !== undefined;
    const key = keyOf(address, id, isOwn);
    const stream = new Stream({
      clock,
      id,
      port,
      send: (segment) => this.#options.send(address, writeSegment(segment)),
      onDoubt: () => this.#options.onDoubt(address),
      onGone: (receipt) => {
        this.#streams.delete(key);
        this.#ended.set(key, receipt);
        if (!isOwn) this.#count(address, -1);
      },
    });
    this.#streams.set(key, { stream, address, isOwn });
    if (!isOwn) this.#count(address, 1);
    return stream;
  }

  #count(address: string, change: 1 | -1): void {
    const count = (this.#counts.get(address) ?? 0) + change;
    if (count > 0) this.#counts.set(address, count);
    else this.#counts.delete(address);
  }

  #accept(address: string, segment: Segment): void {
    const [high, low] = segment.data;
    const port = high === undefined || low === undefined ? undefined : high * 256 + low;
    const onStream = port === undefined ? undefined : this.#listeners.get(port);
    if (!onStream) {
      this.#refuse(address, segment, 'no-service');
      return;
    }
    const isFull = (this.#counts.get(address) ?? 0) >= MAX_STREAMS_OF_ONE;
    if (isFull || this.#streams.size >= MAX_STREAMS) {
      this.dropped.full++;
      this.#refuse(address, segment, 'too-many');
      return;
    }
    const stream = this.#add(address, segment.stream, undefined);
    onStream(stream, address);
    stream.receive(segment);
  }

  #answerEnded(address: string, key: string, segment: Segment): void {
    const receipt = this.#ended.get(key);
    if (!receipt) this.#refuse(address, segment, 'closed');
    else if (segment.asks && this.#resets.take())
      this.#options.send(address, writeSegment(receipt));
  }

  #refuse(address: string, segment: Segment, reason: ResetReason): void {
    if (segment.resets) return;
    this.dropped.unknown++;
    if (!this.#resets.take()) return;
    const refusal: Segment = {
      stream: segment.stream,
      fromOpener: !segment.fromOpener,
      opens: false,
      ends: false,
      resets: true,
      asks: false,
      offset: 0,
      acknowledged: 0,
      window: 0,
      ranges: [],
      data: Uint8Array.of(RESET_REASONS.indexOf(reason)),
    };
    this.#options.send(address, writeSegment(refusal));
  }
}
