/**
 * The wallet of a maker. What a session may spend is leased in the journal of the wallet before its coins are
 * named, and its addresses are handed out in the same write.
 *
 * What holds, also across restarts and after a kill at any point:
 *
 * - No two sessions have a coin or an address in common: coins are leased until the session ends, addresses are
 *   fresh. A session that ended without signatures leaves its coins free. Leases of an earlier process are
 *   freed at the start, since its sessions are gone and signed nothing that is not in the journal.
 * - Coins of a signed coinjoin stay reserved until it, or a conflict of it, is in a block. After
 *   `pendingTxTimeoutMs` (and the time for one signature) coins of one that the mempool does not have are used
 *   again where nothing else suffices, and only together in a transaction that conflicts with it.
 * - A taker that comes again, or another one, sees coins that were shown within the last hour rather than
 *   others, as long as they are free and suffice. The journal remembers them, at most 10,000 coins.
 * - Deposits in mixdepth 0 are never spent together, unless they came to one address.
 */
import type { Log } from '../channel/log.js';
import type { Clock } from '../channel/ports.js';
import type { Chain } from '../chain/ports.js';
import { DEFAULT_MAKER_POLICY, type MakerPolicy } from '../negotiation/maker/api.js';
import type {
  MakerWallet,
  OwnCoin,
  Reservation,
  ReservationRequest,
  Settlement,
  SigningRequest,
} from '../negotiation/ports.js';
import type { InputSignature } from '../negotiation/transaction.js';
import { offerFee } from '../protocol/offer.js';
import { formatOutpoint } from '../protocol/outpoint.js';
import { WalletError, type SelectionRule, type WalletCoin } from '../wallet/api.js';
import { CoinjoinFollower } from '../wallet/coinjoins/follower.js';
import type { Wallet } from '../wallet/wallet.js';
import type { MakerCoinjoin, MixdepthFunds } from './api.js';
import { chooseCoins, mostFrom, type CoinChoice } from './coin-choice.js';
import { coinAvailability } from './coin-availability.js';
import { makerCoinjoins } from './coinjoins.js';
import { followWallet } from './follow-wallet.js';
import { SessionLeases } from './session-leases.js';

/** The holder of the leases of a maker. A wallet has one maker at a time. */
export const MAKER_OWNER = 'maker';
/** Most coins of one session. Takers refuse makers with more (`max_maker_utxos` of joinmarket-ng, and our own). */
const MOST_COINS = 15;
/** Choices that are tried when the chain or another part of the program has spent the coins meanwhile. */
const MOST_TRIES = 5;
/** Beyond the longest session. */
const LEASE_MARGIN_MS = 60_000;

export interface WalletMakerOptions {
  /** Opened for writing. Read up to the tip before the first session. */
  readonly wallet: Wallet;
  readonly chain: Chain;
  readonly log: Log;
  /** The clock of the wallet, in Unix seconds. */
  readonly unixTime: () => number;
  /** The policy of the sessions. */
  readonly policy?: Partial<MakerPolicy>;
  /** Which coins are spent, default `default`. */
  readonly rule?: SelectionRule;
  /** Most coins of one session, 1 to 100; default 15, the most that takers accept. */
  readonly mostCoins?: number;
}

/** What `follow` needs. */
export interface FollowOptions {
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Coins, confirmations or signed coinjoins may have changed. */
  readonly onChange: () => void;
  /** The chain did not answer; it is asked again later. */
  readonly onFault: (error: unknown) => void;
}

export class WalletMaker implements MakerWallet {
  readonly #wallet: Wallet;
  readonly #chain: Chain;
  readonly #unixTime: () => number;
  readonly #policy: MakerPolicy;
  readonly #rule: SelectionRule;
  readonly #mostCoins: number;
  readonly #leases: SessionLeases;
  /** Coins that were chosen and are not leased yet, by name. */
  readonly #chosen = new Set<string>();

