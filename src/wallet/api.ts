/**
 * The wallet as commands, makers and takers see it. Private keys are not part of it: `keys.ts` alone
 * holds them. Scripts and txids are lower-case hex, txids in display order; amounts are whole satoshi, fee
 * rates whole satoshi per 1,000 virtual bytes.
 */
import type { Outpoint } from '../protocol/outpoint.js';

/** Branches of a mixdepth: deposits; change and coinjoin outputs; fidelity bonds (mixdepth 0 only). */
export const BRANCH = { external: 0, internal: 1, bond: 2 } as const;
export type Branch = (typeof BRANCH)[keyof typeof BRANCH];

/** Where a key is. For bonds, `index` is the number of the month since January 2020. */
export interface KeyPlace {
  readonly mixdepth: number;
  readonly branch: Branch;
  readonly index: number;
}

/** Why a coin is frozen. */
export type FreezeReason =
  /** By a command. */
  | 'user'
  /** It came to an address that was used before and was empty. */
  | 'reuse'
  /** By an imported label or file. */
  | 'imported';

/** What a coin came from. */
export type CoinOrigin = 'deposit' | 'coinjoin' | 'change' | 'cj-change' | 'bond' | 'unknown';

/** Why a coin cannot be spent now; undefined when it can. */
export type CoinHold =
  /** Not in a block yet. */
  | 'unconfirmed'
  /** A coinbase output with fewer than 100 confirmations. */
  | 'immature'
  /** Frozen: see `frozen`. */
  | 'frozen'
  /** Reserved for a coinjoin that runs. */
  | 'leased'
  /** A signed transaction that may still confirm spends it: see `signedFor`. */
  | 'signed'
  /** A bond whose lock time is not over. */
  | 'locked';

/** A coin of the wallet. */
export interface WalletCoin extends Outpoint, KeyPlace {
  readonly value: number;
  readonly script: string;
  readonly address: string;
  /** `m/84'/0'/0'/1/5`; for a bond `m/84'/0'/0'/2/n:locktime`. */
  readonly path: string;
  /** 0 while it is only in the mempool. */
  readonly confirmations: number;
  readonly height: number | undefined;
  readonly origin: CoinOrigin;
  readonly frozen: FreezeReason | undefined;
  readonly hold: CoinHold | undefined;
  /** The txid of the signed transaction, where `hold` is `signed`. */
  readonly signedFor: string | undefined;
  /** The lock time of a bond, in Unix seconds. */
  readonly lockTime: number | undefined;
  readonly label: string | undefined;
  /**
   * Compressed public key, hex, of a bond whose key is outside the wallet; undefined for every other coin.
   * The wallet cannot sign for such a coin. Its `index` is the month of the lock time.
   */
  readonly outsideKey: string | undefined;
  /**
   * A coinjoin output that the journal proves, or change of coins that all were such. Other coins of
   * mixdepth 0 are never spent together by a maker.
   */
  readonly mergeable: boolean;
}

/** Sums of a mixdepth. Bonds are in none of them. */
export interface MixdepthSums {
  readonly mixdepth: number;
  /** All its coins, in a block or not. */
  readonly balance: number;
  /** Coins that can be spent now. */
  readonly available: number;
  readonly frozen: number;
  /** Not in a block yet. */
  readonly pending: number;
}

export interface WalletSummary {
  readonly network: string;
  /** Height of the block up to which the wallet has read the chain. */
  readonly height: number;
  readonly total: number;
  readonly available: number;
  readonly mixdepths: readonly MixdepthSums[];
  readonly bonds: readonly WalletCoin[];
}

/** An address that was handed out. */
export interface HandedOut extends KeyPlace {
  readonly address: string;
  readonly script: string;
  readonly path: string;
}

/** A transaction of the history. */
export interface HistoryEntry {
  readonly txid: string;
  /** Time of its block, or when it was first seen, in Unix seconds. */
  readonly time: number;
  /** Undefined until it is in a block. */
  readonly height: number | undefined;
  readonly kind: 'deposit' | 'send' | 'coinjoin-maker' | 'coinjoin-taker' | 'internal' | 'bond';
  /** Change of the wallet's balance: what came in, minus what went out. */
  readonly change: number;
  /** The balance after it. */
  readonly balance: number;
  /** Miner fee that this wallet paid; undefined where other owners took part and it is not known. */
  readonly fee: number | undefined;
  /** What the wallet earned (maker) or paid (taker, negative) for a coinjoin. */
  readonly coinjoinFee: number | undefined;
  readonly mixdepthFrom: number | undefined;
  readonly mixdepthTo: number | undefined;
  readonly state: 'confirmed' | 'pending' | 'replaced' | 'lost';
  readonly label: string | undefined;
}

/** How the coins of a payment are chosen (docs: wallet, "Which coins are spent"). */
export type SelectionRule = 'default' | 'gradual' | 'greedy' | 'greediest';

export interface PaymentRequest {
  /** Satoshi, or all coins of the mixdepth (or all the named ones). */
  readonly amount: number | 'all';
  /** The scriptPubKey that is paid. */
  readonly script: string;
  /** Default: that of the named coins, or 0. */
  readonly mixdepth?: number | undefined;
  /** Spend exactly these coins; otherwise the rule chooses. They may be of one mixdepth only. */
  readonly coins?: readonly Outpoint[] | undefined;
  readonly feePerKb: number;
  readonly rule?: SelectionRule | undefined;
  /** Accept a fee above the cap of the settings. */
  readonly acceptAbsurdFee?: boolean | undefined;
}

/** A payment that was planned and not signed. */
export interface PaymentPlan {
  readonly inputs: readonly WalletCoin[];
  readonly payment: { readonly script: string; readonly value: number };
  /** Undefined without change; the address is fresh, and handed out only when the plan is signed. */
  readonly change: { readonly value: number; readonly mixdepth: number } | undefined;
  readonly fee: number;
  /** Virtual bytes, the most that the signed transaction has. */
  readonly vsize: number;
  readonly lockTime: number;
  /** What a person should know before agreeing, one sentence each. */
  readonly warnings: readonly string[];
  /** The signed transaction that it replaces. */
  readonly replaces?: string | undefined;
}

/** A signed transaction, which is in the journal. */
export interface SignedPayment {
  readonly txid: string;
  readonly bytes: Uint8Array;
}

/** Why the wallet does not do something. */
export type WalletFault =
  /** The coins do not suffice; the message says what is there and what is held back, and why. */
  | 'funds'
  | 'frozen'
  /** No such coin. */
  | 'coin'
  /** The coin is held: see `CoinHold`. */
  | 'held'
  | 'amount'
  /** The fee is above the cap. */
  | 'fee'
  | 'mixdepth'
  /** The passphrase gives another wallet. */
  | 'passphrase'
  /** The chain cannot answer what is needed. */
  | 'chain'
  /** Spending on mainnet without the accepted risk. */
  | 'mainnet'
  | 'request';

/** One line: what, where, what to do. */
export class WalletError extends Error {
  override readonly name = 'WalletError';
  constructor(
    readonly fault: WalletFault,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
