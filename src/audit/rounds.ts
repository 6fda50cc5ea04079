/**
 * Collects which directory delivered a message. A round opens with the first arrival and closes a
 * minute later. The number of rounds is bounded.
 */
import type { Clock } from '../channel/ports.js';

export interface RoundsOptions {
  readonly clock: Clock;
  /** From the first arrival to the end of the round, in milliseconds. */
  readonly roundMs: number;
  /** Most open rounds; above it no round is opened. */
  readonly most: number;
  /** Directories that are connected and show this nick now. */
  readonly shownBy: (nick: string) => readonly string[];
  /**
   * `delivered` is not empty; `eligible` contains it and the directories that could also have
   * delivered.
   */
  readonly onClosed: (round: ClosedRound) => void;
}

export interface ClosedRound {
  readonly nick: string;
  readonly private: boolean;
  readonly eligible: readonly string[];
  readonly delivered: ReadonlySet<string>;
}

export interface Rounds {
  /** An arrival; `opens` says whether it may open a round. One open round for each key. */
  arrived(key: string, nick: string, directory: string, isPrivate: boolean, opens: boolean): void;
  /** The directory announced that the nick left: it need not deliver in the open rounds. */
  left(nick: string, directory: string): void;
  /** The same for all nicks of a directory. */
  lost(directory: string): void;
  readonly open: number;
  close(): void;
}

interface Open {
  readonly nick: string;
  readonly private: boolean;
  readonly closesAt: number;
  /**
   * Directories that showed the nick when the round opened and have neither announced its leave nor
   * been lost.
   */
  readonly expected: Set<string>;
  readonly delivered: Set<string>;
}

export function createRounds(options: RoundsOptions): Rounds {
  const { clock, roundMs, most, shownBy, onClosed } = options;
  // In the order in which they will close.
  const rounds = new Map<string, Open>();
  /** The same by nick, since one line of a directory may announce thousands of leaves. */
  const byNick = new Map<string, Set<Open>>();
  let cancel: (() => void) | undefined;

  function begin(key: string, round: Open): void {
    rounds.set(key, round);
    const same = byNick.get(round.nick) ?? new Set();
    byNick.set(round.nick, same.add(round));
  }

  function end(key: string, round: Open): void {
    rounds.delete(key);
    const same = byNick.get(round.nick);
    same?.delete(round);
    if (same?.size === 0) byNick.delete(round.nick);
  }

  function closeDue(): void {
    cancel = undefined;
    for (const [key, round] of rounds) {
      if (round.closesAt > clock.now()) break;
      end(key, round);
      const still = new Set(shownBy(round.nick));
      const eligible = [...round.expected].filter((directory) => still.has(directory));
      const delivered = new Set(eligible.filter((directory) => round.delivered.has(directory)));
      if (delivered.size === 0) continue;
      onClosed({ nick: round.nick, private: round.private, eligible, delivered });
    }
    schedule();
  }

  function schedule(): void {
    const [first] = rounds.values();
    if (first && !cancel) {
      cancel = clock.after(Math.max(0, first.closesAt - clock.now()), closeDue);
    }
  }

  return {
    arrived(key, nick, directory, isPrivate, opens) {
      const known = rounds.get(key);
      if (known) {
        known.delivered.add(directory);
        return;
      }
      if (!opens || rounds.size >= most) return;
      begin(key, {
        nick,
        private: isPrivate,
        closesAt: clock.now() + roundMs,
        expected: new Set(shownBy(nick)),
        delivered: new Set([directory]),
      });
      schedule();
    },
    left(nick, directory) {
      for (const round of byNick.get(nick) ?? []) round.expected.delete(directory);
    },
    lost(directory) {
      for (const round of rounds.values()) round.expected.delete(directory);
    },
    get open() {
      return rounds.size;
    },
    close() {
      cancel?.();
      rounds.clear();
      byNick.clear();
    },
  };
}
