/**
 * One appearance of a maker with a wallet: a nick, the locations that it serves, and the offers under this
 * nick. A maker has another one for each state of its coins, so that offers, nicks and blocks are not linked.
 */
import type { MessageChannelEvents, OnionMessageChannel } from '../channel/channel-api.js';
import { deferred } from '../kit/deferred.js';
import type { MakerOutcome } from '../negotiation/maker/api.js';
import type { SessionView } from '../negotiation/maker/sessions.js';
import type { ServiceState } from '../channel/ports.js';
import { formatLocation, type LocationKind } from '../protocol/location.js';
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
  /** Offers for each further nick of the channel: equal ones would link the nicks. */
  readonly otherOffers?: () => readonly Offer[];
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
  /** One for each nick of the channel. */
  readonly #makers: readonly Maker[];
  /** Resolves when no negotiation runs, after `retire`. */
  readonly #idle = deferred<void>();
  readonly #announced: number;
  #isRetiring = false;
  /** The state of each location. */
  readonly #states = new Map<LocationKind, ServiceState['state']>();
  #closed: Promise<void> | undefined;

  constructor(options: IdentityOptions) {
    const { channel, shared, available, bond, tipHeight, onChange } = options;
    this.#channel = channel;
    this.available = available;
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
    const onState: MessageChannelEvents['service-state'] = ({ state }, kind) => {
      this.#states.set(kind, state);
      onChange();
    };
    channel.on('service-state', onState);
    this.#makers = (channel.parts ?? [channel]).map((part, i) =>
      startMaker({
        ...shared,
        channel: part,
        offers: i === 0 ? options.offers : (options.otherOffers?.() ?? options.offers),
        coinjoins: {
          ...shared.coinjoins,
          onOutcome: (taker, outcome) => this.#onOutcome(shared.coinjoins, taker, outcome),
        },
        // Under a second nick the same bond would link the two.
        ...(i === 0 ? { bond: () => this.bond && { bond: this.bond.bond, tipHeight } } : {}),
      }),
    );
    this.#announced = this.offers.length;
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
    const states = [...this.#states.values()];
    if (states.length === 0 || states.includes('starting')) return undefined;
    return !states.includes('lost');
  }

  get offers(): readonly Offer[] {
    return this.#makers.flatMap(({ offers }) => offers);
  }

  /** Whether none of its offers was withdrawn. */
  get isWhole(): boolean {
    return this.offers.length === this.#announced;
  }

  sessions(): readonly SessionView[] {
    return this.#makers.flatMap((maker) => maker.sessionList());
  }

  /** Ids without signatures of the transactions for which a `push` is awaited. */
  awaitingPush(): readonly string[] {
    return this.#makers.flatMap((maker) => maker.awaitingPush());
  }

  /** Ends the negotiation of this transaction, if it waits for a `push`. */
  stopAwaitingPush(unsignedTxid: string): void {
    for (const maker of this.#makers) maker.stopAwaitingPush(unsignedTxid);
  }

  /** Withdraws every offer for which this is false. */
  withdraw(isKept: (offer: Offer) => boolean): void {
    for (const maker of this.#makers) {
      const kept = maker.offers.filter(isKept);
      if (kept.length < maker.offers.length) maker.setOffers(kept);
    }
  }

  /** Running negotiations under all nicks. */
  get #sessions(): number {
    return this.#makers.reduce((sum, { sessions }) => sum + sessions, 0);
  }

  /**
   * Withdraws all offers, lets running negotiations finish, and leaves. Resolves when it has left; never
   * rejects.
   */
  async retire(): Promise<void> {
    this.withdraw(() => false);
    this.#isRetiring = true;
    if (this.#sessions === 0) this.#idle.resolve();
    await this.#idle.promise;
    await this.close();
  }

  /** Ends all negotiations and leaves. */
  close(): Promise<void> {
    this.#closed ??= this.#leave();
    return this.#closed;
  }

  async #leave(): Promise<void> {
    for (const maker of this.#makers) maker.stop();
    this.#idle.resolve();
    await this.#channel.close();
  }

  #onOutcome(coinjoins: MakerCoinjoins, taker: string, outcome: MakerOutcome): void {
    coinjoins.onOutcome?.(taker, outcome);
    if (this.#isRetiring && this.#sessions === 0) this.#idle.resolve();
  }
}
