/** Reads a handshake from a stream and leaves every byte after it in the stream. */
import type { Duplex } from 'node:stream';
import { TransportError } from './transport-error.js';

interface Waiting {
  readonly enough: (held: Buffer) => number | undefined;
  resolve(bytes: Buffer): void;
  reject(error: Error): void;
}

/**
 * Owns the `data` listener of a stream until `release`. One read at a time. A stream that ends, fails or sends more
 * than `most` bytes for one read rejects that read with a TransportError.
 */
export class ByteReader {
  readonly #stream: Duplex;
  readonly #most: number;
  #held: Buffer = Buffer.alloc(0);
  #waiting: Waiting | undefined;
  #failed: TransportError | undefined;
  #consumed = 0;

  /** @param most bytes of the longest message */
  constructor(stream: Duplex, most: number) {
    this.#stream = stream;
    this.#most = most;
    stream.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onEnd);
    stream.on('error', this.#onError);
  }

  /** Bytes that reads have returned. */
  get consumed(): number {
    return this.#consumed;
  }

  exactly(count: number): Promise<Buffer> {
    return this.#read((held) => (held.length >= count ? count : undefined));
  }

  /** Everything up to this text, and the text itself. */
  through(end: string): Promise<Buffer> {
    return this.#read((held) => {
      const at = held.indexOf(end);
      return at === -1 ? undefined : at + end.length;
    });
  }

  /** The stream is paused afterwards, and contains the bytes that no read has returned. */
  release(): void {
    const stream = this.#stream;
    stream.pause();
    stream.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onEnd);
    stream.off('error', this.#onError);
    if (this.#held.length > 0 && !stream.readableEnded) stream.unshift(this.#held);
    this.#held = Buffer.alloc(0);
  }

  #read(enough: Waiting['enough']): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { enough, resolve, reject };
      this.#try();
    });
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#try();
    if (this.#held.length > this.#most) this.#stream.pause();
  };

  readonly #onEnd = (): void => {
    this.#fail(new TransportError('unreachable', 'the connection ended during the handshake'));
  };

  readonly #onError = (cause: Error): void => {
    this.#fail(
      new TransportError('unreachable', 'the connection failed during the handshake', { cause }),
    );
  };

  #try(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const length = waiting.enough(this.#held);
    if (length !== undefined) {
      this.#waiting = undefined;
      const message = this.#held.subarray(0, length);
      this.#held = this.#held.subarray(length);
      this.#consumed += length;
      waiting.resolve(message);
      return;
    }
    if (this.#held.length > this.#most) {
      this.#fail(new TransportError('protocol', `a message of more than ${this.#most} bytes`));
    } else if (this.#failed !== undefined) this.#fail(this.#failed);
  }

  #fail(error: TransportError): void {
    this.#failed = error;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(error);
  }
}
