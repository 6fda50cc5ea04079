/**
 * What changed in the book, gathered for a moment, told in versions, and remembered for a while for
 * those who come back.
 */
import type { Clock } from '../channel/ports.js';
import type { BookChange, BookEntry } from './book-api.js';

/** Changes are told at most this often, in milliseconds. */
export const TELL_EVERY_MS = 250;
/** Entries in one change, so that no turn takes long; the others follow in the next. */
const ENTRIES_PER_CHANGE = 200;
/** Changes remembered, and entries in them altogether. */
const REMEMBERED = 256;
const REMEMBERED_ENTRIES = 20_000;
/** Entries that wait to be looked at: twice what a book holds. Above it all start anew. */
const MOST_TOUCHED = 40_000;
/** That an offer was merely seen again is told this seldom, in milliseconds. */
const SEEN_AGAIN_MS = 60_000;

export interface ChangesOptions {
  readonly clock: Clock;
  readonly epochMs: () => number;
  /** The entry of an id, or undefined when it is gone. */
  readonly read: (id: string) => BookEntry | undefined;
  readonly onChange: (change: BookChange) => void;
}

export interface Changes {
  readonly version: number;
  /** This entry came, changed or went. */
  touch(id: string): void;
  /** Something of the statistics changed. */
  touchStatistics(): void;
  /** Oldest first; undefined when some are forgotten. */
  since(version: number): readonly BookChange[] | undefined;
  close(): void;
}

/** All of an entry that is worth telling at once. */
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
  /** Entries to look at, in the order of their change. */
  const touched = new Set<string>();
  /** What was told of each entry last. */
  const told = new Map<string, { readonly essence: string; readonly lastSeen: number }>();
  let history: BookChange[] = [];
  let remembered = 0;
  let cancel: (() => void) | undefined;

  /**
   * More comes and goes than can be told. A version is left out, so that everybody takes a snapshot.
   */
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
        // Even what was never told: a snapshot in between may have had it.
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
