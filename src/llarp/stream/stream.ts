/**
 * One stream between two hidden services: bytes in order, each once, until both sides have ended it; or an end with a
 * fault. Pure: segments leave through `send`, time is an argument.
 */
import type { Clock } from '../../kit/clock.js';
import { ReceivingHalf, RECEIVE_WINDOW } from './receiving.js';
import { SendingHalf } from './sending.js';
import type { Segment } from './segment.js';

/** A stream ends when the other side was silent for so long, although it was asked. */
export const SILENCE_MS = 60_000;
/** An idle stream asks after this time whether the other side is there. */
const IDLE_MS = 30_000;
/** A stream that is not accepted in this time failed. */
export const OPEN_MS = 60_000;
const OPEN_AGAIN_MS = 4_000;
/** A segment is acknowledged after this time, or when `ACKNOWLEDGE_EACH` have arrived. */
const ACKNOWLEDGE_MS = 40;
const ACKNOWLEDGE_EACH = 4;
const NOTHING = new Uint8Array(0);

/** Why the other side has given up a stream. The index is the byte that is sent. */
export const RESET_REASONS = ['closed', 'no-service', 'unknown', 'too-many'] as const;
export type ResetReason = (typeof RESET_REASONS)[number];

/** Why a stream has ended before both sides ended it. */
export type StreamFault =
  ResetReason | 'silent' | 'not-opened' | 'unreachable' | 'queue-full' | 'wrong';

/** What the owner of a stream is told. */
export interface StreamHandlers {
  /** The other side has accepted the stream; only at the opener. */
  onOpen?(): void;
  /** Bytes arrived, in order. */
  onData(bytes: Uint8Array): void;
  /** Both sides have ended it, or a fault. Called once and last. */
  onEnd(fault: StreamFault | undefined): void;
}

export interface StreamOptions {
  readonly clock: Clock;
  readonly id: string;
  /** The port that is asked for; undefined at the side that accepts. */
  readonly port: number | undefined;
  send(segment: Segment): void;
  onDoubt(): void;
  /** The stream needs its place no more. @param receipt the answer to repeated segments; undefined after a fault */
  onGone(receipt: Segment | undefined): void;
}

const IGNORED: StreamHandlers = { onData: () => undefined, onEnd: () => undefined };

/** One stream between two hidden services. */
export class Stream {
  readonly #options: StreamOptions;
  readonly #sending: SendingHalf;
  readonly #receiving: ReceivingHalf;
  #handlers = IGNORED;
  #state: 'opening' | 'open' | 'ended' = 'open';
  #heardAt: number;
  #openedAt: number;
  /** Segments since the last acknowledgement. */
  #unacknowledged = 0;
  #cancelAcknowledgement: (() => void) | undefined;
  #cancelWatch: () => void;
  /** Bytes of the window at the last acknowledgement. */
  #shownWindow = RECEIVE_WINDOW;

