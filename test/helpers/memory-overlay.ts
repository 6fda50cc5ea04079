/**
 * An overlay without sockets: bytes that one end writes reach the other end in the next microtask. No overlay
 * is faster, so code that prepares too late for an answer misses it here.
 */
import type { Clock, Connection, ConnectionHandler, Overlay } from '../../src/channel/ports.js';
import { OverlayError } from '../../src/overlay/overlay-error.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { formatLocation, type Location } from '../../src/protocol/location.js';

const DEFAULT_GRACE_MS = 5_000;

/** The bytes that the path between two ends holds while the receiver does not read, as a kernel does. */
const PATH_BYTES = 65_536;

interface Chunk {
  readonly bytes: Uint8Array;
  readonly done: (() => void) | undefined;
  /** Whether the path holds it. */
  readonly taken: boolean;
}

function lengthOf(chunks: readonly Chunk[]): number {
  return chunks.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

/** One end. Its unread bytes wait in `#incoming`; the other end pushes there. */
class MemoryEnd implements Connection {
  /** Itself until it is paired. */
  private other: MemoryEnd = this;
  #handler: ConnectionHandler | undefined;
  #incoming: Chunk[] = [];
  /** The other end has written its last bytes. */
  #isOver = false;
  #paused = false;
  #ending = false;
  #closed = false;
  #told = false;
  #cancelCutOff: (() => void) | undefined;

  constructor(
    readonly remote: string,
    readonly clock: Clock,
  ) {}

  static pair(remote: string, clock: Clock): [MemoryEnd, MemoryEnd] {
    const ends: [MemoryEnd, MemoryEnd] = [
      new MemoryEnd(remote, clock),
      new MemoryEnd('memory', clock),
    ];
    [ends[0].other, ends[1].other] = [ends[1], ends[0]];
    return ends;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get queuedBytes(): number {
    if (this.#closed) return 0;
    return lengthOf(this.other.#incoming.filter(({ taken }) => !taken));
  }

  attach(handler: ConnectionHandler): void {
    if (this.#handler !== undefined) throw new Error('this connection already has a handler');
    this.#handler = handler;
    this.#pump();
  }

  write(bytes: Uint8Array, done?: () => void): void {
    if (this.#ending || this.#closed) return;
    const { other } = this;
    const taken = lengthOf(other.#incoming) + bytes.length <= PATH_BYTES;
    other.#incoming.push({ bytes, done, taken });
    if (taken && done) queueMicrotask(() => void (this.#closed || done()));
    this.other.#pump();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#pump();
  }

  end(graceMs = DEFAULT_GRACE_MS): void {
    if (this.#ending || this.#closed) return;
    this.#ending = true;
    this.#paused = false;
    this.#cancelCutOff = this.clock.after(graceMs, () => this.destroy());
    this.other.#finish();
    this.#pump();
  }

  destroy(): void {
    this.#ending = true;
    this.other.#incoming = this.other.#incoming.filter(({ taken }) => taken);
    this.other.#finish();
    this.#close();
  }

  #finish(): void {
    this.#isOver = true;
    this.#pump();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#incoming = [];
    this.#cancelCutOff?.();
    this.other.#finish();
    this.#pump();
  }

  #pump(): void {
    queueMicrotask(() => this.#deliver());
  }

  #deliver(): void {
    const handler = this.#handler;
    if (handler === undefined || this.#told) return;
    for (;;) {
      if (this.#closed || this.#paused) break;
      const chunk = this.#incoming.shift();
      if (chunk === undefined) {
        if (this.#isOver) this.#close();
        break;
      }
      if (!this.#ending) handler.data(chunk.bytes);
      if (!chunk.taken) chunk.done?.();
    }
    if (!this.#closed || this.#told) return;
    this.#told = true;
    handler.closed();
  }
}

/** Overlays that reach only each other; each `overlay()` is a separate peer. */
export function createMemoryNetwork(clock: Clock = systemClock): {
  readonly overlay: () => Overlay;
} {
  const listeners = new Map<number, (connection: Connection) => void>();
  let ports = 0;

  async function dial(location: Location, signal: AbortSignal): Promise<Connection> {
    const where = formatLocation(location);
    if (location.kind !== 'loopback') {
      throw new OverlayError(
        'location-refused',
        `refused to dial ${where}: only memory is dialled`,
      );
    }
    await Promise.resolve();
    if (signal.aborted) throw new OverlayError('dial-failed', `dial of ${where} aborted`);
    const accept = listeners.get(location.port);
    if (!accept)
      throw new OverlayError('dial-failed', `cannot connect to ${where}: no service is there`);
    const [client, server] = MemoryEnd.pair(where, clock);
    accept(server);
    return client;
  }

  const overlay = (): Overlay => ({
    name: 'loopback',
    reaches: ({ kind }) => kind === 'loopback',
    dial: (location, { signal }) => dial(location, signal),
    serve(onConnection, { signal, onState }) {
      signal.throwIfAborted();
      const port = ++ports;
      listeners.set(port, onConnection);
      onState?.({ state: 'starting', detail: 'in memory' });
      onState?.({ state: 'reachable' });
      return Promise.resolve({
        location: { kind: 'loopback', host: '127.0.0.1', port },
        close: () => Promise.resolve(void listeners.delete(port)),
      });
    },
    close: () => Promise.resolve(),
  });
  return { overlay };
}
