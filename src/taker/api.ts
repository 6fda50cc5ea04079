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
  | { readonly kind: 'internal' }
  | { readonly kind: 'address'; readonly address: string; readonly script: string };

/** How the miner fee is chosen: a rate, or the node's estimate for a number of blocks. */
export type FeeChoice =
  | { readonly kind: 'rate'; readonly feePerKb: number }
  | { readonly kind: 'blocks'; readonly blocks: number };

/** How makers are chosen (docs/taker.md). */
export const CHOICES = ['bond-weighted', 'weighted', 'random', 'cheapest'] as const;
/** `bond-weighted` is the default. */
export type ChoiceRule = (typeof CHOICES)[number];

/** A coinjoin that the user wants. */
export interface CoinjoinRequest {
  /** Satoshi of each side's equal output, or everything in the mixdepth. */
  readonly amount: number | 'sweep';
  readonly destination: Destination;
  readonly mixdepth: number;
  /** Number of makers wanted. */
  readonly makers: number;
  /** The fewest makers with which it is done. */
  readonly minimumMakers: number;
  /** Most that one maker gets, as satoshi and as a share of the amount; an offer is refused above both. */
  readonly maxFeeAbs: number | undefined;
  readonly maxFeeRel: number | undefined;
  readonly fee: FeeChoice;
  readonly choice: ChoiceRule;
  /** These makers and no others, where it is not empty. */
  readonly picks: readonly string[];
  readonly broadcast: Broadcast;
  /** Label of the transaction in the wallet. */
  readonly label?: string | undefined;
}

/** A coin whose proof could be shown to makers, and how often it still can. */
export interface CommitmentCoin extends Outpoint {
  readonly value: number;
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
  readonly request: CoinjoinRequest;
  /** Satoshi; for a sweep what it would be with the makers chosen now. */
  readonly amount: number;
  /** The coins that would be spent, and their sum. */
  readonly coins: readonly (Outpoint & { readonly value: number })[];
  readonly feePerKb: number;
  /**
   * Most that makers and miners get. The cost never exceeds the sum. Of a sweep, the miners get what
   * makers do not take.
   */
  readonly worst: { readonly makerFees: number; readonly minerFee: number };
  /** Makers whose offers fit the request, without duplicates of one bond. */
  readonly fitting: number;
  /** The makers that would be asked first. */
  readonly makers: readonly {
    readonly nick: string;
    readonly fee: number;
    readonly bonded: boolean;
  }[];
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
      readonly kind: 'phase';
      readonly phase: CoinjoinPhase;
      /** Each maker that was asked, by nick. */
      readonly makers: ReadonlyMap<string, LegStep | 'failed'>;
    }
  /** The round failed because of makers; another one begins without them. */
  | { readonly kind: 'again'; readonly reason: string };

export type { Revealed };

/** How a coinjoin ended. */
export type CoinjoinOutcome =
  | {
      readonly ok: true;
      readonly txid: string;
      readonly amount: number;
      /** What each maker got: its fee minus its part of the miner fee. May be negative. */
      readonly makers: readonly { readonly nick: string; readonly fee: number }[];
      /** Sum of the above. */
      readonly makerFees: number;
      /** The whole miner fee. Together with `makerFees` it is what the coinjoin cost. */
      readonly minerFee: number;
      /** Of the real transaction, satoshi per 1,000 virtual bytes. */
      readonly feeRate: number;
      readonly failed: readonly MakerReport[];
      /** The nick that broadcast it; undefined when we did. */
      readonly broadcastBy: string | undefined;
    }
  | {
      readonly ok: false;
      readonly fault: RoundFault | 'wallet' | 'chain';
      /** One line with the remedy. */
      readonly detail: string;
      readonly failed: readonly MakerReport[];
      readonly revealed: Revealed;
    };
