/**
 * Keeps the list new: from the source of the operator, and from directories, one at a time. A directory whose
 * document was refused is not asked again in this run for a day.
 */
import type { Log } from '../../channel/log.js';
import type { Clock, Dialer } from '../../channel/ports.js';
import { REFUSAL_TEXTS } from '../../directory-lists/refusal.js';
import type { ListDownload } from '../../directory-lists/served-list.js';
import { BoundedMap } from '../../kit/bounded-map.js';
import { errorText } from '../../kit/error-text.js';
import { fetchList, type ListFetchResult } from '../../probe/list-fetch.js';
import type { Network } from '../../protocol/constants.js';
import { formatLocation, type Location } from '../../protocol/location.js';
import type { NickKey } from '../../protocol/nick.js';
import type { KeptList } from './kept-list.js';
import { readSource } from './list-source.js';

const HOUR_MS = 3_600_000;
/** A directory, or the source, is asked again after so long. */
const AGAIN_MS = 6 * HOUR_MS;
/** A directory that sent a wrong document, or nothing that makes sense, is left alone for so long. */
const REFUSED_MS = 24 * HOUR_MS;
/** Directories remembered. */
const MAX_ASKED = 256;
/** Directories that wait for their turn. */
const MAX_WAITING = 64;

export interface ListUpdatesOptions {
  readonly kept: KeptList;
  /** A file or a page; empty: none. */
  readonly source: string;
  readonly network: Network;
  readonly dialer: Dialer;
  readonly newNickKey: () => NickKey;
  readonly clock: Clock;
  readonly log: Log;
  /** A newer list was kept. */
  readonly onNewer: () => void;
  readonly timings?: { readonly dialMs: number; readonly handshakeMs: number } | undefined;
}

const TIMINGS = { dialMs: 120_000, handshakeMs: 60_000 };

export class ListUpdates {
  readonly #options: ListUpdatesOptions;
  readonly #stopped = new AbortController();
  /** Clock time before which a directory is not asked. */
  readonly #notBefore = new BoundedMap<string, number>(MAX_ASKED);
  readonly #waiting = new Map<string, Location>();
  /** A fetch that broke off; its chunks are not asked for again. */
  #started: ListDownload | undefined;
  #running: Promise<void> | undefined;
  #cancelSource: (() => void) | undefined;
  #source: Promise<void> = Promise.resolve();

  constructor(options: ListUpdatesOptions) {
    this.#options = options;
  }

  /** Reads the source now and at intervals; resolves after the first time. */
  start(): Promise<void> {
    if (this.#options.source !== '') this.#source = this.#readSource();
    return this.#source;
  }

  /** A directory that serves lists can be reached: asks it, unless it was asked a short time ago. */
  ask(location: Location): void {
    const key = formatLocation(location);
    const { clock } = this.#options;
    if ((this.#notBefore.get(key) ?? -Infinity) > clock.now()) return;
    if (this.#stopped.signal.aborted || this.#waiting.size >= MAX_WAITING) return;
    this.#waiting.set(key, location);
    this.#begin();
  }

  /** Asks one directory and takes its list; the result says whether it was reached. */
  async fetch(location: Location): Promise<ListFetchResult> {
    const { kept, clock, timings = TIMINGS } = this.#options;
    const key = formatLocation(location);
    this.#notBefore.set(key, clock.now() + AGAIN_MS);
    const result = await fetchList({
      ...this.#options,
      ...timings,
      location,
      nickKey: this.#options.newNickKey(),
      signal: this.#stopped.signal,
      held: kept.accepted,
      started: this.#started,
    });
    if (result.outcome === 'failed') this.#started = result.started ?? this.#started;
    if (result.outcome === 'misbehaved') this.#refuse(key, result.reason);
    if (result.outcome === 'document') {
      this.#started = undefined;
      await this.#take(result.bytes, key);
    }
    return result;
  }

  async close(): Promise<void> {
    this.#stopped.abort();
    this.#cancelSource?.();
    await Promise.all([this.#running, this.#source]);
  }

  #begin(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#waiting.size > 0 && !this.#stopped.signal.aborted) this.#begin();
    });
  }

  async #run(): Promise<void> {
    for (const [key, location] of this.#waiting) {
      if (this.#stopped.signal.aborted) return;
      this.#waiting.delete(key);
      // oxlint-disable-next-line no-await-in-loop -- one at a time
      await this.fetch(location);
    }
  }

  #refuse(key: string, reason: string): void {
    const { clock, log } = this.#options;
    this.#notBefore.set(key, clock.now() + REFUSED_MS);
    log.warn('the list of a directory was refused', { reason });
    log.debug('refused the list of', { directory: key });
  }

  /** @param key the directory; undefined for the source */
  async #take(bytes: Uint8Array, key: string | undefined): Promise<void> {
    const { kept, log, onNewer } = this.#options;
    try {
      const taken = await kept.take(bytes);
      if (taken.outcome === 'refused') {
        const reason = REFUSAL_TEXTS[taken.reason];
        if (key !== undefined) this.#refuse(key, reason);
        else log.warn('the list of list_source was refused', { reason });
      } else if (taken.outcome === 'newer') {
        const { sequence } = kept.accepted ?? {};
        log.info('a newer list of directories was verified and kept', {
          sequence,
          directories: kept.locations().length,
        });
        onNewer();
      }
    } catch (error) {
      log.warn('a newer list of directories cannot be written', { reason: errorText(error) });
    }
  }

  async #readSource(): Promise<void> {
    const { source, clock, log } = this.#options;
    const { signal } = this.#stopped;
    try {
      await this.#take(await readSource(source, { ...this.#options, signal }), undefined);
    } catch (error) {
      if (!signal.aborted) log.warn('list_source cannot be read', { reason: errorText(error) });
    }
    if (signal.aborted) return;
    this.#cancelSource = clock.after(AGAIN_MS, () => {
      this.#source = this.#readSource();
    });
  }
}
