/** The newest introset of one service, and the search for it: one at a time, and not too often. */
import type { Clock } from '../../kit/clock.js';
import type { Introset } from '../structures.js';
import type { DhtClient, SearchFault } from './dht-client.js';

/** Least time between two searches. */
const SEARCH_EVERY_MS = 5_000;

export interface IntrosetLookupOptions {
  readonly clock: Clock;
  /** Of the service, 32 bytes. */
  readonly address: Uint8Array;
  readonly dht: DhtClient;
  /** An introset that is not older than the one before. */
  onFound(introset: Introset): void;
  /** Nothing was found now. An introset of an earlier search stays. */
  onNotFound(fault: SearchFault): void;
}

export class IntrosetLookup {
  readonly #options: IntrosetLookupOptions;
  #introset: Introset | undefined;
  #isSearching = false;
  #searchedAt = -Infinity;
  #isClosed = false;

  constructor(options: IntrosetLookupOptions) {
    this.#options = options;
  }

  /** Undefined before the first one was found. */
  get introset(): Introset | undefined {
    return this.#introset;
  }

  /** Searches, unless a search goes on or has just begun. */
  search(): void {
    const { clock, dht, address } = this.#options;
    const now = clock.now();
    if (this.#isSearching || this.#isClosed || now - this.#searchedAt < SEARCH_EVERY_MS) return;
    this.#isSearching = true;
    this.#searchedAt = now;
    dht.findIntroset(address, (introset, fault = 'not-found') => {
      this.#isSearching = false;
      if (this.#isClosed) return;
      if (!introset) this.#options.onNotFound(fault);
      else if (!this.#introset || this.#introset.published <= introset.published) {
        this.#introset = introset;
        this.#options.onFound(introset);
      }
    });
  }

  close(): void {
    this.#isClosed = true;
  }
}
