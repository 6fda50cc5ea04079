/** Begins conversations with one service: sends first frames over its route, and waits for their answers. */
import type { Clock } from '../../kit/clock.js';
import type { RandomBytes } from '../crypto.js';
import type { Introset, ServiceInfo } from '../structures.js';
import { CONTROL_PROTOCOL, TELLS } from './control.js';
import { CONVERSATION_SECONDS, Conversation } from './conversation.js';
import type { Conversations } from './conversations.js';
import { beginConversation } from './frames.js';
import type { IntrosetLookup } from './introset-lookup.js';
import type { ServiceKeys } from './keys.js';
import { introductionOf } from './publisher.js';
import type { Pair, Route } from './route.js';

/** The answer to a first frame is awaited so long, and so often in a row. */
const ANSWER_MS = 4_000;
const TRIES = 5;

export interface OpeningOptions {
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly keys: ServiceKeys;
  /** What others know of the own service. */
  readonly info: ServiceInfo;
  readonly lookup: Pick<IntrosetLookup, 'introset' | 'search'>;
  readonly route: Pick<Route, 'choose'>;
  readonly conversations: Pick<Conversations, 'add' | 'usable'>;
  /** A first frame had no answer: another way is wanted. */
  onUnanswered(): void;
  onFailed(fault: 'no-answer' | 'low-order-key'): void;
}

export class Opening {
  readonly #options: OpeningOptions;
  /** Set while an answer is awaited. */
  #cancel: (() => void) | undefined;
  /** First frames without an answer, since the last one that had one. */
  #unanswered = 0;
  #isClosed = false;

  constructor(options: OpeningOptions) {
    this.#options = options;
  }

  /** Begins a conversation, unless one is being begun. What is missing for that is asked for. */
  begin(): void {
    if (this.#cancel || this.#isClosed) return;
    const { clock, lookup, route, conversations } = this.#options;
    if (!lookup.introset) {
      lookup.search();
      return;
    }
    const pair = route.choose();
    if (!pair) return;
    const conversation = this.#send(lookup.introset, pair);
    if (!conversation) {
      this.#options.onFailed('low-order-key');
      return;
    }
    conversations.add(conversation);
    this.#cancel = clock.after(ANSWER_MS, () => this.#onTime());
  }

  /** The other side has answered. */
  answered(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#unanswered = 0;
  }

  close(): void {
    this.#isClosed = true;
    this.answered();
  }

  #onTime(): void {
    const { clock, conversations } = this.#options;
    this.#cancel = undefined;
    this.#unanswered += 1;
    if (this.#unanswered < TRIES) {
      // The owner may begin the next one itself.
      this.#options.onUnanswered();
      this.begin();
      return;
    }
    this.#unanswered = 0;
    if (!conversations.usable(clock.now())) this.#options.onFailed('no-answer');
  }

  /**
   * Sends a first frame. It has no data of the user: the other side answers it before anything else is sent. Undefined
   * when a key of the introset is a point of low order.
   */
  #send(introset: Introset, { path, way }: Pair): Conversation | undefined {
    const { keys, info, randomBytes, clock } = this.#options;
    const tag = randomBytes(16);
    const data = {
      protocol: CONTROL_PROTOCOL,
      payload: TELLS,
      replyTo: introductionOf(path),
      sequence: 0n,
      ends: CONVERSATION_SECONDS,
      sender: info,
      tag,
      version: 0n,
    };
    const source = path.farthestId;
    const begun = beginConversation(keys, introset, { data, source }, randomBytes);
    if (!begun) return undefined;
    const now = clock.now();
    const seconds = CONVERSATION_SECONDS;
    const conversation = new Conversation({ tag, key: begun.key, isOwn: true, now, seconds });
    conversation.nextSequence();
    const { pathId } = way.introduction;
    path.send({ kind: 'transfer', pathId, frame: begun.frame, version: 0n });
    return conversation;
  }
}
