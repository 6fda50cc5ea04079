/**
 * One overlay of several: a program serves and dials through all of them, each location through the
 * overlay of its kind. It serves through all of them or through none.
 */
import type {
  Connection,
  DaemonState,
  DialOptions,
  MovableService,
  Overlay,
  Served,
  ServeOptions,
} from '../channel/ports.js';
import { HandoverError, type Parcel, type Parcels } from '../kit/movable.js';
import { formatLocation, type Location, type LocationKind } from '../protocol/location.js';
import { holdAll, releaseAll } from './moved-together.js';
import { OverlayError } from './overlay-error.js';

/** A service of one overlay, and the name of the overlay in the keys of its parcels. */
interface Part {
  readonly name: string;
  readonly served: Served;
}

const SEPARATOR = '.';

/** An overlay in parcels: the kinds that it reaches. Kinds consist of letters, digits and hyphens. */
function nameOf({ reachable }: Overlay): string {
  return [...reachable].toSorted().join('-');
}

/** A parcel under another key. Its socket is looked up only when it is asked for. */
class RenamedParcel implements Parcel {
  readonly key: string;
  readonly #parcel: Parcel;

  constructor(key: string, parcel: Parcel) {
    this.key = key;
    this.#parcel = parcel;
  }

  get value(): unknown {
    return this.#parcel.value;
  }

  get stream(): object | undefined {
    return this.#parcel.stream;
  }

  get listener(): object | undefined {
    return this.#parcel.listener;
  }
}

function named(name: string, parcels: readonly Parcel[]): readonly Parcel[] {
  return parcels.map((parcel) => new RenamedParcel(`${name}${SEPARATOR}${parcel.key}`, parcel));
}

/** The overlay of a parcel, and the parcel as the overlay named it. */
function unnamed(parcel: Parcel): { readonly name: string; readonly parcel: Parcel } {
  const at = parcel.key.indexOf(SEPARATOR);
  return {
    name: parcel.key.slice(0, Math.max(0, at)),
    parcel: new RenamedParcel(parcel.key.slice(at + 1), parcel),
  };
}

/** The parcels of one overlay. Throws a HandoverError when there are none. */
function parcelsOf(name: string, parcels: Parcels): Parcels {
  const own = [...parcels.values()].map(unnamed).filter((each) => each.name === name);
  if (own.length > 0) return new Map(own.map(({ parcel }) => [parcel.key, parcel]));
  throw new HandoverError(
    `the old program did not serve ${name} locations in this way: restart instead of an upgrade`,
  );
}

/** Moves all services, in order. */
class ServiceMove implements MovableService {
  readonly #names: readonly string[];
  readonly #moves: readonly MovableService[];

  constructor(names: readonly string[], moves: readonly MovableService[]) {
    this.#names = names;
    this.#moves = moves;
  }

