/** Reads the PROXY line before the bytes of a peer, on a listener that only Tor can reach. */
import type { Socket } from 'node:net';
import type { Clock } from '../channel/ports.js';
import { MAX_PROXY_LINE_BYTES, parseProxyLine } from '../protocol/proxy-line.js';

/** Tor writes the line at once. */
const LINE_TIMEOUT_MS = 10_000;
const LF = 0x0a;
const CR = 0x0d;

/** The `close` event follows and is enough. */
function ignore(): void {}

/** The circuit in a complete line (LF excluded); undefined when it is not a PROXY line. */
function circuitOf(line: Uint8Array): string | undefined {
  if (line[line.length - 1] !== CR) return undefined;
  const parsed = parseProxyLine(Buffer.from(line.subarray(0, -1)).toString('latin1'));
  return parsed.ok ? String(parsed.value.circuit) : undefined;
}

/** A line that is being read. */
export interface CircuitReading {
  /** Stops reading; the caller has the socket again. Returns the bytes read. */
  stop(): Uint8Array;
}

export interface CircuitUse {
  /** The line is complete. The socket is paused and holds the bytes after it. */
  readonly use: (circuit: string) => void;
  /** Something else came, or nothing in time; the socket is closed. */
  readonly onRefused: () => void;
}

/** Reads the line; one of the callbacks is called in the turn in which it is known. Bounded: 107 bytes. */
export function readCircuit(
  socket: Socket,
  clock: Clock,
  { use, onRefused }: CircuitUse,
): CircuitReading {
  let head = new Uint8Array(0);

  function release(): void {
    cancelTimeout();
    socket.off('data', onData);
    socket.off('error', ignore);
    socket.off('close', release);
  }

  function refuse(): void {
    release();
    // The listener has been closed.
    socket.on('error', ignore);
    socket.destroy();
    onRefused();
  }

  function onData(chunk: Uint8Array): void {
    const end = chunk.indexOf(LF);
    const part = end === -1 ? chunk : chunk.subarray(0, end);
    if (head.length + part.length >= MAX_PROXY_LINE_BYTES) return refuse();
    head = Buffer.concat([head, part]);
    if (end === -1) return undefined;
    const circuit = circuitOf(head);
    if (circuit === undefined) return refuse();
    release();
    socket.pause();
    const rest = chunk.subarray(end + 1);
    if (rest.length > 0) socket.unshift(rest);
    use(circuit);
    return undefined;
  }

  const cancelTimeout = clock.after(LINE_TIMEOUT_MS, refuse);
  socket.on('data', onData);
  socket.on('error', ignore);
  socket.once('close', release);
  socket.resume();
  return {
    stop() {
      release();
      socket.pause();
      return head;
    },
  };
}
