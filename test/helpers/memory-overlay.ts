/**
 * An overlay without sockets: bytes that one end writes reach the other end in the next microtask. No overlay
 * is faster, so code that prepares too late for an answer misses it here.
 */
import type { Clock, Connection, ConnectionHandler, Overlay } from '../../src/channel/ports.js';
import { OverlayError } from '../../src/overlay/overlay-error.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import {
  formatLocation,
  type Location,
  type LocationKind,
  type LocationRow,
} from '../../src/protocol/location.js';
import { fail, ok } from '../../src/protocol/result.js';

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
    readonly via: LocationKind,
    readonly clock: Clock,
  ) {}

  static pair(remote: string, via: LocationKind, clock: Clock): [MemoryEnd, MemoryEnd] {
    const ends: [MemoryEnd, MemoryEnd] = [
      new MemoryEnd(remote, via, clock),
      new MemoryEnd('memory', via, clock),
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

/** The kind of the locations in a memory network, and the location of its nth service. */
export interface MemoryPlace {
  readonly kind: LocationKind;
  readonly locationOf: (n: number) => Location;
}

/** As loopback sockets have them. */
export const LIKE_LOOPBACK: MemoryPlace = {
  kind: 'loopback',
  locationOf: (n) => ({ kind: 'loopback', host: '127.0.0.1', port: n }),
};

/** A kind that no program knows: `addLocationKind(IN_MEMORY.kind, MEMORY_ROW)` adds it. */
export const IN_MEMORY = {
  kind: 'x-memory',
  locationOf: (n: number) => ({ kind: 'x-memory', host: `s${n}.memory`, port: 5222 }),
} as const satisfies MemoryPlace;

export const MEMORY_ROW: LocationRow = {
  read(host) {
    if (!host.endsWith('.memory')) return undefined;
    return /^s\d{1,9}\.memory$/.test(host) ? ok(host) : fail('location-host');
  },
  sharesHost: false,
};

/** Overlays that reach only each other; each `overlay()` is a separate peer. */
export function createMemoryNetwork(
  place: MemoryPlace = LIKE_LOOPBACK,
  clock: Clock = systemClock,
): {
  readonly overlay: () => Overlay;
} {
  const { kind, locationOf } = place;
  const listeners = new Map<string, (connection: Connection) => void>();
  let services = 0;

  async function dial(location: Location, signal: AbortSignal): Promise<Connection> {
    const where = formatLocation(location);
    if (location.kind !== kind) {
      throw new OverlayError(
        'location-refused',
        `refused to dial ${where}: only memory is dialled`,
      );
    }
    await Promise.resolve();
    if (signal.aborted) throw new OverlayError('dial-failed', `dial of ${where} aborted`);
    const accept = listeners.get(where);
    if (!accept)
      throw new OverlayError('dial-failed', `cannot connect to ${where}: no service is there`);
    const [client, server] = MemoryEnd.pair(where, kind, clock);
    accept(server);
    return client;
  }

  const overlay = (): Overlay => ({
    reachable: new Set([kind]),
    dial: (location, { signal }) => dial(location, signal),
    serve(onConnection, { signal, onState }) {
      signal.throwIfAborted();
      const location = locationOf(++services);
      const where = formatLocation(location);
      listeners.set(where, onConnection);
      onState?.({ state: 'starting', detail: 'in memory' }, kind);
      onState?.({ state: 'reachable' }, kind);
      return Promise.resolve({
        locations: [location],
        close: () => Promise.resolve(void listeners.delete(where)),
      });
    },
    close: () => Promise.resolve(),
  });
  return { overlay };
}
