/** Several movable parts that are held and released as one. */
import type { Movable, Parcel } from '../kit/movable.js';
import { startReading, stopReading } from '../platform/native-socket.js';

interface Held {
  readonly part: Movable;
  readonly parcels: readonly Parcel[];
}

/**
 * Holds all parts, in order; returns the parcels of each. No stream of a part is read any more when the
 * next part is held. When one part cannot be moved, the others continue, and its error is thrown.
 */
export async function holdAll(parts: readonly Movable[]): Promise<readonly (readonly Parcel[])[]> {
  const held: Held[] = [];
  try {
    for (const part of parts) {
      // oxlint-disable-next-line no-await-in-loop -- in this order
      const parcels = await part.hold();
      for (const { stream } of parcels) stopReading(stream);
      held.push({ part, parcels });
    }
  } catch (error) {
    releaseAll(held.map(({ part }) => part));
    for (const { parcels } of held) for (const { stream } of parcels) startReading(stream);
    throw error;
  }
  return held.map(({ parcels }) => parcels);
}

/** Releases all parts, in the reverse order. */
export function releaseAll(parts: readonly Movable[]): void {
  for (const part of parts.toReversed()) part.release();
}
