/** One conversation: a tag and a key that two services share for a time, and which messages have arrived. Pure. */
import { ReplayWindow } from '../iwp/replay-window.js';

/** Seconds after which the side that began a conversation ends it (`HSD.o`), after it has begun another one. */
export const CONVERSATION_SECONDS = 600n;
/** The side that began a conversation begins the next one after this time. */
export const RENEW_AFTER_MS = 450_000;
/** Messages are still read for so long after the end: they may be on their way. */
const LATE_MS = 30_000;

export interface ConversationOptions {
  readonly tag: Uint8Array;
  /** 32 bytes. */
  readonly key: Uint8Array;
  /** Begun by this side. */
  readonly isOwn: boolean;
  /** In milliseconds of the clock. */
  readonly now: number;
  readonly seconds: bigint;
}

export class Conversation {
  readonly tag: Uint8Array;
  readonly tagText: string;
  readonly key: Uint8Array;
  readonly isOwn: boolean;
  readonly beganAt: number;
  readonly #endsAt: number;
  readonly #window = new ReplayWindow();
  #sequence = 0n;
  /** The other side has used it. A conversation that the other side began is. */
  isEstablished: boolean;

  constructor({ tag, key, isOwn, now, seconds }: ConversationOptions) {
    this.tag = tag;
    this.tagText = Buffer.from(tag).toString('hex');
    this.key = key;
    this.isOwn = isOwn;
    this.isEstablished = !isOwn;
    this.beganAt = now;
    const most = seconds < CONVERSATION_SECONDS ? seconds : CONVERSATION_SECONDS;
    this.#endsAt = now + Number(most) * 1_000;
  }

  /** Whether messages may be sent with it. */
  isUsable(now: number): boolean {
    return this.isEstablished && now < this.#endsAt;
  }

  /** Whether nothing is read with it any more. */
  isOver(now: number): boolean {
    return now >= this.#endsAt + LATE_MS;
  }

  /** Whether it is time for the next one. */
  isOld(now: number): boolean {
    return now - this.beganAt >= RENEW_AFTER_MS;
  }

  /** Seconds until its end, for `HSD.o`. */
  secondsLeft(now: number): bigint {
    return BigInt(Math.max(0, Math.ceil((this.#endsAt - now) / 1_000)));
  }

  /** The number of the next message, `HSD.n`. */
  nextSequence(): bigint {
    return this.#sequence++;
  }

  /** The highest number of a message so far, plus 1. */
  get newest(): bigint {
    return this.#window.next;
  }

  /** Whether a message with this number is new; it is not new afterwards. */
  accept(sequence: bigint): boolean {
    return this.#window.accept(sequence);
  }
}
