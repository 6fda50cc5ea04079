/**
 * A running maker with a wallet. Its offers follow from its coins. When they change, it withdraws what it can
 * no longer fill at once; after a random delay it appears again with new offers, a new nick, a new location
 * and new circuits. The old appearance stops offering at another random moment before, finishes its
 * negotiations and leaves. So neither the time of a block nor the end of one nick names the next one.
 */
import type { Log } from '../channel/log.js';
import type { OnionMessageChannel } from '../channel/channel-api.js';
import type { Clock, Random } from '../channel/ports.js';
import type { Chain } from '../chain/ports.js';
import { errorText } from '../kit/error-text.js';
import type { MakerStatus, OnMakerOutcome } from '../maker/api.js';
import {
  fundedOffers,
  largestFillable,
  largestMixdepth,
  type OfferTerms,
} from '../maker/offers.js';
import type { WalletMaker } from '../maker/wallet-maker.js';
import type { BlacklistOptions } from '../negotiation/maker/blacklist.js';
import type { MakerPolicy } from '../negotiation/maker/api.js';
import type { RequestLimits } from '../negotiation/maker/request-limits.js';
import type { SessionLimits } from '../negotiation/maker/sessions.js';
import type { BondPolicy } from '../protocol/fidelity-bond.js';
import type { Offer } from '../protocol/offer.js';
import type { Wallet } from '../wallet/wallet.js';
import type { MakerCoinjoins } from './maker.js';
import { MakerIdentity } from './maker-identity.js';
import { SettledSessions } from './settled-sessions.js';
import { WalletBonds, type AnnouncedBond } from './wallet-bond.js';
import type { YieldStatement } from './yield-statement-file.js';

/** Longest wait between a change of the coins and the new appearance, in milliseconds. */
export const MOST_DELAY_MS = 600_000;

export interface WalletMakerRoleOptions {
  /** Opened for writing, read up to the tip. The caller closes it after `stop`. */
  readonly wallet: Wallet;
  readonly chain: Chain;
  /** The wallet of the negotiations. */
  readonly maker: WalletMaker;
  readonly terms: OfferTerms;
  /** Opens a channel that serves, with a fresh nick. This role closes it. */
  readonly openChannel: () => OnionMessageChannel;
  /**
   * Every channel serves the same location, which therefore must leave before the next one comes (default
   * false).
   */
  readonly keepsLocation?: boolean;
  readonly blacklist: BlacklistOptions;
  readonly requestLimits?: Partial<RequestLimits>;
  readonly policy?: Partial<MakerPolicy>;
  readonly limits?: Partial<SessionLimits>;
  /** How takers value bonds. */
  readonly bondPolicy?: BondPolicy;
  /** Announced instead of a bond of the wallet. */
  readonly bond?: () => AnnouncedBond | undefined;
  /** Gets a line for the start, and one for each confirmed coinjoin. The caller closes it after `stop`. */
  readonly statement?: YieldStatement;
  readonly onOutcome?: OnMakerOutcome;
  /** Called when signatures were sent, with `pushed` false; `onOutcome` follows. */
  readonly onSigned?: MakerCoinjoins['onSigned'];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** The clock of the wallet, in Unix seconds. */
  readonly unixTime: () => number;
}

export interface WalletMakerRole {
  /** Everything that it shows. */
  status(): MakerStatus;
  /** Calls the listener after something in the status changed; returns a function that removes it. */
  onChange(listener: () => void): () => void;
  /** Resolves when the first location is served, or at once without offers. */
  readonly ready: Promise<void>;
  /** Rejects when serving failed before it ever succeeded; never resolves. */
  readonly failed: Promise<never>;
  /** Ends negotiations, leaves, and resolves when nothing uses the wallet any more. */
  stop(): Promise<void>;
}

/** Announces at once what the wallet can fill. Rejects with an `OfferTermsError` for impossible terms. */
export async function startWalletMaker(options: WalletMakerRoleOptions): Promise<WalletMakerRole> {
  const role = new RunningWalletMaker(options);
  await role.start();
  return role;
}

/** A new appearance that waits for its time. */
interface Change {
  /** Unix seconds. */
  readonly at: number;
  cancel(): void;
}

class RunningWalletMaker implements WalletMakerRole {
  readonly #options: WalletMakerRoleOptions;
  readonly #bonds: WalletBonds;
  readonly #settled: SettledSessions;
  readonly #stopping = new AbortController();
  readonly #listeners = new Set<() => void>();
  /** The appearance that offers. */
  #identity: MakerIdentity | undefined;
  /** Those that finish their negotiations. */
  readonly #retiring = new Map<MakerIdentity, Promise<void>>();
  #change: Change | undefined;
  #noOffer: string | undefined;
  #isAppearing = false;
  /** Work on bonds and appearances, one after the other. */
  #work: Promise<void> = Promise.resolve();
  #following: Promise<void> = Promise.resolve();
  #isChainFailing = false;
  ready: Promise<void> = Promise.resolve();
  failed: Promise<never> = new Promise(() => {});

