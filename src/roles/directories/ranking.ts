/** The order in which directories are tried. Pure. */
import type { Random } from '../../channel/ports.js';
import { formatLocation, type Location } from '../../protocol/location.js';
import type { Contact, ContactHistory } from './contact-history.js';

const DAY = 86_400;
/** A directory that has not worked for so long is tried last. */
const DARK_SECONDS = 7 * DAY;
/** A directory that is not used is tried again after so long. */
const RETRY_SECONDS = DAY;
/** New directories are all tried within so many hourly rounds: less than a day. */
const ROUNDS = 20;
const MOST_AT_ONCE = 64;

/**
 * - 0: the last attempt worked
 * - 1: new: never tried
 * - 2: it failed, but not for long
 * - 3: dark: it has failed for a week
 */
function group(contact: Contact | undefined, now: number): number {
  if (contact?.tried === undefined) return 1;
  if (contact.failing === undefined) return 0;
  const since = Math.max(contact.failing, contact.worked ?? 0);
  return now - since >= DARK_SECONDS ? 3 : 2;
}

/** Steps of a quarter, so that equally good directories share the load. */
function quality({ attempts, successes }: Contact): number {
  return Math.round(((successes + 1) / (attempts + 2)) * 4);
}

/** The candidates, the best first; equal ones in random order. Duplicates count once. */
export function ranked(
  candidates: readonly Location[],
  history: ContactHistory,
  now: number,
  random: Random,
): readonly Location[] {
  const different = new Map(candidates.map((location) => [formatLocation(location), location]));
  const rows = [...different.values()].map((location) => {
    const contact = history.of(location);
    const rank = [group(contact, now), contact ? -quality(contact) : 0, random()] as const;
    return { location, rank };
  });
  return rows
    .toSorted((a, b) => {
      const [group1, quality1, chance1] = a.rank;
      const [group2, quality2, chance2] = b.rank;
      return group1 - group2 || quality1 - quality2 || chance1 - chance2;
    })
    .map(({ location }) => location);
}

/**
 * The directories to test in this hour, of those that are not in use: new ones, so many that all are tried
 * within a day, and one that was not tried for a day.
 */
export function toExplore(
  unused: readonly Location[],
  history: ContactHistory,
  now: number,
  random: Random,
): readonly Location[] {
  const order = ranked(unused, history, now, random);
  const fresh = order.filter((location) => history.of(location)?.tried === undefined);
  const triedAt = (location: Location): number => history.of(location)?.tried ?? now;
  const [stale] = order
    .filter((location) => triedAt(location) <= now - RETRY_SECONDS)
    .toSorted((a, b) => triedAt(a) - triedAt(b));
  const share = Math.min(MOST_AT_ONCE, Math.max(1, Math.ceil(unused.length / ROUNDS)));
  return [...fresh.slice(0, share), ...(stale === undefined ? [] : [stale])];
}
