/**
 * The sources that showed one offer, how, and since when they no longer do. The directories are those
 * of the operator, so there are few.
 */
import type { OfferSighting, WithdrawnReason } from './book-api.js';

type Times = { firstSeen: number; lastSeen: number };
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export interface Sightings {
  /** By directory, in the order in which they first showed it. */
  readonly byDirectory: Map<string, Mutable<OfferSighting>>;
  direct: Times | undefined;
}

/** The source of one message. */
export interface Source {
  /** `host:port`, or undefined for a direct link. */
  readonly directory: string | undefined;
  readonly verified: boolean;
  readonly at: number;
}

export function noSightings(): Sightings {
  return { byDirectory: new Map(), direct: undefined };
}

function sightingThrough(sightings: Sightings, directory: string, at: number) {
  const known = sightings.byDirectory.get(directory);
  if (known) return known;
  const fresh: Mutable<OfferSighting> = {
    directory,
    firstSeen: at,
    lastSeen: at,
    publicly: false,
    privately: false,
    differs: false,
    withdrawn: undefined,
  };
  sightings.byDirectory.set(directory, fresh);
  return fresh;
}

export function seenThrough(sightings: Sightings, { directory, verified, at }: Source): void {
  if (directory === undefined) {
    sightings.direct = { firstSeen: sightings.direct?.firstSeen ?? at, lastSeen: at };
    return;
  }
  const sighting = sightingThrough(sightings, directory, at);
  sighting.lastSeen = at;
  sighting.differs = false;
  sighting.withdrawn = undefined;
  if (verified) sighting.privately = true;
  else sighting.publicly = true;
}

/** The directory showed other terms than these. True when that is new. */
export function differsThrough(sightings: Sightings, { directory, at }: Source): boolean {
  if (directory === undefined) return false;
  const sighting = sightingThrough(sightings, directory, at);
  if (sighting.differs) return false;
  sighting.differs = true;
  return true;
}

/** True when the directory had shown the offer until now. */
export function withdrawThrough(
  sightings: Sightings,
  directory: string,
  reason: WithdrawnReason,
  at: number,
): boolean {
  const sighting = sightings.byDirectory.get(directory);
  if (!sighting || sighting.withdrawn) return false;
  sighting.withdrawn = { at, why: reason };
  return true;
}

/** Whether any source still shows the offer. */
export function isShown(sightings: Sightings): boolean {
  if (sightings.direct) return true;
  for (const { withdrawn } of sightings.byDirectory.values()) if (!withdrawn) return true;
  return false;
}

export function sightingsOf(sightings: Sightings): readonly OfferSighting[] {
  return [...sightings.byDirectory.values()].map((sighting) => ({ ...sighting }));
}

export function direct(sightings: Sightings): Readonly<Times> | undefined {
  return sightings.direct && { ...sightings.direct };
}
