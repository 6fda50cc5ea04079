/**
 * Decides when public frames are written, and to which peers at once. A cell of Tor holds 498 bytes and
 * costs the same with one frame as with two, so frames wait for each other:
 *
 * - few frames leave together when the first of them has waited for the window;
 * - as soon as three cells wait for each peer, the peers take turns: a round of 1.4 windows is divided into
 *   steps, and at each step a part of the peers gets everything that waits for it. Otherwise some hundreds of
 *   cells would leave at one moment, and a private message would stand behind them at every relay;
 * - as soon as eight cells wait, or twelve came during a round, or four within a short interval, all of them leave
 *   at once, and go on at that interval.
 *
 * No frame waits longer than the window, or than the round when there is one. Frames for one peer never wait,
 * and take along what waits for that peer.
 */
import type { Clock } from '../../channel/ports.js';

/** Payload of a cell of Tor, in bytes. */
const CELL_BYTES = 498;
/** Waiting bytes that fill eight cells of Tor: a longer wait would save little. */
const FULL_BYTES = 8 * CELL_BYTES;
/** The same in a round, in which the peers that had their turn wait for less. */
const ROUND_FULL_BYTES = 12 * CELL_BYTES;
/** The same within the least time between two flushes, where no frame counts as more than a cell: a burst begins. */
const SUDDEN_BYTES = 4 * CELL_BYTES;
/** Waiting bytes with which the peers take turns: with less, waking up more often costs more than it is worth. */
const SOME_BYTES = 3 * CELL_BYTES;
/** A burst is over when less came within one interval. */
const BURST_BYTES = 2 * CELL_BYTES;
/** A round is this much longer than the window: messages come often, and each step has less to do. */
const ROUND_WINDOWS = 1.4;
/** Most steps of a round. */
export const MOST_STEPS = 10;
/** Steps are at most this long where there may be more of them. */
const STEP_MS = 30;
/** With fewer peers in a step, waking up would cost more than the step does. */
const STEP_PEERS = 5;

export interface FlushWindows {
  /** Longest time that a public frame waits for others, in milliseconds. */
  readonly publicMs: number;
  /** Least time between two flushes, in milliseconds. */
  readonly burstMs: number;
}

/** Which part of the peers a flush is for: part `step` of `steps` equal ones; 0 of 1 is all of them. */
export interface FlushPart {
  readonly step: number;
  readonly steps: number;
}

export const ALL_PEERS: FlushPart = { step: 0, steps: 1 };

export interface FlushTimerOptions {
  readonly clock: Clock;
  readonly windows: FlushWindows;
  /** Number of peers that a flush of all would reach. */
  readonly peers: () => number;
  /** Called when something waits, and at each step of a round; it may call `touch` again. */
  readonly flush: (part: FlushPart) => void;
}

export interface FlushTimer {
  /** So many bytes wait for a flush. Nothing happens before `schedule`. */
  touch(bytes: number): void;
  /** Called at the end of a turn: flushes now, or starts the timer. */
  schedule(): void;
  /** Cancels the flush and the timer. */
  cancel(): void;
}

/** A round in which the peers take turns. */
interface Round {
  readonly startedAt: number;
  readonly durationMs: number;
  readonly steps: number;
  /** The next step; `steps`: the round is at its end. */
  next: number;
}

/** One timer, which runs only while something waits or a round is not at its end. */
class WindowTimer implements FlushTimer {
  readonly #options: FlushTimerOptions;
  /** Bytes that came since the last flush of all, or since the start of the round; 0: nothing. */
  #bytes = 0;
  /** When the first of them came. */
  #since = 0;
  #flushedAt = -Infinity;
  /** Bytes that came within `burstMs` from that time on, at most a cell of each frame. */
  #recent = 0;
  #recentSince = -Infinity;
  #isBurst = false;
  #round: Round | undefined;
  /** When the timer fires; undefined without one. */
  #dueAt: number | undefined;
  #cancelTimer: (() => void) | undefined;

