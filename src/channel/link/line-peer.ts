/**
 * Lines over a connection, for both ends: split, decoded and counted when received, bounded when sent
 * (docs/protocol.md, section 1).
 */
import {
  encodeEnvelope,
  decodeEnvelope,
  fitsOneLine,
  type Envelope,
  type EnvelopeFault,
} from '../../protocol/envelope.js';
import { createLineFramer } from '../../protocol/line-framer.js';
import type { Parsed } from '../../protocol/result.js';
import type { Clock, Connection } from '../ports.js';
import type { TurnBudget } from '../../kit/cooperative-work.js';
import { WindowCounter } from '../../kit/rate-limit.js';

const MINUTE_MS = 60_000;

export interface LinePeerOptions {
  readonly connection: Connection;
  readonly clock: Clock;
  readonly limits: { readonly sendQueueBytes: number; readonly junkPerMinute: number };
  readonly timings: { readonly stallMs: number };
  /**
   * Called once for each line: milliseconds until it may be handled. Later lines wait too, the
   * connection is not read meanwhile, and nothing is dropped. Without it every line is handled at once.
   */
  readonly delayMs?: (line: DecodedLine) => number;
  /** The budget of a line that is costly to handle. The line waits for its turn as for its delay. */
  readonly turnOf?: (line: DecodedLine) => TurnBudget | undefined;
  /** One valid envelope; not called once the peer is no longer `open`. */
  readonly onEnvelope: (envelope: Envelope) => void;
  /** The connection has ended; called exactly once and last, never from inside `send` or `drop`. */
  readonly onClosed: (reason: string) => void;
}

export type DecodedLine = Parsed<Envelope, EnvelopeFault>;

/** Attaches to the connection at once, as its contract demands. */
export class LinePeer {
  readonly #options: LinePeerOptions;
  readonly #framer = createLineFramer();
  readonly #junk: WindowCounter;
  /** False once the connection was closed or has ended. */
  #isOpen: boolean;
  #isOver = false;
  #reason: string | undefined;
  #heardAt: number;
  /** Number of lines that the operating system has not taken yet, and of those that it has. */
  #waiting = 0;
  #taken = 0;
  #cancelStallCheck: (() => void) | undefined;
  /**
   * The rest of the chunk whose lines must wait; there is no more, because the connection is paused. It
   * is not parsed before its turn, so that thousands of lines in one chunk delay nothing else.
   */
  #held: Uint8Array[] = [];
  #cancelTurn: (() => void) | undefined;

  constructor(options: LinePeerOptions) {
    const { connection, clock, limits } = options;
    this.#options = options;
    this.#junk = new WindowCounter(clock, limits.junkPerMinute, MINUTE_MS);
    this.#isOpen = !connection.closed;
    this.#heardAt = clock.now();
    connection.attach({
      data: (chunk) => this.#read(chunk),
      closed: (cause) => this.#closed(cause),
    });
  }

  /** False once the connection was dropped or has ended. */
  get open(): boolean {
    return this.#isOpen && !this.#options.connection.closed;
  }

  /** When the last complete line arrived, in the clock's milliseconds. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /**
   * Queues one line, in order, as one write. `onTaken` is called when the operating system has it, and
   * not when the connection dies before. False when the connection is not open, the line would be too
   * long, or too much is queued (the connection is then closed).
   */
  send(type: number, payload: string, onTaken?: () => void): boolean {
    const { connection, limits } = this.#options;
    if (!this.open) return false;
    const line = encodeEnvelope(type, payload);
    if (!fitsOneLine(line)) return false;
    if (connection.queuedBytes + line.length > limits.sendQueueBytes) {
      this.drop('does not read its connection');
      return false;
    }
    this.#waiting++;
    connection.write(Buffer.from(line, 'latin1'), () => {
      this.#waiting--;
      this.#taken++;
      onTaken?.();
    });
    if (!this.#cancelStallCheck) this.#watchForStall();
    return true;
  }

  /** Counts one line without a meaning; above the budget the connection is dropped. */
  junk(): void {
    if (!this.#junk.take()) this.drop('sent too many meaningless lines');
  }

  /** Sends what is queued, then closes. */
  end(reason: string, graceMs: number): void {
    if (this.#stop(reason)) this.#options.connection.end(graceMs);
  }

  /** Closes at once. */
  drop(reason: string): void {
    this.#stop(reason);
    this.#options.connection.destroy();
  }

  #stop(reason: string): boolean {
    if (!this.#isOpen) return false;
    this.#isOpen = false;
    this.#reason = reason;
    this.#cancelStallCheck?.();
    this.#cancelTurn?.();
    this.#held = [];
    return true;
  }

  #closed(cause: Error | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stop(cause ? `connection lost: ${cause.message}` : 'closed by the other side');
    this.#options.onClosed(this.#reason ?? 'closed');
  }

  #watchForStall(): void {
    const { clock, timings } = this.#options;
    const takenBefore = this.#taken;
    this.#cancelStallCheck = clock.after(timings.stallMs, () => {
      this.#cancelStallCheck = undefined;
      if (this.#waiting === 0) return;
      if (this.#taken === takenBefore) this.drop('does not read its connection');
      else this.#watchForStall();
    });
  }

  #read(chunk: Uint8Array): void {
    const { connection, clock } = this.#options;
    const bounded = this.#framer.push(chunk, (bytes) => {
      if (!this.#isOpen) return false;
      this.#heardAt = clock.now();
      if (this.#cancelTurn) this.#held.push(new Uint8Array(bytes));
      else if (!this.#takeTurn(bytes)) connection.pause();
      return this.#isOpen;
    });
    if (!bounded) this.drop('sent a line of more than 40,000 bytes');
  }

  #handle(line: DecodedLine): void {
    if (line.ok) this.#options.onEnvelope(line.value);
    else if (line.reason === 'not-utf8') this.drop('sent bytes that are not UTF-8');
    else this.junk();
  }

  /**
   * Handles the line now, or when its turn comes; false when it must wait. The end of the stream is
   * seen after all lines, so none is lost.
   */
  #takeTurn(bytes: Uint8Array): boolean {
    const line = decodeEnvelope(bytes);
    const waitMs = this.#options.delayMs?.(line) ?? 0;
    if (waitMs === 0) return this.#handleInTurn(line);
    this.#cancelTurn = this.#options.clock.after(waitMs, () => {
      this.#cancelTurn = undefined;
      if (this.#handleInTurn(line)) this.#catchUp();
    });
    return false;
  }

  /** False when the line must wait for its turn. */
  #handleInTurn(line: DecodedLine): boolean {
    const turn = this.#options.turnOf?.(line);
    if (turn === undefined) {
      this.#handle(line);
      return true;
    }
    let isLater = false;
    const cancel = turn.run(() => {
      this.#cancelTurn = undefined;
      this.#handle(line);
      if (isLater) this.#catchUp();
    });
    if (cancel === undefined) return true;
    isLater = true;
    this.#cancelTurn = cancel;
    return false;
  }

  /** Handles the held lines, then continues reading. */
  #catchUp(): void {
    const lines = this.#held;
    this.#held = [];
    for (const [index, line] of lines.entries()) {
      if (!this.#isOpen) return;
      if (!this.#takeTurn(line)) {
        this.#held = lines.slice(index + 1);
        return;
      }
    }
    if (this.#isOpen) this.#options.connection.resume();
  }
}
