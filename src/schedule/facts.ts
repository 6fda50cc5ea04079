/** What a run asks of the wallet, at the tip of the chain. Amounts are whole satoshi. */

/** The coins of a mixdepth; bonds are in `locked` alone. */
export interface MixdepthFacts {
  readonly mixdepth: number;
  /** Can be spent now. */
  readonly available: number;
  /** Number of these coins. */
  readonly count: number;
  /** Confirmations of the oldest of these coins; 0 without one. */
  readonly age: number;
  /** In no block yet. */
  readonly pending: number;
  readonly frozen: number;
  /** Reserved for a coinjoin, or in a signed transaction that may confirm. */
  readonly held: number;
  /** Bonds, and coinbase outputs that are too young. */
  readonly locked: number;
}

/** A transaction that the wallet signed, or that is in its history. */
export interface TransactionFacts {
  readonly label: string | undefined;
  /** Undefined while the wallet does not know it. */
  readonly txid: string | undefined;
  /** `lost`: it can confirm no more, or was given up. */
  readonly state: 'pending' | 'confirmed' | 'lost';
  /** Height of its block, where it is in one. */
  readonly height: number | undefined;
  /** Time of its block, or when it was signed; Unix seconds. */
  readonly time: number;
}

export interface WalletFacts {
  /** Height up to which the wallet has read the chain. */
  readonly height: number;
  /** One for each mixdepth, in their order. */
  readonly mixdepths: readonly MixdepthFacts[];
  readonly transactions: readonly TransactionFacts[];
}
