/**
 * Tor circuits, if the overlay reports them. Behind an onion every connection comes from 127.0.0.1, and
 * only the circuit shows that several connections belong to one client. Limits then count per circuit,
 * and reconnecting over the same circuit does not reset them.
 */
import { BoundedMap } from '../../kit/bounded-map.js';
import type { Meters } from '../rates.js';

/** How long the used budgets of a circuit without streams are kept. */
const KEPT_MS = 60_000;
/** Most circuits without streams that are kept. */
const MAX_KEPT = 10_000;

export interface Circuit {
  readonly id: string;
  /** Open connections. */
  streams: number;
  /** When its last connection closed. */
  leftAt: number;
  meters: Meters | undefined;
}

export interface Circuits {
  /** Circuits remembered, including those without streams. */
  readonly size: number;
  /** Adds a stream; `full` when the circuit has too many. `leave` removes it. */
  enter(id: string, maxStreams: number): Circuit | 'full';
  leave(circuit: Circuit, now: number): void;
  /** Removes circuits that are due. */
  sweep(now: number): void;
  clear(): void;
  /** All circuits; those without streams in the order in which their last one ended. */
  all(): readonly Circuit[];
  /** Restores a circuit of another process. Its streams `enter` it, before or afterwards. */
  restore(id: string, leftAt: number, meters: Meters | undefined): void;
}

export function createCircuits(): Circuits {
  const used = new Map<string, Circuit>();
  /** Circuits without streams, in the order in which their last one ended. */
  const left = new BoundedMap<string, Circuit>(MAX_KEPT);

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
      const circuit = used.get(id);
      if (circuit) circuit.meters = meters;
      else if (left.size < MAX_KEPT) left.set(id, { id, streams: 0, leftAt, meters });
    },
    clear() {
      used.clear();
      left.clear();
    },
  };
}
