/**
 * What a hidden service keeps of another one it talks to: its keys, the conversations with it, and what goes to it.
 * Reads the frames of the other side.
 */
import type { Path } from '../path/path.js';
import type { HiddenServiceData, HiddenServiceFrame } from '../routing-messages.js';
import type { ServiceInfo } from '../structures.js';
import { ASKS, CONTROL_PROTOCOL, TELLS } from './control.js';
import { CONVERSATION_SECONDS, Conversation } from './conversation.js';
import { Conversations } from './conversations.js';
import { isFrameOf, MAX_PAYLOAD_BYTES, readNext, type Begun } from './frames.js';
import { Outgoing, type OutgoingOptions, type RemoteFault } from './outgoing.js';
import { isAligned } from './ways.js';

/** The other side is asked for an answer when a message has had none for so long. */
const ASK_AFTER_MS = 4_000;
/** Another way is taken when nothing has come back for so long. */
const DOUBT_AFTER_MS = 9_000;
/** A service without messages for so long is idle. */
const IDLE_MS = 120_000;

export interface RemoteOptions extends Omit<
  OutgoingOptions,
  'address' | 'conversations' | 'onFound'
> {
  onConversation(conversation: Conversation, change: 'added' | 'removed'): void;
  onMessage(protocol: bigint, payload: Uint8Array): void;
  /** The service cannot be reached; what waited is dropped. */
  onFailed(fault: RemoteFault): void;
}

/** What was dropped, by reason; `moved` counts changes of path or way. */
export type RemoteCounts = Readonly<
  Record<'full' | 'frame' | 'replay' | 'rejected' | 'discarded' | 'refused' | 'moved', number>
>;

export class RemoteService {
  readonly #options: RemoteOptions;
  readonly #conversations: Conversations;
  readonly #outgoing: Outgoing;
  /** The keys of the other side; undefined before its introset or first frame. */
  #info: ServiceInfo | undefined;
  #usedAt: number;
  readonly #dropped = { full: 0, frame: 0, replay: 0, rejected: 0 };

  /** @param address 32 bytes */
  constructor(address: Uint8Array, options: RemoteOptions) {
    this.#options = options;
    this.#usedAt = options.clock.now();
    this.#conversations = new Conversations((conversation, change) => {
      if (change === 'removed') this.#outgoing.forget(conversation);
      options.onConversation(conversation, change);
    });
    const { clock, wallClock, randomBytes, keys, info, pool, dht, book } = options;
    this.#outgoing = new Outgoing({
      clock,
      wallClock,
      randomBytes,
      keys,
      info,
      pool,
      dht,
      book,
      address,
      conversations: this.#conversations,
      onFound: ({ publisher }) => {
        this.#info = publisher;
      },
      onFailed: (fault) => options.onFailed(fault),
    });
  }

  get counts(): RemoteCounts {
    return { ...this.#dropped, ...this.#outgoing.counts };
  }

  get conversations(): number {
    return this.#conversations.size;
  }

  get queued(): number {
    return this.#outgoing.size;
  }

  /** No message came or went for some time. */
  isIdle(): boolean {
    return this.#outgoing.size === 0 && this.#options.clock.now() - this.#usedAt >= IDLE_MS;
  }

  /** Queues a message; false when too much waits. Throws a RangeError for one that is too long. */
  send(protocol: bigint, payload: Uint8Array): boolean {
    if (payload.length > MAX_PAYLOAD_BYTES) {
      throw new RangeError(`a message has at most ${MAX_PAYLOAD_BYTES} bytes`);
    }
    if (!this.#outgoing.add(protocol, payload)) {
      this.#dropped.full++;
      return false;
    }
    this.#usedAt = this.#options.clock.now();
    return true;
  }

  /** Nothing comes back: takes another way or path, if there is one. */
  doubt(): void {
    this.#outgoing.doubt();
  }

  /** The other side began a conversation. */
  begun({ key, data }: Begun): void {
    const now = this.#options.clock.now();
    this.#info = data.sender;
    this.#usedAt = now;
    this.#outgoing.heard();
    const seconds = data.ends ?? CONVERSATION_SECONDS;
    const conversation = new Conversation({ tag: data.tag, key, isOwn: false, now, seconds });
    conversation.accept(data.sequence);
    this.#conversations.add(conversation);
    this.#outgoing.learnReply(data.replyTo);
    // The answer tells that the conversation is known here.
    this.#outgoing.addControl(TELLS);
    this.#outgoing.pump();
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
      this.#dropped.frame++;
      return;
    }
    const isNewest = data.sequence >= conversation.newest;
    if (!conversation.accept(data.sequence)) {
      this.#dropped.replay++;
      return;
    }
    this.#usedAt = this.#options.clock.now();
    this.#outgoing.heard();
    if (isNewest && isAligned(data.replyTo, frame.source, path)) {
      this.#outgoing.learnReply(data.replyTo);
    }
    if (!conversation.isEstablished) {
      conversation.isEstablished = true;
      this.#outgoing.opened();
    }
    this.#deliver(data);
  }

  /** The other side does not know a conversation. */
  rejected(conversation: Conversation, frame: HiddenServiceFrame): void {
    if (!this.#info || !isFrameOf(frame, this.#info)) {
      this.#dropped.frame++;
      return;
    }
    this.#dropped.rejected++;
    this.#outgoing.rejected(conversation);
  }

  /** A router dropped a message of this path. False when it was not one to this service. */
  discarded(path: Path, sequence: bigint): boolean {
    return this.#outgoing.discarded(path, sequence);
  }

  /** A path began to work or has ended. */
  pathChanged(): void {
    this.#outgoing.pump();
  }

  /** Once a second: ends old conversations, begins the next ones, and prepares paths. */
  tick(): void {
    const now = this.#options.clock.now();
    this.#conversations.sweep(now);
    const isUsed = now - this.#usedAt < IDLE_MS / 2;
    if (isUsed) {
      this.#listen(now);
      this.#outgoing.renewRoute();
    }
    const usable = this.#conversations.usable(now);
    if (isUsed && usable?.isOwn === true && usable.isOld(now)) this.#outgoing.begin();
    this.#outgoing.pump();
  }

  close(): void {
    this.#outgoing.close();
    this.#conversations.clear();
  }

  #deliver({ protocol, payload }: HiddenServiceData): void {
    if (protocol !== CONTROL_PROTOCOL) {
      if (payload.length > 0) this.#options.onMessage(protocol, payload);
    } else if (payload.length > 0) {
      this.#outgoing.addControl(TELLS);
      this.#outgoing.pump();
    }
  }

  /** Asks for an answer when none has come; takes another way when that does not help. */
  #listen(now: number): void {
    const silence = this.#outgoing.silence(now);
    if (silence >= DOUBT_AFTER_MS) this.doubt();
    else if (silence >= ASK_AFTER_MS) this.#outgoing.addControl(ASKS);
  }
}
