/**
 * A hidden service as a user of the DHT, over its paths: finds introsets and routers over paths for look-ups, publishes
 * over those of its introductions. What comes back is checked: routers on the way are strangers.
 */
import type { Clock } from '../../kit/clock.js';
import { equalBytes } from '../bytes.js';
import type { RandomBytes } from '../crypto.js';
import { introsetFault, serviceAddress } from '../dht/introsets.js';
import { Transactions } from '../dht/transactions.js';
import type { DhtMessage } from '../dht-messages.js';
import type { Path } from '../path/path.js';
import { keyText } from '../router/distance.js';
import type { Introset, RouterContact } from '../structures.js';

/** An answer takes up to 5 s for each router of the DHT that does not answer. */
export const QUESTION_MS = 12_000;
/** A search ends after this time, also when there was no path for it. */
export const SEARCH_MS = 40_000;
/** Paths that are asked in one search, one after the other: routers know different routers. */
const MOST_QUESTIONS = 3;
/** Answers that know nothing, after which there is nothing. */
const ENOUGH_ANSWERS = 2;
/** Most searches at a time. */
export const MAX_SEARCHES = 64;
/** A path without an answer is checked, and ends when it is silent for so long. */
const CHECK_MS = 3_000;

/** Why a search found nothing. */
export type SearchFault = 'not-found' | 'no-answer' | 'too-many' | 'closed';
type Found = Introset | RouterContact;
type Done<T> = (found: T | undefined, fault: SearchFault | undefined) => void;

interface Search {
  readonly key: Uint8Array;
  readonly question: (transaction: bigint) => DhtMessage;
  /** What an answer brings; undefined when it brings nothing. */
  readonly read: (answer: DhtMessage) => Found | undefined;
  readonly waiting: Done<Found>[];
  readonly asked: Set<Path>;
  readonly cancelLimit: () => void;
  isAsking: boolean;
  questions: number;
  answers: number;
}

export interface DhtClientOptions {
  readonly clock: Clock;
  readonly wallClock: () => bigint;
  readonly randomBytes: RandomBytes;
  /** Paths for look-ups that work. */
  paths(): readonly Path[];
}

export class DhtClient {
  readonly #options: DhtClientOptions;
  readonly #transactions: Transactions;
  readonly #searches = new Map<string, Search>();
  readonly #names = new WeakMap<Path, string>();
  #paths = 0;
  /** Answers that nothing asked for. */
  dropped = 0;

  constructor(options: DhtClientOptions) {
    const { clock, randomBytes } = options;
    this.#options = options;
    this.#transactions = new Transactions(clock, randomBytes, QUESTION_MS);
  }

  get searches(): number {
    return this.#searches.size;
  }

  /** @param address of a hidden service, 32 bytes */
  findIntroset(address: Uint8Array, done: Done<Introset>): void {
    this.#search(
      `introset ${keyText(address)}`,
      address,
      {
        question: (transaction) => ({
          kind: 'findIntroset',
          recursive: true,
          address,
          transaction,
          version: 0n,
        }),
        read: (answer) =>
          answer.kind === 'gotIntroset'
            ? answer.introsets.find((introset) => this.#isRight(introset, address))
            : undefined,
      },
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- this search reads introsets
      done as Done<Found>,
    );
  }

  /** @param key the identity of a router. The caller checks the contact, when it puts it into its book */
  findRouter(key: Uint8Array, done: Done<RouterContact>): void {
    this.#search(
      `router ${keyText(key)}`,
      key,
      {
        question: (transaction) => ({ kind: 'findRouter', key, transaction, version: 0n }),
        read: (answer) =>
          answer.kind === 'gotRouter'
            ? answer.contacts.find(({ signingKey }) => equalBytes(signingKey, key))
            : undefined,
      },
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- this search reads contacts
      done as Done<Found>,
    );
  }

  /** @param done gets the number of routers that have it; 0 when no answer came */
  publish(path: Path, introset: Introset, done: (holders: bigint) => void): void {
    const transaction = this.#transactions.open(this.#nameOf(path), (answer) => {
      done(answer?.kind === 'acknowledge' ? answer.holders : 0n);
    });
    if (transaction === undefined) {
      done(0n);
      return;
    }
    this.#send(path, { kind: 'publish', introset, randomWalk: 0n, transaction, version: 0n });
  }

  /** DHT messages came over this path. */
  receive(path: Path, messages: readonly DhtMessage[]): void {
    for (const message of messages) {
      if (!this.#transactions.answer(this.#nameOf(path), message)) this.dropped++;
    }
  }

  /** A path for look-ups works: searches that wait for one go on. */
  pathReady(): void {
    for (const [name, search] of this.#searches) this.#ask(name, search);
  }

  close(): void {
    this.#transactions.close();
    for (const name of this.#searches.keys()) this.#finish(name, undefined, 'closed');
  }

  #nameOf(path: Path): string {
    const name = this.#names.get(path) ?? `path ${++this.#paths}`;
    this.#names.set(path, name);
    return name;
  }

  #send(path: Path, message: DhtMessage): void {
    path.send({ kind: 'dht', messages: [message], version: 0n });
  }

  #isRight(introset: Introset, address: Uint8Array): boolean {
    if (!equalBytes(serviceAddress(introset.publisher), address)) return false;
    return introsetFault(introset, this.#options.wallClock()) === undefined;
  }

  #search(
    name: string,
    key: Uint8Array,
    { question, read }: Pick<Search, 'question' | 'read'>,
    done: Done<Found>,
  ): void {
    const same = this.#searches.get(name);
    if (same) {
      same.waiting.push(done);
      return;
    }
    if (this.#searches.size >= MAX_SEARCHES) {
      done(undefined, 'too-many');
      return;
    }
    const search: Search = {
      key,
      question,
      read,
      waiting: [done],
      asked: new Set(),
      cancelLimit: this.#options.clock.after(SEARCH_MS, () =>
        this.#finish(name, undefined, 'no-answer'),
      ),
      isAsking: false,
      questions: 0,
      answers: 0,
    };
    this.#searches.set(name, search);
    this.#ask(name, search);
  }

  #ask(name: string, search: Search): void {
    if (search.isAsking) return;
    if (search.questions >= MOST_QUESTIONS || search.answers >= ENOUGH_ANSWERS) {
      this.#finish(name, undefined, search.answers > 0 ? 'not-found' : 'no-answer');
      return;
    }
    const paths = this.#options.paths();
    const path = paths.find((each) => !search.asked.has(each)) ?? paths[0];
    // Without a path the search waits for `pathReady`.
    if (!path) return;
    const transaction = this.#transactions.open(this.#nameOf(path), (answer) => {
      search.isAsking = false;
      if (this.#searches.get(name) !== search) return;
      const found = answer && search.read(answer);
      if (found) {
        this.#finish(name, found, undefined);
        return;
      }
      if (answer) search.answers++;
      else path.check(CHECK_MS);
      this.#ask(name, search);
    });
    if (transaction === undefined) return;
    search.isAsking = true;
    search.questions++;
    search.asked.add(path);
    this.#send(path, search.question(transaction));
  }

  #finish(name: string, found: Found | undefined, fault: SearchFault | undefined): void {
    const search = this.#searches.get(name);
    if (!search) return;
    this.#searches.delete(name);
    search.cancelLimit();
    for (const done of search.waiting) done(found, fault);
  }
}
