/** The types of a maker's session: policy, events, effects and outcomes. */
import type { Network } from '../../protocol/constants.js';
import type { BoxKeyPair, BoxSession, RandomBytes } from '../../protocol/encryption.js';
import type { Offer } from '../../protocol/offer.js';
import type { NamedOutpoint } from '../../protocol/outpoint.js';
import type { PodleRevelation } from '../../protocol/podle.js';
import type { Payout } from '../payout.js';
import type {
  ChainCoin,
  Reservation,
  ReservationRequest,
  Settlement,
  SigningRequest,
} from '../ports.js';
import type { FillTerms } from '../payloads.js';
import type { InputSignature, UnsignedTransaction } from '../transaction.js';

/** A maker's requirements and timeouts; times in milliseconds. */
export interface MakerPolicy {
  /** Number of PoDLE points accepted: indices from 0. */
  readonly takerUtxoRetries: number;
  /** Confirmations that the taker's proof coin needs. */
  readonly takerUtxoAge: number;
  /** Percent of the amount that the coin must hold. */
  readonly takerUtxoAmtPercent: number;
  /** From our `pubkey` to a valid `auth`. */
  readonly authWaitMs: number;
  /** From our `ioauth` to a valid `tx`. */
  readonly txWaitMs: number;
  /** Longest wait for wallet, chain or disk. */
  readonly portWaitMs: number;
  /** From our last `sig` to a `push`. */
  readonly pushWaitMs: number;
  /**
   * From our signatures until coins and addresses of an unseen transaction may be used again, in a
   * transaction that spends one of its coins.
   */
  readonly pendingTxTimeoutMs: number;
  /** Number of invalid proofs and unusable `tx`s that ends the session. */
  readonly attempts: number;
  /** How often the maker repeats one answer to a repeated request. */
  readonly repeats: number;
  /**
   * Whether `pubkey` offers `neutrino_compat`, and coins are named with script and height to a taker
   * that did the same.
   */
  readonly neutrinoCompat: boolean;
}

/** The defaults. */
export const DEFAULT_MAKER_POLICY: MakerPolicy = {
  takerUtxoRetries: 3,
  takerUtxoAge: 5,
  takerUtxoAmtPercent: 20,
  authWaitMs: 60_000,
  txWaitMs: 300_000,
  portWaitMs: 60_000,
  pushWaitMs: 300_000,
  pendingTxTimeoutMs: 3_600_000,
  attempts: 3,
  repeats: 3,
  neutrinoCompat: true,
};

/** The input of a new session. */
export interface MakerTerms {
  readonly network: Network;
  readonly policy: MakerPolicy;
  readonly fill: FillTerms;
  readonly offer: Offer;
  readonly keys: BoxKeyPair;
  readonly box: BoxSession;
  readonly randomBytes: RandomBytes;
}

/** The event for which a session waits. */
export type MakerStep =
  'auth' | 'checking-coin' | 'reserving' | 'claiming' | 'tx' | 'signing' | 'push';

/** Why a session ended before its signatures were sent; the names are stable. */
export type MakerFault =
  | 'silent'
  | 'revelation'
  | 'podle'
  | 'coin-missing'
  | 'coin-young'
  | 'coin-small'
  | 'coin-key'
  /** The coin has another script, or is in another block, than the taker said. */
  | 'coin-metadata'
  | 'commitment-used'
  | 'no-coins'
  | 'bad-reservation'
  | 'bad-signature'
  | 'transaction'
  | 'payment'
  | 'port'
  | 'replaced'
  | 'evicted'
  | 'stopped';

/** How a session ended. */
export type MakerOutcome =
  | {
      /** Whether our signatures were sent. */
      readonly result: 'signed';
      /** Of the unsigned transaction; the final one for native segwit. */
      readonly txid: string;
      /** Whether the taker asked us to broadcast it. */
      readonly pushed: boolean;
      /** Satoshi of each side's coinjoin output. */
      readonly amount: number;
      /** Fee minus our part of the miner fee, satoshi. */
      readonly earned: number;
    }
  | {
      /** Whether our signatures were sent. */
      readonly result: 'failed';
      /** The side at fault: the taker, or this program (wallet, chain, disk, limits). */
      readonly by: 'taker' | 'us';
      /** The step at which it failed. */
      readonly step: MakerStep;
      /** How it failed. */
      readonly fault: MakerFault;
      /** For a person; at most 200 printable characters. */
      readonly detail: string;
    };

