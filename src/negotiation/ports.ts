/**
 * The interfaces of a negotiation to the outside: wallets, the chain, and the store of used
 * commitments. A wallet program implements them; `negotiation/` holds no private key of a coin.
 *
 * Rules for every port: a call may take any time (the session's deadline continues); it may reject, and
 * the session then ends with a fault that names the port; `signal` is aborted when the session ends
 * first. Amounts are whole satoshi.
 */
import type { Podle } from '../protocol/podle.js';
import type { NamedOutpoint, Outpoint } from '../protocol/outpoint.js';
import type { Offer } from '../protocol/offer.js';
import type { InputSignature, SpentOutput } from './transaction.js';

/** A coin of our own: its outpoint, its scriptPubKey (lower-case hex) and its value. */
export interface OwnCoin extends Outpoint, SpentOutput {
  /** Height of its block, for takers without a full node; without it the chain is asked. */
  readonly height?: number;
}

/** An unspent output as the chain shows it. */
export interface ChainCoin extends SpentOutput {
  /** 0 while it is only in the mempool. */
  readonly confirmations: number;
  /** Height of its block; undefined in the mempool, and for views that do not know it. */
  readonly height?: number;
  /**
   * True for an output of a coinbase transaction, which can be spent from 100 confirmations on. Left out
   * for others, and by views that cannot tell.
   */
  readonly coinbase?: boolean;
}

/** The block chain and the mempool, as our node sees them. */
export interface ChainView {
  /**
   * One answer for each name, in order; undefined for a coin that does not exist, is spent, or that the
   * view cannot find. The metadata of a name comes from a peer and is not proven: a view without a full
   * node may search there, and must return what it found.
   */
  coins(
    outpoints: readonly NamedOutpoint[],
    signal: AbortSignal,
  ): Promise<readonly (ChainCoin | undefined)[]>;
  /** Sends a complete transaction to the network. Rejects when the node refuses it. */
  broadcast(transaction: Uint8Array): Promise<void>;
  /** Resolves when the transaction is in the mempool or a block; rejects only on failure or abort. */
  seen(txid: string, signal: AbortSignal): Promise<void>;
}

/** Further calls to the chain, for a taker. */
export interface TakerChain extends ChainView {
  /**
   * The fee rate for a confirmation within this many blocks, in satoshi per 1,000 virtual bytes, at
   * least the minimum of the mempool. Undefined when there is no estimate.
   */
  feePerKb(blocks: number, signal: AbortSignal): Promise<number | undefined>;
}

/** A set of PoDLE commitments, 64 lower-case hex digits each, that survives a restart. */
export interface CommitmentStore {
  /** Whether it was used. */
  has(commitment: string): boolean;
  /**
   * Adds it; resolves after it was synced to disk, to whether it was new. `has` returns true from the
   * call on.
   */
  add(commitment: string): Promise<boolean>;
  /** Number of commitments. */
  readonly size: number;
}

export interface ReservationRequest {
  /** The offer that the taker took. */
  readonly offer: Offer;
  /** The amount of each side of the coinjoin. */
  readonly amount: number;
  /**
   * The least sum of the coins: amount, our part of the miner fee and the dust threshold for the
   * change, minus the fee we earn.
   */
  readonly least: number;
  /** The text that `authSignature` signs: the public key of the session's box, in hex. */
  readonly boxPublicKey: string;
}

/** Coins and addresses reserved for one session. */
export interface Reservation {
  /** 1 to 100, of the kinds p2wpkh and p2sh-p2wpkh. */
  readonly coins: readonly OwnCoin[];
  /** Two fresh addresses of the network. */
  readonly coinjoinAddress: string;
  /** A fresh address for our change. */
  readonly changeAddress: string;
  /**
   * Those of the coins of which the wallet knows, from its journal and the chain, that no transaction signed
   * before can still confirm. Where it does not say so, coins of such transactions wait for the chain.
   */
  readonly free?: readonly Outpoint[];
  /** Key of one of the coins, compressed lower-case hex. */
  readonly authPublicKey: string;
  /** Bitcoin signed message over `boxPublicKey` by that key, base64 DER (`signText`). */
  readonly authSignature: string;
}

/** A request for signatures: a transaction whose payment was checked, and the wallet's inputs in it. */
export interface SigningRequest {
  /** The unsigned serialization. */
  readonly transaction: Uint8Array;
  /** Id of the transaction, in display order. */
  readonly txid: string;
  /** The inputs to sign. */
  readonly inputs: readonly {
    /** Number of the input, from 0. */
    readonly index: number;
    /** The coin that the input spends. */
    readonly coin: OwnCoin;
  }[];
}

