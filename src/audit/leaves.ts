/** Counts the leaves that directories announced, and those that a message of the maker contradicted. */
import { BoundedMap } from '../kit/bounded-map.js';
import type { Clock } from '../channel/ports.js';

export interface LeaveCount {
  readonly told: number;
  readonly contradicted: number;
}

export interface Leaves {
  left(nick: string, directory: string): void;
  /** A signed message of the nick arrived, through this directory or (undefined) on a direct link. */
  spoke(nick: string, directory: string | undefined): void;
  of(directory: string): LeaveCount;
}

/** @param withinMs a message this soon after the leave contradicts it @param most leaves remembered */
export function createLeaves(clock: Clock, withinMs: number, most: number): Leaves {
  const counts = new Map<string, { told: number; contradicted: number }>();
  /** By nick, in the order of the last leave: the time at which each directory announced it. */
  const recent = new BoundedMap<string, Map<string, number>>(most);

  function countOf(directory: string): { told: number; contradicted: number } {
    const known = counts.get(directory) ?? { told: 0, contradicted: 0 };
    counts.set(directory, known);
    return known;
  }

  return {
    left(nick, directory) {
      countOf(directory).told++;
      recent.use(nick, () => new Map()).set(directory, clock.now());
    },
    spoke(nick, directory) {
      const announced = recent.get(nick);
      if (!announced) return;
      for (const [announcer, at] of announced) {
        announced.delete(announcer);
        // The maker came back there, or the leave is too old to judge.
        if (announcer === directory || clock.now() - at > withinMs) continue;
        countOf(announcer).contradicted++;
      }
      if (announced.size === 0) recent.delete(nick);
    },
    of: (directory) => ({ ...(counts.get(directory) ?? { told: 0, contradicted: 0 }) }),
  };
}
