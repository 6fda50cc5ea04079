/**
 * A maker with a wallet, as its page, its metrics and its commands see it. Amounts are whole satoshi, times
 * Unix seconds, txids lower-case hex in display order.
 */
import type { MakerOutcome, MakerStep } from '../negotiation/maker/api.js';
import type { Offer } from '../protocol/offer.js';

/** What a mixdepth can give to coinjoins: confirmed coins without a hold; bonds are not among them. */
export interface MixdepthFunds {
  /** Number of the mixdepth, from 0. */
  readonly mixdepth: number;
  /** The most that one session could spend from it now, satoshi. */
  readonly available: number;
  /** Coins of sessions and of signed transactions that may still confirm, satoshi. */
  readonly held: number;
}

/** A negotiation that runs. */
export interface MakerSessionView {
  /** Nick of the taker. Not shown at `info` and above. */
  readonly taker: string;
  /** What the session waits for. */
  readonly step: MakerStep;
  /** Satoshi of each side's equal output. */
  readonly amount: number;
  /** When it began. */
  readonly since: number;
}

/** A coinjoin that the maker signed. */
export interface MakerCoinjoin {
  /** Undefined until it was seen in the mempool or in a block. */
  readonly txid: string | undefined;
  /** Id without signatures: names it in the wallet. */
  readonly unsignedTxid: string;
  /** When the signatures were sent. */
  readonly signedAt: number;
  /** Time of its block; undefined before. */
  readonly confirmedAt: number | undefined;
  /** What became of it (`SignedTransaction`). */
  readonly state: 'pending' | 'confirmed' | 'replaced' | 'lost' | 'abandoned';
  /** Satoshi of each side's equal output. */
  readonly amount: number;
  /** Number and sum of the maker's coins. */
  readonly inputs: number;
  /** Satoshi. */
  readonly inputValue: number;
  /** The fee of the offer, and what is left of it after the part of the miner fee. */
  readonly fee: number;
  /** Satoshi. */
  readonly earned: number;
}

/** Everything that a running maker shows. Nothing in it is secret, but it names coins' sums. */
export interface MakerStatus {
  /** The bitcoin network. */
  readonly network: string;
  /** Of the present identity; undefined while it changes. */
  readonly nick: string | undefined;
  /** `host:port` of the present onion. */
  readonly location: string | undefined;
  /** Whether the maker reached its own onion through Tor; undefined until the first test. */
  readonly reachable: boolean | undefined;
  /** Those that are announced. */
  readonly offers: readonly Offer[];
  /** Why there is no offer; undefined when there is one. */
  readonly noOffer: string | undefined;
  /** What each mixdepth can give. */
  readonly mixdepths: readonly MixdepthFunds[];
  /** The negotiations that run. */
  readonly sessions: readonly MakerSessionView[];
  /** The oldest first. */
  readonly coinjoins: readonly MakerCoinjoin[];
  /** The bond that is announced. */
  readonly bond:
    | {
        /** `txid:number` of its coin. */
        readonly outpoint: string;
        /** By the formula of docs/protocol.md, section 11.4; undefined while it is not known. */
        readonly value: number | undefined;
        /** Until when it is locked. */
        readonly lockTime: number;
      }
    | undefined;
  /** When the next change of offers, nick and onion is announced; undefined without one. */
  readonly nextIdentityAt: number | undefined;
  /** Height up to which the wallet has read the chain. */
  readonly height: number;
}

/** Called for every session that ended. One that signed ends with a `push`, or 5 minutes later without one. */
export type OnMakerOutcome = (taker: string, outcome: MakerOutcome) => void;
