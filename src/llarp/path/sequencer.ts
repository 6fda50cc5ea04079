/**
 * The order of the routing messages of a path (row D32): messages are delivered by their number, each once. A message
 * that does not arrive is waited for until `GAP_MS` have passed or `MAX_WAITING` others have arrived. When it comes
 * after all, because a link had to send it again, it is delivered then.
 */
import { BoundedSet } from '../../kit/bounded-map.js';
import type { Clock } from '../../kit/clock.js';

const GAP_MS = 500;
export const MAX_WAITING = 64;
/** Most messages that wait in all sequencers which share a room. */
const MAX_IN_ROOM = 1_024;
/** Most numbers that were given up and may still arrive; the oldest is forgotten. */
const MAX_MISSING = 1_024;
/** A number so far ahead is not believed: it would make all others late. */
const MAX_AHEAD = 4_096n;

/** A bound on the messages that wait in several sequencers together. */
export class WaitingRoom {
  #left: number;

  constructor(most: number = MAX_IN_ROOM) {
    this.#left = most;
  }

  /** False when the room is full. */
  enter(): boolean {
    if (this.#left === 0) return false;
    this.#left--;
    return true;
  }

  leave(count = 1): void {
    this.#left += count;
  }
}

export class Sequencer<T> {
  readonly #clock: Clock;
  readonly #room: WaitingRoom;
  readonly #deliver: (message: T) => void;
  readonly #waiting = new Map<bigint, T>();
  readonly #missing = new BoundedSet<bigint>(MAX_MISSING);
  #next = 0n;
  #cancel: (() => void) | undefined;

  /** @param room shared with other sequencers; default: one of its own */
  constructor(clock: Clock, deliver: (message: T) => void, room: WaitingRoom = new WaitingRoom()) {
    this.#clock = clock;
    this.#deliver = deliver;
    this.#room = room;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** False for a message that arrived before, or is too far ahead, and when too many wait. */
  add(sequence: bigint, message: T): boolean {
    if (this.#missing.delete(sequence)) {
      this.#deliver(message);
      return true;
    }
    if (sequence < this.#next || sequence >= this.#next + MAX_AHEAD) return false;
    if (this.#waiting.has(sequence)) return false;
    if (!this.#room.enter()) return false;
    this.#waiting.set(sequence, message);
    this.#drain();
    if (this.#waiting.size > MAX_WAITING) this.#skip();
    return true;
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#room.leave(this.#waiting.size);
    this.#waiting.clear();
    this.#missing.clear();
  }

  #drain(): void {
    for (;;) {
      const message = this.#waiting.get(this.#next);
      if (message === undefined) break;
      this.#waiting.delete(this.#next++);
      this.#room.leave();
      this.#deliver(message);
    }
    this.#cancel?.();
    this.#cancel =
      this.#waiting.size === 0 ? undefined : this.#clock.after(GAP_MS, () => this.#skip());
  }

  /** Gives up the missing messages before the first one that waits. */
  #skip(): void {
    let first: bigint | undefined;
    for (const sequence of this.#waiting.keys()) {
      if (first === undefined || sequence < first) first = sequence;
    }
    if (first === undefined) return;
    while (this.#next < first) this.#missing.add(this.#next++);
    this.#drain();
  }
}
