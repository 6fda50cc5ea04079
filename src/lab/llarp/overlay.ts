/**
 * The message channel over LLARP v0, as a laboratory: dials `.llarp` addresses and serves one. **It gives nobody
 * privacy**: its routers belong to one person, and nobody has reviewed its cryptography. No configuration offers it;
 * only tests and `onionmc demo --overlay llarp` use it.
 */
import { silentLog, type Log } from '../../channel/log.js';
import type { Clock, Connection, DialOptions, Overlay, Served } from '../../channel/ports.js';
import type { RandomBytes } from '../../llarp/crypto.js';
import type { ServiceKeys } from '../../llarp/service/keys.js';
import type { PathMaker } from '../../llarp/service/path-pool.js';
import { StreamService } from '../../llarp/stream-service.js';
import type { Stream, StreamFault } from '../../llarp/stream/stream.js';
import { dialAborted } from '../../overlay/connect.js';
import { OverlayError } from '../../overlay/overlay-error.js';
import { systemClock } from '../../overlay/system-clock.js';
import { formatLocation, type Location } from '../../protocol/location.js';
import { LlarpConnection } from './connection.js';
import { LLARP_KIND, llarpHost, llarpLocation, parseLlarpHost } from './location.js';

/** Connections that are still open when the overlay is closed have so long to end. */
const LINGER_MS = 10_000;

export interface LlarpOverlayOptions {
  /** A router of the lab, on which the paths begin. */
  readonly router: PathMaker;
  /** Frees the router, if it belongs to this overlay. */
  readonly closeRouter?: () => void;
  readonly keys: ServiceKeys;
  /** The port that it serves; undefined: it only dials. */
  readonly port: number | undefined;
  readonly randomBytes: RandomBytes;
  /** Hops of each path, 1 to 8; default 3. */
  readonly hops?: number;
  readonly clock?: Clock;
  /** Milliseconds since 1970; default the system's. */
  readonly wallClock?: () => bigint;
  readonly log?: Log;
}

const REASONS: Readonly<Record<StreamFault, string>> = {
  closed: 'the service closed it',
  'no-service': 'nothing serves this port',
  unknown: 'the service does not know it any more',
  'too-many': 'the service has too many connections',
  silent: 'the service does not answer any more',
  'not-opened': 'no answer',
  unreachable: 'no service with this address was found, or it does not answer',
  'queue-full': 'too many bytes wait',
  wrong: 'the service breaks the rules of streams',
};

class LlarpOverlay implements Overlay {
  readonly reachable = new Set([LLARP_KIND] as const);
  /** All connections of an overlay have the keys of its service. */
  readonly oneSource = this.reachable;
  readonly dialsOnly: boolean;
  readonly #options: LlarpOverlayOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #service: StreamService;
  /** Told of each change of the state of the service. */
  readonly #watchers = new Set<() => void>();
  #connections = 0;
  #isClosing = false;
  #isFreed = false;
  #cancelLinger: (() => void) | undefined;

  constructor(options: LlarpOverlayOptions) {
    const { router, keys, port, randomBytes, hops, wallClock } = options;
    this.#options = options;
    this.dialsOnly = port === undefined;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLog;
    this.#service = new StreamService({
      clock: this.#clock,
      wallClock: wallClock ?? (() => BigInt(Date.now())),
      randomBytes,
      router,
      keys,
      publishes: port !== undefined,
      ...(hops === undefined ? {} : { hops }),
      onState: () => {
        for (const watcher of this.#watchers) watcher();
      },
    });
  }

  dial(location: Location, { signal }: DialOptions): Promise<Connection> {
    const where = formatLocation(location);
    const address = location.kind === LLARP_KIND ? parseLlarpHost(location.host) : undefined;
    if (address?.ok !== true) {
      const message = `refused to dial ${where}: the LLARP laboratory only dials .llarp addresses`;
      return Promise.reject(new OverlayError('location-refused', message));
    }
    if (signal.aborted || this.#isClosing) return Promise.reject(dialAborted(where));
    return new Promise((resolve, reject) => {
      const fail = (reason: string): void =>
        reject(new OverlayError('dial-failed', `cannot connect to ${where}: ${reason}`));
      const abort = (): void => {
        reject(dialAborted(where));
        stream?.reset();
      };
      const stream = this.#service.open(Buffer.from(address.value).toString('hex'), location.port, {
        onOpen: () => {
          signal.removeEventListener('abort', abort);
          if (stream) resolve(this.#connection(stream, location.host));
        },
        onData: () => undefined,
        onEnd: (fault) => {
          signal.removeEventListener('abort', abort);
          fail(REASONS[fault ?? 'closed']);
        },
      });
      if (!stream) {
        fail('too many connections');
        return;
      }
      signal.addEventListener('abort', abort, { once: true });
    });
  }

  serve(
    ...[onConnection, { signal, onState }]: Parameters<Overlay['serve']>
  ): ReturnType<Overlay['serve']> {
    const { port } = this.#options;
    if (port === undefined) {
      const message = 'this overlay was created without a port, and only dials';
      return Promise.reject(new OverlayError('not-serving', message));
    }
    if (signal.aborted) return Promise.reject(new OverlayError('not-serving', 'aborted'));
    const location = llarpLocation(this.#service.address, port);
    const where = formatLocation(location);
    const stopListening = this.#service.listen(port, (stream, from) => {
      onConnection(this.#connection(stream, llarpHost(Buffer.from(from, 'hex'))));
    });
    const tell = (): void => {
      const { state } = this.#service;
      if (state === 'reachable') onState?.({ state }, LLARP_KIND);
      else if (state === 'lost') {
        onState?.({ state, detail: 'no path of the service works' }, LLARP_KIND);
      } else {
        onState?.({ state, detail: 'building paths and publishing the introset' }, LLARP_KIND);
      }
      this.#log.info(`LLARP laboratory, without any privacy: the service is ${state}`);
    };
    this.#log.debug(`LLARP laboratory: serves ${where}`);
    this.#watchers.add(tell);
    tell();
    const served: Served = {
      locations: [location],
      close: () => {
        this.#watchers.delete(tell);
        stopListening();
        return Promise.resolve();
      },
    };
    return Promise.resolve(served);
  }

  close(): Promise<void> {
    if (this.#isClosing) return Promise.resolve();
    this.#isClosing = true;
    if (this.#connections === 0) this.#free();
    else this.#cancelLinger = this.#clock.after(LINGER_MS, () => this.#free());
    return Promise.resolve();
  }

  #connection(stream: Stream, host: string): LlarpConnection {
    this.#connections++;
    return new LlarpConnection(stream, host, {
      clock: this.#clock,
      onOver: () => {
        this.#connections--;
        // The last segment of the last stream leaves first.
        if (this.#isClosing && this.#connections === 0) this.#clock.after(0, () => this.#free());
      },
    });
  }

  #free(): void {
    if (this.#isFreed) return;
    this.#isFreed = true;
    this.#cancelLinger?.();
    this.#service.close();
    this.#options.closeRouter?.();
  }
}

/**
 * An overlay of the laboratory. `dial` rejects with an OverlayError: `location-refused` for another kind of location,
 * `dial-failed` with the reason otherwise.
 */
export function createLlarpOverlay(options: LlarpOverlayOptions): Overlay {
  return new LlarpOverlay(options);
}
