/**
 * What a hidden service keeps of another one it talks to: its keys, the ways to it, the conversations with it, and the
 * messages that wait for them. When a path or a way ends or does not work, the messages take another one.
 */
import type { Clock } from '../../kit/clock.js';
import { equalBytes } from '../bytes.js';
import type { RandomBytes } from '../crypto.js';
import type { Path } from '../path/path.js';
import { keyText } from '../router/distance.js';
import type { ContactBook } from '../router/contact-book.js';
import type { HiddenServiceData, HiddenServiceFrame } from '../routing-messages.js';
import type { Introduction, Introset, ServiceInfo } from '../structures.js';
import { CONVERSATION_SECONDS, Conversation } from './conversation.js';
import type { DhtClient, SearchFault } from './dht-client.js';
import {
  beginConversation,
  isFrameOf,
  MAX_PAYLOAD_BYTES,
  nextFrame,
  readNext,
  type Begun,
} from './frames.js';
import type { ServiceKeys } from './keys.js';
import type { PathPool } from './path-pool.js';
import { introductionOf } from './publisher.js';
import { Ways, type Way } from './ways.js';

/** Most messages and bytes that wait. */
export const MAX_QUEUED = 256;
export const MAX_QUEUED_BYTES = 2_097_152;
/** Most conversations with one service at a time. */
export const MAX_CONVERSATIONS = 4;
/**
 * `HSD.a` of messages that tell the way back. One with a byte of data asks for an answer. LLARP v0 has none, so this is
 * this project's own (docs/llarp.md, "Conversations").
 */
export const CONTROL_PROTOCOL = 0x6f63n;
const ASKS = Uint8Array.of(1);
/** The other side is asked for an answer when a message has had none for so long. */
const ASK_AFTER_MS = 4_000;
/** Another way is taken when nothing has come back for so long. */
const DOUBT_AFTER_MS = 9_000;
/** The answer to a first frame is awaited so long, so often. */
const HANDSHAKE_MS = 4_000;
const HANDSHAKE_TRIES = 5;
/** Messages that are remembered: a router may say that it dropped one. */
const MAX_SENT = 64;
/** A message that routers drop is sent so often. */
const MAX_TRIES = 4;
/** Messages of the last seconds are sent again when the other side does not know their conversation. */
const REJECTED_MS = 3_000;
const AGAIN_MS = 200;
const CHECK_MS = 3_000;
/** Least time between two look-ups. */
const LOOK_UP_EVERY_MS = 5_000;
/** A way or path with so much life left gets a successor. */
const SOON_MS = 60_000n;
/** A service without messages for so long is idle. */
const IDLE_MS = 120_000;
const NOTHING = new Uint8Array(0);

/** Why a service cannot be reached. */
export type RemoteFault = SearchFault | 'no-answer' | 'low-order-key';

interface Message {
  readonly protocol: bigint;
  readonly payload: Uint8Array;
  tries: number;
}

interface Sent {
  readonly path: Path;
  readonly sequence: bigint;
  readonly way: Way;
  readonly conversation: Conversation;
  readonly message: Message;
  readonly at: number;
}

/** An own path, and the introduction that ends at the same router. */
interface Pair {
  readonly path: Path;
  readonly way: Way;
}

export interface RemoteOptions {
  readonly clock: Clock;
  readonly wallClock: () => bigint;
  readonly randomBytes: RandomBytes;
  readonly keys: ServiceKeys;
  /** What others know of the own service. */
  readonly info: ServiceInfo;
  readonly pool: PathPool;
  readonly dht: DhtClient;
  readonly book: ContactBook;
  onConversation(conversation: Conversation, change: 'added' | 'removed'): void;
  onMessage(protocol: bigint, payload: Uint8Array): void;
  /** The service cannot be reached; what waited is dropped. */
  onFailed(fault: RemoteFault): void;
}

/**
 * Whether the introduction in a frame is the path that the frame was sent over: it ends where the own path ends. Others
 * are not used, so that no stranger chooses where paths are built to.
 */
