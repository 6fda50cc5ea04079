/**
 * What commands, makers, takers and bonds ask of a wallet, and what they get. Scripts, txids and keys
 * are lower-case hex, amounts whole satoshi, times Unix seconds.
 */
import type { InputSignature } from '../negotiation/transaction.js';
import type { Outpoint } from '../protocol/outpoint.js';
import type { KeyPlace } from './api.js';

/** What an address is handed out for; it decides the origin of the coins that arrive there. */
export type AddressPurpose = 'deposit' | 'coinjoin' | 'change';

export interface AddressRequest {
  readonly mixdepth: number;
  /** Deposits go to branch 0, coinjoin outputs and change to branch 1. */
  readonly purpose: AddressPurpose;
  readonly label?: string | undefined;
}

/** Coins that nothing else may spend until a time. It is in the journal. */
export interface Lease {
  /** Random; names the lease. */
  readonly id: string;
  /** The holder, for example `maker J5...`. */
  readonly owner: string;
  readonly coins: readonly Outpoint[];
  /** From this time on the lease is over. */
  readonly until: number;
}

export interface LeaseRequest {
  /** 1 to 100 characters. */
  readonly owner: string;
  /** 1 to 1,000 coins without a hold. */
  readonly coins: readonly Outpoint[];
  readonly seconds: number;
  /**
   * Unsigned txid of a signed transaction that is to be replaced: its coins count as free, and at least
   * one of them is among `coins`, so that at most one of the two confirms.
   */
  readonly replaces?: string | undefined;
}

/** What a transaction was signed for. */
export type SignedKind = 'send' | 'coinjoin-maker' | 'coinjoin-taker' | 'redeem';

/** The amounts of a coinjoin, for the history. */
export interface CoinjoinTerms {
  /** Satoshi of each side's equal output. */
  readonly amount: number;
  /** A maker's fee minus its part of the miner fee; for a taker minus the sum of the makers' fees. */
  readonly earned: number;
  /** The script of the wallet's equal output. */
  readonly script: string;
  /** A maker's fee before its part of the miner fee. */
  readonly fee?: number | undefined;
}

/** A transaction to sign. It is checked against the journal first. */
export interface SignRequest {
  /** The unsigned serialization, without scripts and witnesses. */
  readonly transaction: Uint8Array;
  readonly kind: SignedKind;
  /** Exactly those inputs of the transaction that are coins of the wallet. */
  readonly coins: readonly Outpoint[];
  /** What the wallet's balance may fall by, at most: its coins minus the outputs to its own scripts. */
  readonly mostSpent: number;
  /** The lease that covers the coins. Without one, the coins must have no hold. */
  readonly lease?: string | undefined;
  /** Unsigned txid of the signed transaction that it replaces; at least one coin is the same. */
  readonly replaces?: string | undefined;
  readonly coinjoin?: CoinjoinTerms | undefined;
  /** Label of the transaction. */
  readonly label?: string | undefined;
}

/** A transaction with the signatures of the wallet. It is in the journal. */
export interface Signed {
  /** Id without signatures; it names the transaction in the wallet. */
  readonly unsignedTxid: string;
  /** One for each requested coin, in the order of the request; empty for bonds. */
  readonly signatures: readonly InputSignature[];
  /** The whole transaction, where every input is the wallet's. */
  readonly complete: { readonly txid: string; readonly bytes: Uint8Array } | undefined;
}

/** A signed transaction of the journal. */
export interface SignedTransaction {
  readonly unsignedTxid: string;
  readonly kind: SignedKind;
  /** The unsigned serialization. */
  readonly transaction: Uint8Array;
  /** Known for transactions that have all signatures: those of the wallet alone, and kept coinjoins. */
  readonly txid: string | undefined;
  readonly bytes: Uint8Array | undefined;
  /** The coins of the wallet that it spends. */
  readonly coins: readonly Outpoint[];
  readonly signedAt: number;
  /** Height of the best block when it was signed: it is in no block up to there. */
  readonly height: number;
  readonly replaces: string | undefined;
  /**
   * `pending`: it may confirm. `replaced`: another signed transaction of the wallet, which spends one of
   * its coins, confirmed. `lost`: a transaction that the wallet did not sign spends one of its coins.
   * `abandoned`: it was given up; it may confirm until one of its coins is spent otherwise.
   */
  readonly state: 'pending' | 'confirmed' | 'replaced' | 'lost' | 'abandoned';
  /** Sent to the network or seen there, and not missing since. */
  readonly seen: boolean;
  /** A coinjoin that only peers may send, never our own source of the chain. */
  readonly peersOnly?: boolean;
  readonly label: string | undefined;
}

/** A place for a bond: one for each month from January 2020 to December 2099. */
export interface BondPlace extends KeyPlace {
  /** Midnight UTC on the first day of the month, in Unix seconds. */
  readonly lockTime: number;
  readonly address: string;
  readonly script: string;
  /** Compressed, hex. */
  readonly publicKey: string;
  readonly path: string;
  /** Whether the address has left the program, or has a coin. */
  readonly handedOut: boolean;
}

/** A certificate for a bond: the key of the coin certifies another key until an expiry. */
export interface BondCertificate extends Outpoint {
  /** 32 bytes, hex. It signs nicks; it can spend nothing. */
  readonly certPrivateKey: string;
  /** Number of the last difficulty period in which it is valid. */
  readonly certExpiry: number;
  /** DER, hex. Undefined until the signature of a key outside the wallet was imported. */
  readonly certSignature: string | undefined;
}

/** How far a wallet has read the chain. */
export interface SyncReport {
  readonly height: number;
  /** Transactions that were new. */
  readonly transactions: number;
  /** What the user should know, one sentence each. */
  readonly notes: readonly string[];
}

export interface SyncOptions {
  readonly signal: AbortSignal;
  /** Share of the work that is done, 0 to 1. */
  readonly onProgress?: ((done: number) => void) | undefined;
}

/** State that a wallet of another program had. */
export interface ImportedState {
  /** The first index of a branch that was not handed out there. */
  readonly indices: readonly {
    readonly mixdepth: number;
    readonly branch: 0 | 1;
    readonly next: number;
  }[];
  readonly frozen: readonly Outpoint[];
  readonly labels: readonly { readonly address: string; readonly label: string }[];
  /** Commitments that were used, 64 hex digits each. */
  readonly commitments: readonly string[];
}

/** What became of a file of labels. */
export interface LabelImport {
  readonly taken: number;
  /** Lines that are no labels, or name nothing of this wallet: their numbers, from 1, and why. */
  readonly refused: readonly { readonly line: number; readonly reason: string }[];
}
