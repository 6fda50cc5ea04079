/**
 * Private messages for peers whose first connection is at another node. They are delivered here when that node dies:
 * it may not have written them. They are forgotten when only the connection there ends, because the one here may be
 * that of a stranger, who can wait for that moment. Pure.
 */
import { BoundedMap } from '../kit/bounded-map.js';
import type { Clock } from '../kit/clock.js';

/** Longer than the silence after which a node is dead. */
const KEPT_MS = 9_000;
const MAX_PEERS = 5_000;
const MAX_MESSAGES = 32;
/** Most characters of all together. */
const MAX_CHARS = 8_388_608;

export interface KeptMessage {
  readonly from: string;
  readonly payload: string;
  /** The node at which it came. */
  readonly node: string;
  readonly at: number;
}

export class KeptPrivate {
  readonly #clock: Clock;
  readonly #peers: BoundedMap<string, KeptMessage[]>;
  #chars = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#peers = new BoundedMap(MAX_PEERS, (_to, messages) => this.#uncount(messages));
  }

  add(to: string, message: Omit<KeptMessage, 'at'>): void {
    const messages = this.#peers.use(to, () => []);
    messages.push({ ...message, at: this.#clock.now() });
    this.#chars += message.payload.length;
    while (messages.length > MAX_MESSAGES) this.#uncount(messages.splice(0, 1));
    for (const [oldest] of this.#peers) {
      if (this.#chars <= MAX_CHARS) break;
      this.take(oldest);
    }
  }

  /** The messages for a peer, in their order; they are kept no longer. */
  take(to: string): readonly KeptMessage[] {
    const messages = this.#peers.get(to) ?? [];
    this.#peers.delete(to);
    this.#uncount(messages);
    const since = this.#clock.now() - KEPT_MS;
    return messages.filter(({ at }) => at >= since);
  }

  nicks(): readonly string[] {
    return [...this.#peers.keys()];
  }

  /** Forgets what is old. */
  sweep(): void {
    const since = this.#clock.now() - KEPT_MS;
    for (const [to, messages] of this.#peers) {
      const old = messages.findIndex(({ at }) => at >= since);
      if (old === 0) continue;
      this.#uncount(messages.splice(0, old === -1 ? messages.length : old));
      if (messages.length === 0) this.#peers.delete(to);
    }
  }

  #uncount(messages: readonly KeptMessage[]): void {
    for (const { payload } of messages) this.#chars -= payload.length;
  }
}
