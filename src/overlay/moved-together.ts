import type { Movable, Parcel } from '../handover/parcel.js';

/**
 * Holds all parts, in order; returns the parcels of each. When one cannot be moved, the others continue,
 * and its error is thrown.
 */
export async function holdAll(parts: readonly Movable[]): Promise<readonly (readonly Parcel[])[]> {
  const held: Movable[] = [];
  const parcels: (readonly Parcel[])[] = [];
  try {
    for (const part of parts) {
      // oxlint-disable-next-line no-await-in-loop -- in this order
      parcels.push(await part.hold());
      held.push(part);
    }
  } catch (error) {
    releaseAll(held);
    throw error;
  }
  return parcels;
}

/** Releases all parts, in the reverse order. */
export function releaseAll(parts: readonly Movable[]): void {
  for (const part of parts.toReversed()) part.release();
}
