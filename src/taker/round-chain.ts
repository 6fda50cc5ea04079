/**
 * The chain as a taker's round sees it. A transaction that was sent is looked for by its coins and its
 * outputs too, not by its id alone, and a conflict with it ends the wait.
 */
import { BroadcastError, ChainError } from '../chain/chain-error.js';
import type { Chain, ChainCoin, TransactionState } from '../chain/ports.js';
import type { Clock } from '../kit/clock.js';
import { pause } from '../kit/pause.js';
import type { TakerChain } from '../negotiation/ports.js';
import { formatOutpoint, type NamedOutpoint } from '../protocol/outpoint.js';

/** Interval between two searches for the transaction by its coins. */
const LOOK_MS = 10_000;

/** What became of a transaction that is not in the chain, as one sentence. */
export function conflictText(
  state: Extract<TransactionState, { readonly state: 'conflict' }>,
): string {
  const place = state.height === undefined ? 'of the mempool' : `in block ${state.height}`;
  return `another transaction ${place} spends its coin ${formatOutpoint(state.outpoint)}`;
}

/** The complete transaction, and the height above which it may be in a block. */
interface Watched {
  readonly bytes: Uint8Array;
  readonly height: number;
}

export class RoundChain implements TakerChain {
  readonly #chain: Chain;
  readonly #clock: Clock;
  #watched: Watched | undefined;

  constructor(chain: Chain, clock: Clock) {
    this.#chain = chain;
    this.#clock = clock;
  }

  /** The round's transaction is complete. */
  watch(bytes: Uint8Array, height: number): void {
    this.#watched = { bytes, height };
  }

  coins(
    outpoints: readonly NamedOutpoint[],
    signal: AbortSignal,
  ): Promise<readonly (ChainCoin | undefined)[]> {
    return this.#chain.coins(outpoints, signal);
  }

  /** Rejects with a sentence that names the coin, where another transaction spends one of them. */
  async broadcast(transaction: Uint8Array): Promise<void> {
    try {
      await this.#chain.broadcast(transaction);
    } catch (error) {
      if (!(error instanceof BroadcastError)) throw error;
      // A node gives the same answer for a transaction that is in a block and spent again.
      const state = await this.#chain.transactionState(transaction, this.#watched?.height ?? 0);
      if (state.state === 'mempool' || state.state === 'confirmed') return;
      if (state.state === 'conflict') throw new Error(conflictText(state), { cause: error });
      throw error;
    }
  }

  async seen(txid: string, signal: AbortSignal): Promise<void> {
    const end = new AbortController();
    const both = AbortSignal.any([signal, end.signal]);
    try {
      await Promise.race([this.#chain.seen(txid, both), this.#found(both)]);
    } finally {
      end.abort();
    }
  }

  feePerKb(blocks: number, signal: AbortSignal): Promise<number | undefined> {
    return this.#chain.feePerKb(blocks, signal);
  }

  /** Undefined while the source of the chain does not answer: it says nothing about the transaction. */
  async #stateOf(
    { bytes, height }: Watched,
    signal: AbortSignal,
  ): Promise<TransactionState | undefined> {
    try {
      return await this.#chain.transactionState(bytes, height, signal);
    } catch (error) {
      if (error instanceof ChainError) return undefined;
      throw error;
    }
  }

  /** Resolves when the transaction is in the chain; rejects when a conflict is. */
  async #found(signal: AbortSignal): Promise<void> {
    const watched = this.#watched;
    while (!signal.aborted) {
      // oxlint-disable-next-line no-await-in-loop -- one look after the other
      await pause(this.#clock, LOOK_MS, signal);
      if (signal.aborted || watched === undefined) break;
      // oxlint-disable-next-line no-await-in-loop
      const state = await this.#stateOf(watched, signal);
      if (state?.state === 'mempool' || state?.state === 'confirmed') return;
      if (state?.state === 'conflict') throw new Error(conflictText(state));
    }
    // The other search decides, or the round has ended.
    await new Promise<void>((_, reject) => {
      if (signal.aborted) reject(new Error('the search ended'));
      signal.addEventListener('abort', () => reject(new Error('the search ended')), { once: true });
    });
  }
}
