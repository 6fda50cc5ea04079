/**
 * The paths of a hidden service: those that its introductions name, those for look-ups, and those that end where the
 * path of another service ends. The first two kinds are kept at a number and renewed before they expire.
 */
import type { Clock } from '../../kit/clock.js';
import { TokenBucket } from '../../kit/rate-limit.js';
import type { RandomBytes } from '../crypto.js';
import type { Path, PathEnd } from '../path/path.js';
import { keyText } from '../router/distance.js';
import type { Router } from '../router/router.js';
import type { RoutingMessage } from '../routing-messages.js';
import type { RouterContact } from '../structures.js';
import { chooseHops } from './choose-hops.js';

export type PathUse = 'introduction' | 'look-up' | 'conversation';
/** The uses whose number is kept. */
type KeptUse = Exclude<PathUse, 'conversation'>;

/** A path gets a successor when so much of its life is left. */
export const RENEW_MS = 120_000n;
/** Most paths of conversations. */
export const MAX_CONVERSATION_PATHS = 128;
/** New paths a second, of conversations and of the others. */
const PATHS_PER_SECOND = 10;
const FIRST_RETRY_MS = 250;
const MOST_RETRY_MS = 15_000;

/** The router of the service, as far as the pool needs it. */
export type PathMaker = Pick<Router, 'book' | 'contact' | 'createPath'>;

export interface PathPoolOptions {
  readonly clock: Clock;
  readonly wallClock: () => bigint;
  readonly randomBytes: RandomBytes;
  readonly router: PathMaker;
  /** Hops of each path, 1 to 8. */
  readonly hops: number;
  /** How many paths are kept for each use. */
  readonly kept: Readonly<Record<KeptUse, number>>;
  onMessage(path: Path, message: RoutingMessage): void;
  onFrame(path: Path, bytes: Uint8Array): void;
  onReady(path: Path, use: PathUse): void;
  onEnd(path: Path, use: PathUse, reason: PathEnd): void;
}

interface Entry {
  readonly use: PathUse;
  readonly path: Path;
}

interface Retry {
  failures: number;
  /** In milliseconds of the clock. */
  notBefore: number;
}

export class PathPool {
  readonly #options: PathPoolOptions;
  readonly #entries = new Set<Entry>();
  /** Strangers cause paths of conversations, so these have a rate of their own. */
  readonly #opened: Readonly<Record<'kept' | 'conversation', TokenBucket>>;
  readonly #retries: Readonly<Record<KeptUse, Retry>> = {
    introduction: { failures: 0, notBefore: 0 },
    'look-up': { failures: 0, notBefore: 0 },
  };
  #isClosed = false;

  constructor(options: PathPoolOptions) {
    this.#options = options;
    const bucket = (): TokenBucket =>
      new TokenBucket(options.clock, PATHS_PER_SECOND, 2 * PATHS_PER_SECOND);
    this.#opened = { kept: bucket(), conversation: bucket() };
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Paths that work, the one that lives longest first. */
  ready(use: PathUse): readonly Path[] {
    return this.#paths((entry) => entry.use === use && entry.path.state === 'ready');
  }

  /** Paths of any use but look-ups that work and end at this router, the one that lives longest first. */
  endingAt(router: Uint8Array): readonly Path[] {
    const end = keyText(router);
    return this.#paths(
      ({ use, path }) =>
        use !== 'look-up' && path.state === 'ready' && keyText(path.farthestRouter) === end,
    );
  }

  /** Whether a path to this router is being built. */
  isBuilding(router: Uint8Array): boolean {
    const end = keyText(router);
    return [...this.#entries].some(
      ({ path }) => path.state === 'building' && keyText(path.farthestRouter) === end,
    );
  }

  /** Asks for a path that ends at this router. False when there are too many, or too few routers are known. */
  open(end: RouterContact): boolean {
    const count = [...this.#entries].filter(({ use }) => use === 'conversation').length;
    return count < MAX_CONVERSATION_PATHS && this.#open('conversation', end) !== undefined;
  }

  /** Asks for the paths that are missing or expire soon. Called once a second. */
  keep(): void {
    for (const use of ['introduction', 'look-up'] as const) {
      const { clock, kept } = this.#options;
      const retry = this.#retries[use];
      let missing = kept[use] - this.#fresh(use);
      while (missing-- > 0 && clock.now() >= retry.notBefore) {
        if (!this.#open(use, undefined)) this.#failed(retry);
      }
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const { path } of this.#entries) path.end('closed');
  }

  #paths(wanted: (entry: Entry) => boolean): readonly Path[] {
    const paths = [...this.#entries].filter(wanted).map(({ path }) => path);
    return paths.toSorted((a, b) => Number(b.expires - a.expires));
  }

  /** Paths of a use that do not expire soon. */
  #fresh(use: PathUse): number {
    const soon = this.#options.wallClock() + RENEW_MS;
    return [...this.#entries].filter((entry) => entry.use === use && entry.path.expires > soon)
      .length;
  }

  #failed(retry: Retry): void {
    const wait = Math.min(MOST_RETRY_MS, FIRST_RETRY_MS * 2 ** retry.failures);
    retry.failures = Math.min(retry.failures + 1, 16);
    retry.notBefore = this.#options.clock.now() + wait;
  }

  #open(use: PathUse, end: RouterContact | undefined): Path | undefined {
    const { router, hops: count, randomBytes } = this.#options;
    const opened = this.#opened[use === 'conversation' ? use : 'kept'];
    if (this.#isClosed || !opened.take()) return undefined;
    // Introductions and look-ups have different ends: a router does not learn both.
    const notAtEnd = new Set(
      [...this.#entries]
        .filter((entry) => entry.use !== 'conversation')
        .map(({ path }) => keyText(path.farthestRouter)),
    );
    const known = router.book.all();
    const own = router.contact.signingKey;
    const hops = chooseHops({ known, own, count, end, notAtEnd }, randomBytes);
    let entry: Entry | undefined;
    const path =
      hops &&
      router.createPath(hops, {
        onMessage: (message) => entry && this.#options.onMessage(entry.path, message),
        onFrame: (bytes) => entry && this.#options.onFrame(entry.path, bytes),
        onReady: () => entry && this.#onReady(entry),
        onEnd: (reason) => entry && this.#onEnd(entry, reason),
      });
    if (!path) return undefined;
    entry = { use, path };
    this.#entries.add(entry);
    return path;
  }

  #onReady({ use, path }: Entry): void {
    if (use !== 'conversation') this.#retries[use].failures = 0;
    this.#options.onReady(path, use);
  }

  #onEnd(entry: Entry, reason: PathEnd): void {
    const { use, path } = entry;
    this.#entries.delete(entry);
    if (use !== 'conversation' && reason === 'not-built') this.#failed(this.#retries[use]);
    this.#options.onEnd(path, use, reason);
  }
}
