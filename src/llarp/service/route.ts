/**
 * The route to one service: an own path, and an introduction of the service that ends at the same router. When the path
 * or the introduction ends, is in doubt or expires soon, another one is taken or asked for.
 */
import type { Clock } from '../../kit/clock.js';
import type { Path } from '../path/path.js';
import type { ContactBook } from '../router/contact-book.js';
import { keyText } from '../router/distance.js';
import type { Introduction } from '../structures.js';
import type { DhtClient } from './dht-client.js';
import type { PathPool } from './path-pool.js';
import { Ways, type Way } from './ways.js';

/** A path in doubt ends when it does not answer in this time. */
const CHECK_MS = 3_000;
/** A way or path with so much life left gets a successor. */
const SOON_MS = 60_000n;

/** An own path, and the introduction that ends at the same router. */
export interface Pair {
  readonly path: Path;
  readonly way: Way;
}

export interface RouteOptions {
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallClock: () => bigint;
  readonly pool: PathPool;
  readonly dht: DhtClient;
  readonly book: ContactBook;
  /** No introduction is left, or all expire soon: the introset is wanted again. */
  onNeedsWays(): void;
  /** Another path or way is used. @param isOtherPath whether the way back is another one */
  onMoved(isOtherPath: boolean): void;
}

export class Route {
  readonly #options: RouteOptions;
  readonly #ways = new Ways();
  #current: Pair | undefined;
  /** The pair before, when the current one is in doubt. */
  #before: Pair | undefined;
  /** The way that the last message of the other side named. */
  #preferred: Way | undefined;
  #isFindingRouter = false;
  #isClosed = false;

  constructor(options: RouteOptions) {
    this.#options = options;
  }

  /** The pair in use; undefined before the first message and while it is in doubt. */
  get current(): Pair | undefined {
    return this.#current;
  }

  /** Takes introductions that the service has signed. */
  learn(introductions: readonly Introduction[]): void {
    this.#ways.learn(introductions);
  }

  /** The other side names the way to it, which works: its message came. */
  learnReply(introduction: Introduction): void {
    const way = this.#ways.learnReply(introduction);
    this.#preferred = way;
    if (this.#current && this.#current.way !== way) this.choose();
  }

  /** Nothing comes back: the path is checked, and other ways are preferred. */
  doubt(): void {
    const current = this.#current;
    if (!current) return;
    this.#ways.doubt(current.way, this.#options.clock.now());
    current.path.check(CHECK_MS);
    this.#before = current;
    this.#current = undefined;
  }

  /** A router dropped a message to this way. Returns whether the way is in doubt now. */
  strike(way: Way): boolean {
    const now = this.#options.clock.now();
    this.#ways.strike(way, now);
    return way.doubtedUntil > now;
  }

  /** The path and way for the next message. Undefined: none works now, and what is missing was asked for. */
  choose(): Pair | undefined {
    const { clock, wallClock, pool } = this.#options;
    const now = clock.now();
    const usable = this.#ways.usable(wallClock(), now);
    const isGood = (way: Way): boolean => way.doubtedUntil <= now;
    const preferred = usable.filter((way) => way === this.#preferred && isGood(way));
    const current = this.#current;
    const isCurrentGood =
      current !== undefined &&
      current.path.state === 'ready' &&
      usable.includes(current.way) &&
      isGood(current.way);
    if (isCurrentGood && (preferred.length === 0 || preferred[0] === current.way)) return current;
    const withPath = [...preferred, ...usable].flatMap((way) =>
      pool
        .endingAt(way.introduction.router)
        .slice(0, 1)
        .map((path) => ({ way, path })),
    );
    const good = withPath.find(({ way }) => isGood(way));
    if (isCurrentGood && (!good || good.way !== preferred[0])) return current;
    if (good) return this.#use(good);
    const [first] = usable;
    if (!first) {
      this.#options.onNeedsWays();
      return undefined;
    }
    this.#reach(first);
    // A way in doubt is better than none, when no other one is being prepared.
    const [doubted] = withPath;
    return doubted && !isGood(first) ? this.#use(doubted) : undefined;
  }

  /** Before the current path or way expires: takes one that lives longer, or asks for it. */
  renew(): void {
    const { clock, wallClock, pool } = this.#options;
    const soon = wallClock() + SOON_MS;
    const current = this.#current;
    if (!current) return;
    if (current.path.expires > soon && current.way.introduction.expires > soon) return;
    const now = clock.now();
    const lasting = this.#ways
      .usable(wallClock(), now)
      .filter(
        ({ introduction, doubtedUntil }) => introduction.expires > soon && doubtedUntil <= now,
      );
    for (const way of lasting) {
      const [path] = pool.endingAt(way.introduction.router);
      if (path && path.expires > soon) {
        this.#preferred = way;
        this.#use({ way, path });
        return;
      }
    }
    const [way] = lasting;
    if (way) this.#reach(way);
    else this.#options.onNeedsWays();
  }

  close(): void {
    this.#isClosed = true;
  }

  #use(pair: Pair): Pair {
    const before = this.#current ?? this.#before;
    this.#current = pair;
    this.#before = undefined;
    if (before && (before.path !== pair.path || before.way !== pair.way)) {
      this.#options.onMoved(before.path !== pair.path);
    }
    return pair;
  }

  /** Asks for a path to the router of a way. */
  #reach({ introduction: { router } }: Way): void {
    const { pool, book, dht, wallClock } = this.#options;
    if (pool.isBuilding(router)) return;
    const contact = book.get(router);
    if (contact) {
      pool.open(contact);
      return;
    }
    if (this.#isFindingRouter) return;
    this.#isFindingRouter = true;
    dht.findRouter(router, (found) => {
      this.#isFindingRouter = false;
      if (this.#isClosed || !found || keyText(found.signingKey) !== keyText(router)) return;
      if (book.put(found, wallClock()) === undefined) pool.open(found);
    });
  }
}
