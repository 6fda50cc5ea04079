/**
 * What goes to one service: messages wait until there is a conversation and a route, take another route when one ends or
 * does not work, and are sent again when they were lost on the way.
 */
import type { Clock } from '../../kit/clock.js';
import type { RandomBytes } from '../crypto.js';
import type { Path } from '../path/path.js';
import type { ContactBook } from '../router/contact-book.js';
import type { Introduction, Introset, ServiceInfo } from '../structures.js';
import { ASKS, CONTROL_PROTOCOL, TELLS } from './control.js';
import type { Conversation } from './conversation.js';
import type { Conversations } from './conversations.js';
import type { DhtClient, SearchFault } from './dht-client.js';
import { nextFrame } from './frames.js';
import { IntrosetLookup } from './introset-lookup.js';
import type { ServiceKeys } from './keys.js';
import { Opening } from './opening.js';
import { MAX_TRIES, Outbox, type Message } from './outbox.js';
import type { PathPool } from './path-pool.js';
import { introductionOf } from './publisher.js';
import { Route, type Pair } from './route.js';

/** Messages of the last seconds are sent again when the other side does not know their conversation. */
const REJECTED_MS = 3_000;
const AGAIN_MS = 200;

/** Why a service cannot be reached. */
export type RemoteFault = SearchFault | 'no-answer' | 'low-order-key';

export interface OutgoingOptions {
  readonly clock: Clock;
  readonly wallClock: () => bigint;
  readonly randomBytes: RandomBytes;
  readonly keys: ServiceKeys;
  /** What others know of the own service. */
  readonly info: ServiceInfo;
  readonly pool: PathPool;
  readonly dht: DhtClient;
  readonly book: ContactBook;
  /** Of the other service, 32 bytes. */
  readonly address: Uint8Array;
  readonly conversations: Conversations;
  onFound(introset: Introset): void;
  /** The service cannot be reached; what waited is dropped. */
  onFailed(fault: RemoteFault): void;
}

export class Outgoing {
  readonly #options: OutgoingOptions;
  readonly #lookup: IntrosetLookup;
  readonly #route: Route;
  readonly #opening: Opening;
  readonly #outbox = new Outbox();
  /** When the first message was sent that nothing has followed from the other side. */
  #unheardSince: number | undefined;
  #isClosed = false;
  /** Set while messages wait for a router that is busy. */
  #cancelSoon: (() => void) | undefined;
  /** Messages that routers dropped, those that the first link did not take, and changes of path or way. */
  readonly counts = { discarded: 0, refused: 0, moved: 0 };

