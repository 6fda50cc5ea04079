/**
 * The directories of one channel: a few are tried at once, those that fail give way to others, until enough are
 * connected (docs/directory-lists.md, section 6).
 */
import type { OnionMessageChannel } from '../../channel/message-channel.js';
import type { Clock } from '../../channel/ports.js';
import { formatLocation, type Location } from '../../protocol/location.js';

/** Directories that are tried at once while too few are connected; a channel dials so many at a time. */
export const AT_ONCE = 8;
/** A directory that failed is not tried again for so long while others have not been tried. */
const FAILED_MS = 10 * 60_000;

export interface DirectoryLinksOptions {
  readonly channel: OnionMessageChannel;
  /** How many shall be connected; a maker wants all that there are. */
  readonly wanted: number;
  /** All directories, the best first, at the time of the call. */
  readonly candidates: () => readonly Location[];
  readonly clock: Clock;
  readonly onWorked: (location: Location, offersLists: boolean) => void;
  readonly onFailed: (location: Location) => void;
  readonly listFeature: string;
}

/** The first directories of a channel. */
export function firstDirectories(
  candidates: readonly Location[],
  wanted: number,
): readonly Location[] {
  return candidates.slice(0, Math.max(AT_ONCE, wanted));
}

export class DirectoryLinks {
  readonly #options: DirectoryLinksOptions;
  /** Clock time of the last failure, of candidates only. */
  readonly #failedAt = new Map<string, number>();
  readonly #up = new Set<string>();
  /** Connected directories that serve lists. */
  readonly #listing = new Map<string, Location>();
  #isClosed = false;

  constructor(options: DirectoryLinksOptions) {
    this.#options = options;
    const { channel } = options;
    channel.on('directory-up', ({ location, features }) => {
      const key = formatLocation(location);
      this.#failedAt.delete(key);
      this.#up.add(key);
      const offersLists = features.includes(options.listFeature);
      if (offersLists) this.#listing.set(key, location);
      options.onWorked(location, offersLists);
      this.#settle();
    });
    channel.on('directory-down', ({ location, retryInMs }) => {
      const wasUp = this.#up.delete(formatLocation(location));
      this.#listing.delete(formatLocation(location));
      // Without a further attempt it was left on purpose.
      if (retryInMs === undefined) return;
      if (wasUp) this.#fill();
      else this.#failed(location);
    });
    channel.on('stopped', () => (this.#isClosed = true));
  }

  /** The connected directories, as location strings. */
  get connected(): readonly string[] {
    return [...this.#up];
  }

  /** The connected directories that serve lists. */
  get listing(): readonly Location[] {
    return [...this.#listing.values()];
  }

  /** The candidates changed: leaves directories that are none any more, and adds new ones. */
  refresh(): void {
    if (this.#isClosed) return;
    const { channel, candidates } = this.#options;
    const keys = new Set(candidates().map(formatLocation));
    for (const key of this.#failedAt.keys()) if (!keys.has(key)) this.#failedAt.delete(key);
    const current = channel.directories();
    const left = current.filter(({ location }) => keys.has(formatLocation(location)));
    // A channel without a directory would wait for nothing.
    if (left.length > 0) {
      for (const { location } of current) {
        if (!keys.has(formatLocation(location))) void channel.removeDirectory(location);
      }
    }
    this.#fill();
  }

  /** It gives way to a directory that was not tried, if there is one; otherwise it is dialled again. */
  #failed(location: Location): void {
    const { channel, clock, onFailed } = this.#options;
    onFailed(location);
    this.#failedAt.set(formatLocation(location), clock.now());
    if (this.#isClosed || this.#untried(1).length === 0) return;
    void channel.removeDirectory(location).then(() => this.#fill());
  }

  /** Candidates that the channel does not have and that did not fail a short time ago. */
  #untried(count: number): readonly Location[] {
    const { channel, candidates, clock } = this.#options;
    const current = new Set(channel.directories().map(({ location }) => formatLocation(location)));
    const since = clock.now() - FAILED_MS;
    return candidates()
      .filter((location) => {
        const key = formatLocation(location);
        return !current.has(key) && (this.#failedAt.get(key) ?? -Infinity) <= since;
      })
      .slice(0, count);
  }

  #fill(): void {
    const { channel, wanted } = this.#options;
    if (this.#isClosed || this.#up.size >= wanted) return;
    const all = channel.directories();
    const most = Math.max(AT_ONCE, wanted);
    for (const location of this.#untried(Math.max(0, most - all.length))) {
      channel.addDirectory(location);
    }
  }

  /** Enough are connected: attempts at others end. */
  #settle(): void {
    const { channel, wanted } = this.#options;
    if (this.#up.size < wanted) return;
    for (const { location, state } of channel.directories()) {
      if (state !== 'up') void channel.removeDirectory(location);
    }
  }
}
