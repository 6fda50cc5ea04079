/** The types of a taker's round: policy, events, effects and results. */
import type { Network } from '../../protocol/constants.js';
import type { BoxKeyPair, BoxSession, RandomBytes } from '../../protocol/encryption.js';
import type { Offer } from '../../protocol/offer.js';
import type { NamedOutpoint, Outpoint } from '../../protocol/outpoint.js';
import type { Podle } from '../../protocol/podle.js';
import type { TakerPolicy } from './policy.js';
import type {
  ChainCoin,
  CompleteTransaction,
  Funding,
  FundingRefusal,
  FundingRequest,
  OwnCoin,
  Settlement,
  SigningRequest,
} from '../ports.js';
import type { InputSignature, UnsignedTransaction } from '../transaction.js';

export { BROADCASTS, DEFAULT_TAKER_POLICY, type Broadcast, type TakerPolicy } from './policy.js';

/** A maker that may be asked, with the offer to take. */
export interface Candidate {
  /** The maker's nick. */
  readonly nick: string;
  /** Validated (`parseOffer`). */
  readonly offer: Offer;
}

/** A maker that is asked for a seat of the round. */
export interface Asked {
  readonly candidate: Candidate;
  /** One of `seatLimits`. */
  readonly seat: number;
}

export interface RoundTerms {
  readonly network: Network;
  readonly policy: TakerPolicy;
  /** Satoshi of each side's coinjoin output. */
  readonly amount: number;
  /** A sweep: there is no change, and the miners get the rest. */
  readonly sweep: boolean;
  /** Fee rate, in satoshi per 1,000 virtual bytes. */
  readonly feePerKb: number;
  /** Number of makers wanted. */
  readonly makers: number;
  /** Makers in the order in which they are asked: the first `makers`, then the spare ones. */
  readonly candidates: readonly Candidate[];
  /** For each seat the most satoshi that its maker may cost (`seatLimits`). */
  readonly seatLimits: readonly number[];
  /** One key pair for all makers of the round. */
  readonly keys: BoxKeyPair;
  readonly randomBytes: RandomBytes;
}

/** The state of a maker. */
export type LegStep =
  /** Not asked: its offer does not suit. */
  | 'fill'
  /** Asked; no answer yet. */
  | 'pubkey'
  /** It sent its key; our proof waits for the keys of the other makers. */
  | 'auth'
  /** Our proof was sent. */
  | 'ioauth'
  /** Its coins are looked up. */
  | 'coins'
  /** It may take part; nothing is awaited from it. */
  | 'ready'
  /** It has the transaction. */
  | 'sig'
  /** Every signature arrived and is valid. */
  | 'signed';

/** How a maker failed; the names are stable. */
export type LegFault =
  /** No answer in time, or no route to it. */
  | 'silent'
  /** It sent `error`. */
  | 'refused'
  /** The amount is outside its offer. */
  | 'amount-range'
  /** It costs more than both limits allow. */
  | 'fee-limit'
  /** Not a fault: another maker was ready first for the same seat. */
  | 'unused'
  /** No key of it came in time but one that hides nothing; a relay may have made it of another message. */
  | 'bad-key'
  | 'bad-ioauth'
  /** It did not sign our session's key with the key it named. */
  | 'bad-auth-signature'
  | 'bad-address'
  /** Addresses or coins that another side of the round has too. */
  | 'shared'
  | 'coin-missing'
  | 'coin-unconfirmed'
  | 'coin-kind'
  | 'coin-key'
  /** A coin has another script, or is in another block, than the maker said. */
  | 'coin-metadata'
  | 'coins-small'
  /** Not a fault: with as many coins as it brings the miners would get too little. */
  | 'many-coins'
  | 'bad-signature';

/** Where and how a maker failed. */
export interface LegFailure {
  /** The step at which it failed. */
  readonly step: LegStep;
  /** How it failed. */
  readonly fault: LegFault;
  /** For a person; printable, at most 200 characters. */
  readonly detail: string;
}

/** A maker's coins and scripts, checked. */
export interface MakerPart {
  readonly coins: readonly OwnCoin[];
  readonly coinjoinScript: string;
  readonly changeScript: string;
  readonly change: number;
  /** Coinjoin fee, and the maker's contribution to the miner fee; satoshi. */
  readonly fee: number;
  readonly txfee: number;
}

/** A session with one of the maker's keys. */
export interface LegBox extends BoxSession {
  /** The route of the key (`linkName`). */
  readonly by: string;
  /** Whether `neutrino_compat` was signed with the key. */
  readonly neutrinoCompat: boolean;
}

/** Why a maker may not take part. Signatures name no addressee: a relay may have it from another round. */
export interface Refusal {
  readonly fault: 'refused' | 'bad-key';
  /** For a person. */
  readonly detail: string;
}

