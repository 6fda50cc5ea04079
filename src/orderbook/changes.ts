/**
 * Collects the changes of the book for a short time, reports them as versions, and keeps the last ones
 * for pages that reconnect.
 */
import type { Clock } from '../channel/ports.js';
import type { BookChange, BookEntry } from './book-api.js';

/** Least time between two reports, in milliseconds. */
export const TELL_EVERY_MS = 250;
/** Most entries in one change, so that no turn takes long; the others follow in the next. */
const ENTRIES_PER_CHANGE = 200;
/** Changes kept, and entries in them altogether. */
const REMEMBERED = 256;
const REMEMBERED_ENTRIES = 20_000;
/**
 * Entries that wait to be compared: twice the size of a book. Above it all pages must take a snapshot.
 */
const MOST_TOUCHED = 40_000;
/** Least time between two reports of an entry that was only seen again, in milliseconds. */
const SEEN_AGAIN_MS = 60_000;

export interface ChangesOptions {
  readonly clock: Clock;
  readonly epochMs: () => number;
  /** The entry of an id, or undefined when it was removed. */
  readonly read: (id: string) => BookEntry | undefined;
  readonly onChange: (change: BookChange) => void;
}

/** The part of an entry whose change is reported at once. */
function contentOf(entry: BookEntry): string {
  const { type, minsize, maxsize, txfee, cjfee, verified, direct, sightings, listedBy, bond } =
    entry;
  const ways = sightings.map(
    (s) =>
      `${s.directory}${s.publicly ? 'p' : ''}${s.privately ? 's' : ''}${s.differs ? 'd' : ''}${s.withdrawn?.why ?? ''}`,
  );
  return [
    type,
    minsize,
    maxsize,
    txfee,
    cjfee,
    verified,
    direct !== undefined,
    bond?.state,
    bond?.outpoint,
    bond?.value,
    bond?.detail,
    listedBy?.join(),
    ...ways,
  ].join(' ');
}

const weightOf = ({ upserts, removed }: BookChange): number => upserts.length + removed.length;

export class Changes {
  readonly #options: ChangesOptions;
  #version = 0;
  #statistics = false;
  /** Entries to compare, in the order of their change. */
  readonly #touched = new Set<string>();
  /** The last reported state of each entry. */
  readonly #told = new Map<string, { readonly content: string; readonly lastSeen: number }>();
  #history: BookChange[] = [];
  #remembered = 0;
  #cancel: (() => void) | undefined;

  constructor(options: ChangesOptions) {
    this.#options = options;
  }

  get version(): number {
    return this.#version;
  }

  /** This entry was added, changed or removed. */
  touch(id: string): void {
    if (this.#touched.size >= MOST_TOUCHED) this.#startAnew();
    this.#touched.add(id);
    this.#schedule();
  }

  /** The statistics changed. */
  touchStatistics(): void {
    this.#statistics = true;
    this.#schedule();
  }

  /** Oldest first; undefined when some are no longer kept. */
  since(version: number): readonly BookChange[] | undefined {
    if (version === this.#version) return [];
    const first = this.#history[0]?.version;
    if (first === undefined || version < first - 1 || version > this.#version) return undefined;
    return this.#history.slice(version - first + 1);
  }

  close(): void {
    this.#cancel?.();
    this.#touched.clear();
  }

  /** More changes than can be reported. One version is skipped, so that every page takes a snapshot. */
  #startAnew(): void {
    this.#touched.clear();
    this.#told.clear();
    this.#history = [];
    this.#remembered = 0;
    this.#version++;
    this.#statistics = true;
  }

  #schedule(): void {
    this.#cancel ??= this.#options.clock.after(TELL_EVERY_MS, () => this.#tell());
  }

  #tell(): void {
    const { clock, epochMs, onChange } = this.#options;
    this.#cancel = undefined;
    const { upserts, removed } = this.#compare();
    if (this.#touched.size > 0) this.#schedule();
    const statistics = this.#statistics;
    if (upserts.length === 0 && removed.length === 0 && !statistics) return;
    this.#statistics = false;
    const version = ++this.#version;
    const change = { version, now: clock.now(), nowEpoch: epochMs(), upserts, removed, statistics };
    this.#remember(change);
    onChange(change);
  }

  /** Entries of one change, no longer among the touched ones. */
  #compare(): Pick<BookChange, 'upserts' | 'removed'> {
    const upserts: BookEntry[] = [];
    const removed: string[] = [];
    let looked = 0;
    for (const id of this.#touched) {
      if (looked++ >= ENTRIES_PER_CHANGE) break;
      this.#touched.delete(id);
      const entry = this.#options.read(id);
      const before = this.#told.get(id);
      if (!entry) {
        // Also entries that were never reported, because a snapshot in between may have contained them.
        this.#told.delete(id);
        removed.push(id);
        continue;
      }
      const { lastSeen } = entry;
      const now = contentOf(entry);
      if (before?.content === now && lastSeen - before.lastSeen < SEEN_AGAIN_MS) continue;
      this.#told.set(id, { content: now, lastSeen });
      upserts.push(entry);
    }
    return { upserts, removed };
  }

  #remember(change: BookChange): void {
    this.#history.push(change);
    this.#remembered += weightOf(change);
    let forgotten = 0;
    while (this.#history.length - forgotten > REMEMBERED || this.#remembered > REMEMBERED_ENTRIES) {
      const oldest = this.#history[forgotten];
      if (!oldest) break;
      this.#remembered -= weightOf(oldest);
      forgotten++;
    }
    if (forgotten > 0) this.#history = this.#history.slice(forgotten);
  }
}
