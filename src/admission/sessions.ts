/**
 * Sessions of codes: how many run, how often a code was used, how many requests came in this minute. A
 * session without an end notice (a Lokinet flow) ends when it does not ask again in time. Pure: the time
 * is an argument.
 */
import { BoundedMap } from '../kit/bounded-map.js';
import { countInWindow, type CountWindow } from '../kit/rate-limit.js';
import type { CodeTerms } from './code-record.js';
import type { Reason } from './api.js';

const MINUTE_MS = 60_000;
/**
 * Most sessions of one code that are remembered; the oldest is forgotten, and would count as a new use. A code
 * with a most number of sessions at a time has at most so many.
 */
export const MAX_SESSIONS = 1_024;
/** Most codes with state; the code used longest ago is forgotten. */
const MAX_CODES = 10_000;

/** Where uses are kept, so that they survive the process. */
export interface UseCounter {
  count(codeId: string): number;
  /** One more; it is on disk when this returns. Throws the error of the file system. */
  add(codeId: string): void;
}

/** Uses in memory only. */
export function memoryUses(): UseCounter {
  const uses = new Map<string, number>();
  return {
    count: (id) => uses.get(id) ?? 0,
    add: (id) => void uses.set(id, (uses.get(id) ?? 0) + 1),
  };
}

interface CodeState {
  /** When each session asked last, in milliseconds. */
  readonly sessions: BoundedMap<string, number>;
  readonly minute: CountWindow;
}

/** The parts of a record that count sessions. */
type Counted = Pick<CodeTerms, 'maxUses' | 'maxConcurrent' | 'perMinute'> & { readonly id: string };

export class Sessions {
  readonly #states = new BoundedMap<string, CodeState>(MAX_CODES);
  readonly #uses: UseCounter;
  readonly #sessionMs: number;

  /** @param sessionMs a session ends when it did not ask for so long */
  constructor(uses: UseCounter, sessionMs: number) {
    this.#uses = uses;
    this.#sessionMs = sessionMs;
  }

  /** Counts a request of a session. Undefined when it may go on, else why not. */
  enter(code: Counted, session: string, now: number): Reason | undefined {
    const { perMinute, maxConcurrent, maxUses, id } = code;
    const state = this.#states.use(id, () => ({
      sessions: new BoundedMap(MAX_SESSIONS),
      minute: { since: -Infinity, count: 0 },
    }));
    const inMinute = countInWindow(state.minute, MINUTE_MS, now);
    if (perMinute !== undefined && inMinute > perMinute) return 'rate';
    this.#endSilent(state, now);
    if (!state.sessions.has(session)) {
      if (maxUses !== undefined && this.#uses.count(id) >= maxUses) return 'used-up';
      const isFull = state.sessions.size >= Math.min(maxConcurrent ?? Infinity, MAX_SESSIONS);
      if (maxConcurrent !== undefined && isFull) return 'concurrent';
      if (maxUses !== undefined) this.#uses.add(id);
    }
    state.sessions.set(session, now);
    return undefined;
  }

  /** A session has ended. */
  leave(codeId: string, session: string): void {
    this.#states.get(codeId)?.sessions.delete(session);
  }

  /** A session that another process counted, or one that lasts: it is counted without a new use. */
  keep(codeId: string, session: string, now: number): void {
    this.#states
      .use(codeId, () => ({
        sessions: new BoundedMap(MAX_SESSIONS),
        minute: { since: -Infinity, count: 0 },
      }))
      .sessions.set(session, now);
  }

  /** From the session that asked longest ago. */
  #endSilent({ sessions }: CodeState, now: number): void {
    for (const [session, askedAt] of sessions) {
      if (now - askedAt < this.#sessionMs) return;
      sessions.delete(session);
    }
  }
}
