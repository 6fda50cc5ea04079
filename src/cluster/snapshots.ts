/**
 * Whole lists of peers from node to node, in chunks: after a start, and where heartbeats show that something
 * was lost. Packets of one node arrive in their order, so what follows the first chunk is later than all chunks.
 */
import type { Clock } from '../kit/clock.js';
import type { ClusterRecord, Entry } from './record.js';

/** Least time between two snapshots for one node. */
const BETWEEN_SNAPSHOTS_MS = 500;
/** Characters of entries in one chunk. */
const CHUNK_CHARS = 60_000;
/** Time between two chunks, so that a large snapshot does not delay messages. */
const BETWEEN_CHUNKS_MS = 5;
/** Without a chunk for this long, a snapshot is asked for again. */
const STALLED_MS = 5_000;
/** Most changes that arrive during a snapshot. */
const MAX_CHANGES = 50_000;
/** Most entries of a snapshot. */
const MAX_ENTRIES = 200_000;

export interface SnapshotSenderOptions {
  readonly clock: Clock;
  /** The own peers now. */
  readonly entries: () => readonly Entry[];
  readonly send: (to: string, record: ClusterRecord) => void;
}

/** About as many as its JSON has. */
function charsOf({ nick, location, features, key, proof }: Entry): number {
  const names = features.reduce((sum, name) => sum + name.length + 3, 0);
  const proofChars = proof ? proof.directoryId.length + proof.signature.length + 160 : 0;
  return nick.length + location.length + names + (key?.length ?? 0) + proofChars + 48;
}

function chunksOf(entries: readonly Entry[]): readonly (readonly Entry[])[] {
  const chunks: Entry[][] = [];
  let chunk: Entry[] = [];
  let chars = 0;
  for (const entry of entries) {
    chunk.push(entry);
    chars += charsOf(entry);
    if (chars < CHUNK_CHARS) continue;
    chunks.push(chunk);
    chunk = [];
    chars = 0;
  }
  if (chunk.length > 0 || chunks.length === 0) chunks.push(chunk);
  return chunks;
}

/** One snapshot at a time for each node that asks. */
export class SnapshotSender {
  readonly #options: SnapshotSenderOptions;
  readonly #cancels = new Map<string, () => void>();
  /** By the node that asked. */
  readonly #startedAt = new Map<string, number>();

  constructor(options: SnapshotSenderOptions) {
    this.#options = options;
  }

  /** @param to a node of the configuration */
  start(to: string, id: number): void {
    const now = this.#options.clock.now();
    if (now - (this.#startedAt.get(to) ?? -Infinity) < BETWEEN_SNAPSHOTS_MS) return;
    this.#startedAt.set(to, now);
    this.#cancels.get(to)?.();
    this.#cancels.delete(to);
    this.#next(to, id, chunksOf(this.#options.entries()), 0);
  }

  stop(): void {
    for (const cancel of this.#cancels.values()) cancel();
    this.#cancels.clear();
  }

  #next(to: string, id: number, chunks: readonly (readonly Entry[])[], index: number): void {
    const entries = chunks[index];
    if (!entries) {
      this.#cancels.delete(to);
      return;
    }
    const { clock, send } = this.#options;
    send(to, { type: 'chunk', id, index, total: chunks.length, entries });
    this.#cancels.set(
      to,
      clock.after(BETWEEN_CHUNKS_MS, () => this.#next(to, id, chunks, index + 1)),
    );
  }
}

/** A snapshot on its way. */
interface Arriving {
  readonly id: number;
  next: number;
  at: number;
  readonly entries: Map<string, Entry>;
  /** Changes since the first chunk; undefined: the peer left. */
  readonly changes: Map<string, Entry | undefined>;
}

export interface SnapshotReceiverOptions {
  readonly clock: Clock;
  readonly send: (to: string, record: ClusterRecord) => void;
  /** A snapshot is complete, with all changes that came meanwhile. */
  readonly onSnapshot: (node: string, entries: ReadonlyMap<string, Entry>) => void;
}

/** At most one snapshot of each node is on its way. */
export class SnapshotReceiver {
  readonly #options: SnapshotReceiverOptions;
  readonly #arriving = new Map<string, Arriving>();
  #ids = 0;

  constructor(options: SnapshotReceiverOptions) {
    this.#options = options;
  }

  /** Asks for a snapshot, unless one is on its way. */
  want(node: string): void {
    const { clock, send } = this.#options;
    const now = clock.now();
    const arriving = this.#arriving.get(node);
    if (arriving && now - arriving.at < STALLED_MS) return;
    const id = ++this.#ids;
    this.#arriving.set(node, { id, next: 0, at: now, entries: new Map(), changes: new Map() });
    send(node, { type: 'want', id });
  }

  isArriving(node: string): boolean {
    return this.#arriving.has(node);
  }

  chunk(node: string, chunk: Extract<ClusterRecord, { readonly type: 'chunk' }>): void {
    const arriving = this.#arriving.get(node);
    if (arriving?.id !== chunk.id) return;
    const { entries, changes } = arriving;
    if (chunk.index !== arriving.next || entries.size + chunk.entries.length > MAX_ENTRIES) {
      // One was lost; the next heartbeat shows that the lists differ.
      this.#arriving.delete(node);
      return;
    }
    arriving.next++;
    arriving.at = this.#options.clock.now();
    for (const entry of chunk.entries) entries.set(entry.nick, entry);
    if (arriving.next < chunk.total) return;
    this.#arriving.delete(node);
    for (const [nick, entry] of changes) {
      if (entry) entries.set(nick, entry);
      else entries.delete(nick);
    }
    this.#options.onSnapshot(node, entries);
  }

  /** A peer joined (`entry`) or left while a snapshot may be on its way. */
  changed(node: string, nick: string, entry: Entry | undefined): void {
    const arriving = this.#arriving.get(node);
    if (!arriving || arriving.next === 0) return;
    arriving.changes.set(nick, entry);
    if (arriving.changes.size > MAX_CHANGES) this.#arriving.delete(node);
  }

  /** The node began again, or is dead. */
  forget(node: string): void {
    this.#arriving.delete(node);
  }
}