  constructor({ wallet, chain, log, unixTime, policy, rule, mostCoins }: WalletMakerOptions) {
    this.#wallet = wallet;
    this.#chain = chain;
    this.#unixTime = unixTime;
    this.#policy = { ...DEFAULT_MAKER_POLICY, ...policy };
    this.#rule = rule ?? 'default';
    this.#mostCoins = mostCoins ?? MOST_COINS;
    this.#leases = new SessionLeases(wallet, log, unixTime);
    for (const lease of wallet.leases())
      if (lease.owner === MAKER_OWNER) this.#leases.end({ lease });
  }

  /**
   * Coins of one mixdepth and fresh addresses for a session. Undefined when no coins fit the amount.
   * @throws WalletError `chain` before the wallet was read up to the tip, `mainnet`, `passphrase`.
   * @throws WalletStoreError when the disk takes no write.
   */
  async reserve(
    request: ReservationRequest,
    signal: AbortSignal,
  ): Promise<Reservation | undefined> {
    this.#wallet.checkSpending();
    await this.#leases.flush();
    const spent = new Set<string>();
    for (let tries = 0; tries < MOST_TRIES && !signal.aborted; tries++) {
      const choice = chooseCoins(this.#terms(spent), request.least);
      if (choice === undefined) return undefined;
      // oxlint-disable-next-line no-await-in-loop -- another choice after the first one failed
      const reservation = await this.#tryReserve(choice, request, spent, signal);
      if (reservation !== undefined) return reservation;
    }
    return undefined;
  }

  /**
   * Signs a transaction for the reservation that has exactly its coins. The wallet checks it again against the
   * journal and the chain.
   * @throws WalletError when the transaction does not pay what was agreed, or the lease is over.
   */
  async sign(request: SigningRequest, signal: AbortSignal): Promise<readonly InputSignature[]> {
    signal.throwIfAborted();
    const coins = request.inputs.map(({ coin: { txid, vout } }) => ({ txid, vout }));
    const session = this.#leases.withCoins(coins);
    if (session === undefined) {
      throw new WalletError('held', 'the coins of the transaction are not those of a reservation');
    }
    const { lease, terms, replaces } = session;
    const signing = this.#wallet.sign({
      transaction: request.transaction,
      kind: 'coinjoin-maker',
      coins,
      mostSpent: -terms.earned,
      lease: lease.id,
      replaces,
      coinjoin: terms,
    });
    this.#leases.signing(
      coins,
      signing.then(({ unsignedTxid }) => unsignedTxid),
    );
    return (await signing).signatures;
  }

  /** Never throws. What it writes is on the disk before the next reservation, or after `idle`. */
  settle(reservation: Reservation, settlement: Settlement): void {
    this.#leases.settle(reservation, settlement);
  }

  /** Resolves when every end of a session is on the disk, or failed to get there. Call it before the wallet closes. */
  idle(): Promise<void> {
    return this.#leases.flush();
  }

  /** Number of reservations that were not settled. */
  get reservations(): number {
    return this.#leases.size;
  }

  /**
   * What each mixdepth can give. `available` is the most that one session could spend from it: `reserve` finds
   * coins for every `least` up to the largest of them. `withLeased`: as if no session ran, for offers, which
   * must not show when a session runs.
   */
  funds({ withLeased = false }: { readonly withLeased?: boolean } = {}): readonly MixdepthFunds[] {
    const terms = this.#terms(new Set(), withLeased);
    const { coins } = terms;
    return Array.from({ length: terms.mixdepths }, (_, mixdepth) => ({
      mixdepth,
      available: mostFrom(terms, mixdepth),
      held: coins
        .filter((coin) => coin.mixdepth === mixdepth && coin.lockTime === undefined)
        .filter(({ hold }) => hold === 'leased' || hold === 'signed')
        .reduce((sum, { value }) => sum + value, 0),
    }));
  }

  /** The coinjoins that were signed as a maker, the oldest first. */
  coinjoins(): readonly MakerCoinjoin[] {
    return makerCoinjoins(this.#wallet);
  }

  /**
   * Keeps the wallet at the tip and follows its signed coinjoins, until the signal is aborted. Never rejects.
   */
  follow(options: FollowOptions): Promise<void> {
    const follower = new CoinjoinFollower(this.#wallet, this.#chain);
    return followWallet(this.#wallet, follower, options);
  }

  #terms(spent: ReadonlySet<string>, withLeased = false) {
    const { mixdepths } = this.#wallet.secret;
    const availability = coinAvailability({
      wallet: this.#wallet,
      now: this.#unixTime(),
      withLeased,
      overdueSeconds: (this.#policy.pendingTxTimeoutMs + this.#policy.portWaitMs) / 1000,
      isTaken: (name) => spent.has(name) || (!withLeased && this.#chosen.has(name)),
    });
    return { ...availability, mixdepths, rule: this.#rule, mostCoins: this.#mostCoins };
  }

  /** Undefined when the coins are not free any more; then they are among `spent`, or the journal holds them. */
  async #tryReserve(
    { mixdepth, coins, replaces }: CoinChoice,
    request: ReservationRequest,
    spent: Set<string>,
    signal: AbortSignal,
  ): Promise<Reservation | undefined> {
    const names = coins.map(formatOutpoint);
    for (const name of names) this.#chosen.add(name);
    try {
      const missing = await this.#spentCoins(coins, signal);
      for (const name of missing) spent.add(name);
      if (missing.length > 0) return undefined;
      return await this.#lease(mixdepth, coins, replaces, request);
    } catch (error) {
      const isTaken =
        error instanceof WalletError && ['held', 'coin', 'frozen'].includes(error.fault);
      if (!isTaken) throw error;
      for (const name of names) spent.add(name);
      return undefined;
    } finally {
      for (const name of names) this.#chosen.delete(name);
    }
  }

  /** Coins that a transaction of the mempool spends which the wallet does not know. */
  async #spentCoins(coins: readonly WalletCoin[], signal: AbortSignal): Promise<readonly string[]> {
    if (!this.#chain.abilities.mempool) return [];
    const found = await this.#chain.coins(coins, signal);
    return coins.filter((_, n) => found[n] === undefined).map(formatOutpoint);
  }

  async #lease(
    mixdepth: number,
    coins: readonly WalletCoin[],
    replaces: string | undefined,
    { offer, amount, boxPublicKey }: ReservationRequest,
  ): Promise<Reservation> {
    const next = (mixdepth + 1) % this.#wallet.secret.mixdepths;
    const { lease, addresses } = await this.#wallet.lease(
      { owner: MAKER_OWNER, coins, seconds: this.#leaseSeconds(), replaces },
      [
        { mixdepth: next, purpose: 'coinjoin' },
        { mixdepth, purpose: 'change' },
      ],
    );
    try {
      const [coinjoin, change] = addresses;
      const [first] = coins;
      if (coinjoin === undefined || change === undefined || first === undefined) {
        throw new Error('the wallet handed out too few addresses');
      }
      const auth = this.#wallet.signAuth(first, boxPublicKey);
      const reservation: Reservation = {
        coins: coins.map(ownCoin),
        free: coins.filter(({ hold }) => hold === undefined),
        coinjoinAddress: coinjoin.address,
        changeAddress: change.address,
        authPublicKey: auth.publicKey,
        authSignature: auth.signature,
      };
      const fee = offerFee(offer, amount);
      const terms = { amount, fee, earned: fee - offer.txfee, script: coinjoin.script };
      this.#leases.add({ lease, reservation, terms, replaces });
      return reservation;
    } catch (error) {
      this.#leases.end({ lease });
      throw error;
    }
  }

  #leaseSeconds(): number {
    const { portWaitMs, txWaitMs } = this.#policy;
    return Math.ceil((4 * portWaitMs + txWaitMs + LEASE_MARGIN_MS) / 1000);
  }
}

const ownCoin = ({ txid, vout, script, value, height }: WalletCoin): OwnCoin => ({
  txid,
  vout,
  script,
  value,
  ...(height === undefined ? {} : { height }),
});