  constructor(options: FlushTimerOptions) {
    this.#options = options;
  }

  touch(bytes: number): void {
    const now = this.#options.clock.now();
    if (this.#bytes === 0) this.#since = now;
    this.#bytes += bytes;
    if (now - this.#recentSince >= this.#options.windows.burstMs) {
      this.#recentSince = now;
      this.#recent = 0;
    }
    // One long frame is no burst.
    this.#recent += Math.min(bytes, CELL_BYTES);
  }

  schedule(): void {
    if (this.#bytes === 0) return;
    const { clock, windows } = this.#options;
    const full = this.#round ? ROUND_FULL_BYTES : FULL_BYTES;
    const isUrgent = this.#isBurst || this.#bytes >= full || this.#recent >= SUDDEN_BYTES;
    this.#isBurst = isUrgent;
    if (this.#round) {
      if (!isUrgent) return;
      this.#round = undefined;
      this.#stop();
    }
    const { publicMs, burstMs } = windows;
    const roundEnd = this.#since + ROUND_WINDOWS * publicMs;
    if (!isUrgent && this.#bytes >= SOME_BYTES && this.#beginRound(roundEnd - clock.now())) return;
    const windowEnd = this.#since + publicMs;
    const dueAt = Math.max(isUrgent ? -Infinity : windowEnd, this.#flushedAt + burstMs);
    this.#wakeAt(dueAt, () => this.#flushAll());
  }

  cancel(): void {
    this.#bytes = 0;
    this.#recent = 0;
    this.#isBurst = false;
    this.#round = undefined;
    this.#stop();
  }

  /** An earlier time replaces a later one, not the other way round. */
  #wakeAt(dueAt: number, work: () => void): void {
    if (this.#dueAt !== undefined && this.#dueAt <= dueAt) return;
    this.#stop();
    const { clock } = this.#options;
    const wait = dueAt - clock.now();
    if (wait <= 0) {
      work();
      return;
    }
    this.#dueAt = dueAt;
    this.#cancelTimer = clock.after(wait, () => {
      this.#stop();
      work();
    });
  }

  #stop(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#dueAt = undefined;
  }

  #flushAll(): void {
    this.#isBurst &&= this.#bytes >= BURST_BYTES;
    this.#bytes = 0;
    this.#options.flush(ALL_PEERS);
    this.#flushedAt = this.#options.clock.now();
    this.schedule();
  }

  /** False when the time or the peers are too few for two steps. */
  #beginRound(durationMs: number): boolean {
    const { clock, peers } = this.#options;
    const enough = Math.floor(peers() / STEP_PEERS);
    const steps = Math.min(MOST_STEPS, Math.ceil(durationMs / STEP_MS), enough);
    if (steps < 2) return false;
    this.#stop();
    this.#bytes = 0;
    this.#round = { startedAt: clock.now(), durationMs, steps, next: 0 };
    this.#step(this.#round);
    return true;
  }

  #step(round: Round): void {
    const { steps } = round;
    if (round.next === steps) {
      this.#endRound();
      return;
    }
    this.#options.flush({ step: round.next, steps });
    round.next++;
    // The flush may have ended the round.
    if (this.#round !== round) return;
    const nextAt = round.startedAt + (round.next * round.durationMs) / steps;
    this.#wakeAt(nextAt, () => this.#step(round));
  }

  /** What came during a round is in the next one, or waits for its window again. */
  #endRound(): void {
    this.#round = undefined;
    const roundMs = ROUND_WINDOWS * this.#options.windows.publicMs;
    if (this.#bytes >= SOME_BYTES && this.#beginRound(roundMs)) return;
    this.schedule();
  }
}

/** @returns a timer that owns nothing else; `cancel` ends it */
export function createFlushTimer(options: FlushTimerOptions): FlushTimer {
  return new WindowTimer(options);
}
