/**
 * A peer that is connected to several nodes sends them the same messages. Each message has as many copies as
 * the connection on which it came most often: the n-th copy of a connection is new when fewer than n were
 * relayed. So a message that one connection lost is relayed from the other, and a text that a peer really
 * sends twice is relayed twice. Pure.
 */
import { BoundedMap } from '../kit/bounded-map.js';
import type { Clock } from '../kit/clock.js';
import { ownText } from '../protocol/own-text.js';
import { fingerprintText } from './digest.js';

/** How long after its last copy a message is remembered: the slowest circuit is faster. */
const REMEMBERED_MS = 60_000;
/** Copies that came no later than this after the first are still on their way. */
const SETTLED_MS = 10_000;
/** Most peers, and messages for each. */
const MAX_PEERS = 20_000;
const MAX_MESSAGES = 64;

interface Message {
  relayed: number;
  /** Copies by connection: the node at which they came. */
  readonly came: Map<string, number>;
  at: number;
}

/**
 * - `new`: relay it
 * - `copy`: it was relayed already
 */
export type CopyVerdict = 'new' | 'copy';

export class Copies {
  readonly #clock: Clock;
  readonly #peers = new BoundedMap<string, Map<string, Message>>(MAX_PEERS);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether messages of this peer are remembered: it was connected to several nodes a short while ago. */
  knows(nick: string): boolean {
    return this.#peers.has(nick);
  }

  /** A copy came by the connection to a node; it is relayed now if it is new. */
  take(nick: string, payload: string, node: string): CopyVerdict {
    const { message, ordinal } = this.#came(nick, payload, node);
    if (ordinal <= message.relayed) return 'copy';
    message.relayed++;
    return 'new';
  }

  /**
   * A copy came that another node relays. Undefined: it did already; otherwise the number of relayed copies
   * at which this one was relayed.
   */
  hold(nick: string, payload: string, node: string): number | undefined {
    const { message, ordinal } = this.#came(nick, payload, node);
    return ordinal <= message.relayed ? undefined : ordinal;
  }

  /** Whether a held copy was relayed meanwhile, or is not remembered any more. */
  isRelayed(nick: string, payload: string, ordinal: number): boolean {
    const message = this.#peers.get(nick)?.get(fingerprintText(payload));
    return message === undefined || message.relayed >= ordinal;
  }

  /** Another node relayed a copy, or a held one is relayed now. */
  relayed(nick: string, payload: string): void {
    this.#message(nick, payload).relayed++;
  }

  /** The peer has a new connection to this node, which has not seen earlier messages. */
  fresh(nick: string, node: string): void {
    for (const { came, relayed } of this.#peers.get(nick)?.values() ?? []) {
      came.set(node, relayed);
    }
  }

  /** After a change of the nodes: connections that lost a message of a while ago have caught up. */
  settle(): void {
    const before = this.#clock.now() - SETTLED_MS;
    for (const messages of this.#peers.values()) {
      for (const { came, relayed, at } of messages.values()) {
        if (at >= before) continue;
        for (const [node, count] of came) came.set(node, Math.max(count, relayed));
      }
    }
  }

  /** Forgets what is old. */
  sweep(): void {
    const before = this.#clock.now() - REMEMBERED_MS;
    for (const [nick, messages] of this.#peers) {
      for (const [print, { at }] of messages) if (at < before) messages.delete(print);
      if (messages.size === 0) this.#peers.delete(nick);
    }
  }

  #message(nick: string, payload: string): Message {
    const messages = this.#peers.use(
      ownText(nick),
      () => new BoundedMap<string, Message>(MAX_MESSAGES),
    );
    const print = fingerprintText(payload);
    const at = this.#clock.now();
    const message = messages.get(print) ?? { relayed: 0, came: new Map<string, number>(), at };
    message.at = at;
    messages.set(print, message);
    return message;
  }

  #came(nick: string, payload: string, node: string) {
    const message = this.#message(nick, payload);
    const ordinal = (message.came.get(node) ?? 0) + 1;
    message.came.set(node, ordinal);
    return { message, ordinal };
  }
}
