/**
 * The list that a directory serves: what its operator gave it (`list_source`), or a newer one that it fetched
 * from another directory of its list.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Log } from '../../channel/log.js';
import type { Clock, Dialer, Random } from '../../channel/ports.js';
import type { ServedList } from '../../directory/directory.js';
import { REFUSAL_TEXTS } from '../../directory-lists/refusal.js';
import type { Network } from '../../protocol/constants.js';
import { formatLocation, type Location, type LocationKind } from '../../protocol/location.js';
import { createNickKey } from '../../protocol/nick.js';
import { KeptList, LIST_FILE } from './kept-list.js';
import { ListUpdates, type ListUpdatesOptions } from './list-updates.js';

/** Other directories are asked at this interval, so many each time. */
const ASK_MS = 6 * 3_600_000;
const ASK_AT_ONCE = 2;
/** The first time, after the own service had time to start. */
const FIRST_MS = 60_000;

export interface ListServerOptions {
  readonly datadir: string;
  readonly network: Network;
  /** The fingerprint of the key set that is trusted. */
  readonly listKeys: string;
  /** A file or a page of an onion service; empty: none. */
  readonly listSource: string;
  readonly dialer: Dialer;
  readonly reachable: ReadonlySet<LocationKind>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Seconds since 1970. */
  readonly unixTime: () => number;
  readonly timings?: ListUpdatesOptions['timings'];
}

export class ListServer {
  readonly #options: ListServerOptions;
  readonly #kept: KeptList;
  readonly #updates: ListUpdates;
  #own: readonly string[] = [];
  #cancel: (() => void) | undefined;

  private constructor(options: ListServerOptions, kept: KeptList) {
    this.#options = options;
    this.#kept = kept;
    this.#updates = new ListUpdates({
      ...options,
      kept,
      source: options.listSource,
      newNickKey: () => createNickKey(randomBytes),
      onNewer() {},
    });
  }

  /** Reads the kept list. Rejects with the error of the file system. */
  static async open(options: ListServerOptions): Promise<ListServer> {
    const { datadir, network, listKeys, log, unixTime } = options;
    const trust = { network, pinned: listKeys };
    const path = join(datadir, LIST_FILE);
    const { list, refused } = await KeptList.open({ path, trust, unixTime });
    if (refused !== undefined) {
      log.warn('the kept list of directories is not served', { reason: REFUSAL_TEXTS[refused] });
    }
    return new ListServer(options, list);
  }

  /** The newest valid list. */
  readonly served = (): ServedList | undefined => this.#kept.served();

  /** Reads the source, and from now on asks other directories for newer lists. */
  async start(own: readonly Location[]): Promise<void> {
    this.#own = own.map(formatLocation);
    this.#askAfter(FIRST_MS);
    await this.#updates.start();
  }

  async close(): Promise<void> {
    this.#cancel?.();
    await this.#updates.close();
  }

  #askAfter(ms: number): void {
    this.#cancel = this.#options.clock.after(ms, () => {
      this.#askOthers();
      this.#askAfter(ASK_MS);
    });
  }

  #askOthers(): void {
    const { random, reachable } = this.#options;
    const others = this.#kept
      .locations()
      .filter((each) => reachable.has(each.kind) && !this.#own.includes(formatLocation(each)))
      .map((location) => ({ location, chance: random() }))
      .toSorted((a, b) => a.chance - b.chance);
    for (const { location } of others.slice(0, ASK_AT_ONCE)) this.#updates.ask(location);
  }
}
