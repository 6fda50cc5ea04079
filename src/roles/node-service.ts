/** The locations of a directory node: served by its overlay, with the state of each. */
import type { Clock, Connection, Served, ServiceState } from '../channel/ports.js';
import type { Parcel } from '../kit/movable.js';
import type { Location, LocationKind } from '../protocol/location.js';
import type { DirectoryNodeOptions } from './directory-node-api.js';
import { daemonJson, ServiceStates, type ServiceJson } from './service-states.js';

export interface NodeServiceOptions extends Pick<
  DirectoryNodeOptions,
  'overlay' | 'inherited' | 'signal'
> {
  readonly clock: Clock;
  readonly accept: (connection: Connection) => void;
  /** The state of a location changed. */
  readonly onState: () => void;
}

export class NodeService {
  readonly #options: NodeServiceOptions;
  readonly #states: ServiceStates;
  #served: Served | undefined;

  constructor(options: NodeServiceOptions) {
    this.#options = options;
    this.#states = new ServiceStates(options.overlay.reachable);
  }

  /** Resolves when the locations are known; rejects with the error of the overlay. */
  async start(): Promise<Served> {
    const { overlay, inherited, signal = new AbortController().signal, onState } = this.#options;
    const served = await overlay.serve((connection) => this.#accept(connection), {
      signal,
      onState: (state, kind) => {
        this.#states.set(kind, state);
        onState();
      },
      ...(inherited === undefined ? {} : { inherited: inherited.parcels }),
    });
    this.#served = served;
    if (served.locations.length < overlay.reachable.size) {
      this.#states.only(served.locations);
      onState();
    }
    return served;
  }

  /** Undefined before it is served. */
  get served(): Served | undefined {
    return this.#served;
  }

  get locations(): Served['locations'] {
    if (this.#served) return this.#served.locations;
    throw new Error('the location is not known before it is served');
  }

  /** The worst state of all locations. */
  get together(): ServiceState {
    return this.#states.together;
  }

  /** The first location, while it is reachable. */
  get reachable(): Location | undefined {
    const first = this.#served?.locations[0];
    return first && this.#states.isReachable(first.kind) ? first : undefined;
  }

  /** The location for peers that dialled this kind: the only one that they may learn. */
  locationFor(via: LocationKind): Location {
    const { locations } = this;
    const [first] = locations;
    const own = locations.length === 1 ? first : locations.find(({ kind }) => kind === via);
    if (own) return own;
    throw new Error(`a peer dialled ${via}, which is not served`);
  }

  /** For a status page. @param asksDaemons whether the programs that carry the locations are asked as well */
  json(asksDaemons: boolean): readonly ServiceJson[] {
    const served = this.#served;
    if (!served || !asksDaemons) return this.#states.of(served?.locations ?? []);
    return this.#states.of(served.locations, (kind) => {
      const state = served.daemon?.(kind);
      return state && daemonJson(state, this.#options.clock.now());
    });
  }

  /** An outside test did not reach the first location. */
  reportUnreachable(): void {
    this.#served?.reportUnreachable?.(this.locations[0].kind);
  }

  begin(): void {
    this.#served?.begin?.();
  }

  adopt(parcel: Parcel): void {
    this.#served?.adopt?.(parcel);
  }

  renew(): void {
    this.#served?.renew?.();
  }

  async close(): Promise<void> {
    await this.#served?.close();
  }

  #accept(connection: Connection): void {
    if (this.#served) return this.#options.accept(connection);
    // The location is not public before it is announced, so a connection this early is dropped.
    connection.attach({ data() {}, closed() {} });
    connection.destroy();
  }
}
