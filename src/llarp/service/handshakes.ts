/**
 * First frames of conversations wait here: each costs a decapsulation and a signature check, some milliseconds. A
 * bounded number waits, a bounded number is opened each second, and a tag is taken once.
 */
import type { Clock } from '../../kit/clock.js';
import { TokenBucket } from '../../kit/rate-limit.js';
import type { HiddenServiceFrame } from '../routing-messages.js';
import type { Path } from '../path/path.js';
import { acceptConversation, type Begun } from './frames.js';
import type { ServiceKeys } from './keys.js';
import { isAligned } from './ways.js';

export type BeginFrame = Extract<HiddenServiceFrame, { kind: 'begin' }>;

/** Most frames that wait; further ones are dropped, and their senders try again. */
export const MAX_WAITING = 64;
/** Frames that are opened in a second: a fifth of the time of one processor. */
export const HANDSHAKES_PER_SECOND = 20;
/**
 * The introduction for replies in a first frame may be valid for so long. It is signed, so a frame that is repeated
 * later is refused by its time, and one that is repeated earlier by its tag.
 */
export const MAX_REPLY_LIFE_MS = 900_000n;
/** Tags of the last 15 minutes, at the rate above. When they are full, no conversation begins. */
export const MAX_TAGS = 18_432;

/** Why a first frame was dropped. */
export type HandshakeFault = 'queue' | 'wrong' | 'stale' | 'repeated' | 'tags';

export interface HandshakesOptions {
  readonly clock: Clock;
  readonly wallClock: () => bigint;
  readonly keys: ServiceKeys;
  onBegun(begun: Begun): void;
}

export class Handshakes {
  readonly #options: HandshakesOptions;
  readonly #bucket: TokenBucket;
  #waiting: { readonly frame: BeginFrame; readonly path: Path }[] = [];
  /** Tags of first frames, with the time until when they could be repeated. The oldest first. */
  readonly #tags = new Map<string, bigint>();
  #cancel: (() => void) | undefined;
  readonly dropped: Record<HandshakeFault, number> = {
    queue: 0,
    wrong: 0,
    stale: 0,
    repeated: 0,
    tags: 0,
  };

  constructor(options: HandshakesOptions) {
    this.#options = options;
    this.#bucket = new TokenBucket(options.clock, HANDSHAKES_PER_SECOND, HANDSHAKES_PER_SECOND);
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get tags(): number {
    return this.#tags.size;
  }

  /** @param path the path that it came over */
  add(frame: BeginFrame, path: Path): void {
    if (this.#waiting.length >= MAX_WAITING) {
      this.dropped.queue++;
      return;
    }
    this.#waiting.push({ frame, path });
    this.#next(0);
  }

  close(): void {
    this.#cancel?.();
    this.#waiting = [];
    this.#tags.clear();
  }

  /** Forgets tags whose frames are stale by now. */
  sweep(): void {
    const now = this.#options.wallClock();
    for (const [tag, until] of this.#tags) if (until <= now) this.#tags.delete(tag);
  }

  /** One frame in a turn of the event loop. */
  #next(ms: number): void {
    this.#cancel ??= this.#options.clock.after(ms, () => {
      this.#cancel = undefined;
      if (this.#waiting.length === 0) return;
      if (!this.#bucket.take()) {
        this.#next(1_000 / HANDSHAKES_PER_SECOND);
        return;
      }
      const next = this.#waiting.shift();
      if (next) this.#open(next.frame, next.path);
      if (this.#waiting.length > 0) this.#next(0);
    });
  }

  #open(frame: BeginFrame, path: Path): void {
    const { keys, wallClock } = this.#options;
    if (this.#tags.size >= MAX_TAGS) {
      this.dropped.tags++;
      return;
    }
    const begun = acceptConversation(keys, frame);
    if (!begun || !isAligned(begun.data.replyTo, frame.source, path)) {
      this.dropped.wrong++;
      return;
    }
    const { expires } = begun.data.replyTo;
    const now = wallClock();
    if (expires <= now || expires > now + MAX_REPLY_LIFE_MS) {
      this.dropped.stale++;
      return;
    }
    const tag = Buffer.from(begun.data.tag).toString('hex');
    if (this.#tags.has(tag)) {
      this.dropped.repeated++;
      return;
    }
    this.#tags.set(tag, expires);
    this.#options.onBegun(begun);
  }
}