  constructor(options: WalletMakerRoleOptions) {
    this.#options = options;
    const { clock, random, policy } = options;
    this.#settled = new SettledSessions({ clock, random, pushWaitMs: policy?.pushWaitMs });
    this.#bonds = new WalletBonds(options.wallet, options.chain, options.bondPolicy ?? {});
  }

  async start(): Promise<void> {
    const { maker, clock, statement, unixTime, log } = this.#options;
    statement?.connected(unixTime());
    statement?.update(maker.coinjoins());
    await statement?.written();
    await this.#appear();
    if (this.#identity !== undefined) {
      this.ready = this.#identity.served;
      this.failed = this.#identity.failed;
    }
    const { signal } = this.#stopping;
    this.#following = maker.follow({
      signal,
      clock,
      onChange: () => {
        if (this.#isChainFailing) log.info('the bitcoin node answers again');
        this.#isChainFailing = false;
        this.#onWallet();
      },
      onFault: (error) => {
        if (!this.#isChainFailing) {
          log.warn(`the bitcoin node does not answer, it is asked again: ${errorText(error)}`);
        }
        this.#isChainFailing = true;
      },
    });
  }

  status(): MakerStatus {
    const { wallet, maker, clock, unixTime } = this.#options;
    const identity = this.#identity;
    const bond = this.#options.bond?.() ?? identity?.bond;
    const now = clock.now();
    return {
      network: wallet.network,
      nick: identity?.nick,
      location: identity?.location,
      reachable: identity?.reachable,
      offers: identity?.offers ?? [],
      noOffer: this.#reason(),
      mixdepths: maker.funds(),
      sessions: this.#all()
        .flatMap((each) => each.sessions())
        .map((session) => ({
          ...session,
          since: unixTime() - Math.round((now - session.since) / 1_000),
        })),
      coinjoins: maker.coinjoins(),
      bond: bond && { outpoint: bond.outpoint, value: bond.value, lockTime: bond.lockTime },
      nextIdentityAt: this.#change?.at,
      height: wallet.height,
    };
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#change?.cancel();
    this.#settled.stop();
    const { maker } = this.#options;
    const leaving = this.#all().map((identity) => identity.close());
    // The negotiations have ended: what they held is freed on the disk before peers have read everything.
    await maker.idle();
    await Promise.all([...leaving, this.#following, this.#work]);
  }

  #all(): readonly MakerIdentity[] {
    return [...this.#retiring.keys(), ...(this.#identity ? [this.#identity] : [])];
  }

  #told(): void {
    for (const listener of this.#listeners) listener();
  }

  #reason(): string | undefined {
    if ((this.#identity?.offers.length ?? 0) > 0) return undefined;
    if (this.#change === undefined) return this.#noOffer ?? 'the maker is about to announce offers';
    return 'the coins have changed: new offers follow under a new nick after a random delay';
  }

  /** Something may have changed: blocks, coins, signed coinjoins. */
  #onWallet(): void {
    if (this.#stopping.signal.aborted) return;
    const { maker, statement } = this.#options;
    const coinjoins = maker.coinjoins();
    statement?.update(coinjoins);
    this.#settled.see(this.#all(), coinjoins);
    this.#followCoins();
    this.#inOrder(() => this.#renewBond());
    this.#told();
  }

  /** Withdraws what cannot be filled, and plans the next appearance when the coins ask for other offers. */
  #followCoins(): void {
    // The next appearance is made from the coins as they are then.
    if (this.#isAppearing) return;
    const available = this.#available();
    const identity = this.#identity;
    identity?.withdraw((offer) => isFillable(offer, available));
    if (identity?.offers.length === 0) this.#retire(identity);
    const isAsBefore = this.#identity?.isWhole === true && this.#identity.available === available;
    if (isAsBefore) {
      // A change that was undone meanwhile.
      this.#change?.cancel();
      this.#change = undefined;
    } else if (this.#change === undefined) {
      this.#planChange();
    }
  }

  /** What the largest mixdepth can give, as if no negotiation ran: offers must not show when one does. */
  #available(): number {
    const funds = this.#options.maker.funds({ withLeased: true });
    return largestMixdepth(funds)?.available ?? 0;
  }

  #offers(): ReturnType<typeof fundedOffers> {
    const { terms, maker, random } = this.#options;
    const made = fundedOffers(terms, maker.funds({ withLeased: true }), random);
    this.#noOffer = made.noOffer;
    return made;
  }

  #planChange(): void {
    const { clock, random, unixTime, log } = this.#options;
    const { offers } = this.#offers();
    // Without offers there is nothing to announce; what is announced cannot be filled and is withdrawn.
    if (offers.length === 0) return;
    const delay = Math.round(random() * MOST_DELAY_MS);
    const cancelAppearance = clock.after(delay, () => {
      this.#change = undefined;
      this.#isAppearing = true;
      this.#inOrder(() => this.#appear());
    });
    const cancelWithdrawal = clock.after(Math.round(random() * delay), () => {
      if (this.#identity !== undefined) this.#retire(this.#identity);
      this.#told();
    });
    this.#change = {
      at: unixTime() + Math.round(delay / 1_000),
      cancel() {
        cancelAppearance();
        cancelWithdrawal();
      },
    };
    log.info('the coins have changed: new offers follow under a new nick', {
      inSeconds: Math.round(delay / 1_000),
    });
  }

  /** Offers under a new nick, where there is something to offer. */
  async #appear(): Promise<void> {
    this.#isAppearing = true;
    try {
      await this.#open();
    } finally {
      this.#isAppearing = false;
    }
    this.#told();
  }

  async #open(): Promise<void> {
    const { signal } = this.#stopping;
    const { openChannel, keepsLocation = false } = this.#options;
    const old = this.#identity;
    if (old !== undefined) this.#retire(old);
    if (keepsLocation) await Promise.all(this.#retiring.values());
    const bond = await this.#freshBond();
    if (signal.aborted) return;
    const { offers, available, noOffer } = this.#offers();
    if (noOffer !== undefined) {
      this.#options.log.warn(`no offer is announced: ${noOffer}`);
      return;
    }
    this.#identity = new MakerIdentity({
      channel: openChannel(),
      shared: this.#shared(),
      offers,
      otherOffers: () => this.#offers().offers,
      available,
      bond,
      tipHeight: () => this.#options.wallet.height,
      onChange: () => this.#told(),
    });
  }

  #shared(): ConstructorParameters<typeof MakerIdentity>[0]['shared'] {
    const { wallet, maker, chain, blacklist, requestLimits, policy, limits } = this.#options;
    const { clock, log, onSigned } = this.#options;
    return {
      clock,
      log,
      blacklist,
      ...(requestLimits === undefined ? {} : { requestLimits }),
      coinjoins: {
        network: wallet.network,
        wallet: maker,
        chain,
        ...(policy === undefined ? {} : { policy }),
        ...(limits === undefined ? {} : { limits }),
        ...(onSigned === undefined ? {} : { onSigned }),
        onOutcome: (taker, outcome) => {
          this.#options.onOutcome?.(taker, outcome);
          this.#onWallet();
        },
      },
    };
  }

  #retire(identity: MakerIdentity): void {
    if (this.#identity === identity) this.#identity = undefined;
    if (this.#retiring.has(identity)) return;
    this.#retiring.set(identity, this.#leaves(identity));
  }

  async #leaves(identity: MakerIdentity): Promise<void> {
    await identity.retire();
    this.#retiring.delete(identity);
    this.#told();
  }

  async #freshBond(): Promise<AnnouncedBond | undefined> {
    if (this.#options.bond !== undefined) return this.#options.bond();
    try {
      return await this.#bonds.fresh(this.#stopping.signal);
    } catch (error) {
      this.#bondFault(error);
      return undefined;
    }
  }

  /** Another certificate before this one expires, or another bond when it is worth more. */
  async #renewBond(): Promise<void> {
    const identity = this.#identity;
    if (identity === undefined || this.#stopping.signal.aborted) return;
    if (this.#options.bond !== undefined) {
      identity.bond = this.#options.bond();
      return;
    }
    try {
      identity.bond = await this.#bonds.renewed(identity.bond, this.#stopping.signal);
    } catch (error) {
      this.#bondFault(error);
    }
  }

  #bondFault(error: unknown): void {
    if (this.#stopping.signal.aborted) return;
    this.#options.log.warn(`the bond cannot be certified: ${errorText(error)}`);
  }

  #inOrder(work: () => Promise<void>): void {
    this.#work = this.#work.then(work).catch((error: unknown) => {
      this.#options.log.error(`the maker could not go on: ${errorText(error)}`);
    });
  }
}

const isFillable = (offer: Offer, available: number): boolean =>
  offer.maxsize <= largestFillable(offer, available);
