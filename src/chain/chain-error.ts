/** What can go wrong between the wallet and a source of the block chain. */

/** Why a source of the chain gives no answer. */
export type ChainFault =
  /** Nothing answers at its address. */
  | 'unreachable'
  /** It refuses the user name, the password or the cookie; or the cookie file cannot be read. */
  | 'access'
  /** It starts, and is not ready (warming up). */
  | 'starting'
  /** Its chain is another network than the configured one. */
  | 'network'
  /** It cannot do this: a missing index, pruned blocks, an old version. */
  | 'unable'
  /** It answers something that is not an answer to this request. */
  | 'answer'
  /** It takes too long. */
  | 'timeout';

/** A source of the chain gave no answer. The message is one line: what, where, and what to do. */
export class ChainError extends Error {
  override readonly name = 'ChainError';
  constructor(
    readonly fault: ChainFault,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Why a transaction was not taken. */
export type BroadcastFault =
  /**
   * A coin is missing or spent. A node gives the same answer for a confirmed transaction whose outputs are
   * spent, so this never proves that the transaction is lost.
   */
  | 'missing-coins'
  /** A transaction of the mempool spends one of the coins, and this one does not pay enough to replace it. */
  | 'conflict'
  /** Its fee is below the minimum of the source. */
  | 'fee'
  /** Its lock time, or that of a bond, is not over. */
  | 'not-final'
  /** Any other reason. */
  | 'refused';

/** A source of the chain refuses a transaction. `reason` has its own words, cleaned for display. */
export class BroadcastError extends Error {
  override readonly name = 'BroadcastError';
  constructor(
    readonly fault: BroadcastFault,
    readonly reason: string,
  ) {
    super(`the transaction was not accepted (${fault}): ${reason}`);
  }
}
