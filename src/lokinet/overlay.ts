/**
 * The overlay of Lokinet: dials the private address that Lokinet's resolver maps a `.loki` name to, and
 * serves on the address of Lokinet's interface. It fails closed: a name goes to Lokinet's resolver or
 * nowhere, and no other location is dialled.
 */
import { silentLog, type Log } from '../channel/log.js';
import type { Clock, Connection, DialOptions, Overlay } from '../channel/ports.js';
import { formatLocation, type Location } from '../protocol/location.js';
import { isLokinetName, parseLokiName } from '../protocol/loki-address.js';
import { connectTo, dialAborted } from '../overlay/connect.js';
import { OverlayError } from '../overlay/overlay-error.js';
import { systemClock } from '../overlay/system-clock.js';
import { LokinetError, LookUpError, type ResolverAddress } from './lokinet-error.js';
import { LokinetResolver } from './resolver.js';
import type { LokinetRpc } from './rpc.js';
import { serveLokinet } from './service.js';

const KIND = 'loki';
/** Longest time of a dial with its look-ups, in milliseconds. */
const DIAL_MS = 120_000;

/** Options of an overlay of Lokinet. */
export interface LokinetOverlayOptions {
  /** Lokinet's resolver. */
  readonly dns: ResolverAddress;
  /** Lokinet's RPC socket: its state, and its name when the resolver does not tell it. */
  readonly rpc?: LokinetRpc | undefined;
  /** The port on which it serves; 0 takes any free one. Undefined: it only dials. */
  readonly virtualPort: number | undefined;
  /** Hosts whose port is read from their SRV record; the port of the location is used without one. */
  readonly portFromSrv?: ReadonlySet<string>;
  /** Interval at which the service is checked, in milliseconds (default 30,000). */
  readonly watchMs?: number;
  readonly clock?: Clock;
  readonly log?: Log;
}

function refused(location: Location): OverlayError {
  return new OverlayError(
    'location-refused',
    `refused to dial ${formatLocation(location)}: Lokinet only dials services with .loki names`,
  );
}

/** The error of a dial whose look-up failed. */
function dialError(where: string, error: unknown): Error {
  if (!(error instanceof LookUpError)) return error instanceof Error ? error : new Error(where);
  if (error.fault === 'aborted') return dialAborted(where);
  const ours = error.fault === 'no-answer' || error.fault === 'foreign';
  const code = ours ? 'carrier-unreachable' : 'dial-failed';
  return new LokinetError(code, `cannot connect to ${where}: ${error.message}`, ours, error);
}

class LokinetOverlay implements Overlay {
  readonly reachable = new Set([KIND] as const);
  readonly oneSource = this.reachable;
  readonly dialsOnly: boolean;
  readonly #options: LokinetOverlayOptions;
  readonly #resolver: LokinetResolver;
  readonly #clock: Clock;
  readonly #log: Log;

  constructor(options: LokinetOverlayOptions) {
    this.#options = options;
    this.dialsOnly = options.virtualPort === undefined;
    this.#resolver = new LokinetResolver(options.dns);
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLog;
  }

  async dial(location: Location, { signal }: DialOptions): Promise<Connection> {
    const where = formatLocation(location);
    const name = parseLokiName(location.host);
    if (location.kind !== KIND || !isLokinetName(location.host)) throw refused(location);
    if (!name.ok || name.value.kind === 'router') throw refused(location);
    if (signal.aborted) throw dialAborted(where);
    const late = new AbortController();
    const cancel = this.#clock.after(DIAL_MS, () => late.abort());
    const both = AbortSignal.any([signal, late.signal]);
    try {
      const port = await this.#portOf(location, both);
      const address = await this.#resolver.addressOf(location.host, both);
      const clock = this.#clock;
      return await connectTo({ address, port, where, via: KIND, clock, signal: both });
    } catch (error) {
      if (late.signal.aborted && !signal.aborted) {
        const message = `cannot connect to ${where}: no answer in ${DIAL_MS / 1000} s`;
        throw new OverlayError('dial-failed', message, error);
      }
      throw dialError(where, error);
    } finally {
      cancel();
    }
  }

  serve(
    ...[onConnection, serveOptions]: Parameters<Overlay['serve']>
  ): ReturnType<Overlay['serve']> {
    const { virtualPort, rpc, watchMs } = this.#options;
    if (virtualPort === undefined) {
      const message = 'this program only dials through Lokinet: serve = false';
      return Promise.reject(new OverlayError('not-serving', message));
    }
    return serveLokinet(onConnection, serveOptions, {
      resolver: this.#resolver,
      rpc,
      port: virtualPort,
      clock: this.#clock,
      log: this.#log,
      ...(watchMs === undefined ? {} : { watchMs }),
    });
  }

  close(): Promise<void> {
    this.#options.rpc?.close();
    return Promise.resolve();
  }

  /** The port of the location, or of its SRV record. */
  async #portOf({ host, port }: Location, signal: AbortSignal): Promise<number> {
    if (this.#options.portFromSrv?.has(host) !== true) return port;
    try {
      return (await this.#resolver.servicesOf(host, signal))[0]?.port ?? port;
    } catch (error) {
      // A service without a record uses the usual port.
      if (error instanceof LookUpError && error.fault === 'no-name') return port;
      throw error;
    }
  }
}

/**
 * The overlay of Lokinet. `dial` rejects with an OverlayError, `carrier-unreachable` when Lokinet's resolver
 * does not answer; `serve` as well, and then leaves no listener behind.
 */
export function createLokinetOverlay(options: LokinetOverlayOptions): Overlay {
  return new LokinetOverlay(options);
}