  async hold(): Promise<readonly Parcel[]> {
    const parcels = await holdAll(this.#moves);
    return parcels.flatMap((own, i) => named(this.#names[i] ?? '', own));
  }

  release(): void {
    releaseAll(this.#moves);
  }

  leave(): readonly Parcel[] {
    return this.#moves.flatMap((move, i) => named(this.#names[i] ?? '', move.leave()));
  }
}

class ServedSet implements Served {
  readonly locations: Served['locations'];
  readonly move?: MovableService;
  readonly #parts: readonly Part[];

  constructor(parts: readonly Part[]) {
    this.#parts = parts;
    const [first, ...others] = parts.flatMap(({ served }) => served.locations);
    if (first === undefined) throw new RangeError('an overlay serves no location');
    this.locations = [first, ...others];
    const names = parts.map(({ name }) => name);
    const moves = parts.flatMap(({ served }) => served.move ?? []);
    if (moves.length === parts.length) this.move = new ServiceMove(names, moves);
  }

  get listensOn(): string | undefined {
    return this.#parts[0]?.served.listensOn;
  }

  begin(): void {
    for (const { served } of this.#parts) served.begin?.();
  }

  adopt(parcel: Parcel): void {
    const { name, parcel: own } = unnamed(parcel);
    this.#parts.find((part) => part.name === name)?.served.adopt?.(own);
  }

  reportUnreachable(kind: LocationKind): void {
    this.#servedAt(kind)?.reportUnreachable?.(kind);
  }

  renew(): void {
    for (const { served } of this.#parts) served.renew?.();
  }

  daemon(kind: LocationKind): DaemonState | undefined {
    return this.#servedAt(kind)?.daemon?.(kind);
  }

  #servedAt(kind: LocationKind): Served | undefined {
    return this.#parts.find(({ served }) => served.locations.some((each) => each.kind === kind))
      ?.served;
  }

  async close(): Promise<void> {
    const closing = this.#parts.map(({ served }) => served.close());
    await Promise.allSettled(closing);
    await Promise.all(closing);
  }
}

/** Serves all overlays at once. When one fails, the others are closed, and its error is thrown. */
async function serveAll(
  overlays: readonly Overlay[],
  onConnection: (connection: Connection) => void,
  options: ServeOptions,
): Promise<Served> {
  const failure = new AbortController();
  const signal = AbortSignal.any([options.signal, failure.signal]);
  const { inherited } = options;
  const serving = overlays.map(async (overlay): Promise<Part> => {
    const name = nameOf(overlay);
    try {
      const own = inherited === undefined ? {} : { inherited: parcelsOf(name, inherited) };
      return { name, served: await overlay.serve(onConnection, { ...options, signal, ...own }) };
    } catch (error) {
      failure.abort(error);
      throw error;
    }
  });
  const settled = await Promise.allSettled(serving);
  const parts = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  try {
    signal.throwIfAborted();
    return new ServedSet(parts);
  } catch (error) {
    await Promise.allSettled(parts.map(({ served }) => served.close()));
    throw error;
  }
}

/**
 * An overlay that dials each location through the overlay of its kind and serves one location of each, but
 * for those that only dial. A single overlay is returned as it is. The order is that of
 * `Served.locations`. Throws a RangeError without overlays, or when two reach the same kind.
 */
export function createOverlaySet(overlays: readonly Overlay[]): Overlay {
  const byKind = new Map<LocationKind, Overlay>();
  for (const overlay of overlays) {
    for (const kind of overlay.reachable) {
      if (byKind.has(kind)) throw new RangeError(`two overlays reach ${kind} locations`);
      byKind.set(kind, overlay);
    }
  }
  const [first, second] = overlays;
  if (first === undefined) throw new RangeError('a set of overlays needs at least one');
  if (second === undefined) return first;
  const serving = overlays.filter(({ dialsOnly }) => dialsOnly !== true);
  return {
    reachable: new Set(byKind.keys()),
    dialsOnly: serving.length === 0,
    only: (kinds) =>
      createOverlaySet(
        overlays.filter(({ reachable }) => [...reachable].some((kind) => kinds.has(kind))),
      ),
    oneSource: new Set(overlays.flatMap(({ oneSource }) => [...(oneSource ?? [])])),
    async dial(location: Location, options: DialOptions) {
      const overlay = byKind.get(location.kind);
      if (overlay) return overlay.dial(location, options);
      const kinds = [...byKind.keys()].join(' and ');
      throw new OverlayError(
        'location-refused',
        `refused to dial ${formatLocation(location)}: this program reaches ${kinds} locations only`,
      );
    },
    serve(onConnection, options) {
      if (serving.length > 0) return serveAll(serving, onConnection, options);
      const message = 'this program only dials: each of its overlays was set up not to serve';
      return Promise.reject(new OverlayError('not-serving', message));
    },
    async close() {
      await Promise.all(overlays.map((overlay) => overlay.close()));
    },
  };
}
