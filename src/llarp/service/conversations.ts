/** The conversations with one service, the oldest first: bounded, and each ended when its time is over. */
import type { Conversation } from './conversation.js';

/** Most conversations with one service at a time. */
export const MAX_CONVERSATIONS = 4;

export class Conversations {
  readonly #onChange: (conversation: Conversation, change: 'added' | 'removed') => void;
  #all: readonly Conversation[] = [];

  constructor(onChange: (conversation: Conversation, change: 'added' | 'removed') => void) {
    this.#onChange = onChange;
  }

  get size(): number {
    return this.#all.length;
  }

  /** The newest conversation that messages may be sent with. @param now milliseconds of the clock */
  usable(now: number): Conversation | undefined {
    return this.#all.findLast((each) => each.isUsable(now));
  }

  /** Adds the newest one; the oldest one makes room. */
  add(conversation: Conversation): void {
    this.#all = [...this.#all, conversation];
    this.#onChange(conversation, 'added');
    const tooMany = this.#all.slice(0, Math.max(0, this.#all.length - MAX_CONVERSATIONS));
    for (const each of tooMany) this.remove(each);
  }

  remove(conversation: Conversation): void {
    this.#all = this.#all.filter((each) => each !== conversation);
    this.#onChange(conversation, 'removed');
  }

  /** Removes those with which nothing is read any more. */
  sweep(now: number): void {
    for (const each of this.#all) if (each.isOver(now)) this.remove(each);
  }

  clear(): void {
    for (const each of this.#all) this.remove(each);
  }
}
