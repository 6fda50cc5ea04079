/**
 * Public messages of peers for which another node speaks. They wait until that node has relayed them, and are
 * relayed here when its connection of the peer has ended. Pure.
 */
import { BoundedMap } from '../kit/bounded-map.js';
import type { Clock } from '../kit/clock.js';

/** Longer than a node needs to find that a connection is dead: a ping, its answer, and a death. */
const HELD_MS = 60_000;
/** After this time, the node that speaks is asked whether its connection lives. */
const PROBE_MS = 3_000;
const MAX_PEERS = 5_000;
const MAX_MESSAGES = 32;
/** Most characters of all together. */
const MAX_CHARS = 8_388_608;

export interface HeldMessage {
  readonly payload: string;
  readonly ordinal: number;
  readonly at: number;
}

interface HeldPeer {
  readonly messages: HeldMessage[];
  probed: boolean;
}

export class Held {
  readonly #clock: Clock;
  readonly #peers: BoundedMap<string, HeldPeer>;
  #chars = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#peers = new BoundedMap(MAX_PEERS, (_nick, peer) => this.#uncount(peer));
  }

  add(nick: string, payload: string, ordinal: number): void {
    const peer = this.#peers.use(nick, () => ({ messages: [], probed: false }));
    peer.messages.push({ payload, ordinal, at: this.#clock.now() });
    this.#chars += payload.length;
    while (peer.messages.length > MAX_MESSAGES) this.#shift(peer);
    for (const [oldest, { messages }] of this.#peers) {
      if (this.#chars <= MAX_CHARS) break;
      if (messages.length > 0 || oldest !== nick) this.take(oldest);
    }
  }

  /** All messages of a peer, which are held no longer; in their order. */
  take(nick: string): readonly HeldMessage[] {
    const peer = this.#peers.get(nick);
    if (!peer) return [];
    this.#peers.delete(nick);
    this.#uncount(peer);
    return peer.messages;
  }

  /** Whether a message of this peer waits. */
  has(nick: string): boolean {
    return this.#peers.has(nick);
  }

  nicks(): readonly string[] {
    return [...this.#peers.keys()];
  }

  /**
   * Forgets what was relayed or is old.
   * @param probe called once for each peer whose node relays nothing of it
   */
  sweep(
    isRelayed: (nick: string, message: HeldMessage) => boolean,
    probe: (nick: string) => void,
  ): void {
    const now = this.#clock.now();
    for (const [nick, peer] of this.#peers) {
      const kept = peer.messages.filter(
        (message) => now - message.at < HELD_MS && !isRelayed(nick, message),
      );
      this.#uncount(peer);
      if (kept.length === 0) {
        this.#peers.delete(nick);
        continue;
      }
      peer.messages.splice(0, peer.messages.length, ...kept);
      for (const { payload } of kept) this.#chars += payload.length;
      const [oldest] = kept;
      if (!oldest || peer.probed || now - oldest.at < PROBE_MS) continue;
      peer.probed = true;
      probe(nick);
    }
  }

  #shift(peer: HeldPeer): void {
    this.#chars -= peer.messages.shift()?.payload.length ?? 0;
  }

  #uncount({ messages }: HeldPeer): void {
    for (const { payload } of messages) this.#chars -= payload.length;
  }
}
