/**
 * The receiving half of a session: joins fragments into messages, acknowledges them, and delivers each message once.
 * The first fragment may arrive after others, because packets overtake each other.
 */
import type { Clock } from '../../kit/clock.js';
import { BoundedSet } from '../../kit/bounded-map.js';
import { equalBytes } from '../bytes.js';
import { shortHash } from '../crypto.js';
import { MAX_FRAGMENT_BYTES, MAX_MESSAGE_BYTES, type InnerMessage } from './messages.js';

/** Most messages that are not complete; the oldest is dropped. */
const MAX_PARTIAL = 64;
/** Most bytes of messages that are not complete: a sender holds no more either. The oldest message is dropped. */
const MAX_PARTIAL_BYTES = 1_048_576;
/** How many delivered messages are remembered, so that a repeated one is only acknowledged. */
const MAX_DELIVERED = 4_096;
/** A message that gets no fragment for so long is dropped. */
const PARTIAL_MS = 10_000;
/** A partial message is acknowledged after so long without a fragment. */
const ACKNOWLEDGE_MS = 50;
const MAX_FRAGMENTS = Math.ceil(MAX_MESSAGE_BYTES / MAX_FRAGMENT_BYTES);

type Start = Extract<InnerMessage, { kind: 'start' }>;
type Continue = Extract<InnerMessage, { kind: 'continue' }>;

interface Partial {
  /** By number. */
  readonly fragments: Map<number, Uint8Array>;
  /** Of the first fragment, in memory of its own. */
  start: Pick<Start, 'size' | 'hash'> | undefined;
  bytes: number;
  /** Of the acknowledgement, then of the end. */
  cancel: () => void;
}

export interface ReassemblyOptions {
  readonly clock: Clock;
  send(message: InnerMessage): void;
  /** Called once for each message. The bytes are the callee's. */
  deliver(bytes: Uint8Array): void;
}

function bitsOf(numbers: Iterable<number>): Uint8Array {
  const bits = new Uint8Array(Math.ceil(MAX_FRAGMENTS / 8));
  for (const number of numbers) bits[number >> 3] = (bits[number >> 3] ?? 0) | (1 << (number & 7));
  return bits;
}

const ALL_BITS = bitsOf(Array.from({ length: MAX_FRAGMENTS }, (_, i) => i));

export class Reassembly {
  readonly #options: ReassemblyOptions;
  readonly #partial = new Map<number, Partial>();
  readonly #delivered = new BoundedSet<number>(MAX_DELIVERED);
  #bytes = 0;

  constructor(options: ReassemblyOptions) {
    this.#options = options;
  }

  /** Number of messages that are not complete. */
  get partial(): number {
    return this.#partial.size;
  }

  /** Bytes of messages that are not complete. */
  get partialBytes(): number {
    return this.#bytes;
  }

  fragment(message: Start | Continue): void {
    const { sequence } = message;
    if (this.#delivered.has(sequence)) {
      this.#acknowledge(sequence, ALL_BITS);
      return;
    }
    const partial = this.#partial.get(sequence) ?? this.#open(sequence);
    const number = message.kind === 'start' ? 0 : message.offset / MAX_FRAGMENT_BYTES;
    if (message.kind === 'start') {
      partial.start = { size: message.size, hash: message.hash.slice() };
    }
    if (!partial.fragments.has(number)) {
      // A copy: a part of the packet would keep all of its memory.
      partial.fragments.set(number, message.fragment.slice());
      this.#bytes += message.fragment.length;
      partial.bytes += message.fragment.length;
    }
    this.#makeRoom(sequence);
    if (!this.#completes(sequence, partial)) this.#acknowledgeLater(sequence, partial);
  }

  close(): void {
    for (const sequence of this.#partial.keys()) this.#drop(sequence);
  }

  #open(sequence: number): Partial {
    for (const oldest of this.#partial.keys()) {
      if (this.#partial.size < MAX_PARTIAL) break;
      this.#drop(oldest);
    }
    const partial: Partial = {
      fragments: new Map(),
      start: undefined,
      bytes: 0,
      cancel: () => undefined,
    };
    this.#partial.set(sequence, partial);
    return partial;
  }

  /** Drops the oldest messages beside this one until the others fit. */
  #makeRoom(sequence: number): void {
    for (const oldest of this.#partial.keys()) {
      if (this.#bytes <= MAX_PARTIAL_BYTES) return;
      if (oldest !== sequence) this.#drop(oldest);
    }
  }

  #drop(sequence: number): void {
    const partial = this.#partial.get(sequence);
    if (!partial) return;
    partial.cancel();
    this.#bytes -= partial.bytes;
    this.#partial.delete(sequence);
  }

  #completes(sequence: number, { start, fragments }: Partial): boolean {
    if (!start || fragments.size < Math.ceil(start.size / MAX_FRAGMENT_BYTES)) return false;
    const bytes = new Uint8Array(start.size);
    let filled = 0;
    for (const [number, fragment] of fragments) {
      const offset = number * MAX_FRAGMENT_BYTES;
      if (offset + fragment.length > start.size) break;
      bytes.set(fragment, offset);
      filled += fragment.length;
    }
    this.#drop(sequence);
    // A wrong message is forgotten, so that it may arrive again.
    if (filled !== start.size || !equalBytes(shortHash(bytes), start.hash)) return true;
    this.#delivered.add(sequence);
    this.#acknowledge(sequence, ALL_BITS);
    this.#options.deliver(bytes);
    return true;
  }

  #acknowledgeLater(sequence: number, partial: Partial): void {
    partial.cancel();
    partial.cancel = this.#options.clock.after(ACKNOWLEDGE_MS, () => {
      partial.cancel = this.#options.clock.after(PARTIAL_MS, () => this.#drop(sequence));
      this.#acknowledge(sequence, bitsOf(partial.fragments.keys()));
    });
  }

  #acknowledge(sequence: number, fragments: Uint8Array): void {
    this.#options.send({ kind: 'acknowledge', sequence, fragments });
  }
}
