/**
 * What the page shows and does: the five steps of section 9.2 (browse, select, pay, connect, use) as one attempt at a
 * time, and the four views of section 9.1.
 */
import { errorText } from '../../kit/error-text.js';
import { deferred, type Deferred } from '../../kit/deferred.js';
import type { SearchResult } from '../market/market.js';
import { ordered, type OfferFilter } from '../market/offers.js';
import type { Quote } from '../session/acquisition.js';
import type { SessionRecord } from '../session/record-file.js';
import {
  offerView,
  quoteView,
  sessionView,
  type OfferView,
  type QuoteView,
  type SessionView,
  type WalletView,
} from './views.js';

/** The parts of a LetheanClient that the page uses. */
export interface DeskClient {
  search(filter: OfferFilter, signal: AbortSignal): Promise<SearchResult>;
  knownOffers(filter: OfferFilter): Promise<SearchResult>;
  readonly sessions: ReadonlyMap<string, SessionRecord>;
  connect(
    link: string,
    request: {
      readonly days?: number;
      readonly agree?: (quote: Quote) => boolean | Promise<boolean>;
      readonly signal?: AbortSignal;
    },
  ): Promise<{ readonly key: string; ready(): Promise<void> }>;
  disconnect(key: string): Promise<void>;
}

export interface DeskOptions {
  readonly client: DeskClient;
  /** The wallet as it is now. */
  readonly wallet: (signal: AbortSignal) => Promise<WalletView>;
  /** Rows of the settings view: no secret is among them. */
  readonly settings: readonly SettingView[];
  /** `127.0.0.1:8180`, undefined without a local proxy. */
  readonly proxy: () => string | undefined;
  /** Seconds since 1970. */
  readonly now: () => number;
}

export interface SettingView {
  readonly name: string;
  /** Empty: not set. `set` for secrets. */
  readonly value: string;
  readonly level: string;
  readonly about: string;
}

/** Where the attempt to connect stands. */
export type AttemptView =
  | { readonly step: 'none' }
  /** The manager is asked for a session. */
  | { readonly step: 'selecting'; readonly link: string }
  /** A person decides. `question` names this quote: a decision about another one is refused. */
  | {
      readonly step: 'paying';
      readonly link: string;
      readonly question: number;
      readonly quote: QuoteView;
    }
  /** Agreed: payment, blocks, tunnel. */
  | { readonly step: 'connecting'; readonly link: string; readonly quote?: QuoteView }
  | { readonly step: 'using'; readonly link: string; readonly key: string }
  | { readonly step: 'failed'; readonly link: string; readonly error: string };

export interface DeskView {
  readonly now: number;
  readonly offers: readonly OfferView[];
  /** Offers without the country or speed that was asked for, and refused descriptions. */
  readonly left: { readonly unknown: number; readonly refused: readonly string[] };
  readonly attempt: AttemptView;
  readonly sessions: readonly SessionView[];
  readonly wallet: { readonly view?: WalletView; readonly error?: string };
  readonly proxy?: string | undefined;
  readonly settings: readonly SettingView[];
}

/** An action that is not possible now: why. */
export class DeskError extends Error {
  override readonly name = 'DeskError';
}

/** Refused descriptions that are named. */
const MAX_REFUSED = 20;
/** Offers that are shown. */
const MAX_OFFERS = 500;
const WALLET_MS = 20_000;

export class Desk {
  readonly #options: DeskOptions;
  readonly #closing = new AbortController();
  #found: SearchResult = { offers: [], unknown: 0, refused: [] };
  #attempt: AttemptView = { step: 'none' };
  #answer: Deferred<boolean> | undefined;
  /** Quotes that were shown so far. */
  #questions = 0;
  #cancel: AbortController | undefined;
  #wallet: DeskView['wallet'] = {};
  #lookingAtWallet: Promise<void> | undefined;

  constructor(options: DeskOptions) {
    this.#options = options;
  }

