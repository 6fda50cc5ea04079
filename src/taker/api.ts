/**
 * A taker with a wallet: what it is asked for, what it plans, what happens, and how it ends. Commands,
 * schedules, the demo and users of the library see this. Amounts are whole satoshi, fee rates whole
 * satoshi per 1,000 virtual bytes, scripts and txids lower-case hex (txids in display order).
 */
import type {
  Broadcast,
  LegStep,
  MakerReport,
  Revealed,
  RoundFault,
} from '../negotiation/taker/api.js';
import type { Outpoint } from '../protocol/outpoint.js';

/** Where the taker's equal output goes. */
export type Destination =
  /** A fresh address of the next mixdepth. */
  | {
      /** Of the wallet, or an address. */
      readonly kind: 'internal';
    }
  | {
      /** Of the wallet, or an address. */
      readonly kind: 'address';
      /** As the user gave it. */
      readonly address: string;
      /** Its scriptPubKey. */
      readonly script: string;
    };

/** How the miner fee is chosen: a rate, or the node's estimate for a number of blocks. */
export type FeeChoice =
  | {
      /** A rate, or an estimate. */
      readonly kind: 'rate';
      /** Satoshi per 1,000 virtual bytes. */
      readonly feePerKb: number;
    }
  | {
      /** A rate, or an estimate. */
      readonly kind: 'blocks';
      /** Number of blocks within which it should be confirmed. */
      readonly blocks: number;
    };

/** How makers are chosen (docs/taker.md). */
export const CHOICES = ['bond-weighted', 'weighted', 'random', 'cheapest'] as const;
/** `bond-weighted` is the default. */
export type ChoiceRule = (typeof CHOICES)[number];

/** A coinjoin that the user wants. */
export interface CoinjoinRequest {
  /** Satoshi of each side's equal output, or everything in the mixdepth. */
  readonly amount: number | 'sweep';
  /** Where the equal output goes. */
  readonly destination: Destination;
  /** Mixdepth whose coins are spent, from 0. */
  readonly mixdepth: number;
  /** Number of makers wanted. */
  readonly makers: number;
  /** The fewest makers with which it is done. */
  readonly minimumMakers: number;
  /** Most that one maker gets, as satoshi and as a share of the amount; an offer is refused above both. */
  readonly maxFeeAbs: number | undefined;
  /** As a share of the amount: 0.001 is 0.1 %. */
  readonly maxFeeRel: number | undefined;
  /** The miner fee. */
  readonly fee: FeeChoice;
  /** How makers are drawn. */
  readonly choice: ChoiceRule;
  /** These makers and no others, where it is not empty. */
  readonly picks: readonly string[];
  /** The side that sends the transaction. */
  readonly broadcast: Broadcast;
  /** Label of the transaction in the wallet. */
  readonly label?: string | undefined;
}

/** A coin whose proof could be shown to makers, and how often it still can. */
export interface CommitmentCoin extends Outpoint {
  /** Satoshi. */
  readonly value: number;
  /** 0 while it is in no block. */
  readonly confirmations: number;
  /** Proofs left, of `taker_utxo_retries`. */
  readonly triesLeft: number;
  /** Why makers would refuse it now; undefined when they would not. */
  readonly fault: string | undefined;
  /** From another wallet (`cmtdata/commitments.json`). */
  readonly external: boolean;
}

/** What a coinjoin would do, before anything is revealed to anybody. */
export interface CoinjoinPlan {
  /** What was asked for. */
  readonly request: CoinjoinRequest;
  /** Satoshi; for a sweep what it would be with the makers chosen now. */
  readonly amount: number;
  /** The coins that would be spent, and their sum. */
  readonly coins: readonly (Outpoint & {
    /** Satoshi. */
    readonly value: number;
  })[];
  /** Satoshi per 1,000 virtual bytes. */
  readonly feePerKb: number;
  /**
   * Most that makers and miners get. The cost never exceeds the sum. Of a sweep, the miners get what
   * makers do not take.
   */
  readonly worst: {
    /** Fees of the makers minus their parts of the miner fee. */
    readonly makerFees: number;
    /** The whole miner fee. */
    readonly minerFee: number;
  };
  /** Makers whose offers fit the request, without duplicates of one bond. */
  readonly fitting: number;
  /** The makers that would be asked first. */
  readonly makers: readonly {
    /** The maker's nick. */
    readonly nick: string;
    /** What it would get, minus its part of the miner fee. */
    readonly fee: number;
    /** Whether its bond has a value. */
    readonly bonded: boolean;
  }[];
  /** Coins whose proof could be shown, in the order in which they are tried. */
  readonly commitments: readonly CommitmentCoin[];
  /** Why it cannot begin, one sentence with the remedy; undefined when it can. */
  readonly obstacle: string | undefined;
  /** What the user should know before agreeing, one sentence each. */
  readonly warnings: readonly string[];
}

/** The phases of a coinjoin, in their order. */
export type CoinjoinPhase =
  | 'probing'
  | 'gathering'
  | 'funding'
  | 'collecting'
  | 'signing'
  | 'pushing'
  | 'broadcasting'
  | 'done';

/** What happens while a coinjoin runs. */
export type CoinjoinEvent =
  | {
      /** What happened. */
      readonly kind: 'phase';
      /** The phase now. */
      readonly phase: CoinjoinPhase;
      /** Each maker that was asked, by nick. */
      readonly makers: ReadonlyMap<string, LegStep | 'failed'>;
    }
  /** The round failed because of makers; another one begins without them. */
  | {
      /** What happened. */
      readonly kind: 'again';
      /** Why the last round failed, one line. */
      readonly reason: string;
    };

export type { Revealed };

/** A complete transaction: what each side gets when it confirms. */
export interface CompleteCoinjoin {
  /** Id of the transaction. */
  readonly txid: string;
  /** Satoshi of each equal output. */
  readonly amount: number;
  /** What each maker gets: its fee minus its part of the miner fee. May be negative. */
  readonly makers: readonly {
    /** The maker's nick. */
    readonly nick: string;
    /** Satoshi. */
    readonly fee: number;
  }[];
  /** Sum of the above. */
  readonly makerFees: number;
  /** The whole miner fee. Together with `makerFees` it is what the coinjoin costs. */
  readonly minerFee: number;
  /** Of the real transaction, satoshi per 1,000 virtual bytes. */
  readonly feeRate: number;
}

/** How a coinjoin ended. */
export type CoinjoinOutcome =
  | (CompleteCoinjoin & {
      /** Whether the transaction is in the network. */
      readonly ok: true;
      /** Makers that failed, in all rounds. */
      readonly failed: readonly MakerReport[];
      /** The nick that broadcast it; undefined when we did. */
      readonly broadcastBy: string | undefined;
    })
  | {
      /** Whether the transaction is in the network. */
      readonly ok: false;
      /** Why it is not. */
      readonly fault: RoundFault | 'wallet' | 'chain';
      /** One line with the remedy. */
      readonly detail: string;
      /** Makers that failed, in all rounds. */
      readonly failed: readonly MakerReport[];
      /** What makers or the network may know. */
      readonly revealed: Revealed;
      /** The transaction with our signatures, where one exists and was not seen: it may still appear. */
      readonly transaction?: CompleteCoinjoin | undefined;
    };
