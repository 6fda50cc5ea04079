/**
 * Ends negotiations of a maker that only wait for a `push` when their coinjoin, or a conflict of it, is in a
 * block. Each ends at a random moment within the time that it would have waited, so that the nick that leaves
 * with it does not name the coinjoin of the block.
 */
import type { Clock, Random } from '../channel/ports.js';
import type { MakerCoinjoin } from '../maker/api.js';
import { DEFAULT_MAKER_POLICY } from '../negotiation/maker/api.js';

/** An appearance of the maker. */
interface Appearance {
  /** Ids without signatures of the transactions for which a `push` is awaited. */
  awaitingPush(): readonly string[];
  /** Ends the negotiation of this transaction, if it waits for a `push`. */
  stopAwaitingPush(unsignedTxid: string): void;
}

export interface SettledSessionsOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** How long a negotiation waits for a `push`, in milliseconds. */
  readonly pushWaitMs: number | undefined;
}

export class SettledSessions {
  readonly #options: SettledSessionsOptions;
  /** Ends that wait for their moment, by unsigned txid. */
  readonly #ends = new Map<string, () => void>();

  constructor(options: SettledSessionsOptions) {
    this.#options = options;
  }

  /** Call it when coinjoins may have changed. */
  see(appearances: readonly Appearance[], coinjoins: readonly MakerCoinjoin[]): void {
    const waiting = appearances.flatMap((each) =>
      each.awaitingPush().map((unsignedTxid) => ({ each, unsignedTxid })),
    );
    if (waiting.length === 0) return;
    const { clock, random, pushWaitMs = DEFAULT_MAKER_POLICY.pushWaitMs } = this.#options;
    const pending = new Set(
      coinjoins.filter(({ state }) => state === 'pending').map((it) => it.unsignedTxid),
    );
    for (const { each, unsignedTxid } of waiting) {
      if (pending.has(unsignedTxid) || this.#ends.has(unsignedTxid)) continue;
      const cancel = clock.after(Math.round(random() * pushWaitMs), () => {
        this.#ends.delete(unsignedTxid);
        each.stopAwaitingPush(unsignedTxid);
      });
      this.#ends.set(unsignedTxid, cancel);
    }
  }

  stop(): void {
    for (const cancel of this.#ends.values()) cancel();
    this.#ends.clear();
  }
}
