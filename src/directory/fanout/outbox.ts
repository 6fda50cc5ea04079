/**
 * The outbox of one peer: what it must still receive, in order. It is the shared log from its cursor
 * on, with its own frames inserted (private messages, peer lists, pings) and its own broadcasts left
 * out. At most one write is in progress at a time, so frames that arrive meanwhile are written
 * together.
 */
import type { Clock, Connection } from '../../channel/ports.js';
import type { BroadcastLog } from './broadcast-log.js';
import type { Tally } from '../stats.js';

/** Most bytes of one write, so that a slow reader shows progress between writes. */
const MAX_WRITE_BYTES = 262_144;
/** Pieces up to this size are joined by copying; a longer piece is written alone without a copy. */
const MAX_JOINED_BYTES = 65_536;
const NOTHING = new Uint8Array(0);
/** Memory overhead of one splice, approximately. */
const SPLICE_OVERHEAD_BYTES = 96;

interface Splice {
  /** Log position at which it is inserted. */
  readonly at: number;
  /** Bytes for this peer only. */
  readonly bytes: Uint8Array | undefined;
  /** Number of log bytes from `at` on that this peer does not get. */
  skip: number;
}

export interface Outbox {
  readonly connection: Connection;
  /** Log position of the next byte to write. */
  cursor: number;
  /** Log position up to which may be written now; the rest waits for the next flush. */
  due: number;
  splices: Splice[] | undefined;
  /** Bytes in splices with overhead, minus the log bytes that they leave out. */
  spliced: number;
  /** Lines for this peer, minus the frames of the log before and without it; see `Outboxes.lines`. */
  lines: number;
  /** Size of the write in progress; 0 without one. */
  inFlight: number;
  /** When bytes were last seen to move. */
  progressAt: number;
  /** The connection's queued bytes at the last look. */
  queuedSeen: number;
  closed: boolean;
  readonly drained: () => void;
}

export interface OutboxesOptions {
  readonly log: BroadcastLog;
  readonly clock: Clock;
  readonly tally: Tally;
}

/** @param place its place among the splices, which are in the order of the log; default: the last */
function splice(outbox: Outbox, entry: Splice, place = outbox.splices?.length ?? 0): void {
  outbox.spliced += (entry.bytes?.length ?? 0) + SPLICE_OVERHEAD_BYTES - entry.skip;
  if (outbox.splices) outbox.splices.splice(place, 0, entry);
  else outbox.splices = [entry];
}

function unsplice(outbox: Outbox, count: number): void {
  const taken = outbox.splices?.splice(0, count) ?? [];
  for (const { bytes, skip } of taken) {
    outbox.spliced -= (bytes?.length ?? 0) + SPLICE_OVERHEAD_BYTES - skip;
  }
  if (outbox.splices?.length === 0) outbox.splices = undefined;
}

/** Returns the next bytes to write and moves the cursor after them; undefined when nothing is due. */
function takeNext(log: BroadcastLog, outbox: Outbox): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  const { due, splices } = outbox;
  let position = outbox.cursor;
  let passed = 0;
  let total = 0;
  for (;;) {
    const entry = splices?.[passed];
    const until = entry && entry.at < due ? entry.at : due;
    let part: Uint8Array | undefined;
    if (position < until) {
      const room = (parts.length === 0 ? MAX_WRITE_BYTES : MAX_JOINED_BYTES) - total;
      if (room <= 0) break;
      part = log.slice(position, Math.min(until, position + room));
      position += part.length;
    } else if (entry && entry.at <= due) {
      if (entry.bytes && parts.length > 0 && total + entry.bytes.length > MAX_JOINED_BYTES) break;
      part = entry.bytes;
      position += entry.skip;
      passed++;
    } else {
      break;
    }
    if (part) {
      parts.push(part);
      total += part.length;
    }
  }
  outbox.cursor = position;
  if (passed > 0) unsplice(outbox, passed);
  return parts.length > 1 ? Buffer.concat(parts, total) : parts[0];
}

/** The outboxes of all peers, over one shared log. */
export class Outboxes {
  readonly #log: BroadcastLog;
  readonly #clock: Clock;
  readonly #tally: Tally;

  constructor({ log, clock, tally }: OutboxesOptions) {
    this.#log = log;
    this.#clock = clock;
    this.#tally = tally;
  }

  /** An empty outbox; nothing is written before `begin`. */
  open(connection: Connection): Outbox {
    const outbox: Outbox = {
      connection,
      cursor: 0,
      due: 0,
      splices: undefined,
      spliced: 0,
      lines: 0,
      inFlight: 0,
      progressAt: 0,
      queuedSeen: 0,
      closed: false,
      drained: () => {
        outbox.inFlight = 0;
        this.pump(outbox);
      },
    };
    return outbox;
  }