/** Signatures that were sent. */
export type SignedOutcome = MakerOutcome & { readonly result: 'signed' };

interface Common {
  readonly terms: MakerTerms;
  readonly fee: number;
  readonly attempts: number;
  readonly repeats: number;
  /** Ciphertexts that were accepted, by their command. */
  readonly taken: Readonly<Partial<Record<'auth' | 'tx', string>>>;
  /** The answer that is repeated for a repeated request. */
  readonly lastAnswer: readonly MakerEffect[];
}

export type MakerState =
  | (Common & { readonly state: 'awaiting-auth' })
  | (Common & { readonly state: 'checking-coin'; readonly revelation: PodleRevelation })
  | (Common & { readonly state: 'reserving' })
  | (Common & { readonly state: 'holding'; readonly reserved: Reserved })
  | (Common & { readonly state: 'claiming'; readonly reserved: Reserved })
  | (Common & { readonly state: 'awaiting-tx'; readonly reserved: Reserved })
  | (Common & { readonly state: 'signing'; readonly reserved: Reserved; readonly signing: Signing })
  | (Common & {
      readonly state: 'awaiting-push';
      readonly reserved: Reserved;
      readonly tx: UnsignedTransaction;
    })
  | { readonly state: 'ended'; readonly outcome: MakerOutcome };

export interface Reserved {
  readonly reservation: Reservation;
  readonly payout: Payout;
  /** The coins as they are named to the taker. */
  readonly names: readonly NamedOutpoint[];
}

export interface Signing {
  readonly tx: UnsignedTransaction;
  readonly inputs: SigningRequest['inputs'];
}

export type MakerEvent =
  | {
      readonly kind: 'message';
      readonly command: 'fill' | 'auth' | 'tx' | 'push';
      readonly args: readonly string[];
    }
  /** The taker answers this `fill` with the key that it got for another one. */
  | { readonly kind: 'rekeyed'; readonly keys: BoxKeyPair; readonly box: BoxSession }
  | { readonly kind: 'coin'; readonly coin: ChainCoin | undefined }
  | {
      readonly kind: 'reserved';
      readonly reservation: Reservation | undefined;
      /** One for each coin, when the taker gets their metadata. */
      readonly names?: readonly NamedOutpoint[];
    }
  /** No other session has a coin or an address of the reservation. */
  | { readonly kind: 'held' }
  /** Another session has one, or has a coin of the transaction that is to be signed. */
  | { readonly kind: 'clash'; readonly detail: string }
  | { readonly kind: 'commitment-stored' }
  | { readonly kind: 'signatures'; readonly signatures: readonly InputSignature[] }
  | { readonly kind: 'port-failed'; readonly port: string; readonly detail: string }
  | { readonly kind: 'deadline' }
  | {
      readonly kind: 'end';
      readonly fault: 'replaced' | 'evicted' | 'stopped' | 'commitment-used';
    };

export type MakerEffect =
  | {
      readonly kind: 'send';
      readonly command: 'pubkey' | 'ioauth' | 'sig' | 'error';
      readonly args: string;
    }
  /** Replaces the only timer of the session. */
  | { readonly kind: 'deadline'; readonly ms: number }
  | { readonly kind: 'look-up'; readonly coin: NamedOutpoint }
  | {
      readonly kind: 'reserve';
      readonly request: ReservationRequest;
      /** Whether the taker gets scripts and heights of the coins. */
      readonly extended: boolean;
    }
  /** Compare with all other sessions; the event `held` or `clash` follows at once. */
  | { readonly kind: 'hold'; readonly payout: Payout }
  /** Store the commitment, and end every other session with it. */
  | { readonly kind: 'store-commitment'; readonly commitment: string }
  /** Compare with all other sessions again, and sign; otherwise `clash` follows at once. */
  | { readonly kind: 'sign'; readonly tx: UnsignedTransaction; readonly request: SigningRequest }
  /** Signatures are about to be sent: from now on only the chain frees coins and addresses. */
  | { readonly kind: 'keep' }
  | { readonly kind: 'broadcast'; readonly transaction: Uint8Array }
  | {
      readonly kind: 'settle';
      readonly reservation: Reservation;
      readonly settlement: Settlement;
    }
  /** Remove the timer and the session. */
  | { readonly kind: 'end'; readonly outcome: MakerOutcome };

export interface MakerTransition {
  readonly state: MakerState;
  readonly effects: readonly MakerEffect[];
}
