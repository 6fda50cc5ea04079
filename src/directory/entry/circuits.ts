/**
 * Tor circuits, where the overlay tells them: behind an onion every connection comes from 127.0.0.1,
 * and the circuit is all that shows that many of them are one client's. Limits count per circuit
 * then, and a client does not renew them by connecting again over the same one.
 */
import type { Meters } from '../rates.js';

/** How long a circuit without streams keeps what it has used up. */
const KEPT_MS = 60_000;
/** Circuits without streams that are kept, at most. */
const MAX_KEPT = 10_000;

export interface Circuit {
  readonly id: string;
  /** Open connections. */
  streams: number;
  /** When the last of them closed. */
  leftAt: number;
  meters: Meters | undefined;
}

export interface Circuits {
  /** Remembered now, those without streams included. */
  readonly size: number;
  /** One more stream; `full` when the circuit has too many. To be given back by `leave`. */
  enter(id: string, maxStreams: number): Circuit | 'full';
  leave(circuit: Circuit, now: number): void;
  /** Forgets those that are due. */
  sweep(now: number): void;
  clear(): void;
  /** All that are remembered; those without streams in the order in which they were left. */
  all(): readonly Circuit[];
  /** A circuit that another process remembered. Its streams `enter` it. */
  restore(id: string, leftAt: number, meters: Meters | undefined): void;
}

export function createCircuits(): Circuits {
  const used = new Map<string, Circuit>();
  /** Without streams, in the order in which they were left. */
  const left = new Map<string, Circuit>();

  return {
    get size() {
      return used.size + left.size;
    },
    enter(id, maxStreams) {
      const circuit = used.get(id) ??
        left.get(id) ?? { id, streams: 0, leftAt: 0, meters: undefined };
      if (maxStreams > 0 && circuit.streams >= maxStreams) return 'full';
      left.delete(id);
      used.set(id, circuit);
      circuit.streams++;
      return circuit;
    },
    leave(circuit, now) {
      circuit.streams--;
      if (circuit.streams > 0) return;
      used.delete(circuit.id);
      circuit.leftAt = now;
      if (left.size >= MAX_KEPT) {
        const [oldest] = left.keys();
        if (oldest !== undefined) left.delete(oldest);
      }
      left.set(circuit.id, circuit);
    },
    sweep(now) {
      for (const circuit of left.values()) {
        if (now - circuit.leftAt < KEPT_MS) break;
        left.delete(circuit.id);
      }
    },
    all: () => [...used.values(), ...left.values()],
    restore(id, leftAt, meters) {
      if (left.size < MAX_KEPT) left.set(id, { id, streams: 0, leftAt, meters });
    },
    clear() {
      used.clear();
      left.clear();
    },
  };
}
