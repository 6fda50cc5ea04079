/**
 * One appearance of a maker with a wallet: a nick, the locations that it serves, and the offers under this
 * nick. A maker has another one for each state of its coins, so that offers, nicks and blocks are not linked.
 */
import type { MessageChannelEvents, OnionMessageChannel } from '../channel/channel-api.js';
import { deferred } from '../kit/deferred.js';
import type { MakerOutcome } from '../negotiation/maker/api.js';
import type { SessionView } from '../negotiation/maker/sessions.js';
import { formatLocation } from '../protocol/location.js';
import type { Offer } from '../protocol/offer.js';
import { startMaker, type Maker, type MakerCoinjoins, type MakerOptions } from './maker.js';
import type { AnnouncedBond } from './wallet-bond.js';

/** What all appearances of a maker share. */
export type SharedParts = Pick<MakerOptions, 'clock' | 'log' | 'requestLimits'> & {
  readonly coinjoins: MakerCoinjoins;
  readonly blacklist: NonNullable<MakerOptions['blacklist']>;
};

export interface IdentityOptions {
  readonly channel: OnionMessageChannel;
  readonly shared: SharedParts;
  readonly offers: readonly Offer[];
  /** The sum of coins from which the offers follow, satoshi. */
  readonly available: number;
  readonly bond: AnnouncedBond | undefined;
  /** Height of the chain: an expired certificate is not shown. */
  readonly tipHeight: () => number;
  /** Nick, location or reachability changed. */
  readonly onChange: () => void;
}

export class MakerIdentity {
  /** The sum of coins from which its offers follow, satoshi. */
  readonly available: number;
  /** Resolves when its location is served for the first time. */
  readonly served: Promise<void>;
  /** Rejects when serving failed before it ever succeeded; never resolves. */
  readonly failed: Promise<never>;
  /** The bond that its answers prove. */
  bond: AnnouncedBond | undefined;
  readonly #channel: OnionMessageChannel;
  readonly #maker: Maker;
  /** Resolves when no negotiation runs, after `retire`. */
  readonly #idle = deferred<void>();
  readonly #announced: number;
  #isRetiring = false;
  #reachable: boolean | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: IdentityOptions) {
    const { channel, shared, offers, available, bond, tipHeight, onChange } = options;
    this.#channel = channel;
    this.available = available;
    this.#announced = offers.length;
    this.bond = bond;
    const served = deferred<void>();
    const failed = deferred<never>();
    this.served = served.promise;
    this.failed = failed.promise;
    // Without a listener a rejection would end the process.
    this.failed.catch(() => {});
    let wasServed = false;
    channel.on('served', () => {
      wasServed = true;
      served.resolve();
      onChange();
    });
    channel.on('serve-failed', ({ error }) => {
      if (!wasServed) failed.reject(error);
    });
    const onState: MessageChannelEvents['service-state'] = ({ state }) => {
      this.#reachable = state === 'starting' ? undefined : state === 'reachable';
      onChange();
    };
    channel.on('service-state', onState);
    this.#maker = startMaker({
      ...shared,
      channel,
      offers,
      coinjoins: {
        ...shared.coinjoins,
        onOutcome: (taker, outcome) => this.#onOutcome(shared.coinjoins, taker, outcome),
      },
      bond: () => this.bond && { bond: this.bond.bond, tipHeight },
    });
  }

  get nick(): string {
    return this.#channel.nick;
  }

  /** `host:port`; undefined until it is served. */
  get location(): string | undefined {
    const [location] = this.#channel.locations;
    return location && formatLocation(location);
  }

  /** Whether peers can reach it, as far as the overlay knows. */
  get reachable(): boolean | undefined {
    return this.#reachable;
  }

  get offers(): readonly Offer[] {
    return this.#maker.offers;
  }

  /** Whether none of its offers was withdrawn. */
  get isWhole(): boolean {
    return this.offers.length === this.#announced;
  }

  sessions(): readonly SessionView[] {
    return this.#maker.sessionList();
  }

  /** Ids without signatures of the transactions for which a `push` is awaited. */
  awaitingPush(): readonly string[] {
    return this.#maker.awaitingPush();
  }

  /** Ends the negotiation of this transaction, if it waits for a `push`. */
  stopAwaitingPush(unsignedTxid: string): void {
    this.#maker.stopAwaitingPush(unsignedTxid);
  }

  /** Withdraws every offer for which this is false. */
  withdraw(isKept: (offer: Offer) => boolean): void {
    const kept = this.offers.filter(isKept);
    if (kept.length < this.offers.length) this.#maker.setOffers(kept);
  }

  /**
   * Withdraws all offers, lets running negotiations finish, and leaves. Resolves when it has left; never
   * rejects.
   */
  async retire(): Promise<void> {
    this.withdraw(() => false);
    this.#isRetiring = true;
    if (this.#maker.sessions === 0) this.#idle.resolve();
    await this.#idle.promise;
    await this.close();
  }

  /** Ends all negotiations and leaves. */
  close(): Promise<void> {
    this.#closed ??= this.#leave();
    return this.#closed;
  }

  async #leave(): Promise<void> {
    this.#maker.stop();
    this.#idle.resolve();
    await this.#channel.close();
  }

  #onOutcome(coinjoins: MakerCoinjoins, taker: string, outcome: MakerOutcome): void {
    coinjoins.onOutcome?.(taker, outcome);
    if (this.#isRetiring && this.#maker.sessions === 0) this.#idle.resolve();
  }
}