  constructor(options: OutgoingOptions) {
    const { clock, wallClock, randomBytes, keys, info, pool, dht, book, address } = options;
    this.#options = options;
    this.#lookup = new IntrosetLookup({
      clock,
      address,
      dht,
      onFound: (introset) => this.#onFound(introset),
      onNotFound: (fault) => {
        if (!this.#lookup.introset && !this.#usable()) this.#fail(fault);
      },
    });
    this.#route = new Route({
      clock,
      wallClock,
      pool,
      dht,
      book,
      onNeedsWays: () => this.#lookup.search(),
      onMoved: (isOtherPath) => this.#onMoved(isOtherPath),
    });
    this.#opening = new Opening({
      clock,
      randomBytes,
      keys,
      info,
      lookup: this.#lookup,
      route: this.#route,
      conversations: options.conversations,
      onUnanswered: () => this.doubt(),
      onFailed: (fault) => this.#fail(fault),
    });
  }

  /** Messages that wait. */
  get size(): number {
    return this.#outbox.size;
  }

  /** Queues a message; false when too much waits. */
  add(protocol: bigint, payload: Uint8Array): boolean {
    if (this.#isClosed || !this.#outbox.hasRoomFor(payload)) return false;
    this.#outbox.add({ protocol, payload, tries: 0 });
    this.pump();
    return true;
  }

  /** Tells the way back, unless a message waits that does. @param payload `TELLS` or `ASKS` */
  addControl(payload: Uint8Array): void {
    if (this.#outbox.size > 0) return;
    this.#outbox.add({ protocol: CONTROL_PROTOCOL, payload, tries: MAX_TRIES });
  }

  /** Milliseconds since the first message that nothing has followed; 0 when the other side was heard after it. */
  silence(now: number): number {
    return this.#unheardSince === undefined ? 0 : now - this.#unheardSince;
  }

  /** A message of the other side has come. */
  heard(): void {
    this.#unheardSince = undefined;
  }

  /** The other side names the way to it, which works: its message came. */
  learnReply(introduction: Introduction): void {
    this.#route.learnReply(introduction);
  }

  /** The other side has answered a first frame. */
  opened(): void {
    this.#opening.answered();
    this.pump();
  }

  /** Nothing comes back: takes another way or path, if there is one. */
  doubt(): void {
    if (this.#route.current) {
      this.#route.doubt();
      this.#unheardSince = undefined;
      this.#lookup.search();
      this.addControl(ASKS);
    }
    this.pump();
  }

  /** The other side does not know a conversation: the last messages are sent again with another one. */
  rejected(conversation: Conversation): void {
    const lost = this.#outbox.takeAll(conversation, this.#options.clock.now() - REJECTED_MS);
    this.#options.conversations.remove(conversation);
    for (const { message } of lost.toReversed()) this.#outbox.again(message);
    this.#pumpSoon();
  }

  /** A router dropped a message of this path. False when it was not one to this service. */
  discarded(path: Path, sequence: bigint): boolean {
    const sent = this.#outbox.take(path, sequence);
    if (!sent) return false;
    this.counts.discarded++;
    if (this.#route.strike(sent.way)) this.#lookup.search();
    this.#outbox.again(sent.message);
    this.#pumpSoon();
    return true;
  }

  /** A conversation is over: what was sent with it is not sent again. */
  forget(conversation: Conversation): void {
    this.#outbox.takeAll(conversation, Infinity);
  }

  /** Before the path or way in use expires: prepares another one. */
  renewRoute(): void {
    this.#route.renew();
  }

  /** Begins a conversation, unless one is being begun. */
  begin(): void {
    this.#opening.begin();
  }

  /** Sends what waits, or does what is missing for that. */
  pump(): void {
    if (this.#outbox.size === 0 || this.#isClosed) return;
    const conversation = this.#usable();
    if (!conversation) {
      this.#opening.begin();
      return;
    }
    for (;;) {
      const { first } = this.#outbox;
      const pair = first && this.#route.choose();
      if (!pair) return;
      if (!this.#transmit(conversation, pair, first)) {
        this.#pumpSoon();
        return;
      }
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#opening.close();
    this.#lookup.close();
    this.#route.close();
    this.#cancelSoon?.();
    this.#cancelSoon = undefined;
    this.#outbox.clear();
  }

  /** Not at once: a router that is busy would drop it again. */
  #pumpSoon(): void {
    if (this.#isClosed) return;
    this.#cancelSoon ??= this.#options.clock.after(AGAIN_MS, () => {
      this.#cancelSoon = undefined;
      this.pump();
    });
  }

  #usable(): Conversation | undefined {
    return this.#options.conversations.usable(this.#options.clock.now());
  }

  /** The other side learns the new way back, also when nothing else is to be sent. */
  #onMoved(isOtherPath: boolean): void {
    this.counts.moved++;
    if (!isOtherPath || this.#outbox.size > 0 || !this.#usable()) return;
    this.addControl(TELLS);
    this.#pumpSoon();
  }

  #onFound(introset: Introset): void {
    this.#options.onFound(introset);
    this.#route.learn(introset.introductions);
    this.pump();
  }

  /** False when the first link of the path takes no more. */
  #transmit(conversation: Conversation, { path, way }: Pair, message: Message): boolean {
    const { keys, info, randomBytes, clock } = this.#options;
    const now = clock.now();
    const data = {
      protocol: message.protocol,
      payload: message.payload,
      replyTo: introductionOf(path),
      sequence: conversation.nextSequence(),
      ends: conversation.secondsLeft(now),
      sender: info,
      tag: conversation.tag,
      version: 0n,
    };
    const source = path.farthestId;
    const frame = nextFrame(keys, conversation.key, { data, source }, randomBytes);
    const sequence = path.nextSequence;
    const { pathId } = way.introduction;
    if (!path.send({ kind: 'transfer', pathId, frame, version: 0n })) {
      this.counts.refused++;
      return false;
    }
    if (message.payload.length > 0) this.#unheardSince ??= now;
    this.#outbox.sent({ path, sequence, way, conversation, message, at: now });
    return true;
  }

  #fail(fault: RemoteFault): void {
    this.#outbox.clear();
    this.#options.onFailed(fault);
  }
}
