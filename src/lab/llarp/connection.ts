/** A `Connection` over a stream between two hidden services of the laboratory. */
import type { Clock, Connection, ConnectionHandler } from '../../channel/ports.js';
import type { Stream, StreamFault } from '../../llarp/stream/stream.js';
import { LLARP_KIND } from './location.js';

const DEFAULT_END_GRACE_MS = 5_000;

export class LlarpConnection implements Connection {
  readonly via = LLARP_KIND;
  readonly remote: string;
  readonly peerHost: string;
  readonly #clock: Clock;
  readonly #stream: Stream;
  readonly #onOver: () => void;
  #handler: ConnectionHandler | undefined;
  #fault: StreamFault | undefined;
  #isOver = false;
  #isEnding = false;
  #isPaused = false;
  #cancelCutOff: (() => void) | undefined;

  /**
   * Takes a stream, which delivers nothing before `attach`.
   * @param host the `.llarp` host of the other service, which its keys prove
   * @param onOver called once, when the stream has ended
   */
  constructor(
    stream: Stream,
    host: string,
    { clock, onOver }: { readonly clock: Clock; readonly onOver: () => void },
  ) {
    this.#clock = clock;
    this.#stream = stream;
    this.#onOver = onOver;
    this.remote = host;
    this.peerHost = host;
    stream.pause();
    stream.attach({
      onData: (bytes) => {
        if (!this.#isEnding) this.#handler?.data(bytes);
      },
      onEnd: (fault) => this.#over(fault),
    });
  }

  get queuedBytes(): number {
    return this.#stream.queuedBytes;
  }

  get closed(): boolean {
    return this.#isOver;
  }

  attach(handler: ConnectionHandler): void {
    if (this.#handler !== undefined) throw new Error('this connection already has a handler');
    this.#handler = handler;
    if (this.#isOver) process.nextTick(() => this.#tellClosed());
    // Not in this turn: the owner finishes its own steps first, and may pause.
    else this.#clock.after(0, () => !this.#isPaused && this.resume());
  }

  write(bytes: Uint8Array, done?: () => void): void {
    if (!this.#isEnding && !this.#isOver) this.#stream.write(bytes, done);
  }

  pause(): void {
    this.#isPaused = true;
    if (!this.#isEnding) this.#stream.pause();
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#handler !== undefined) this.#stream.resume();
  }

  end(graceMs = DEFAULT_END_GRACE_MS): void {
    if (this.#isEnding || this.#isOver) return;
    this.#isEnding = true;
    this.#stream.end();
    // Reads on and drops the bytes, so that the end of the other side arrives.
    this.#stream.resume();
    this.#cancelCutOff = this.#clock.after(graceMs, () => this.#stream.reset());
  }

  destroy(): void {
    this.#isEnding = true;
    this.#stream.reset();
  }

  #over(fault: StreamFault | undefined): void {
    this.#isOver = true;
    this.#fault = fault;
    this.#cancelCutOff?.();
    this.#onOver();
    // Never from within `write` or `destroy`.
    if (this.#handler) process.nextTick(() => this.#tellClosed());
  }

  #tellClosed(): void {
    const isFault = this.#fault !== undefined && this.#fault !== 'closed';
    this.#handler?.closed(isFault ? new Error(`the stream has ended: ${this.#fault}`) : undefined);
  }
}
