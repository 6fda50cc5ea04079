/** Leases of coins, and when coins were leased before. Part of the state of a journal. Pure. */
import { formatOutpoint } from '../protocol/outpoint.js';
import type { Lease } from './requests.js';

/** Longest lease: a day. */
export const MAX_LEASE_SECONDS = 86_400;
/** Coins whose last lease is remembered. */
const MOST_REMEMBERED = 10_000;

/**
 * Whether a lease is not over. One that ends in more than a day was taken while the clock was ahead: its coins
 * would be held for ever.
 */
export const isLeaseOpen = ({ until }: Pick<Lease, 'until'>, now: number): boolean =>
  until > now && until - now <= MAX_LEASE_SECONDS;

/** When a coin was leased, and by which owner. */
export interface LastLease {
  readonly owner: string;
  /** Unix seconds. */
  readonly time: number;
}

export class LeaseBook {
  readonly #leases = new Map<string, Lease>();
  /** The newest lease of a coin, by its name. */
  readonly #byCoin = new Map<string, Lease>();
  /** The oldest first. */
  readonly #last = new Map<string, LastLease>();

  /** Leases, also those that are over. */
  all(): readonly Lease[] {
    return [...this.#leases.values()];
  }

  named(id: string): Lease | undefined {
    return this.#leases.get(id);
  }

  /** The lease that covers a coin at a time. */
  ofCoin(coin: string, now: number): Lease | undefined {
    const lease = this.#byCoin.get(coin);
    return lease !== undefined && isLeaseOpen(lease, now) ? lease : undefined;
  }

  /** The last lease of a coin, also one that is over or was released; undefined after a long time. */
  lastOf(coin: string): LastLease | undefined {
    return this.#last.get(coin);
  }

  /** Adds a lease. Those that are over at its time are removed, so that their number has a bound. */
  add(lease: Lease, time: number): void {
    for (const old of this.#leases.values()) if (old.until <= time) this.end(old.id);
    this.#leases.set(lease.id, lease);
    for (const coin of lease.coins) {
      const name = formatOutpoint(coin);
      this.#byCoin.set(name, lease);
      this.#last.delete(name);
      this.#last.set(name, { owner: lease.owner, time });
    }
    for (const [name, { time: at }] of this.#last) {
      if (this.#last.size <= MOST_REMEMBERED && time - at <= MAX_LEASE_SECONDS) break;
      this.#last.delete(name);
    }
  }

  /** Ends a lease. */
  end(id: string): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    this.#leases.delete(id);
    for (const coin of lease.coins) {
      const name = formatOutpoint(coin);
      if (this.#byCoin.get(name) === lease) this.#byCoin.delete(name);
    }
  }
}
