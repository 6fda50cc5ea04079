/**
 * The sending half of a stream: cuts bytes into segments, sends them again until they are acknowledged, and stops when
 * the reader's window is full.
 */
import type { Clock } from '../../kit/clock.js';
import { Pace } from './pace.js';
import { SEGMENT_BYTES, type Segment } from './segment.js';

/** Most bytes that are not acknowledged; more ends the stream. */
export const MAX_QUEUED_BYTES = 134_217_728;
/** A segment counts as lost when so many later ones were acknowledged. */
const LATER_ONES = 3;
/** Time-outs in a row after which the way is doubted. */
const DOUBT_AFTER = 2;
/** Most short segments on their way: later bytes wait for an acknowledgement, and share a segment. */
const MAX_SHORT = 4;
const NOTHING = new Uint8Array(0);

interface Write {
  readonly bytes: Uint8Array;
  readonly done: (() => void) | undefined;
}

interface InFlight {
  readonly from: number;
  /** The place behind the data, and behind the end when it ends. */
  readonly to: number;
  readonly data: Uint8Array;
  readonly ends: boolean;
  sentAt: number;
  tries: number;
  /** Later segments that were acknowledged before it. */
  overtaken: number;
}

export interface SendingOptions {
  readonly clock: Clock;
  send(part: Pick<Segment, 'offset' | 'data' | 'ends' | 'asks'>): void;
  /** Several time-outs in a row: the way may be broken. */
  onDoubt(): void;
}

export class SendingHalf {
  readonly #options: SendingOptions;
  readonly #pace = new Pace();
  /** Not sent yet. */
  #writes: Write[] = [];
  /** Bytes of the first write that were sent. */
  #used = 0;
  /** In ascending order. */
  #inFlight: InFlight[] = [];
  /** Calls when everything before this place is acknowledged, in ascending order. */
  #waiters: { readonly at: number; readonly done: () => void }[] = [];
  /** The first place that is not acknowledged. */
  #acknowledged = 0;
  /** The next place to send. */
  #next = 0;
  /** The place behind all bytes that were written. */
  #written = 0;
  /** Bytes before this place are taken by the other side. */
  #limit = SEGMENT_BYTES;
  #isEnding = false;
  #endSent = false;
  #timeouts = 0;
  #cancel: (() => void) | undefined;
  #cancelFill: (() => void) | undefined;

  constructor(options: SendingOptions) {
    this.#options = options;
  }

  /** Bytes that are not acknowledged. */
  get queuedBytes(): number {
    return this.#written - Math.min(this.#acknowledged, this.#written);
  }

  /** Whether all bytes and the end are acknowledged. */
  get isDone(): boolean {
    return this.#endSent && this.#acknowledged > this.#written;
  }

  /** Whether something is sent until it is acknowledged. */
  get isWaiting(): boolean {
    return this.#cancel !== undefined;
  }