  /** The peer gets all broadcasts from now on, and no earlier one. */
  begin(outbox: Outbox): void {
    outbox.cursor = this.#log.end;
    outbox.due = this.#log.end;
    outbox.lines = -this.#log.frames;
  }

  /**
   * Queues frames for this peer after all broadcasts so far. Does not write yet.
   * @param lines their number; default 1
   */
  direct(outbox: Outbox, bytes: Uint8Array, lines = 1): void {
    if (outbox.closed) return;
    outbox.lines += lines;
    splice(outbox, { at: this.#log.end, bytes, skip: 0 });
    outbox.due = this.#log.end;
  }

  /**
   * Queues frames for this peer before the broadcasts that wait for it, but behind other frames for it.
   * Does not write yet.
   * @returns false when it cannot: a write is in progress, or other frames wait between the broadcasts
   */
  overtake(outbox: Outbox, bytes: Uint8Array, lines: number): boolean {
    const { cursor, closed, inFlight, splices = [] } = outbox;
    if (closed || inFlight > 0) return false;
    let place = 0;
    while (splices[place]?.bytes && splices[place]?.at === cursor) place++;
    for (let i = place; i < splices.length; i++) if (splices[i]?.bytes) return false;
    outbox.lines += lines;
    splice(outbox, { at: cursor, bytes, skip: 0 }, place);
    outbox.due = this.#log.end;
    return true;
  }

  /** Leaves the last `length` bytes of the log out of this peer's stream. */
  cutOut(outbox: Outbox, length: number): void {
    outbox.lines -= 1;
    const at = this.#log.end - length;
    const last = outbox.splices?.at(-1);
    if (last === undefined && outbox.cursor === at) {
      outbox.cursor = this.#log.end;
    } else if (last && last.at + last.skip === at && last.skip > 0) {
      last.skip += length;
      outbox.spliced -= length;
    } else {
      splice(outbox, { at, bytes: undefined, skip: length });
    }
  }

  /** Writes what is due, unless a write is in progress. */
  pump(outbox: Outbox): void {
    if (outbox.inFlight > 0 || outbox.closed) return;
    if (outbox.cursor >= outbox.due && outbox.splices === undefined) return;
    const bytes = takeNext(this.#log, outbox);
    if (!bytes) return;
    outbox.inFlight = bytes.length;
    outbox.queuedSeen = bytes.length;
    outbox.progressAt = this.#clock.now();
    this.#tally.writes++;
    this.#tally.bytesOut += bytes.length;
    outbox.connection.write(bytes, outbox.drained);
  }

  /** A copy of all bytes that were not written, up to the end of the log, due or not. */
  owed(outbox: Outbox): Uint8Array {
    const log = this.#log;
    if (outbox.cursor === log.end && outbox.splices === undefined) return NOTHING;
    const parts: Uint8Array[] = [];
    let position = outbox.cursor;
    const takeUntil = (until: number): void => {
      while (position < until) {
        const part = log.slice(position, until);
        parts.push(part);
        position += part.length;
      }
    };
    for (const entry of outbox.splices ?? []) {
      takeUntil(entry.at);
      if (entry.bytes) parts.push(entry.bytes);
      position += entry.skip;
    }
    takeUntil(log.end);
    return Buffer.concat(parts);
  }

  /** Lines written and queued since `begin`. */
  lines(outbox: Outbox): number {
    return outbox.lines + this.#log.frames;
  }

  /** Bytes that the peer has not taken, including those being written. */
  lag(outbox: Outbox): number {
    return outbox.inFlight + this.#log.end - outbox.cursor + outbox.spliced;
  }

  /** The lag of a peer that has not taken the last write; 0 where bytes only wait for a flush. */
  behind(outbox: Outbox): number {
    return outbox.inFlight > 0 ? this.lag(outbox) : 0;
  }

  /** When bytes were last seen to move; now, if they moved since the last call. */
  movedAt(outbox: Outbox, now: number): number {
    const queued = outbox.inFlight > 0 ? outbox.connection.queuedBytes : outbox.queuedSeen;
    if (queued < outbox.queuedSeen) {
      outbox.queuedSeen = queued;
      outbox.progressAt = now;
    }
    return outbox.progressAt;
  }

  /** Whether bytes wait and none moved for `timeoutMs`. Must be called regularly. */
  stalled(outbox: Outbox, now: number, timeoutMs: number): boolean {
    return outbox.inFlight > 0 && now - this.movedAt(outbox, now) >= timeoutMs;
  }

  /** Empties the outbox. */
  close(outbox: Outbox): void {
    outbox.closed = true;
    outbox.splices = undefined;
  }
}