/** The part of a wallet that signs. */
export interface Signer {
  /**
   * One signature for each requested input, in the same order: SIGHASH_ALL, low S (BIP143). The session
   * verifies each before it is sent.
   */
  sign(request: SigningRequest, signal: AbortSignal): Promise<readonly InputSignature[]>;
}

/** How a reservation ended. */
export type Settlement =
  /** Nothing was signed: the coins are free again. */
  | 'unsigned'
  /**
   * Signatures were sent: the transaction may appear at any time, even if `pushed` is not reported.
   * Coins and addresses may be used again once the chain shows one of the coins spent, or after
   * `pendingTxTimeoutMs` together with a coin of it. The sessions refuse anything else.
   */
  | 'signed';

export interface MakerWallet extends Signer {
  /**
   * Reserves coins and addresses until `settle`; no other session gets them meanwhile. The sessions
   * also compare them, and refuse what two of them got. Undefined when no coins fit the amount.
   */
  reserve(request: ReservationRequest, signal: AbortSignal): Promise<Reservation | undefined>;
  /** Called once for every reservation. Must not throw. */
  settle(reservation: Reservation, settlement: Settlement): void;
}

export interface FundingRequest {
  /** Satoshi of each side's coinjoin output. */
  readonly amount: number;
  /** Fees of the makers minus their contributions to the miner fee. May be negative. */
  readonly makerFees: number;
  /** For the size of the transaction: inputs and outputs that are not ours. */
  readonly foreignInputs: number;
  /** Number of outputs of the makers. */
  readonly foreignOutputs: number;
  /** Scripts of the coins of the makers, one for each input. */
  readonly foreignInputScripts: readonly string[];
  /** Scripts of the outputs of the makers. */
  readonly foreignOutputScripts: readonly string[];
  /** Fee rate, in satoshi per 1,000 virtual bytes. */
  readonly feePerKb: number;
  /**
   * A sweep: all coins are spent without change. The miner fee is then their sum minus the amount and
   * `makerFees`.
   */
  readonly sweep: boolean;
}

export interface Funding {
  /** 1 to 100 of our coins that together hold amount, fees and, unless it is a sweep, change. */
  readonly coins: readonly OwnCoin[];
  /** A fresh address for our coinjoin output. */
  readonly coinjoinAddress: string;
  /** Undefined when at most 2,730 sat remain, which then go to the miners (`TAKER_DUST`). */
  readonly changeAddress: string | undefined;
  /**
   * The whole miner fee of the transaction, makers' contributions included. At most what
   * `absurdFeePerKb` allows for its size.
   */
  readonly minerFee: number;
  /** The lock time of the transaction: a block height, or 0. */
  readonly lockTime: number;
}

/**
 * The wallet does not pay for this transaction: the makers bring so many coins that the miners would get too
 * little of what was agreed on. The round goes on without the maker that brings most of them.
 */
export interface FundingRefusal {
  /** The reason. */
  readonly refused: 'miner-fee';
  /** The amounts, for a person. */
  readonly detail: string;
}

/** A transaction with the signatures of all sides. */
export interface CompleteTransaction {
  /** Its id, in display order. */
  readonly txid: string;
  /** The whole serialization, with witnesses. */
  readonly bytes: Uint8Array;
}

export interface TakerWallet extends Signer {
  /**
   * An unused proof of a coin that is old and large enough (docs/protocol.md, section 10.4), the lowest
   * unused index first. Undefined when there is none left. It is reserved, on disk too, until
   * `useCommitment` or `freeCommitment`. A wallet without these two counts it as used from now on.
   */
  commit(amount: number, signal: AbortSignal): Promise<Podle | undefined>;
  /** A maker is about to see the proof. Resolves after it was stored as used; the proof leaves then. */
  useCommitment?(podle: Podle, signal: AbortSignal): Promise<void>;
  /** No maker saw the proof, and none will. Must not throw. */
  freeCommitment?(podle: Podle): void;
  /** Coins for the transaction, reserved until `settle`. Undefined when they do not suffice. */
  fund(request: FundingRequest, signal: AbortSignal): Promise<Funding | FundingRefusal | undefined>;
  /**
   * The transaction of the last `sign` has all signatures. Resolves after it was stored: it is then sent
   * to a maker or to the network, so that a restart can continue. Without it nothing is stored.
   */
  keepTransaction?(transaction: CompleteTransaction, signal: AbortSignal): Promise<void>;
  /** Called once for every funding. Must not throw. */
  settle(funding: Funding, settlement: Settlement): void;
}
