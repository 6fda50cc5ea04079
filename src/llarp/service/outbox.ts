/**
 * The messages to one service: those that wait, in order, and the last ones that were sent, since a router may say that
 * it dropped one. Bounded in number and bytes. Pure.
 */
import type { Path } from '../path/path.js';
import type { Conversation } from './conversation.js';
import type { Way } from './ways.js';

/** Most messages and bytes that wait. */
export const MAX_QUEUED = 256;
export const MAX_QUEUED_BYTES = 2_097_152;
/** Messages that are remembered after they were sent. */
const MAX_SENT = 64;
/** A message that routers drop is sent so often. */
export const MAX_TRIES = 4;

export interface Message {
  readonly protocol: bigint;
  readonly payload: Uint8Array;
  tries: number;
}

export interface Sent {
  readonly path: Path;
  /** The number of its transfer on the path. */
  readonly sequence: bigint;
  readonly way: Way;
  readonly conversation: Conversation;
  readonly message: Message;
  /** In milliseconds of the clock. */
  readonly at: number;
}

export class Outbox {
  #waiting: Message[] = [];
  #bytes = 0;
  /** The oldest first. */
  #sent: Sent[] = [];

  /** Messages that wait. */
  get size(): number {
    return this.#waiting.length;
  }

  /** The next message. */
  get first(): Message | undefined {
    return this.#waiting[0];
  }

  /** Whether there is room for a message of the user. */
  hasRoomFor(payload: Uint8Array): boolean {
    return this.size < MAX_QUEUED && this.#bytes + payload.length <= MAX_QUEUED_BYTES;
  }

  add(message: Message): void {
    this.#waiting.push(message);
    this.#bytes += message.payload.length;
  }

  /** Puts a lost message before all that wait, unless it was sent too often. */
  again(message: Message): void {
    if (++message.tries >= MAX_TRIES) return;
    this.#waiting.unshift(message);
    this.#bytes += message.payload.length;
  }

  /** The first message was sent. */
  sent(sent: Sent): void {
    this.#waiting = this.#waiting.filter((each) => each !== sent.message);
    this.#bytes -= sent.message.payload.length;
    this.#sent.push(sent);
    if (this.#sent.length > MAX_SENT) this.#sent.shift();
  }

  /** Takes a sent message out by its place on a path; undefined when it is not remembered. */
  take(path: Path, sequence: bigint): Sent | undefined {
    const sent = this.#sent.find((each) => each.path === path && each.sequence === sequence);
    this.#sent = this.#sent.filter((each) => each !== sent);
    return sent;
  }

  /** Forgets what was sent in a conversation; returns what was sent since a time, the oldest first. */
  takeAll(conversation: Conversation, since: number): readonly Sent[] {
    const taken = this.#sent.filter((sent) => sent.conversation === conversation);
    this.#sent = this.#sent.filter((sent) => sent.conversation !== conversation);
    return taken.filter(({ at }) => at >= since);
  }

  clear(): void {
    this.#waiting = [];
    this.#bytes = 0;
    this.#sent = [];
  }
}