export function isAligned(replyTo: Introduction, source: Uint8Array, path: Path): boolean {
  return equalBytes(replyTo.router, path.farthestRouter) && equalBytes(replyTo.pathId, source);
}

export class RemoteService {
  readonly #address: Uint8Array;
  readonly #options: RemoteOptions;
  readonly #ways = new Ways();
  #info: ServiceInfo | undefined;
  #introset: Introset | undefined;
  /** The oldest first. */
  #conversations: Conversation[] = [];
  #queue: Message[] = [];
  #queuedBytes = 0;
  #sent: Sent[] = [];
  #current: Pair | undefined;
  /** The pair before, when the current one is in doubt. */
  #before: Pair | undefined;
  /** When the first message was sent that nothing has followed from the other side. */
  #unheardSince: number | undefined;
  /** The way that the last message of the other side named. */
  #preferred: Way | undefined;
  #handshake: { readonly tries: number; readonly cancel: () => void } | undefined;
  #isLookingUp = false;
  #isFindingRouter = false;
  #lookedUpAt = -Infinity;
  #usedAt: number;
  #isClosed = false;
  readonly #agains = new Set<() => void>();
  /** What was dropped, by reason; `moved` counts changes of path or way. */
  readonly counts = {
    full: 0,
    frame: 0,
    replay: 0,
    discarded: 0,
    rejected: 0,
    refused: 0,
    moved: 0,
  };

  /** @param address 32 bytes */
  constructor(address: Uint8Array, options: RemoteOptions) {
    this.#address = address;
    this.#options = options;
    this.#usedAt = options.clock.now();
  }

  get conversations(): number {
    return this.#conversations.length;
  }

  get queued(): number {
    return this.#queue.length;
  }

  /** No message came or went for some time. */
  isIdle(): boolean {
    return this.#queue.length === 0 && this.#options.clock.now() - this.#usedAt >= IDLE_MS;
  }

  /** Queues a message; false when too much waits. Throws a RangeError for one that is too long. */
  send(protocol: bigint, payload: Uint8Array): boolean {
    if (payload.length > MAX_PAYLOAD_BYTES) {
      throw new RangeError(`a message has at most ${MAX_PAYLOAD_BYTES} bytes`);
    }
    const isFull = this.#queuedBytes + payload.length > MAX_QUEUED_BYTES;
    if (this.#isClosed || isFull || this.#queue.length >= MAX_QUEUED) {
      this.counts.full++;
      return false;
    }
    this.#usedAt = this.#options.clock.now();
    this.#push({ protocol, payload, tries: 0 });
    this.pump();
    return true;
  }

  /** Nothing comes back: takes another way or path, if there is one. */
  doubt(): void {
    const current = this.#current;
    if (!current) {
      this.pump();
      return;
    }
    this.#ways.doubt(current.way, this.#options.clock.now());
    current.path.check(CHECK_MS);
    this.#before = current;
    this.#current = undefined;
    this.#unheardSince = undefined;
    this.#lookUp();
    this.#pushControl(ASKS);
    this.pump();
  }

  /** The other side began a conversation. */
  begun({ key, data }: Begun): void {
    const now = this.#options.clock.now();
    this.#info = data.sender;
    this.#usedAt = now;
    this.#unheardSince = undefined;
    const seconds = data.ends ?? CONVERSATION_SECONDS;
    const conversation = new Conversation({ tag: data.tag, key, isOwn: false, now, seconds });
    conversation.accept(data.sequence);
    this.#add(conversation);
    this.#learnReply(data.replyTo);
    // The answer tells that the conversation is known here.
    this.#pushControl();
    this.pump();
    this.#deliver(data);
  }

