/**
 * The DHT of LLARP v0 at one router (dht_v0): answers questions of neighbours and of paths that end here, and asks
 * routers that are nearer to a key. Distance is the exclusive or with the identity of a router.
 */
import type { Clock } from '../../kit/clock.js';
import { TokenBucket } from '../../kit/rate-limit.js';
import { equalBytes } from '../bytes.js';
import type { RandomBytes } from '../crypto.js';
import { MOST_INTROSETS, type DhtMessage, type DhtMessageOf } from '../dht-messages.js';
import type { LinkMessage } from '../link-messages.js';
import type { ContactBook } from '../router/contact-book.js';
import { byDistance, keyText } from '../router/distance.js';
import type { Introset, RouterContact } from '../structures.js';
import { Introsets, serviceAddress } from './introsets.js';
import { Transactions } from './transactions.js';

/** Questions a second from all neighbours and paths together. */
const QUESTIONS_PER_SECOND = 500;
/** How many routers store an introset; PIM counts them from 0. */
const COPIES = 4n;
/** Near keys of an exploratory answer. */
const NEAR_KEYS = 16;
/** A path or a neighbour as the source of answers. */
const NO_ROUTER = '';

/** The router to which the DHT belongs. */
export interface DhtRouter {
  readonly book: ContactBook;
  readonly contact: RouterContact;
  sendLink(identity: Uint8Array, message: LinkMessage): boolean;
}

export interface DhtOptions {
  readonly clock: Clock;
  readonly wallClock: () => bigint;
  readonly randomBytes: RandomBytes;
  readonly router: DhtRouter;
}

/** Sends an answer to the source of the question. */
export type DhtReply = (message: DhtMessage) => void;

type Find = DhtMessageOf<'findIntroset'>;
type Publish = DhtMessageOf<'publish'>;

export class Dht {
  readonly #options: DhtOptions;
  readonly #introsets = new Introsets();
  readonly #transactions: Transactions;
  readonly #questions: TokenBucket;
  /** What was dropped, by reason. */
  readonly dropped = { rate: 0, answer: 0, introset: 0 };

  constructor(options: DhtOptions) {
    this.#options = options;
    this.#transactions = new Transactions(options.clock, options.randomBytes);
    this.#questions = new TokenBucket(options.clock, QUESTIONS_PER_SECOND, QUESTIONS_PER_SECOND);
  }

  /** Introsets stored here. */
  get stored(): number {
    return this.#introsets.size;
  }

  /** Messages of LIDM. @param from the identity of the neighbour as text */
  onNeighbour(from: string, messages: readonly DhtMessage[]): void {
    const identity = Uint8Array.from(Buffer.from(from, 'hex'));
    for (const message of messages) {
      this.#onMessage(from, message, (answer) => this.#sendTo(identity, answer));
    }
  }

  /** Messages of a path that ends here. */
  onPath(messages: readonly DhtMessage[], reply: DhtReply): void {
    for (const message of messages) this.#onMessage(NO_ROUTER, message, reply);
  }

  /** Removes expired introsets. */
  sweep(): void {
    this.#introsets.expire(this.#options.wallClock());
  }

  close(): void {
    this.#transactions.close();
  }

  #onMessage(from: string, message: DhtMessage, reply: DhtReply): void {
    switch (message.kind) {
      case 'gotIntroset':
      case 'gotRouter':
      case 'acknowledge':
      case 'timeout':
        if (!this.#transactions.answer(from, message)) this.dropped.answer++;
        return;
      case 'findIntroset':
      case 'publish':
      case 'findRouter':
        if (!this.#questions.take()) {
          this.dropped.rate++;
          return;
        }
    }
    if (message.kind === 'findIntroset') this.#onFind(from, message, reply);
    else if (message.kind === 'publish') this.#onPublish(from, message, reply);
    else this.#onFindRouter(message, reply);
  }

