/** The types of a maker's session: what it demands, what happens, what comes out. */
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

/** What a maker demands and how long it waits; times in milliseconds. */
export interface MakerPolicy {
  /** Points of PoDLE accepted: indices 0 to this, less one. */
  readonly takerUtxoRetries: number;
  /** Confirmations the taker's proof coin needs. */
  readonly takerUtxoAge: number;
  /** Percent of the amount that it must hold. */
  readonly takerUtxoAmtPercent: number;
  /** From our `pubkey` to a good `auth`. */
  readonly authWaitMs: number;
  /** From our `ioauth` to a good `tx`. */
  readonly txWaitMs: number;
  /** Longest wait for wallet, chain or disk. */
  readonly portWaitMs: number;
  /** From our last `sig` to the `push` that we may be asked for. */
  readonly pushWaitMs: number;
  /**
   * From our signatures until coins and addresses of a transaction that nobody has seen may be used
   * again, in one that spends a coin of it.
   */
  readonly pendingTxTimeoutMs: number;
  /** Proofs that do not hold, and unusable `tx`s, with which the session ends. */
  readonly attempts: number;
  /** How often the maker repeats one answer to a taker that repeats its request. */
  readonly repeats: number;
  /**
   * Whether `pubkey` offers `neutrino_compat`, and coins are named with script and height to a taker
   * that named its own so.
   */
  readonly neutrinoCompat: boolean;
}

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

/** What a session is opened with. */
export interface MakerTerms {
  readonly network: Network;
  readonly policy: MakerPolicy;
  readonly fill: FillTerms;
  readonly offer: Offer;
  readonly keys: BoxKeyPair;
  readonly box: BoxSession;
  readonly randomBytes: RandomBytes;
}

export type MakerStep =
  'auth' | 'checking-coin' | 'reserving' | 'claiming' | 'tx' | 'signing' | 'push';

/** What ended a session before its signatures left; the names are stable. */
export type MakerFault =
  | 'silent'
  | 'revelation'
  | 'podle'
  | 'coin-missing'
  | 'coin-young'
  | 'coin-small'
  | 'coin-key'
  /** The coin has another script, or stands in another block, than the taker said. */
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

export type MakerOutcome =
  | {
      readonly result: 'signed';
      /** Of the unsigned transaction; the final one for native segwit. */
      readonly txid: string;
      /** Whether the taker had us broadcast it. */
      readonly pushed: boolean;
      readonly amount: number;
      /** Fee less our part of the miner fee, satoshi. */
      readonly earned: number;
    }
  | {
      readonly result: 'failed';
      /** Who is to blame: the taker, ourselves (wallet, chain, disk, limits). */
      readonly by: 'taker' | 'us';
      readonly step: MakerStep;
      readonly fault: MakerFault;
      /** For a person; never more than 200 printable characters. */
      readonly detail: string;
    };

interface Common {
  readonly terms: MakerTerms;
  readonly fee: number;
  readonly attempts: number;
  readonly repeats: number;
  /** Ciphertexts that were taken, by the command that carried them. */
  readonly taken: Readonly<Partial<Record<'auth' | 'tx', string>>>;
  /** What is said again to one who asks again. */
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
  /** The coins as the taker is told them. */
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
  /** The taker answers this `fill` with the key that it was told in answer to another. */
  | { readonly kind: 'rekeyed'; readonly keys: BoxKeyPair; readonly box: BoxSession }
  | { readonly kind: 'coin'; readonly coin: ChainCoin | undefined }
  | {
      readonly kind: 'reserved';
      readonly reservation: Reservation | undefined;
      /** One for each of its coins, where the taker is told their metadata. */
      readonly names?: readonly NamedOutpoint[];
    }
  /** No other session has a coin or an address of the reservation. */
  | { readonly kind: 'held' }
  /** Another has; or it has a coin of the transaction that is to be signed. */
  | { readonly kind: 'clash'; readonly detail: string }
  | { readonly kind: 'claimed' }
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
      /** Whether the taker is told scripts and heights of the coins. */
      readonly extended: boolean;
    }
  /** Compare with all other sessions; `held` or `clash` comes at once. */
  | { readonly kind: 'hold'; readonly payout: Payout }
  /** Remember the commitment for good, and end every other session that has it. */
  | { readonly kind: 'claim'; readonly commitment: string }
  /** Compare with all other sessions once more, and sign; otherwise `clash` comes at once. */
  | { readonly kind: 'sign'; readonly tx: UnsignedTransaction; readonly request: SigningRequest }
  /** Signatures are about to leave: only the chain frees coins and addresses now. */
  | { readonly kind: 'keep' }
  | { readonly kind: 'broadcast'; readonly transaction: Uint8Array }
  | {
      readonly kind: 'settle';
      readonly reservation: Reservation;
      readonly settlement: Settlement;
    }
  /** The timer goes, and so does the session. */
  | { readonly kind: 'end'; readonly outcome: MakerOutcome };

export interface MakerTransition {
  readonly state: MakerState;
  readonly effects: readonly MakerEffect[];
}