interface LegBase extends Asked {
  readonly podle: Podle;
  /** Ciphertexts that were accepted: the same one again, under any word, has no meaning. */
  readonly taken: ReadonlySet<string>;
  /** Sessions with each key received: a relay may send an old `pubkey` first. */
  readonly boxes: readonly LegBox[];
  /** A spare maker is asked for its seat, and the refusal counts when the maker's deadline passes. */
  readonly refusal: Refusal | undefined;
}

export type Leg =
  | (LegBase & { readonly step: 'pubkey' | 'auth' | 'ioauth' })
  | (LegBase & {
      readonly step: 'coins';
      readonly declared: DeclaredPart;
      readonly box: BoxSession;
    })
  | (LegBase & { readonly step: 'ready'; readonly part: MakerPart; readonly box: BoxSession })
  | (LegBase & {
      readonly step: 'sig' | 'signed';
      readonly part: MakerPart;
      readonly box: BoxSession;
      /** By input of the transaction. */
      readonly signatures: ReadonlyMap<number, InputSignature>;
    })
  | { readonly step: 'failed'; readonly candidate: Candidate; readonly failure: LegFailure };

/** A maker's statements in `ioauth`, as far as they can be checked without the chain. */
export interface DeclaredPart {
  readonly coins: readonly NamedOutpoint[];
  readonly authPublicKey: string;
  readonly coinjoinScript: string;
  readonly changeScript: string;
}

/** Why a round ended without a transaction on the network; the names are stable. */
export type RoundFault =
  /** Neither limit for the fees of makers is given. */
  | 'no-fee-limit'
  /** A fee limit is not a usable number. */
  | 'bad-policy'
  /** The miners would get more than `absurdFeePerKb`. */
  | 'absurd-fee'
  /** A sweep would pay the miners too little or too much for its real size. */
  | 'sweep-fee'
  /** Makers bring so many coins that the miners would get too little of what was agreed on. */
  | 'miner-fee'
  /** The makers of the round would get more than the limit of all of them. */
  | 'fee-limit'
  | 'too-few-makers'
  /** The wallet has no unused proof left. */
  | 'no-commitment'
  | 'no-funds'
  /** The wallet's answer cannot be used. */
  | 'bad-funding'
  | 'too-large'
  /** A maker did not sign, and no rounds or makers were left for another try. */
  | 'unsigned'
  | 'bad-signature'
  | 'port'
  | 'timeout'
  | 'stopped'
  /** Complete, but not broadcast: `transaction` can be broadcast by hand. */
  | 'not-broadcast';

/** The result of one maker that was asked. */
export interface MakerReport {
  /** The maker's nick. */
  readonly nick: string;
  /** The offer that was taken. */
  readonly offer: Offer;
  /** The last step it reached. */
  readonly step: LegStep | 'failed';
  /** The makers that failed, and how. */
  readonly failure: LegFailure | undefined;
}

/** What left the program, so that makers or the network may know it. */
export interface Revealed {
  /** Makers got a commitment, which reveals nothing of a coin. */
  readonly commitment: boolean;
  /** The coins whose proof makers got. */
  readonly coins: readonly Outpoint[];
  /** Makers got the unsigned transaction: our coins, the destination and our change. */
  readonly transaction: boolean;
  /** Our signatures were sent: the transaction may appear at any time. */
  readonly signatures: boolean;
}

/** Nothing left the program. */
export const NOTHING_REVEALED: Revealed = {
  commitment: false,
  coins: [],
  transaction: false,
  signatures: false,
};

/** How a round ended. */
export type RoundResult =
  | {
      /** Whether the transaction is complete and was given to the network. */
      readonly ok: true;
      /** Id of the transaction, in display order. */
      readonly txid: string;
      /** The signed transaction, serialized. */
      readonly transaction: Uint8Array;
      /** The nick that broadcast it, or undefined when we did. */
      readonly broadcastBy: string | undefined;
      /** One report for each maker that was asked. */
      readonly makers: readonly MakerReport[];
    }
  | {
      /** Whether the transaction is complete and was given to the network. */
      readonly ok: false;
      /** Why there is no transaction on the network. */
      readonly fault: RoundFault;
      /** The reason for a person; one line. */
      readonly detail: string;
      /** One report for each maker that was asked. */
      readonly makers: readonly MakerReport[];
      /** With `not-broadcast`. */
      readonly transaction: Uint8Array | undefined;
      /** What makers or the network may know, of all rounds. */
      readonly revealed: Revealed;
    };

interface RoundBase {
  readonly terms: RoundTerms;
  /** In the order in which they were asked. */
  readonly legs: ReadonlyMap<string, Leg>;
  /** What left the program. */
  readonly revealed: Revealed;
}

