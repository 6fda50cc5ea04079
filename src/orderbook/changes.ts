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

export interface Changes {
  readonly version: number;
  /** This entry was added, changed or removed. */
  touch(id: string): void;
  /** The statistics changed. */
  touchStatistics(): void;
  /** Oldest first; undefined when some are no longer kept. */
  since(version: number): readonly BookChange[] | undefined;
  close(): void;
}

/** The part of an entry whose change is reported at once. */
function essence(entry: BookEntry): string {
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

export function createChanges(options: ChangesOptions): Changes {
  const { clock, epochMs, read, onChange } = options;
  let version = 0;
  let statistics = false;
  /** Entries to compare, in the order of their change. */
  const touched = new Set<string>();
  /** The last reported state of each entry. */
  const told = new Map<string, { readonly essence: string; readonly lastSeen: number }>();
  let history: BookChange[] = [];
  let remembered = 0;
  let cancel: (() => void) | undefined;

  /** More changes than can be reported. One version is skipped, so that every page takes a snapshot. */
  function startAnew(): void {
    touched.clear();
    told.clear();
    history = [];
    remembered = 0;
    version++;
    statistics = true;
  }

  function schedule(): void {
    cancel ??= clock.after(TELL_EVERY_MS, tell);
  }

  function remember(change: BookChange): void {
    history.push(change);
    remembered += weightOf(change);
    let forgotten = 0;
    while (history.length - forgotten > REMEMBERED || remembered > REMEMBERED_ENTRIES) {
      const oldest = history[forgotten];
      if (!oldest) break;
      remembered -= weightOf(oldest);
      forgotten++;
    }
    if (forgotten > 0) history = history.slice(forgotten);
  }

  function tell(): void {
    cancel = undefined;
    const upserts: BookEntry[] = [];
    const removed: string[] = [];
    let looked = 0;
    for (const id of touched) {
      if (looked++ >= ENTRIES_PER_CHANGE) break;
      touched.delete(id);
      const entry = read(id);
      const before = told.get(id);
      if (!entry) {
        // Also entries that were never reported, because a snapshot in between may have contained them.
        told.delete(id);
        removed.push(id);
        continue;
      }
      const now = essence(entry);
      if (before?.essence === now && entry.lastSeen - before.lastSeen < SEEN_AGAIN_MS) continue;
      told.set(id, { essence: now, lastSeen: entry.lastSeen });
      upserts.push(entry);
    }
    if (touched.size > 0) schedule();
    if (upserts.length === 0 && removed.length === 0 && !statistics) return;
    version++;
    const change = {
      version,
      now: clock.now(),
      nowEpoch: epochMs(),
      upserts,
      removed,
      statistics,
    };
    statistics = false;
    remember(change);
    onChange(change);
  }

  return {
    get version() {
      return version;
    },
    touch(id) {
      if (touched.size >= MOST_TOUCHED) startAnew();
      touched.add(id);
      schedule();
    },
    touchStatistics() {
      statistics = true;
      schedule();
    },
    since(from) {
      if (from === version) return [];
      const first = history[0]?.version;
      if (first === undefined || from < first - 1 || from > version) return undefined;
      return history.slice(from - first + 1);
    },
    close() {
      cancel?.();
      touched.clear();
    },
  };
}