  constructor(options: StreamOptions) {
    const { clock, port } = options;
    this.#options = options;
    this.#heardAt = clock.now();
    this.#openedAt = clock.now();
    this.#sending = new SendingHalf({
      clock,
      send: (part) => this.#send(part),
      onDoubt: () => options.onDoubt(),
    });
    this.#receiving = new ReceivingHalf((bytes) => this.#handlers.onData(bytes));
    if (port === undefined) {
      this.#cancelWatch = clock.after(IDLE_MS, () => this.#watch());
    } else {
      this.#state = 'opening';
      // Nothing is delivered before the owner of the stream has it.
      this.#cancelWatch = clock.after(0, () => this.#open());
    }
  }

  /** Bytes that were written and are not acknowledged. */
  get queuedBytes(): number {
    return this.#state === 'ended' ? 0 : this.#sending.queuedBytes;
  }

  /** Bytes that wait for the reader, or for a segment that is missing. */
  get heldBytes(): number {
    return this.#receiving.heldBytes;
  }

  /** The other side has not accepted it yet. */
  get isOpening(): boolean {
    return this.#state === 'opening';
  }

  /** Whether both sides have ended it, or it has failed. */
  get isEnded(): boolean {
    return this.#state === 'ended';
  }

  /** Delivers to these handlers from now on. */
  attach(handlers: StreamHandlers): void {
    this.#handlers = handlers;
  }

  /** Queues bytes; nothing when the stream has ended. @param done called when the other side has all of them */
  write(bytes: Uint8Array, done?: () => void): void {
    if (this.#state === 'ended') return;
    // Not at once: nothing is told from within a call of the owner.
    if (!this.#sending.write(bytes, done))
      this.#options.clock.after(0, () => this.fail('queue-full'));
  }

  /** Ends this side after all bytes. */
  end(): void {
    if (this.#state !== 'ended') this.#sending.end();
  }

  /** Delivers nothing until `resume`; the other side stops when the window is full. */
  pause(): void {
    this.#receiving.pause();
  }

  /** Delivers again. */
  resume(): void {
    if (this.#state === 'ended') return;
    this.#receiving.resume();
    this.#finish();
    // The other side stopped, and nothing else tells it that there is room again.
    const { window } = this.#receiving;
    if (window - this.#shownWindow >= RECEIVE_WINDOW / 2) this.#acknowledge();
  }

  /** Gives the stream up, and tells the other side. */
  reset(reason: ResetReason = 'closed'): void {
    if (this.#state === 'ended') return;
    const data = Uint8Array.of(RESET_REASONS.indexOf(reason));
    this.#send({ offset: 0, data, ends: false, asks: false }, { resets: true });
    this.#stop('closed');
  }

  /** Ends without telling the other side. */
  fail(fault: StreamFault): void {
    if (this.#state !== 'ended') this.#stop(fault);
  }

  /** A segment of the other side with the id of this stream. */
  receive(segment: Segment): void {
    if (this.#state === 'ended') return;
    this.#heardAt = this.#options.clock.now();
    if (segment.resets) {
      this.#stop(RESET_REASONS[segment.data[0] ?? 0] ?? 'closed');
      return;
    }
    if (segment.opens) {
      this.#acknowledge();
      return;
    }
    if (this.#state === 'opening') this.#opened();
    if (!this.#sending.receipt(segment)) {
      this.#send({ offset: 0, data: NOTHING, ends: false, asks: false }, { resets: true });
      this.#stop('wrong');
      return;
    }
    this.#takeData(segment);
    this.#finish();
  }

  #takeData(segment: Segment): void {
    const hasData = segment.data.length > 0 || segment.ends;
    const isNew = hasData && this.#receiving.take(segment);
    if (this.isEnded) return;
    if (segment.asks || (hasData && !isNew) || segment.ends) this.#acknowledge();
    else if (hasData) this.#acknowledgeLater();
  }

  /** Both sides have ended: no byte is missing. */
  #finish(): void {
    if (this.isEnded || !this.#receiving.isDone) return;
    // There are no half-open streams: the end of one side is answered by the end of the other.
    this.#sending.end();
    if (!this.#sending.isDone) return;
    const receipt = this.#segment({ offset: 0, data: NOTHING, ends: false, asks: false });
    this.#stop(undefined, receipt);
  }

  #opened(): void {
    this.#state = 'open';
    this.#cancelWatch();
    this.#cancelWatch = this.#options.clock.after(IDLE_MS, () => this.#watch());
    this.#handlers.onOpen?.();
  }

  /** Asks for the stream, until the other side has accepted or refused it. */
  #open(): void {
    const { clock, port = 0 } = this.#options;
    if (clock.now() - this.#openedAt >= OPEN_MS) {
      this.#stop('not-opened');
      return;
    }
    const data = Uint8Array.of(port >> 8, port & 255);
    this.#send({ offset: 0, data, ends: false, asks: true }, { opens: true });
    this.#cancelWatch = clock.after(OPEN_AGAIN_MS, () => {
      this.#options.onDoubt();
      this.#open();
    });
  }

  /** Is the other side there? */
  #watch(): void {
    const { clock } = this.#options;
    const silence = clock.now() - this.#heardAt;
    if (silence >= SILENCE_MS) {
      this.#stop('silent');
      return;
    }
    if (silence >= IDLE_MS && !this.#sending.isWaiting) {
      this.#send({ offset: 0, data: NOTHING, ends: false, asks: true });
    }
    this.#cancelWatch = clock.after(IDLE_MS / 2, () => this.#watch());
  }

  #acknowledgeLater(): void {
    if (++this.#unacknowledged >= ACKNOWLEDGE_EACH) {
      this.#acknowledge();
      return;
    }
    this.#cancelAcknowledgement ??= this.#options.clock.after(ACKNOWLEDGE_MS, () =>
      this.#acknowledge(),
    );
  }

  #acknowledge(): void {
    this.#send({ offset: 0, data: NOTHING, ends: false, asks: false });
  }

  #segment(
    part: Pick<Segment, 'offset' | 'data' | 'ends' | 'asks'>,
    { opens = false, resets = false } = {},
  ): Segment {
    const { id, port } = this.#options;
    const fromOpener = port !== undefined;
    return { ...part, stream: id, fromOpener, opens, resets, ...this.#receiving.receipt };
  }

  /** Every segment acknowledges. */
  #send(
    part: Pick<Segment, 'offset' | 'data' | 'ends' | 'asks'>,
    flags: { readonly opens?: boolean; readonly resets?: boolean } = {},
  ): void {
    this.#unacknowledged = 0;
    this.#cancelAcknowledgement?.();
    this.#cancelAcknowledgement = undefined;
    const segment = this.#segment(part, flags);
    this.#shownWindow = segment.window;
    this.#options.send(segment);
  }

  #stop(fault: StreamFault | undefined, receipt?: Segment): void {
    this.#state = 'ended';
    this.#cancelWatch();
    this.#cancelAcknowledgement?.();
    this.#sending.close();
    this.#receiving.clear();
    this.#options.onGone(receipt);
    this.#handlers.onEnd(fault);
    this.#handlers = IGNORED;
  }
}
