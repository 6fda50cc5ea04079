/**
 * A hidden service with streams: what a program uses. It listens on ports, and opens streams to the ports of others,
 * which it knows by their addresses. Pure: time, random numbers and the router are arguments.
 */
import type { Clock } from '../kit/clock.js';
import type { RandomBytes } from './crypto.js';
import { ServiceEndpoint } from './service/endpoint.js';
import type { ServiceKeys } from './service/keys.js';
import type { PathMaker } from './service/path-pool.js';
import type { PublishState } from './service/publisher.js';
import type { RemoteFault } from './service/outgoing.js';
import { STREAM_PROTOCOL } from './stream/segment.js';
import type { Stream, StreamHandlers } from './stream/stream.js';
import { Streams, type OnStream } from './stream/streams.js';

/** Options of a hidden service with streams. */
export interface StreamServiceOptions {
  /** The time of all timers. */
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallClock: () => bigint;
  /** Where all keys and nonces come from. */
  readonly randomBytes: RandomBytes;
  /** A router of the lab on this machine, on which its paths begin. */
  readonly router: PathMaker;
  /** The keys of the service, and so its address. */
  readonly keys: ServiceKeys;
  /** Whether others can find it. Without that, it only opens streams. */
  readonly publishes: boolean;
  /** Hops of each path, 1 to 8; default 3. */
  readonly hops?: number;
  /** Whether others can find it has changed. */
  onState?(state: PublishState): void;
  /** A service could not be reached, and streams that it had not accepted yet have ended. */
  onUnreachable?(address: string, fault: RemoteFault): void;
}

/** A hidden service with streams. Nothing of it gives privacy in a laboratory. */
export class StreamService {
  /** Its conversations. */
  readonly endpoint: ServiceEndpoint;
  /** Its streams. */
  readonly streams: Streams;

  constructor(options: StreamServiceOptions) {
    const { clock, randomBytes } = options;
    this.streams = new Streams({
      clock,
      randomBytes,
      send: (address, payload) => void this.endpoint.send(address, STREAM_PROTOCOL, payload),
      onDoubt: (address) => this.endpoint.doubt(address),
    });
    this.endpoint = new ServiceEndpoint({
      ...options,
      onMessage: (from, protocol, payload) => {
        if (protocol === STREAM_PROTOCOL) this.streams.receive(from, payload);
      },
      onState: (state) => options.onState?.(state),
      onUnreachable: (address, fault) => {
        this.streams.unreachable(address);
        options.onUnreachable?.(address, fault);
      },
    });
  }

  /** Its address, 32 bytes. */
  get address(): Uint8Array {
    return this.endpoint.address;
  }

  /** Whether others can find it. */
  get state(): PublishState {
    return this.endpoint.state;
  }

  /**
   * Accepts streams to a port, 0 to 65,535; returns a function that ends that. Throws a RangeError when the port is
   * taken.
   */
  listen(port: number, onStream: OnStream): () => void {
    return this.streams.listen(port, onStream);
  }

  /** Asks a service for a stream. @param address 64 hexadecimal digits. Undefined when there are too many streams */
  open(address: string, port: number, handlers: StreamHandlers): Stream | undefined {
    return this.streams.open(address, port, handlers);
  }

  /** Resets all streams and ends all paths. */
  close(): void {
    this.streams.close();
    this.endpoint.close();
  }
}