  /** Queues bytes. False when there are too many. @param done called when all are acknowledged */
  write(bytes: Uint8Array, done?: () => void): boolean {
    if (this.#isEnding) return true;
    if (this.queuedBytes + bytes.length > MAX_QUEUED_BYTES) return false;
    this.#written += bytes.length;
    this.#writes.push({ bytes, done });
    this.#fillSoon();
    return true;
  }

  /** Sends the end after all bytes. */
  end(): void {
    this.#isEnding = true;
    this.#fillSoon();
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#cancelFill?.();
    this.#cancelFill = undefined;
    this.#writes = [];
    this.#inFlight = [];
    this.#waiters = [];
    this.#written = this.#acknowledged;
  }

  /** The other side says what it has. False when it has what was never sent. */
  receipt({
    acknowledged,
    window,
    ranges,
  }: Pick<Segment, 'acknowledged' | 'window' | 'ranges'>): boolean {
    if (acknowledged > this.#next) return false;
    const gained = this.#settle(acknowledged, ranges);
    this.#limit = Math.max(this.#limit, acknowledged + window);
    if (gained > 0) {
      this.#timeouts = 0;
      this.#pace.acknowledged(gained);
    }
    this.#tellWaiters();
    this.#resendOvertaken();
    this.#fill();
    if (gained > 0 || this.#inFlight.length === 0) this.#wait();
    return true;
  }

  /** Removes what has arrived; returns its number of bytes. */
  #settle(acknowledged: number, ranges: Segment['ranges']): number {
    const now = this.#options.clock.now();
    const has = ({ from, to }: InFlight): boolean =>
      to <= acknowledged || ranges.some((range) => range.from <= from && to <= range.to);
    const arrived = this.#inFlight.filter(has);
    if (arrived.length > 0) {
      this.#inFlight = this.#inFlight.filter((each) => !has(each));
      const last = arrived.at(-1);
      if (last?.tries === 1) this.#pace.measured(now - last.sentAt);
      for (const each of this.#inFlight) {
        each.overtaken += arrived.filter(
          ({ from, sentAt }) => from > each.from && sentAt >= each.sentAt,
        ).length;
      }
    }
    if (acknowledged > this.#acknowledged) this.#acknowledged = acknowledged;
    return arrived.reduce((sum, { from, to }) => sum + to - from, 0);
  }

  #tellWaiters(): void {
    for (;;) {
      const [waiter] = this.#waiters;
      if (!waiter || waiter.at > this.#acknowledged) return;
      this.#waiters.shift();
      waiter.done();
    }
  }

  #resendOvertaken(): void {
    let isLost = false;
    for (const each of this.#inFlight) {
      if (each.overtaken < LATER_ONES) continue;
      isLost = true;
      this.#transmit(each);
    }
    if (isLost) this.#pace.lost();
  }

  /** Writes of one turn of the event loop share segments. */
  #fillSoon(): void {
    this.#cancelFill ??= this.#options.clock.after(0, () => this.#fill());
  }

  /** Sends as much as the pace and the window of the reader allow. */
  #fill(): void {
    this.#cancelFill?.();
    this.#cancelFill = undefined;
    let onWay = this.#inFlight.reduce((sum, { from, to }) => sum + to - from, 0);
    let short = this.#inFlight.filter(({ data }) => data.length < SEGMENT_BYTES).length;
    for (;;) {
      const isLast = this.#isEnding && !this.#endSent && this.#next === this.#written;
      const room = Math.min(this.#limit - this.#next, this.#written - this.#next, SEGMENT_BYTES);
      if (!isLast && room <= 0) break;
      if (onWay > 0 && onWay + Math.max(room, 0) > this.#pace.bytes) break;
      if (room < SEGMENT_BYTES && !isLast && ++short > MAX_SHORT) break;
      const data = room > 0 ? this.#cut(room) : NOTHING;
      const from = this.#next;
      const ends = this.#isEnding && from + data.length === this.#written;
      const to = from + data.length + (ends ? 1 : 0);
      const segment = { from, to, data, ends, sentAt: 0, tries: 0, overtaken: 0 };
      this.#next = to;
      if (ends) this.#endSent = true;
      this.#inFlight.push(segment);
      onWay += to - from;
      this.#transmit(segment);
      if (ends) break;
    }
    if (!this.#cancel) this.#wait();
  }

  /** The next bytes, at most so many. */
  #cut(most: number): Uint8Array {
    const data = new Uint8Array(most);
    let filled = 0;
    while (filled < most) {
      const [write] = this.#writes;
      if (!write) break;
      const part = write.bytes.subarray(this.#used, this.#used + most - filled);
      data.set(part, filled);
      filled += part.length;
      this.#used += part.length;
      if (this.#used < write.bytes.length) continue;
      this.#writes.shift();
      this.#used = 0;
      if (write.done) this.#waiters.push({ at: this.#next + filled, done: write.done });
    }
    return filled === most ? data : data.subarray(0, filled);
  }

  #transmit(segment: InFlight): void {
    segment.tries++;
    segment.overtaken = 0;
    segment.sentAt = this.#options.clock.now();
    const { from, data, ends, tries } = segment;
    this.#options.send({ offset: from, data, ends, asks: ends || tries > 1 });
  }

  /** Starts the time-out anew; none when nothing waits. */
  #wait(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    const isBlocked = this.#next < this.#written;
    if (this.#inFlight.length === 0 && !isBlocked) return;
    this.#cancel = this.#options.clock.after(this.#pace.waitMs, () => this.#onTimeout());
  }

  #onTimeout(): void {
    this.#cancel = undefined;
    this.#pace.timedOut();
    const [first] = this.#inFlight;
    if (first) {
      if (++this.#timeouts % DOUBT_AFTER === 0) this.#options.onDoubt();
      this.#transmit(first);
    } else {
      // The reader's window is full. Asks whether it has changed: the answer that said so may be lost.
      this.#options.send({ offset: this.#next, data: NOTHING, ends: false, asks: true });
    }
    this.#wait();
  }
}
