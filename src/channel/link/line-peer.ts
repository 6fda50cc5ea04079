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
  /** One valid envelope; not called once the peer is no longer `open`. */
  readonly onEnvelope: (envelope: Envelope) => void;
  /** The connection has ended; called exactly once and last, never from inside `send` or `drop`. */
  readonly onClosed: (reason: string) => void;
}

export type DecodedLine = Parsed<Envelope, EnvelopeFault>;

export interface LinePeer {
  /** False once the connection was closed or has ended. */
  readonly open: boolean;
  /** When the last complete line arrived, in the clock's milliseconds. */
  readonly heardAt: number;
  /**
   * Queues one line, in order, as one write. `onTaken` is called when the operating system has it, and
   * not when the connection dies before. False when the connection is not open, the line would be too
   * long, or too much is queued (the connection is then closed).
   */
  send(type: number, payload: string, onTaken?: () => void): boolean;
  /** Counts one line without a meaning; above the budget the connection is dropped. */
  junk(): void;
  /** Sends what is queued, then closes. */
  end(reason: string, graceMs: number): void;
  /** Closes at once. */
  drop(reason: string): void;
}

/** Attaches to the connection at once, as its contract demands. */
export function createLinePeer(options: LinePeerOptions): LinePeer {
  const { connection, clock, limits, timings } = options;
  const framer = createLineFramer();
  const junkCounter = new WindowCounter(clock, limits.junkPerMinute, MINUTE_MS);
  let open = !connection.closed;
  let over = false;
  let reason: string | undefined;
  let heardAt = clock.now();
  let waiting = 0;
  let taken = 0;
  let cancelStallCheck: (() => void) | undefined;
  /**
   * The rest of the chunk whose lines must wait; there is no more, because the connection is paused. It
   * is not parsed before its turn, so that thousands of lines in one chunk delay nothing else.
   */
  let held: Uint8Array[] = [];
  let cancelTurn: (() => void) | undefined;

  function stop(why: string): boolean {
    if (!open) return false;
    open = false;
    reason = why;
    cancelStallCheck?.();
    cancelTurn?.();
    held = [];
    return true;
  }

  function drop(why: string): void {
    stop(why);
    connection.destroy();
  }

  function junk(): void {
    if (!junkCounter.take()) drop('sent too many meaningless lines');
  }

  function watchForStall(): void {
    const takenBefore = taken;
    cancelStallCheck = clock.after(timings.stallMs, () => {
      cancelStallCheck = undefined;
      if (waiting === 0) return;
      if (taken === takenBefore) drop('does not read its connection');
      else watchForStall();
    });
  }

  function handle(line: DecodedLine): void {
    if (line.ok) options.onEnvelope(line.value);
    else if (line.reason === 'not-utf8') drop('sent bytes that are not UTF-8');
    else junk();
  }

  /**
   * Handles the line now, or when its turn comes; false when it must wait. The end of the stream is
   * seen after all lines, so none is lost.
   */
  function takeTurn(bytes: Uint8Array): boolean {
    const line = decodeEnvelope(bytes);
    const waitMs = options.delayMs?.(line) ?? 0;
    if (waitMs === 0) {
      handle(line);
      return true;
    }
    cancelTurn = clock.after(waitMs, () => {
      cancelTurn = undefined;
      handle(line);
      catchUp();
    });
    return false;
  }

  /** Handles the held lines, then continues reading. */
  function catchUp(): void {
    const lines = held;
    held = [];
    for (const [index, line] of lines.entries()) {
      if (!open) return;
      if (!takeTurn(line)) {
        held = lines.slice(index + 1);
        return;
      }
    }
    if (open) connection.resume();
  }

  connection.attach({
    data(chunk) {
      const bounded = framer.push(chunk, (bytes) => {
        if (!open) return false;
        heardAt = clock.now();
        if (cancelTurn) held.push(new Uint8Array(bytes));
        else if (!takeTurn(bytes)) connection.pause();
        return open;
      });
      if (!bounded) drop('sent a line of more than 40,000 bytes');
    },
    closed(cause) {
      if (over) return;
      over = true;
      stop(cause ? `connection lost: ${cause.message}` : 'closed by the other side');
      options.onClosed(reason ?? 'closed');
    },
  });

  return {
    get open() {
      return open && !connection.closed;
    },
    get heardAt() {
      return heardAt;
    },
    send(type, payload, onTaken) {
      if (!open || connection.closed) return false;
      const line = encodeEnvelope(type, payload);
      if (!fitsOneLine(line)) return false;
      if (connection.queuedBytes + line.length > limits.sendQueueBytes) {
        drop('does not read its connection');
        return false;
      }
      waiting++;
      connection.write(Buffer.from(line, 'latin1'), () => {
        waiting--;
        taken++;
        onTaken?.();
      });
      if (!cancelStallCheck) watchForStall();
      return true;
    },
    junk,
    end(why, graceMs) {
      if (stop(why)) connection.end(graceMs);
    },
    drop,
  };
}
