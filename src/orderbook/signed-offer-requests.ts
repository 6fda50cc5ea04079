/**
 * Asks a maker for its signed offers when an unsigned offer of it is seen: a maker that came after all
 * makers were asked, or one whose offers changed. It first asks in private. Some deployed makers answer
 * `!orderbook` only in public; for makers that stay silent all makers are asked, at longer intervals
 * (docs/protocol.md, section 8.3).
 */
import { BoundedMap } from '../kit/bounded-map.js';
import type { OnionMessageChannel } from '../channel/channel-api.js';
import type { Clock } from '../channel/ports.js';

export interface SignedOfferRequestLimits {
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
  readonly allMakersMs: number;
}

export const DEFAULT_SIGNED_OFFER_REQUEST_LIMITS: SignedOfferRequestLimits = {
  everyMs: 500,
  perMakerMs: 120_000,
  waiting: 100,
  remembered: 5_000,
  answerMs: 20_000,
  allMakersMs: 180_000,
};

/** A private message needs an argument; makers ignore it. */
const ASKED_FOR = 'signed';

export interface SignedOfferRequestsOptions {
  readonly channel: Pick<OnionMessageChannel, 'send'>;
  readonly clock: Clock;
  readonly limits?: Partial<SignedOfferRequestLimits>;
  /** Whether the book has unsigned offers of this maker. */
  readonly needsSignedOffers: (maker: string) => boolean;
  /** When all makers were asked last; undefined if never. */
  readonly askedAt: () => number | undefined;
  readonly askAllMakers: () => void;
}

export class SignedOfferRequests {
  readonly #options: SignedOfferRequestsOptions;
  readonly #limits: SignedOfferRequestLimits;
  /**
   * By directory, in the order of their turns: a directory that invents makers must not delay those of
   * another.
   */
  readonly #queues = new Map<string, Set<string>>();
  /** When each maker was asked, the oldest first. */
  readonly #asked: BoundedMap<string, number>;
  /** Makers among them whose answer is due. */
  readonly #expected = new Set<string>();
  #lastAt = -Infinity;
  #cancelNext: (() => void) | undefined;
  #cancelAnswers: (() => void) | undefined;
  #cancelAllMakers: (() => void) | undefined;

  constructor(options: SignedOfferRequestsOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_SIGNED_OFFER_REQUEST_LIMITS, ...options.limits };
    this.#asked = new BoundedMap(this.#limits.remembered, (maker) => this.#expected.delete(maker));
  }

  /** Makers that wait to be asked. */
  get waiting(): number {
    let count = 0;
    for (const queue of this.#queues.values()) count += queue.size;
    return count;
  }

  /** The directory has just relayed a public offer of this maker. */
  heard(maker: string, directory: string): void {
    if (!this.#options.needsSignedOffers(maker) || this.#wasAskedLately(maker)) return;
    const queue = this.#queues.get(directory) ?? new Set<string>();
    if (queue.size >= this.#limits.waiting) return;
    queue.add(maker);
    this.#queues.set(directory, queue);
    this.#schedule();
  }

  /** A signed message of this maker arrived. */
  answered(maker: string): void {
    this.#expected.delete(maker);
  }

  close(): void {
    this.#cancelNext?.();
    this.#cancelAnswers?.();
    this.#cancelAllMakers?.();
    this.#queues.clear();
    this.#expected.clear();
  }

  #schedule(): void {
    if (this.#queues.size === 0 || this.#cancelNext) return;
    const { clock } = this.#options;
    const waitMs = Math.max(0, this.#lastAt + this.#limits.everyMs - clock.now());
    this.#cancelNext = clock.after(waitMs, () => this.#askNext());
  }

  #askNext(): void {
    const { channel, clock } = this.#options;
    this.#cancelNext = undefined;
    const maker = this.#take();
    if (maker === undefined) return;
    this.#lastAt = clock.now();
    this.#asked.set(maker, this.#lastAt);
    // A maker that cannot be reached alone is asked together with all makers.
    channel.send(maker, 'orderbook', ASKED_FOR);
    this.#expected.add(maker);
    this.#cancelAnswers ??= this.#lookForAnswersIn(this.#limits.answerMs);
    this.#schedule();
  }

  /** Removes and returns the next maker of the queues; its directory goes to the end. */
  #take(): string | undefined {
    for (const [directory, queue] of this.#queues) {
      this.#queues.delete(directory);
      for (const maker of queue) {
        queue.delete(maker);
        if (!this.#options.needsSignedOffers(maker) || this.#wasAskedLately(maker)) continue;
        if (queue.size > 0) this.#queues.set(directory, queue);
        return maker;
      }
    }
    return undefined;
  }

  #wasAskedLately(maker: string): boolean {
    const at = this.#asked.get(maker);
    return at !== undefined && this.#options.clock.now() - at < this.#limits.perMakerMs;
  }

  #lookForAnswersIn(ms: number): () => void {
    return this.#options.clock.after(ms, () => this.#lookForAnswers());
  }

  #lookForAnswers(): void {
    this.#cancelAnswers = undefined;
    let silent = false;
    for (const maker of this.#expected) {
      const askedAt = this.#asked.get(maker) ?? -Infinity;
      const dueInMs = askedAt + this.#limits.answerMs - this.#options.clock.now();
      if (dueInMs > 0) {
        this.#cancelAnswers = this.#lookForAnswersIn(dueInMs);
        break;
      }
      this.#expected.delete(maker);
      silent ||= this.#options.needsSignedOffers(maker);
    }
    if (silent) this.#askAllMakersSoon();
  }

  #askAllMakersSoon(): void {
    const { clock, askedAt, askAllMakers } = this.#options;
    const { allMakersMs } = this.#limits;
    const last = askedAt();
    // All makers are asked when the channel is ready.
    if (this.#cancelAllMakers || last === undefined) return;
    this.#cancelAllMakers = clock.after(Math.max(0, last + allMakersMs - clock.now()), () => {
      this.#cancelAllMakers = undefined;
      // All makers may have been asked meanwhile for another reason.
      const since = clock.now() - (askedAt() ?? -Infinity);
      if (since >= allMakersMs) askAllMakers();
    });
  }
}