export type RoundState =
  | (RoundBase & {
      readonly phase: 'gathering';
      readonly spare: readonly Candidate[];
      /** Spare makers that were asked, and those whose seat another one may still take. */
      readonly replaced: number;
      readonly spares: number;
      /** May be used again while no maker saw the proof. */
      readonly podle: Podle | undefined;
      /** The wallet was asked for one. */
      readonly committing: boolean;
      /** Commitments that the wallet stores, or stored, as used. */
      readonly claimed: ReadonlySet<string>;
      /** Those that it has stored: their proofs may leave. */
      readonly shown: ReadonlySet<string>;
      /** Makers that are asked as soon as the wallet returns a commitment. */
      readonly waiting: readonly Asked[];
    })
  | (RoundBase & { readonly phase: 'funding' })
  | (RoundBase & {
      readonly phase: 'collecting' | 'checking' | 'signing';
      readonly funding: Funding;
      readonly tx: UnsignedTransaction;
      readonly own: SigningRequest['inputs'];
    })
  | (RoundBase & {
      readonly phase: 'keeping';
      readonly funding: Funding;
      readonly final: CompleteTransaction;
    })
  | (RoundBase & {
      readonly phase: 'pushing' | 'broadcasting';
      readonly funding: Funding;
      readonly final: CompleteTransaction;
      readonly pushedTo: string | undefined;
    })
  | (RoundBase & { readonly phase: 'ended'; readonly result: RoundResult });

/**
 * The port whose call failed. Two calls to the chain have names of their own: `watch` waits for a
 * transaction that a maker broadcasts, `broadcast` is our own.
 */
export type RoundPort = 'wallet' | 'chain' | 'watch' | 'broadcast';

export type RoundEvent =
  | {
      readonly kind: 'message';
      readonly from: string;
      readonly command: 'pubkey' | 'ioauth' | 'sig' | 'error';
      readonly args: readonly string[];
      /** The route that it took (`linkName`). */
      readonly by: string;
    }
  | { readonly kind: 'committed'; readonly podle: Podle | undefined }
  /** The wallet has stored a commitment as used. */
  | { readonly kind: 'used'; readonly commitment: string }
  | {
      readonly kind: 'coins';
      readonly nick: string;
      readonly coins: readonly (ChainCoin | undefined)[];
    }
  | { readonly kind: 'funded'; readonly funding: Funding | FundingRefusal | undefined }
  /** The coins of the makers, once more before our signatures. */
  | { readonly kind: 'rechecked'; readonly coins: readonly (ChainCoin | undefined)[] }
  | { readonly kind: 'signatures'; readonly signatures: readonly InputSignature[] }
  /** The wallet has stored the complete transaction. */
  | { readonly kind: 'kept' }
  | { readonly kind: 'seen' }
  | { readonly kind: 'broadcast' }
  | { readonly kind: 'port-failed'; readonly port: RoundPort; readonly detail: string }
  /** Of a maker, or of the round when `nick` is undefined. */
  | { readonly kind: 'deadline'; readonly nick: string | undefined }
  /** Our proof has waited long enough for slower makers. */
  | { readonly kind: 'hold-over' }
  /** Of a step that waits for wallet, chain or a maker's broadcast. */
  | { readonly kind: 'step-deadline' }
  | { readonly kind: 'stop' };

export type RoundEffect =
  | {
      readonly kind: 'send';
      readonly to: string;
      readonly command: 'fill' | 'auth' | 'tx' | 'push';
      /** One message for each. */
      readonly args: readonly string[];
    }
  /** Sets or replaces a maker's timer; undefined removes it. */
  | { readonly kind: 'deadline'; readonly nick: string; readonly ms: number | undefined }
  /** How long our proof waits for slower makers. */
  | { readonly kind: 'hold'; readonly ms: number | undefined }
  | { readonly kind: 'round-deadline'; readonly ms: number | undefined }
  | { readonly kind: 'step-deadline'; readonly ms: number | undefined }
  /** Nothing more is sent to this maker. */
  | { readonly kind: 'forget'; readonly nick: string }
  | { readonly kind: 'commit'; readonly amount: number }
  | { readonly kind: 'use'; readonly podle: Podle }
  | { readonly kind: 'free'; readonly podle: Podle }
  | { readonly kind: 'look-up'; readonly nick: string; readonly coins: readonly NamedOutpoint[] }
  | { readonly kind: 'fund'; readonly request: FundingRequest }
  | { readonly kind: 'recheck'; readonly coins: readonly NamedOutpoint[] }
  | { readonly kind: 'sign'; readonly request: SigningRequest }
  | { readonly kind: 'keep'; readonly final: CompleteTransaction }
  | { readonly kind: 'watch'; readonly txid: string }
  | { readonly kind: 'broadcast'; readonly transaction: Uint8Array }
  | { readonly kind: 'settle'; readonly funding: Funding; readonly settlement: Settlement }
  | { readonly kind: 'end'; readonly result: RoundResult };

export interface RoundTransition {
  readonly state: RoundState;
  readonly effects: readonly RoundEffect[];
}
