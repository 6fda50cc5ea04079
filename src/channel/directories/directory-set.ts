/** All directories of a channel, found by location, and counted until the channel is ready. */
import type { Envelope } from '../../protocol/envelope.js';
import {
  formatLocation,
  kindsNamedOver,
  type Location,
  type LocationKind,
} from '../../protocol/location.js';
import type { DirectoryDown, DirectoryInfo, DirectoryUp } from '../channel-api.js';
import { ChannelError } from '../channel-error.js';
import type { Overlay } from '../ports.js';
import { DirectoryLink, type DirectoryLinkOptions } from './link.js';
import { createReadiness, type Readiness, type ReadinessOptions } from './readiness.js';

export interface DirectorySetOptions extends Omit<
  DirectoryLinkOptions,
  'location' | 'onUp' | 'onDown' | 'onEnvelope'
> {
  /** Configured directories; duplicates are ignored. */
  readonly locations: readonly Location[];
  /** Whether one connected directory is enough to be ready. */
  readonly readyAtFirst?: boolean | undefined;
  readonly onUp: (info: DirectoryUp) => void;
  readonly onDown: (link: DirectoryLink, info: DirectoryDown, wasUp: boolean) => void;
  /** A message or peer list; only between `onUp` and `onDown` of its directory. */
  readonly onEnvelope: (link: DirectoryLink, envelope: Envelope) => void;
  readonly onReady: ReadinessOptions['onReady'];
}

/**
 * Throws ChannelError `directories` when there is none, or when the overlay cannot reach one of them.
 */
export function validateDirectories(locations: readonly Location[], overlay: Overlay): void {
  if (locations.length === 0) {
    throw new ChannelError('directories', 'a message channel needs at least one directory');
  }
  const unreachable = locations.find(({ kind }) => !overlay.reachable.has(kind));
  if (unreachable === undefined) return;
  const kinds = [...overlay.reachable].join(' and ');
  throw new ChannelError(
    'directories',
    `cannot reach ${formatLocation(unreachable)}: the overlay reaches ${kinds} locations only`,
  );
}

export class DirectorySet {
  readonly #options: DirectorySetOptions;
  readonly #links = new Map<string, DirectoryLink>();
  readonly #readiness: Readiness;
  #isStarted = false;
  #isClosed = false;

  constructor(options: DirectorySetOptions) {
    this.#options = options;
    const { clock, settings, locations, readyAtFirst, onReady } = options;
    for (const location of locations) {
      const key = formatLocation(location);
      if (!this.#links.has(key)) this.#links.set(key, this.#createLink(location));
    }
    this.#readiness = createReadiness({
      clock,
      waitMs: settings.timings.welcomeMs,
      total: () => this.#links.size,
      atFirst: readyAtFirst,
      countUp: () => [...this.#links.values()].filter(({ up }) => up).length,
      onReady,
    });
  }

  /** By location string. */
  get byKey(): ReadonlyMap<string, DirectoryLink> {
    return this.#links;
  }

  /** Whether `onReady` was called. */
  get welcomed(): boolean {
    return this.#readiness.fired;
  }

  /** All directories, or the named one. Throws ChannelError `directories` for an unknown one. */
  chosen(only: Location | undefined): readonly DirectoryLink[] {
    if (only === undefined) return [...this.#links.values()];
    const directory = this.#links.get(formatLocation(only));
    if (directory) return [directory];
    throw new ChannelError(
      'directories',
      `${formatLocation(only)} is not a directory of this channel; give one of its directories()`,
    );
  }

  info(): readonly DirectoryInfo[] {
    return [...this.#links.values()].map((link) => link.info());
  }

  /** Starts dialling, and repeats it. */
  start(): void {
    this.#isStarted = true;
    this.#readiness.start();
    for (const link of this.#links.values()) link.start();
  }

  /** Adds a directory and dials it; nothing happens when there is one at this location. */
  add(location: Location): void {
    const key = formatLocation(location);
    if (this.#isClosed || this.#links.has(key)) return;
    const link = this.#createLink(location);
    this.#links.set(key, link);
    if (this.#isStarted) link.start();
  }

  /** Ends the session or attempt with a directory for good. Resolves when it has ended. */
  async remove(location: Location): Promise<void> {
    const key = formatLocation(location);
    const link = this.#links.get(key);
    if (!link) return;
    await link.close();
    if (this.#links.get(key) === link) this.#links.delete(key);
  }

  /** Our own overlay of this kind was lost and works again: dials its directories at once. */
  dialNow(kind: LocationKind): void {
    const { reachable } = this.#options.overlay;
    for (const link of this.#links.values()) {
      if (kindsNamedOver(link.location.kind, reachable).has(kind)) link.dialNow();
    }
  }

  /** Ends all sessions and attempts. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#readiness.close();
    await Promise.all([...this.#links.values()].map((link) => link.close()));
  }

  #createLink(location: Location): DirectoryLink {
    const { onUp, onDown, onEnvelope } = this.#options;
    const link: DirectoryLink = new DirectoryLink({
      ...this.#options,
      location,
      onUp: (info) => {
        onUp(info);
        this.#readiness.directoryUp();
      },
      onDown: (info, wasUp) => onDown(link, info, wasUp),
      onEnvelope: (envelope) => onEnvelope(link, envelope),
    });
    return link;
  }
}
