/**
 * How often codes that can be guessed may be tried: by one address, and by all together. A right code does
 * not count. Pure: the time is an argument.
 */
import { BoundedMap } from '../kit/bounded-map.js';
import { refill, type Bucket } from '../kit/rate-limit.js';

/** The limits of attempts. */
export interface AttemptLimits {
  /** Wrong codes of one address at once. */
  readonly burst: number;
  /** Seconds until one address has one more. */
  readonly everySec: number;
  /** Wrong codes of all addresses at once. */
  readonly totalBurst: number;
  /** Wrong codes of all addresses in a second. */
  readonly totalPerSec: number;
}

export const DEFAULT_ATTEMPTS: AttemptLimits = {
  burst: 5,
  everySec: 60,
  totalBurst: 100,
  totalPerSec: 2,
};

/** Addresses that are remembered; a forgotten one starts anew, and the total still holds. */
const MAX_ADDRESSES = 10_000;

export class Attempts {
  readonly #limits: AttemptLimits;
  readonly #byAddress = new BoundedMap<string, Bucket>(MAX_ADDRESSES);
  #total: Bucket | undefined;

  constructor(limits: AttemptLimits = DEFAULT_ATTEMPTS) {
    this.#limits = limits;
  }

  /** Counts one attempt; false when there may be none now. */
  take(address: string, now: number): boolean {
    const { burst, everySec, totalBurst, totalPerSec } = this.#limits;
    const total = (this.#total ??= { tokens: totalBurst, filledAt: now });
    refill(total, totalPerSec, totalBurst, now);
    const own = this.#byAddress.use(address, () => ({ tokens: burst, filledAt: now }));
    refill(own, 1 / everySec, burst, now);
    if (own.tokens < 1 || total.tokens < 1) return false;
    own.tokens--;
    total.tokens--;
    return true;
  }

  /** The attempt was right. */
  giveBack(address: string): void {
    const own = this.#byAddress.get(address);
    if (own) own.tokens++;
    if (this.#total) this.#total.tokens++;
  }
}
