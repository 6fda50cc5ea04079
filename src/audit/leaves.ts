/** Leaves that directories told, and those that were contradicted by the maker itself. */
import type { Clock } from '../channel/ports.js';

export interface LeaveCount {
  readonly told: number;
  readonly contradicted: number;
}

export interface Leaves {
  left(nick: string, directory: string): void;
  /** A signed message of the nick came, by this directory or (undefined) by a direct link. */
  spoke(nick: string, directory: string | undefined): void;
  of(directory: string): LeaveCount;
}

/** @param withinMs a message this long after the leave contradicts it
 *  @param most leaves remembered */
export function createLeaves(clock: Clock, withinMs: number, most: number): Leaves {
  const counts = new Map<string, { told: number; contradicted: number }>();
  /** By nick, in the order of the last leave: when each directory said so. */
  const recent = new Map<string, Map<string, number>>();

  function countOf(directory: string): { told: number; contradicted: number } {
    const known = counts.get(directory) ?? { told: 0, contradicted: 0 };
    counts.set(directory, known);
    return known;
  }

  return {
    left(nick, directory) {
      countOf(directory).told++;
      const claims = recent.get(nick) ?? new Map<string, number>();
      recent.delete(nick);
      recent.set(nick, claims);
      claims.set(directory, clock.now());
      const [oldest] = recent.keys();
      if (recent.size > most && oldest !== undefined) recent.delete(oldest);
    },
    spoke(nick, directory) {
      const claims = recent.get(nick);
      if (!claims) return;
      for (const [claimant, at] of claims) {
        claims.delete(claimant);
        // It came back there, or it is too long ago to say anything.
        if (claimant === directory || clock.now() - at > withinMs) continue;
        countOf(claimant).contradicted++;
      }
      if (claims.size === 0) recent.delete(nick);
    },
    of: (directory) => ({ ...(counts.get(directory) ?? { told: 0, contradicted: 0 }) }),
  };
}
