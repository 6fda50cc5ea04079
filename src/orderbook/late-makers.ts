/**
 * Asks a maker for its signed offers when an unsigned offer of it is seen: a maker that came after all
 * makers were asked, or one whose offers changed. It first asks in private. Some deployed makers answer
 * `!orderbook` only in public; for makers that stay silent all makers are asked, at longer intervals
 * (docs/protocol.md, section 8.3).
 */
import { BoundedMap } from '../kit/bounded-map.js';
import type { OnionMessageChannel } from '../channel/channel-api.js';
import type { Clock } from '../channel/ports.js';

export interface LateMakerLimits {
  /** Milliseconds between two private requests. */
  readonly everyMs: number;
  /** Milliseconds between two requests to one maker. */
  readonly perMakerMs: number;
  /** Most waiting makers of each directory; further ones are not asked. */
  readonly waiting: number;
  /** Makers whose last request is remembered. */
  readonly remembered: number;
  /** A maker without an answer after this time counts as silent, in milliseconds. */
  readonly answerMs: number;
  /**
   * Least time since all makers were asked before they are asked again for silent ones, in
   * milliseconds.
   */
  readonly everybodyMs: number;
}

export const DEFAULT_LATE_MAKER_LIMITS: LateMakerLimits = {
  everyMs: 500,
  perMakerMs: 120_000,
  waiting: 100,
  remembered: 5_000,
  answerMs: 20_000,
  everybodyMs: 180_000,
};

/** A private message needs an argument; makers ignore it. */
const ASKED_FOR = 'signed';

export interface LateMakersOptions {
  readonly channel: Pick<OnionMessageChannel, 'send'>;
  readonly clock: Clock;
  readonly limits?: Partial<LateMakerLimits>;
  /** Whether the book has unsigned offers of this maker. */
  readonly inDoubt: (maker: string) => boolean;
  /** When all makers were asked last; undefined if never. */
  readonly askedAt: () => number | undefined;
  readonly askEverybody: () => void;
}

export interface LateMakers {
  /** The directory has just relayed a public offer of this maker. */
  heard(maker: string, directory: string): void;
  /** A signed message of this maker arrived. */
  answered(maker: string): void;
  /** Makers that wait to be asked. */
  readonly waiting: number;
  close(): void;
}

export function createLateMakers(options: LateMakersOptions): LateMakers {
  const { channel, clock, inDoubt, askedAt, askEverybody } = options;
  const limits = { ...DEFAULT_LATE_MAKER_LIMITS, ...options.limits };
  /**
   * By directory, in the order of their turns: a directory that invents makers must not delay those of
   * another.
   */
  const queues = new Map<string, Set<string>>();
  /** When each maker was asked, the oldest first. */
  const asked = new BoundedMap<string, number>(limits.remembered, (maker) =>
    expected.delete(maker),
  );
  /** Makers among them whose answer is due. */
  const expected = new Set<string>();
  let lastAt = -Infinity;
  let cancelNext: (() => void) | undefined;
  let cancelAnswers: (() => void) | undefined;
  let cancelEverybody: (() => void) | undefined;

  function wasAskedLately(maker: string): boolean {
    const at = asked.get(maker);
    return at !== undefined && clock.now() - at < limits.perMakerMs;
  }

  /** Removes and returns the next maker of the queues; its directory goes to the end. */
  function take(): string | undefined {
    for (const [directory, queue] of queues) {
      queues.delete(directory);
      for (const maker of queue) {
        queue.delete(maker);
        if (!inDoubt(maker) || wasAskedLately(maker)) continue;
        if (queue.size > 0) queues.set(directory, queue);
        return maker;
      }
    }
    return undefined;
  }

  function next(): void {
    cancelNext = undefined;
    const maker = take();
    if (maker === undefined) return;
    lastAt = clock.now();
    asked.set(maker, clock.now());
    // A maker that cannot be reached alone is asked together with all makers.
    channel.send(maker, 'orderbook', ASKED_FOR);
    expected.add(maker);
    cancelAnswers ??= clock.after(limits.answerMs, lookForAnswers);
    schedule();
  }

  function schedule(): void {
    if (queues.size === 0 || cancelNext) return;
    cancelNext = clock.after(Math.max(0, lastAt + limits.everyMs - clock.now()), next);
  }

  function lookForAnswers(): void {
    cancelAnswers = undefined;
    let silent = false;
    for (const maker of expected) {
      const dueInMs = (asked.get(maker) ?? -Infinity) + limits.answerMs - clock.now();
      if (dueInMs > 0) {
        cancelAnswers = clock.after(dueInMs, lookForAnswers);
        break;
      }
      expected.delete(maker);
      silent ||= inDoubt(maker);
    }
    if (silent) everybodySoon();
  }

  function everybodySoon(): void {
    const last = askedAt();
    // All makers are asked when the channel is ready.
    if (cancelEverybody || last === undefined) return;
    cancelEverybody = clock.after(Math.max(0, last + limits.everybodyMs - clock.now()), () => {
      cancelEverybody = undefined;
      // All makers may have been asked meanwhile for another reason.
      const since = clock.now() - (askedAt() ?? -Infinity);
      if (since >= limits.everybodyMs) askEverybody();
    });
  }

  return {
    heard(maker, directory) {
      if (!inDoubt(maker) || wasAskedLately(maker)) return;
      const queue = queues.get(directory) ?? new Set<string>();
      if (queue.size >= limits.waiting) return;
      queue.add(maker);
      queues.set(directory, queue);
      schedule();
    },
    answered: (maker) => void expected.delete(maker),
    get waiting() {
      let count = 0;
      for (const queue of queues.values()) count += queue.size;
      return count;
    },
    close() {
      cancelNext?.();
      cancelAnswers?.();
      cancelEverybody?.();
      queues.clear();
      expected.clear();
    },
  };
}
