/** A service on Lokinet: a listener on the address of Lokinet's interface, and a watch over its name. */
import type { Log } from '../channel/log.js';
import type { Clock, MovableService, Overlay, Served, ServeOptions } from '../channel/ports.js';
import { errorText } from '../kit/error-text.js';
import { hostAndPort } from '../kit/host-name.js';
import { recordOf } from '../kit/json-record.js';
import type { Parcels } from '../kit/movable.js';
import { parseLokiName } from '../protocol/loki-address.js';
import { listen, type Listening } from '../overlay/listen.js';
import type { DaemonWatch } from '../kit/daemon-watch.js';
import { watchLokinet } from './daemon.js';
import { LokinetError, LookUpError } from './lokinet-error.js';
import { OWN_NAME, type LokinetResolver } from './resolver.js';
import type { LokinetRpc } from './rpc.js';
import { iniLineOf } from './lokinet-ini.js';

const KIND = 'loki';
/** The key of the parcel with the name of the service. */
const NAME = 'loki';
const WATCH_MS = 30_000;

export interface ServiceParts {
  readonly resolver: LokinetResolver;
  readonly rpc: LokinetRpc | undefined;
  readonly port: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly watchMs?: number;
}

/** Lokinet's name and the address of its interface. */
interface Own {
  readonly host: string;
  readonly address: string;
}

/** Lokinet's own name: from its resolver, or else from its RPC. */
async function ownName(
  { resolver, rpc }: Pick<ServiceParts, 'resolver' | 'rpc'>,
  signal: AbortSignal,
): Promise<string> {
  try {
    return await resolver.ownName(signal);
  } catch (error) {
    const isUnknown = error instanceof LookUpError && error.fault === 'no-name';
    const told = isUnknown ? await rpc?.status(signal).catch(() => undefined) : undefined;
    if (told?.address === undefined) throw error;
    return told.address;
  }
}

async function findOwn(parts: ServiceParts, signal: AbortSignal): Promise<Own> {
  try {
    const host = await ownName(parts, signal);
    return { host, address: await parts.resolver.ownAddress(signal) };
  } catch (error) {
    signal.throwIfAborted();
    throw new LokinetError(
      'carrier-unreachable',
      `cannot serve on Lokinet: ${errorText(error)}`,
      true,
      error,
    );
  }
}

/** The name under which another process served, in its parcels. */
function inheritedName(inherited: Parcels | undefined): string | undefined {
  const { host } = recordOf(inherited?.get(NAME)?.value);
  if (typeof host !== 'string') return undefined;
  return parseLokiName(host).ok ? host : undefined;
}

class LokinetService implements Served {
  readonly locations: Served['locations'];
  readonly listensOn: string;
  readonly move: MovableService;
  readonly #parts: ServiceParts;
  readonly #own: Own;
  readonly #listening: Listening;
  readonly #onState: ServeOptions['onState'];
  readonly #daemon: DaemonWatch | undefined;
  readonly #closed = new AbortController();
  #fault: string | undefined;
  #isLooking = false;
  #cancel: (() => void) | undefined;

  constructor(
    parts: ServiceParts,
    own: Own,
    listening: Listening,
    onState: ServeOptions['onState'],
  ) {
    const { port } = listening;
    const { rpc, clock, log } = parts;
    this.#parts = parts;
    this.#own = own;
    this.#listening = listening;
    this.#onState = onState;
    this.#daemon = rpc && watchLokinet({ rpc, clock, log });
    this.locations = [{ kind: KIND, host: own.host, port }];
    this.listensOn = listening.text;
    const { move } = listening;
    this.move = {
      hold: async () => [...(await move.hold()), { key: NAME, value: { host: own.host } }],
      release: () => move.release(),
      leave: () => {
        this.#stop();
        return move.leave();
      },
    };
    onState?.({ state: 'reachable' }, KIND);
    this.#later();
    void this.#checkRecord();
  }

  begin(): void {
    this.#listening.begin();
  }

  adopt(...parcel: Parameters<NonNullable<Served['adopt']>>): void {
    this.#listening.adopt(...parcel);
  }

  reportUnreachable(): void {
    this.#cancel?.();
    void this.#look();
  }

  daemon(): ReturnType<NonNullable<Served['daemon']>> {
    return this.#daemon?.read();
  }

  close(): Promise<void> {
    this.#stop();
    this.#listening.close();
    return Promise.resolve();
  }

  #stop(): void {
    this.#closed.abort();
    this.#cancel?.();
    this.#daemon?.stop();
  }

  #later(): void {
    const { clock, watchMs = WATCH_MS } = this.#parts;
    this.#cancel?.();
    this.#cancel = clock.after(watchMs, () => void this.#look());
  }

  /** Asks Lokinet whether the name and the address are still its own; one question at a time. */
  async #look(): Promise<void> {
    const { signal } = this.#closed;
    if (this.#isLooking) return;
    this.#isLooking = true;
    const fault = await this.#faultNow(signal);
    this.#isLooking = false;
    if (signal.aborted) return;
    if (fault !== this.#fault) {
      const { log } = this.#parts;
      if (fault === undefined) log.info('Lokinet serves the location again');
      else log.warn(`Lokinet does not serve the location: ${fault}`);
      this.#fault = fault;
      this.#onState?.(
        fault === undefined ? { state: 'reachable' } : { state: 'lost', detail: fault },
        KIND,
      );
    }
    this.#later();
  }

  async #faultNow(signal: AbortSignal): Promise<string | undefined> {
    try {
      const host = await ownName(this.#parts, signal);
      const address = await this.#parts.resolver.ownAddress(signal);
      if (host !== this.#own.host) {
        return 'it has another address now; set keyfile in lokinet.ini, and restart this program';
      }
      if (address === this.#own.address) return undefined;
      return `its interface has the address ${address} now: restart this program`;
    } catch (error) {
      return errorText(error);
    }
  }

  /** Directories are found by their SRV record, which is a line of lokinet.ini. */
  async #checkRecord(): Promise<void> {
    const { resolver, log } = this.#parts;
    const { port } = this.#listening;
    const records = await resolver.servicesOf(OWN_NAME, this.#closed.signal).catch(() => []);
    if (this.#closed.signal.aborted || records.some((record) => record.port === port)) return;
    log.info(
      `lokinet.ini has no SRV record of this service; to publish its port, add ${iniLineOf(port)} to its section [network]`,
    );
  }
}

/** Serves. Rejects with an OverlayError, and then leaves no listener behind. */
export async function serveLokinet(
  onConnection: Parameters<Overlay['serve']>[0],
  { signal, onState, inherited }: ServeOptions,
  parts: ServiceParts,
): Promise<Served> {
  const { resolver, port, clock, log } = parts;
  const at = hostAndPort(resolver.at.host, resolver.at.port);
  onState?.({ state: 'starting', detail: `asking Lokinet's resolver at ${at}` }, KIND);
  const known = inheritedName(inherited);
  const own = known === undefined ? await findOwn(parts, signal) : { host: known, address: '' };
  const listening = await listen({
    address: { host: own.address, port },
    via: KIND,
    inherited,
    keys: 'virtual_port in the section with type = lokinet',
    identify: (address, stopped) =>
      resolver.hostOf(address, stopped).then(
        (host) => host ?? null,
        () => null,
      ),
    onConnection,
    signal,
    clock,
    log,
  });
  // The listener of another process has its address.
  return new LokinetService(parts, { ...own, address: listening.host }, listening, onState);
}
