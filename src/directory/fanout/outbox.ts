/**
 * What one peer is still owed, in order: the shared log from its cursor on, with frames of its own
 * spliced in (private messages, peer lists, pings) and its own broadcasts cut out. At most one write
 * is on its way at a time, so whatever comes meanwhile leaves together with the next one.
 */
import type { Clock, Connection } from '../../channel/ports.js';
import type { BroadcastLog } from './broadcast-log.js';
import type { Tally } from '../stats.js';

/** Most bytes of one write; a slow reader then shows progress between writes. */
const MAX_WRITE_BYTES = 262_144;
/** Pieces are joined by copying up to this size; a longer piece leaves alone and uncopied. */
const MAX_JOINED_BYTES = 65_536;
/** Memory of one splice beyond its bytes, roughly. */
const SPLICE_OVERHEAD_BYTES = 96;

interface Splice {
  /** Log position it belongs to. */
  readonly at: number;
  /** Bytes said only to this peer. */
  readonly bytes: Uint8Array | undefined;
  /** Log bytes from `at` on that this peer does not get. */
  skip: number;
}

export interface Outbox {
  readonly connection: Connection;
  /** Log position of the next byte to hand over. */
  cursor: number;
  /** Log position up to which it may be handed over now; the rest waits for the next flush. */
  due: number;
  splices: Splice[] | undefined;
  /** Bytes in splices, with overhead, less the log bytes they cut out. */
  spliced: number;
  /** Size of the write that is on its way; 0 when none is. */
  inFlight: number;
  /** When bytes were last seen to move. */
  progressAt: number;
  /** What the connection had queued when it was last looked at. */
  queuedSeen: number;
  closed: boolean;
  readonly drained: () => void;
}

export interface Outboxes {
  /** Empty; nothing goes through it before `begin`. */
  open(connection: Connection): Outbox;
  /** The peer gets what is broadcast from now on, and nothing from before. */
  begin(outbox: Outbox): void;
  /** Queues a frame for this peer alone, behind all broadcasts so far. Does not write yet. */
  direct(outbox: Outbox, bytes: Uint8Array): void;
  /** Cuts the last `length` bytes of the log out of what this peer gets. */
  cutOut(outbox: Outbox, length: number): void;
  /** Hands over what is owed up to now, unless a write is on its way. */
  pump(outbox: Outbox): void;
  /** A copy of all that has not been handed over, up to the end of the log, due or not. */
  owed(outbox: Outbox): Uint8Array;
  /** Bytes the peer has not taken, those on their way included. */
  lag(outbox: Outbox): number;
  /** When bytes were last seen to move, which is now if they did since the last look. */
  movedAt(outbox: Outbox, now: number): number;
  /** Whether bytes wait and none has moved for `timeoutMs`. To be called regularly. */
  stalled(outbox: Outbox, now: number, timeoutMs: number): boolean;
  /** Forgets what is owed. */
  close(outbox: Outbox): void;
}

export interface OutboxesOptions {
  readonly log: BroadcastLog;
  readonly clock: Clock;
  readonly tally: Tally;
}

function splice(outbox: Outbox, entry: Splice): void {
  outbox.spliced += (entry.bytes?.length ?? 0) + SPLICE_OVERHEAD_BYTES - entry.skip;
  if (outbox.splices) outbox.splices.push(entry);
  else outbox.splices = [entry];
}

function unsplice(outbox: Outbox, count: number): void {
  const taken = outbox.splices?.splice(0, count) ?? [];
  for (const { bytes, skip } of taken) {
    outbox.spliced -= (bytes?.length ?? 0) + SPLICE_OVERHEAD_BYTES - skip;
  }
  if (outbox.splices?.length === 0) outbox.splices = undefined;
}

function movedAt(outbox: Outbox, now: number): number {
  const queued = outbox.inFlight > 0 ? outbox.connection.queuedBytes : outbox.queuedSeen;
  if (queued < outbox.queuedSeen) {
    outbox.queuedSeen = queued;
    outbox.progressAt = now;
  }
  return outbox.progressAt;
}

export function createOutboxes({ log, clock, tally }: OutboxesOptions): Outboxes {
  /** The next bytes to write, and the cursor moved behind them; undefined when nothing is due. */
  function next(outbox: Outbox): Uint8Array | undefined {
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

  function pump(outbox: Outbox): void {
    if (outbox.inFlight > 0 || outbox.closed) return;
    if (outbox.cursor >= outbox.due && outbox.splices === undefined) return;
    const bytes = next(outbox);
    if (!bytes) return;
    outbox.inFlight = bytes.length;
    outbox.queuedSeen = bytes.length;
    outbox.progressAt = clock.now();
    tally.writes++;
    tally.bytesOut += bytes.length;
    outbox.connection.write(bytes, outbox.drained);
  }

  return {
    open(connection) {
      const outbox: Outbox = {
        connection,
        cursor: 0,
        due: 0,
        splices: undefined,
        spliced: 0,
        inFlight: 0,
        progressAt: 0,
        queuedSeen: 0,
        closed: false,
        drained: () => {
          outbox.inFlight = 0;
          pump(outbox);
        },
      };
      return outbox;
    },
    begin(outbox) {
      outbox.cursor = log.end;
      outbox.due = log.end;
    },
    direct(outbox, bytes) {
      if (outbox.closed) return;
      splice(outbox, { at: log.end, bytes, skip: 0 });
      outbox.due = log.end;
    },
    cutOut(outbox, length) {
      const at = log.end - length;
      const last = outbox.splices?.at(-1);
      if (last === undefined && outbox.cursor === at) {
        outbox.cursor = log.end;
      } else if (last && last.at + last.skip === at && last.skip > 0) {
        last.skip += length;
        outbox.spliced -= length;
      } else {
        splice(outbox, { at, bytes: undefined, skip: length });
      }
    },
    pump,
    owed(outbox) {
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
    },
    lag: (outbox) => outbox.inFlight + log.end - outbox.cursor + outbox.spliced,
    movedAt,
    stalled: (outbox, now, timeoutMs) =>
      outbox.inFlight > 0 && now - movedAt(outbox, now) >= timeoutMs,
    close(outbox) {
      outbox.closed = true;
      outbox.splices = undefined;
    },
  };
}
