/**
 * What a negotiation asks of the outside: wallets, the chain, and the memory of used commitments. A
 * wallet program implements these; nothing in `negotiation/` holds a private key of a coin.
 *
 * Rules for every port: a call may take as long as it likes (the session's deadline goes on); it may
 * reject, and the session then ends with a fault that names the port; `signal` is aborted when the
 * session ends first. Amounts are whole satoshi.
 */
import type { Podle } from '../protocol/podle.js';
import type { NamedOutpoint, Outpoint } from '../protocol/outpoint.js';
import type { Offer } from '../protocol/offer.js';
import type { InputSignature, SpentOutput } from './transaction.js';

/** A coin of our own: where it is, its scriptPubKey (lower-case hex) and its value. */
export interface OwnCoin extends Outpoint, SpentOutput {
  /** Of its block, for takers without a full node; the chain is asked where the wallet does not say. */
  readonly height?: number;
}

/** An unspent output as the chain shows it. */
export interface ChainCoin extends SpentOutput {
  /** 0 while it is only in the mempool. */
  readonly confirmations: number;
  /** Of its block; undefined in the mempool, and where the view cannot tell. */
  readonly height?: number;
}

/** The block chain and the mempool, as a node of ours sees them. */
export interface ChainView {
  /**
   * One answer for each name, in order; undefined for what does not exist or is spent, and for what
   * the view cannot find. The metadata of a name is a peer's word: a view without a full node may look
   * where it says, and must answer with what it found there.
   */
  coins(
    outpoints: readonly NamedOutpoint[],
    signal: AbortSignal,
  ): Promise<readonly (ChainCoin | undefined)[]>;
  /** Hands a complete transaction to the network. Rejects when the node refuses it. */
  broadcast(transaction: Uint8Array): Promise<void>;
  /** Resolves when the transaction is in the mempool or a block; rejects only on failure or abort. */
  seen(txid: string, signal: AbortSignal): Promise<void>;
}

/** What a taker asks of the chain besides. */
export interface TakerChain extends ChainView {
  /**
   * What miners ask for a transaction that is to be confirmed within so many blocks, in satoshi per
   * 1,000 virtual bytes, never below what the mempool takes. Undefined when it cannot be told.
   */
  feePerKb(blocks: number, signal: AbortSignal): Promise<number | undefined>;
}

/** A set of PoDLE commitments, 64 lower-case hex digits each, that survives a restart. */
export interface CommitmentStore {
  /** Whether it was used. */
  has(commitment: string): boolean;
  /**
   * Remembers it; resolves once it would survive a power cut, to whether it was new. `has` is true
   * from the call on.
   */
  add(commitment: string): Promise<boolean>;
  /** Commitments remembered. */
  readonly size: number;
}

export interface ReservationRequest {
  readonly offer: Offer;
  /** What each side of the coinjoin gets. */
  readonly amount: number;
  /**
   * What the coins must hold at least: amount, our part of the miner fee and the dust threshold for
   * the change, less the fee we earn.
   */
  readonly least: number;
  /** The text that `authSignature` signs: the public key of the session's box, in hex. */
  readonly boxPublicKey: string;
}

/** Coins and addresses set apart for one session. */
export interface Reservation {
  /** 1 to 100, of the kinds p2wpkh and p2sh-p2wpkh. */
  readonly coins: readonly OwnCoin[];
  /** Two fresh addresses of the network. */
  readonly coinjoinAddress: string;
  readonly changeAddress: string;
  /** Key of one of the coins, compressed lower-case hex. */
  readonly authPublicKey: string;
  /** Bitcoin signed message over `boxPublicKey` by that key, base64 DER (`signText`). */
  readonly authSignature: string;
}

/** What is to be signed: a transaction that was checked to pay, and which inputs are whose. */
export interface SigningRequest {
  /** The unsigned serialization. */
  readonly transaction: Uint8Array;
  readonly txid: string;
  readonly inputs: readonly { readonly index: number; readonly coin: OwnCoin }[];
}

interface Signer {
  /**
   * One signature for each input asked for, in the same order: SIGHASH_ALL, low S (BIP143). The
   * session verifies each before it leaves.
   */
  sign(request: SigningRequest, signal: AbortSignal): Promise<readonly InputSignature[]>;
}

/** How a reservation ended. */
export type Settlement =
  /** Nothing was signed: the coins are free again. */
  | 'unsigned'
  /**
   * Signatures left: the transaction may come at any time, even if `pushed` is not told. Coins and
   * addresses may be used again once the chain shows one of the coins spent, or after
   * `pendingTxTimeoutMs` together with a coin of it. The sessions refuse anything else.
   */
  | 'signed';

export interface MakerWallet extends Signer {
  /**
   * Sets coins and addresses apart until `settle`; no other session gets them meanwhile. The sessions
   * compare all the same, and refuse what two of them were given. Undefined when no coins fit the
   * amount.
   */
  reserve(request: ReservationRequest, signal: AbortSignal): Promise<Reservation | undefined>;
  /** Called once for every reservation. Must not throw. */
  settle(reservation: Reservation, settlement: Settlement): void;
}

export interface FundingRequest {
  readonly amount: number;
  /** Fees of the makers, less what they contribute to the miner fee. May be negative. */
  readonly makerFees: number;
  /** For the size of the transaction: inputs and outputs that are not ours. */
  readonly foreignInputs: number;
  readonly foreignOutputs: number;
  /** What the miners are to get, satoshi per 1,000 virtual bytes. */
  readonly feePerKb: number;
  /**
   * All coins are to be spent, without change: the miner fee is then what they hold, less the amount
   * and `makerFees`.
   */
  readonly sweep: boolean;
}

export interface Funding {
  /** 1 to 100 coins of ours that together hold amount, fees and, unless none is wanted, change. */
  readonly coins: readonly OwnCoin[];
  readonly coinjoinAddress: string;
  /** Undefined when no more than 2,730 sat remain, which then go to the miners (`TAKER_DUST`). */
  readonly changeAddress: string | undefined;
  /**
   * The whole miner fee of the transaction; makers' contributions are part of it. At most what
   * `absurdFeePerKb` allows for its size.
   */
  readonly minerFee: number;
  readonly lockTime: number;
}

export interface TakerWallet extends Signer {
  /**
   * An unused proof of a coin that is old and large enough (docs/protocol.md, section 10.4), the
   * lowest unused index first. It counts as used from now on. Undefined when there is none left.
   */
  commit(amount: number, signal: AbortSignal): Promise<Podle | undefined>;
  /** Coins for the transaction, set apart until `settle`. Undefined when they do not suffice. */
  fund(request: FundingRequest, signal: AbortSignal): Promise<Funding | undefined>;
  /** Called once for every funding. Must not throw. */
  settle(funding: Funding, settlement: Settlement): void;
}
