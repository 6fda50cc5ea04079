/**
 * The reservations of running sessions, and their ends. Each is a lease in the journal of the wallet, which is
 * on the disk before its coins are named to a taker. The end of a session is written afterwards: until it is on
 * the disk, the coins stay reserved, at most until the lease is over.
 */
import type { Log } from '../channel/log.js';
import { errorText } from '../kit/error-text.js';
import type { Reservation, Settlement } from '../negotiation/ports.js';
import { formatOutpoint, type Outpoint } from '../protocol/outpoint.js';
import type { CoinjoinTerms, Lease } from '../wallet/requests.js';
import type { Wallet } from '../wallet/wallet.js';

/** Most ends that wait for the disk. */
const MOST_ENDS = 1_000;

/** One reservation and what was agreed for it. */
export interface SessionLease {
  readonly lease: Lease;
  readonly reservation: Reservation;
  readonly terms: CoinjoinTerms;
  /** Unsigned txid of the signed transaction that the session's one conflicts with. */
  readonly replaces: string | undefined;
}

interface Entry extends SessionLease {
  /** The signature that is being made; it resolves to the unsigned txid, or undefined after a failure. */
  signing: Promise<string | undefined> | undefined;
}

type Ended = Pick<SessionLease, 'lease'> & Partial<Pick<Entry, 'signing'>>;

const sameCoins = (a: readonly Outpoint[], b: readonly Outpoint[]): boolean => {
  const names = new Set(a.map(formatOutpoint));
  return names.size === b.length && b.every((coin) => names.has(formatOutpoint(coin)));
};

export class SessionLeases {
  readonly #wallet: Wallet;
  readonly #log: Log;
  readonly #unixTime: () => number;
  /** By the coinjoin address, which no other reservation has. */
  readonly #entries = new Map<string, Entry>();
  /** Ends that are not on the disk yet, by lease. */
  readonly #ends = new Map<string, Ended>();
  readonly #writes = new Set<Promise<void>>();

  constructor(wallet: Wallet, log: Log, unixTime: () => number) {
    this.#wallet = wallet;
    this.#log = log;
    this.#unixTime = unixTime;
  }

  /** Number of reservations that were not settled. */
  get size(): number {
    return this.#entries.size;
  }

  add(lease: SessionLease): void {
    const now = this.#unixTime();
    for (const [address, { lease: old }] of this.#entries) {
      if (old.until <= now) this.#entries.delete(address);
    }
    this.#entries.set(lease.reservation.coinjoinAddress, { ...lease, signing: undefined });
  }

  /** The reservation with exactly these coins. */
  withCoins(coins: readonly Outpoint[]): SessionLease | undefined {
    return this.#entryWith(coins);
  }

  /** Notes that a signature is being made, so that an end of the session waits for it. */
  signing(coins: readonly Outpoint[], unsignedTxid: Promise<string>): void {
    const entry = this.#entryWith(coins);
    if (entry !== undefined) entry.signing = unsignedTxid.catch(() => undefined);
  }

  /** The session has ended. Never throws; the write happens later. */
  settle({ coinjoinAddress }: Reservation, settlement: Settlement): void {
    const entry = this.#entries.get(coinjoinAddress);
    if (entry === undefined) return;
    this.#entries.delete(coinjoinAddress);
    // The journal holds the coins of a signed transaction.
    if (settlement === 'signed') return;
    this.end(entry);
  }

  /** Frees a lease without a session. Never throws; the write happens later. */
  end(ended: Ended): void {
    if (this.#ends.size >= MOST_ENDS) {
      const [oldest] = this.#ends.keys();
      if (oldest !== undefined) this.#ends.delete(oldest);
    }
    this.#ends.set(ended.lease.id, ended);
    this.#start(ended);
  }

  /** Writes ends again that failed, and resolves when no write runs. Never rejects. */
  async flush(): Promise<void> {
    await Promise.all(this.#writes);
    for (const ended of this.#ends.values()) this.#start(ended);
    await Promise.all(this.#writes);
  }

  /**
   * The newest one: a session that has signed and waits for `push` is still there when its coinjoin is lost
   * and another session gets its coins.
   */
  #entryWith(coins: readonly Outpoint[]): Entry | undefined {
    return [...this.#entries.values()]
      .toReversed()
      .find(({ reservation }) => sameCoins(reservation.coins, coins));
  }

  #start(ended: Ended): void {
    const write = this.#write(ended).finally(() => this.#writes.delete(write));
    this.#writes.add(write);
  }

  async #write({ lease, signing }: Ended): Promise<void> {
    try {
      const unsignedTxid = await signing;
      if (unsignedTxid === undefined) await this.#wallet.release(lease);
      // Signed, and the signatures never left this program.
      else await this.#wallet.abandon(unsignedTxid);
      this.#ends.delete(lease.id);
    } catch (error) {
      this.#log.error('coins of a negotiation that ended stay reserved for now', {
        reason: errorText(error),
      });
    }
  }
}