  /** A later frame of a conversation with this service. @param path the path that it came over */
  next(
    conversation: Conversation,
    frame: Extract<HiddenServiceFrame, { kind: 'next' }>,
    path: Path,
  ): void {
    const data = this.#info && readNext(frame, conversation.key, this.#info);
    if (!data) {
      this.counts.frame++;
      return;
    }
    const isNewest = data.sequence >= conversation.newest;
    if (!conversation.accept(data.sequence)) {
      this.counts.replay++;
      return;
    }
    this.#usedAt = this.#options.clock.now();
    this.#unheardSince = undefined;
    if (isNewest && isAligned(data.replyTo, frame.source, path)) this.#learnReply(data.replyTo);
    if (!conversation.isEstablished) this.#established(conversation);
    this.#deliver(data);
  }

  /** The other side does not know a conversation. */
  rejected(conversation: Conversation, frame: HiddenServiceFrame): void {
    if (!this.#info || !isFrameOf(frame, this.#info)) {
      this.counts.frame++;
      return;
    }
    this.counts.rejected++;
    const since = this.#options.clock.now() - REJECTED_MS;
    const lost = this.#sent.filter(
      (sent) => sent.conversation === conversation && sent.at >= since,
    );
    this.#remove(conversation);
    for (const { message } of lost.toReversed()) this.#again(message);
    this.#soon();
  }

  /** A router dropped a message of this path. False when it was not one to this service. */
  discarded(path: Path, sequence: bigint): boolean {
    const sent = this.#sent.find((each) => each.path === path && each.sequence === sequence);
    if (!sent) return false;
    this.counts.discarded++;
    const now = this.#options.clock.now();
    this.#ways.strike(sent.way, now);
    if (sent.way.doubtedUntil > now) this.#lookUp();
    this.#sent = this.#sent.filter((each) => each !== sent);
    this.#again(sent.message);
    this.#soon();
    return true;
  }

  /** A path began to work or has ended. */
  pathChanged(): void {
    this.pump();
  }

  /** Once a second: ends old conversations, begins the next ones, and prepares paths. */
  tick(): void {
    const now = this.#options.clock.now();
    for (const each of this.#conversations) if (each.isOver(now)) this.#remove(each);
    const isUsed = now - this.#usedAt < IDLE_MS / 2;
    if (isUsed) {
      this.#listen(now);
      this.#renew();
    }
    const sending = this.#sending();
    if (isUsed && sending?.isOwn === true && sending.isOld(now)) this.#begin();
    this.pump();
  }

  close(): void {
    this.#isClosed = true;
    this.#handshake?.cancel();
    this.#handshake = undefined;
    for (const cancel of this.#agains) cancel();
    this.#agains.clear();
    for (const conversation of this.#conversations) this.#remove(conversation);
    this.#clear();
  }

  /** Sends what waits, or does what is missing for that. */
  pump(): void {
    if (this.#queue.length === 0 || this.#isClosed) return;
    const conversation = this.#sending();
    if (!conversation) {
      this.#begin();
      return;
    }
    for (;;) {
      const [message] = this.#queue;
      const pair = message && this.#pair();
      if (!pair) return;
      if (!this.#transmit(conversation, pair, message)) {
        this.#soon();
        return;
      }
      this.#queue = this.#queue.filter((each) => each !== message);
      this.#queuedBytes -= message.payload.length;
    }
  }

  #push(message: Message): void {
    this.#queue.push(message);
    this.#queuedBytes += message.payload.length;
  }

  /** Tells the way back, unless a message waits that does. */
  #pushControl(payload = NOTHING): void {
    if (this.#queue.length > 0) return;
    this.#push({ protocol: CONTROL_PROTOCOL, payload, tries: MAX_TRIES });
  }

  #deliver({ protocol, payload }: HiddenServiceData): void {
    if (protocol !== CONTROL_PROTOCOL) {
      if (payload.length > 0) this.#options.onMessage(protocol, payload);
    } else if (payload.length > 0) {
      this.#pushControl();
      this.pump();
    }
  }

  /** Asks for an answer when none has come; takes another way when that does not help. */
  #listen(now: number): void {
    const silence = this.#unheardSince === undefined ? 0 : now - this.#unheardSince;
    if (silence >= DOUBT_AFTER_MS) this.doubt();
    else if (silence >= ASK_AFTER_MS) this.#pushControl(ASKS);
  }

  /** Before everything else that waits. */
  #again(message: Message): void {
    if (++message.tries >= MAX_TRIES) return;
    this.#queue.unshift(message);
    this.#queuedBytes += message.payload.length;
  }

  /** Not at once: a router that is busy would drop it again. */
  #soon(): void {
    const cancel = this.#options.clock.after(AGAIN_MS, () => {
      this.#agains.delete(cancel);
      this.pump();
    });
    this.#agains.add(cancel);
  }

  #clear(): void {
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#sent = [];
  }

  /** The newest conversation that messages may be sent with. */
  #sending(): Conversation | undefined {
    const now = this.#options.clock.now();
    return this.#conversations.findLast((each) => each.isUsable(now));
  }

  #add(conversation: Conversation): void {
    this.#conversations.push(conversation);
    this.#options.onConversation(conversation, 'added');
    while (this.#conversations.length > MAX_CONVERSATIONS) {
      const [oldest] = this.#conversations;
      if (oldest) this.#remove(oldest);
    }
  }

  #remove(conversation: Conversation): void {
    this.#conversations = this.#conversations.filter((each) => each !== conversation);
    this.#sent = this.#sent.filter((sent) => sent.conversation !== conversation);
    this.#options.onConversation(conversation, 'removed');
  }

  #established(conversation: Conversation): void {
    conversation.isEstablished = true;
    this.#handshake?.cancel();
    this.#handshake = undefined;
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
    this.#sent.push({ path, sequence, way, conversation, message, at: now });
    if (this.#sent.length > MAX_SENT) this.#sent.shift();
    return true;
  }

  /** Begins a conversation, unless one is being begun. */
  #begin(tries = 0): void {
    if (this.#handshake || this.#isClosed) return;
    if (!this.#introset) {
      this.#lookUp();
      return;
    }
    const pair = this.#pair();
    if (!pair) return;
    const { keys, info, randomBytes, clock } = this.#options;
    const tag = randomBytes(16);
    const data = {
      protocol: CONTROL_PROTOCOL,
      payload: NOTHING,
      replyTo: introductionOf(pair.path),
      sequence: 0n,
      ends: CONVERSATION_SECONDS,
      sender: info,
      tag,
      version: 0n,
    };
    const source = pair.path.farthestId;
    const begun = beginConversation(keys, this.#introset, { data, source }, randomBytes);
    if (!begun) {
      this.#fail('low-order-key');
      return;
    }
    const now = clock.now();
    const seconds = CONVERSATION_SECONDS;
    const conversation = new Conversation({ tag, key: begun.key, isOwn: true, now, seconds });
    conversation.nextSequence();
    this.#add(conversation);
    const { pathId } = pair.way.introduction;
    pair.path.send({ kind: 'transfer', pathId, frame: begun.frame, version: 0n });
    const cancel = clock.after(HANDSHAKE_MS, () => this.#unanswered(tries + 1));
    this.#handshake = { tries, cancel };
  }

  #unanswered(tries: number): void {
    this.#handshake = undefined;
    if (tries < HANDSHAKE_TRIES) {
      this.doubt();
      this.#begin(tries);
    } else if (!this.#sending()) {
      this.#fail('no-answer');
    }
  }

  #fail(fault: RemoteFault): void {
    this.#clear();
    this.#options.onFailed(fault);
  }

  #lookUp(): void {
    const { dht, clock } = this.#options;
    const now = clock.now();
    if (this.#isLookingUp || this.#isClosed || now - this.#lookedUpAt < LOOK_UP_EVERY_MS) return;
    this.#isLookingUp = true;
    this.#lookedUpAt = now;
    dht.findIntroset(this.#address, (introset, fault) => {
      this.#isLookingUp = false;
      if (this.#isClosed) return;
      if (introset) this.#found(introset);
      else if (!this.#introset && !this.#sending()) this.#fail(fault ?? 'not-found');
    });
  }

  #found(introset: Introset): void {
    if (this.#introset && this.#introset.published > introset.published) return;
    this.#introset = introset;
    this.#info = introset.publisher;
    this.#ways.learn(introset.introductions);
    this.pump();
  }

  /** The other side names the way to it, which works: its message came. */
  #learnReply(introduction: Introduction): void {
    const way = this.#ways.learnReply(introduction);
    this.#preferred = way;
    if (this.#current && this.#current.way !== way) this.#pair();
  }

  /** The path and way for the next message. Undefined: none works now, and what is missing was asked for. */
  #pair(): Pair | undefined {
    const { clock, wallClock, pool } = this.#options;
    const now = clock.now();
    const usable = this.#ways.usable(wallClock(), now);
    const isGood = (way: Way): boolean => way.doubtedUntil <= now;
    const preferred = usable.filter((way) => way === this.#preferred && isGood(way));
    const current = this.#current;
    const isCurrentGood =
      current !== undefined &&
      current.path.state === 'ready' &&
      usable.includes(current.way) &&
      isGood(current.way);
    if (isCurrentGood && (preferred.length === 0 || preferred[0] === current.way)) return current;
    const withPath = [...preferred, ...usable].flatMap((way) =>
      pool
        .endingAt(way.introduction.router)
        .slice(0, 1)
        .map((path) => ({ way, path })),
    );
    const good = withPath.find(({ way }) => isGood(way));
    if (isCurrentGood && (!good || good.way !== preferred[0])) return current;
    if (good) return this.#use(good);
    const [first] = usable;
    if (!first) {
      this.#lookUp();
      return undefined;
    }
    this.#reach(first);
    // A way in doubt is better than none, when no other one is being prepared.
    const [doubted] = withPath;
    return doubted && !isGood(first) ? this.#use(doubted) : undefined;
  }

  #use(pair: Pair): Pair {
    const before = this.#current ?? this.#before;
    this.#current = pair;
    this.#before = undefined;
    if (before && (before.path !== pair.path || before.way !== pair.way)) this.counts.moved++;
    // The other side learns the new way back, also when nothing else is to be sent.
    if (before && before.path !== pair.path && this.#queue.length === 0 && this.#sending()) {
      this.#pushControl();
      this.#soon();
    }
    return pair;
  }

  /** Asks for a path to the router of a way. */
  #reach({ introduction: { router } }: Way): void {
    const { pool, book, dht, wallClock } = this.#options;
    if (pool.isBuilding(router)) return;
    const contact = book.get(router);
    if (contact) {
      pool.open(contact);
      return;
    }
    if (this.#isFindingRouter) return;
    this.#isFindingRouter = true;
    dht.findRouter(router, (found) => {
      this.#isFindingRouter = false;
      if (this.#isClosed || !found || keyText(found.signingKey) !== keyText(router)) return;
      if (book.put(found, wallClock()) === undefined) pool.open(found);
    });
  }

  /** Before the current path or way expires: takes one that lives longer, or asks for it. */
  #renew(): void {
    const { clock, wallClock, pool } = this.#options;
    const soon = wallClock() + SOON_MS;
    const current = this.#current;
    if (!current) return;
    if (current.path.expires > soon && current.way.introduction.expires > soon) return;
    const now = clock.now();
    const lasting = this.#ways
      .usable(wallClock(), now)
      .filter(
        ({ introduction, doubtedUntil }) => introduction.expires > soon && doubtedUntil <= now,
      );
    for (const way of lasting) {
      const [path] = pool.endingAt(way.introduction.router);
      if (path && path.expires > soon) {
        this.#preferred = way;
        this.#use({ way, path });
        return;
      }
    }
    const [way] = lasting;
    if (way) this.#reach(way);
    else this.#lookUp();
  }
}
