/** Refusals of a directory in the last time, by reason: handshakes, lines, and connections that it ended. */
import type { Clock } from '../channel/ports.js';
import type { CloseReason, DirectoryStats } from '../directory/stats.js';

/** Counters are remembered at this interval, for the number of the last hour. */
const KEPT_EVERY_MS = 300_000;
/** An hour of them, and the one before. */
const MOST_KEPT = 13;

/** Ends that are not the directory's decision, or are counted as a refused handshake already. */
const NOT_REFUSED: ReadonlySet<string> = new Set<CloseReason>([
  'closed-by-peer',
  'disconnect-message',
  'rejected',
  'shutdown',
]);

/** One row for the page. */
export interface RefusalJson {
  readonly what: 'handshake' | 'line' | 'connection';
  readonly reason: string;
  /** Since the directory was started. */
  readonly total: number;
  /** In the last hour, or since the process was started. */
  readonly lastHour: number;
  /** When the number was last seen to grow; absent: before this process. */
  readonly secondsAgo?: number;
}

type Counts = ReadonlyMap<string, number>;

interface Kept {
  readonly at: number;
  readonly counts: Counts;
}

function countsOf(stats: DirectoryStats): Counts {
  const { handshakesRejected, dropped, closed } = stats;
  const counts = new Map<string, number>();
  const groups = { handshake: handshakesRejected, line: dropped, connection: closed };
  for (const [what, counters] of Object.entries(groups)) {
    for (const [reason, count] of Object.entries<number>(counters)) {
      if (what === 'connection' && NOT_REFUSED.has(reason)) continue;
      counts.set(`${what} ${reason}`, count);
    }
  }
  return counts;
}

/** All that was refused since the start. */
export function refusedIn(stats: DirectoryStats): number {
  let total = 0;
  for (const count of countsOf(stats).values()) total += count;
  return total;
}

const KINDS: readonly RefusalJson['what'][] = ['handshake', 'line', 'connection'];

export class Refusals {
  readonly #clock: Clock;
  #before: Counts | undefined;
  /** When each number was last seen to grow, by name; names come from a fixed set. */
  readonly #grewAt = new Map<string, number>();
  /** The oldest first. */
  readonly #kept: Kept[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** To be called at each step of the history. */
  note(stats: DirectoryStats): void {
    const now = this.#clock.now();
    const counts = countsOf(stats);
    for (const [name, count] of counts) {
      if (count > (this.#before?.get(name) ?? count)) this.#grewAt.set(name, now);
    }
    this.#before = counts;
    const last = this.#kept.at(-1);
    if (last !== undefined && now - last.at < KEPT_EVERY_MS) return;
    this.#kept.push({ at: now, counts });
    if (this.#kept.length > MOST_KEPT) this.#kept.shift();
  }

  /** Each reason that occurred, the latest first. */
  json(stats: DirectoryStats): readonly RefusalJson[] {
    this.note(stats);
    const now = this.#clock.now();
    const hourAgo = this.#kept[0]?.counts;
    const rows = [...countsOf(stats)].flatMap(([name, total]): readonly RefusalJson[] => {
      const [kind, reason = ''] = name.split(' ');
      const what = KINDS.find((one) => one === kind);
      if (what === undefined || total === 0) return [];
      const grewAt = this.#grewAt.get(name);
      const lastHour = total - (hourAgo?.get(name) ?? 0);
      const row = { what, reason, total, lastHour };
      return [
        grewAt === undefined ? row : { ...row, secondsAgo: Math.round((now - grewAt) / 1_000) },
      ];
    });
    return rows.toSorted(
      (a, b) => (a.secondsAgo ?? Infinity) - (b.secondsAgo ?? Infinity) || b.total - a.total,
    );
  }
}