  #sendTo(identity: Uint8Array, message: DhtMessage): boolean {
    const { router } = this.#options;
    return router.sendLink(identity, { kind: 'dht', messages: [message], version: 0n });
  }

  /** Routers that are nearer to a key than this one, without the router that asks; the nearest first. */
  #nearer(key: Uint8Array, from: string, count: number): readonly RouterContact[] {
    const { book, contact } = this.#options.router;
    const compare = byDistance(key);
    return book
      .closest(key, count + 1)
      .filter(({ signingKey }) => compare(signingKey, contact.signingKey) < 0)
      .filter(({ signingKey }) => keyText(signingKey) !== from)
      .slice(0, count);
  }

  #onFind(
    from: string,
    { recursive, address, topic, excluded = [], transaction }: Find,
    reply: DhtReply,
  ): void {
    const now = this.#options.wallClock();
    const got = (introsets: readonly Introset[], closer?: Uint8Array): void =>
      reply({
        kind: 'gotIntroset',
        introsets,
        transaction,
        version: 0n,
        ...(closer ? { closer } : {}),
      });
    if (address === undefined) {
      const most = MOST_INTROSETS;
      got(topic ? this.#introsets.withTopic(topic, excluded, { now, most }) : []);
      return;
    }
    const own = this.#introsets.get(address, now);
    const [nearest] = this.#nearer(address, from, 1);
    if (own || !nearest) got(own ? [own] : []);
    else if (recursive) this.#askOn(nearest, address, (introsets) => got(introsets));
    else got([], nearest.signingKey);
  }

  /** Asks a nearer router on behalf of another; what it answers is checked before it is passed on. */
  #askOn(
    router: RouterContact,
    address: Uint8Array,
    done: (introsets: readonly Introset[]) => void,
  ): void {
    const identity = router.signingKey;
    const transaction = this.#transactions.open(keyText(identity), (answer) => {
      const found = answer?.kind === 'gotIntroset' ? answer.introsets : [];
      const right = found.filter(({ publisher }) => equalBytes(serviceAddress(publisher), address));
      done(right.slice(0, 1));
    });
    if (transaction === undefined) {
      done([]);
      return;
    }
    this.#sendTo(identity, {
      kind: 'findIntroset',
      recursive: true,
      address,
      transaction,
      version: 0n,
    });
  }

  /**
   * Without a counter, the introset goes to the router that is nearest to its address. With one it is stored, and
   * passed on until `COPIES` routers have it. The answer counts them. A counter that says so many have it is refused.
   */
  #onPublish(from: string, { introset, stored, transaction }: Publish, reply: DhtReply): void {
    const address = serviceAddress(introset.publisher);
    const acknowledge = (holders: bigint): void =>
      reply({ kind: 'acknowledge', holders, transaction, version: 0n });
    const [nearest] = this.#nearer(address, from, 1);
    if (stored === undefined && nearest) {
      this.#passOn(nearest, introset, undefined, acknowledge);
      return;
    }
    if (stored !== undefined && stored >= COPIES) {
      this.dropped.introset++;
      acknowledge(0n);
      return;
    }
    if (this.#introsets.put(introset, this.#options.wallClock())) {
      this.dropped.introset++;
      acknowledge(0n);
      return;
    }
    const count = stored ?? 0n;
    const next = count + 1n < COPIES ? this.#nextHolder(address, from) : undefined;
    if (next) this.#passOn(next, introset, count + 1n, (holders) => acknowledge(holders + 1n));
    else acknowledge(1n);
  }

  /** The nearest router that is farther from the address than this one: the order in which copies are made. */
  #nextHolder(address: Uint8Array, from: string): RouterContact | undefined {
    const { book, contact } = this.#options.router;
    const compare = byDistance(address);
    return book
      .closest(address, Number(COPIES) + 2)
      .filter(({ signingKey }) => keyText(signingKey) !== from)
      .find(({ signingKey }) => compare(signingKey, contact.signingKey) > 0);
  }

  #passOn(
    router: RouterContact,
    introset: Introset,
    stored: bigint | undefined,
    done: (holders: bigint) => void,
  ): void {
    const identity = router.signingKey;
    const transaction = this.#transactions.open(keyText(identity), (answer) => {
      const holders = answer?.kind === 'acknowledge' ? answer.holders : 0n;
      done(holders < COPIES ? holders : COPIES);
    });
    if (transaction === undefined) {
      done(0n);
      return;
    }
    this.#sendTo(identity, {
      kind: 'publish',
      introset,
      randomWalk: 0n,
      transaction,
      version: 0n,
      ...(stored === undefined ? {} : { stored }),
    });
  }

  #onFindRouter(message: DhtMessageOf<'findRouter'>, reply: DhtReply): void {
    const { book } = this.#options.router;
    const { key, exploratory = false, iterative = false, transaction } = message;
    const found = book.get(key);
    const [nearest] = this.#nearer(key, NO_ROUTER, 1);
    const near = exploratory
      ? book.closest(key, NEAR_KEYS).map(({ signingKey }) => signingKey)
      : undefined;
    reply({
      kind: 'gotRouter',
      contacts: found ? [found] : [],
      transaction,
      version: 0n,
      ...(near ? { near } : {}),
      ...(iterative && !found && nearest ? { closer: nearest.signingKey } : {}),
    });
  }
}
