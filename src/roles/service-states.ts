import type { DaemonState, ServiceState } from '../channel/ports.js';
import { formatLocation, type Location, type LocationKind } from '../protocol/location.js';

/** The state of a program that carries a location, as `/status` shows it. */
export interface DaemonJson extends Omit<DaemonState, 'answeredAt'> {
  /** Absent before the first answer. */
  readonly answeredSecondsAgo?: number;
}

/** A location in `services` of `/status`. */
export interface ServiceJson {
  readonly location: string;
  readonly kind: LocationKind;
  readonly state: ServiceState['state'];
  readonly detail?: string;
  readonly daemon?: DaemonJson;
}

/** @param now clock milliseconds */
export function daemonJson(state: DaemonState, now: number): DaemonJson {
  const { answeredAt, ...rest } = state;
  if (answeredAt === undefined) return rest;
  return { ...rest, answeredSecondsAgo: Math.round((now - answeredAt) / 1000) };
}

/** The worse ones first: a program is as reachable as the least reachable of its locations. */
const WORST_FIRST: readonly ServiceState['state'][] = ['lost', 'starting', 'reachable'];

/** The states of a program's locations, one of each kind, and all of them as one state. */
export class ServiceStates {
  readonly #states: Map<LocationKind, ServiceState>;

  /** @param kinds those that may be served; each is starting */
  constructor(kinds: ReadonlySet<LocationKind>) {
    this.#states = new Map(
      [...kinds].map((kind) => [kind, { state: 'starting', detail: 'not served yet' }]),
    );
  }

  set(kind: LocationKind, state: ServiceState): void {
    this.#states.set(kind, state);
  }

  /** From now on only these are served. */
  only(locations: readonly Location[]): void {
    const kinds = new Set(locations.map(({ kind }) => kind));
    for (const kind of this.#states.keys()) if (!kinds.has(kind)) this.#states.delete(kind);
  }

  isReachable(kind: LocationKind): boolean {
    return this.#states.get(kind)?.state === 'reachable';
  }

  /**
   * Each location with its state and that of its program, for a status page.
   * @param daemon the state of the program that carries a kind
   */
  of(
    locations: readonly Location[],
    daemon: (kind: LocationKind) => DaemonJson | undefined = () => undefined,
  ): readonly ServiceJson[] {
    return locations.map((location) => {
      const carrier = daemon(location.kind);
      return {
        location: formatLocation(location),
        kind: location.kind,
        state: 'starting',
        ...this.#states.get(location.kind),
        ...(carrier === undefined ? {} : { daemon: carrier }),
      };
    });
  }

  /** The worst of all; its detail names the kind when there are several. */
  get together(): ServiceState {
    const all = [...this.#states];
    const worst = WORST_FIRST.flatMap((name) => all.filter(([, { state }]) => state === name))[0];
    if (worst === undefined) return { state: 'starting', detail: 'not served yet' };
    const [kind, state] = worst;
    if (all.length === 1 || state.state === 'reachable') return state;
    return { ...state, detail: `${kind}: ${state.detail}` };
  }
}