  view(): DeskView {
    const { client, settings, proxy, now } = this.#options;
    const sessions = [...client.sessions.values()].map(sessionView);
    return {
      now: now(),
      offers: ordered(this.#found.offers, { first: 'cost' })
        .slice(0, MAX_OFFERS)
        .map((offer) => offerView(offer)),
      left: { unknown: this.#found.unknown, refused: this.#found.refused.slice(0, MAX_REFUSED) },
      attempt: this.#attempt,
      sessions: sessions.toSorted((a, b) => b.since - a.since),
      wallet: this.#wallet,
      proxy: proxy(),
      settings,
    };
  }

  /** Step 1. Rejects with the errors of the search. @param fresh asks the SDP server; else the kept descriptions */
  async browse(filter: OfferFilter, fresh: boolean): Promise<void> {
    const { client } = this.#options;
    this.#found = fresh
      ? await client.search(filter, this.#closing.signal)
      : await client.knownOffers(filter);
  }

  /** Step 2: asks the provider for a session. Steps 3 to 5 follow; the view tells where it stands. */
  select(link: string, days: number | undefined): void {
    if (this.#isBusy()) {
      throw new DeskError('an attempt to connect is running: finish or cancel it first');
    }
    this.#attempt = { step: 'selecting', link };
    const cancel = new AbortController();
    this.#cancel = cancel;
    void this.#connect(link, days, cancel.signal);
  }

  /**
   * Step 3: the decision about a quote that was shown. Throws a DeskError when that one does not wait for it.
   * @param question of the attempt
   */
  decide(pay: boolean, question: unknown): void {
    if (this.#attempt.step !== 'paying' || this.#answer === undefined) {
      throw new DeskError('no payment waits for a decision');
    }
    if (question !== this.#attempt.question) {
      throw new DeskError('another payment waits for a decision now: look at it first');
    }
    this.#answer.resolve(pay);
  }

  /** Ends the attempt. What was paid stays paid, and the session can be continued. */
  cancel(): void {
    if (!this.#isBusy()) throw new DeskError('no attempt to connect is running');
    this.#answer?.resolve(false);
    this.#cancel?.abort(new Error('cancelled'));
  }

  async disconnect(key: string): Promise<void> {
    await this.#options.client.disconnect(key);
    if (this.#attempt.step === 'using' && this.#attempt.key === key) {
      this.#attempt = { step: 'none' };
    }
  }

  /** Looks at the wallet, once at a time. Never rejects: the view has the error. */
  lookAtWallet(): Promise<void> {
    this.#lookingAtWallet ??= this.#look().finally(() => {
      this.#lookingAtWallet = undefined;
    });
    return this.#lookingAtWallet;
  }

  close(): void {
    this.#answer?.resolve(false);
    this.#cancel?.abort(new Error('the page was closed'));
    this.#closing.abort(new Error('the page was closed'));
  }

  #isBusy(): boolean {
    return ['selecting', 'paying', 'connecting'].includes(this.#attempt.step);
  }

  async #look(): Promise<void> {
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(WALLET_MS)]);
    try {
      this.#wallet = { view: await this.#options.wallet(signal) };
    } catch (error) {
      this.#wallet = { error: errorText(error) };
    }
  }

  async #connect(link: string, days: number | undefined, signal: AbortSignal): Promise<void> {
    try {
      const connection = await this.#options.client.connect(link, {
        ...(days === undefined ? {} : { days }),
        agree: (quote) => (signal.aborted ? false : this.#ask(link, quote)),
        signal,
      });
      await connection.ready();
      this.#attempt = { step: 'using', link, key: connection.key };
    } catch (error) {
      this.#attempt = { step: 'failed', link, error: errorText(error) };
    } finally {
      this.#answer = undefined;
      this.#cancel = undefined;
    }
  }

  async #ask(link: string, quote: Quote): Promise<boolean> {
    const shown = quoteView(quote);
    this.#answer = deferred();
    this.#questions += 1;
    this.#attempt = { step: 'paying', link, question: this.#questions, quote: shown };
    const isAgreed = await this.#answer.promise;
    this.#attempt = { step: 'connecting', link, quote: shown };
    return isAgreed;
  }
}
