/**
 * Keeps the introset of a hidden service in the DHT: published when its introductions change and at intervals, over one
 * of the paths that it names, until a router says that it holds it.
 */
import type { Clock } from '../../kit/clock.js';
import type { Path } from '../path/path.js';
import type { Introduction, Introset } from '../structures.js';
import type { DhtClient } from './dht-client.js';
import { makeIntroset, type ServiceKeys } from './keys.js';

/** An introset is published again after this time, since routers may forget it. */
export const PUBLISH_EVERY_MS = 120_000;
const RETRY_MS = 2_000;
/** Changes that come together are published together. */
const TOGETHER_MS = 100;
/** An introduction that expires earlier is not published, unless there is no other one. */
const LEAST_LEFT_MS = 60_000n;
/** Most introductions of an introset. */
const MOST_INTRODUCTIONS = 8;

/** Whether others find the service: it has not been published yet, it is, or it has no path any more. */
export type PublishState = 'starting' | 'reachable' | 'lost';

export interface PublisherOptions {
  readonly clock: Clock;
  readonly wallClock: () => bigint;
  readonly keys: ServiceKeys;
  readonly dht: Pick<DhtClient, 'publish'>;
  /** Paths of introductions that work, the one that lives longest first. */
  paths(): readonly Path[];
  onState(state: PublishState): void;
}

/** What an introduction says of a path. */
export function introductionOf(path: Path): Introduction {
  const { farthestRouter, farthestId, expires, latencyMs } = path;
  return {
    router: farthestRouter,
    pathId: farthestId,
    expires,
    version: 0n,
    ...(latencyMs === undefined ? {} : { latencyMs: BigInt(Math.ceil(latencyMs)) }),
  };
}

export class Publisher {
  readonly #options: PublisherOptions;
  #state: PublishState = 'starting';
  #introset: Introset | undefined;
  #cancel: (() => void) | undefined;
  #turn = 0;
  #isAsking = false;
  /** Changed while the answer of a router was awaited. */
  #hasChanged = false;
  #isClosed = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  get state(): PublishState {
    return this.#state;
  }

  /** What was published last; undefined before the first time. */
  get introset(): Introset | undefined {
    return this.#introset;
  }

  /** A path of an introduction began to work, or ended. */
  changed(): void {
    if (this.#options.paths().length === 0) {
      if (this.#state === 'reachable') this.#become('lost');
      return;
    }
    this.#hasChanged = true;
    if (!this.#isAsking) this.#after(TOGETHER_MS);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }

  #after(ms: number): void {
    this.#cancel?.();
    this.#cancel = this.#options.clock.after(ms, () => this.#publish());
  }

  #become(state: PublishState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#options.onState(state);
  }

  #publish(): void {
    const { dht, keys, wallClock } = this.#options;
    const paths = this.#options.paths();
    const path = paths[this.#turn++ % Math.max(paths.length, 1)];
    if (!path || this.#isAsking || this.#isClosed) return;
    const now = wallClock();
    const lasting = paths.filter(({ expires }) => expires > now + LEAST_LEFT_MS);
    const named = (lasting.length > 0 ? lasting : paths).slice(0, MOST_INTRODUCTIONS);
    // Later than the one before, so that routers take it.
    const before = this.#introset?.published ?? 0n;
    const introset = makeIntroset(
      keys,
      named.map(introductionOf),
      now > before ? now : before + 1n,
    );
    this.#introset = introset;
    this.#isAsking = true;
    this.#hasChanged = false;
    dht.publish(path, introset, (holders) => {
      this.#isAsking = false;
      if (this.#isClosed) return;
      if (holders > 0n && this.#options.paths().length > 0) this.#become('reachable');
      if (this.#hasChanged) this.#after(TOGETHER_MS);
      else this.#after(holders > 0n ? PUBLISH_EVERY_MS : RETRY_MS);
    });
  }
}
