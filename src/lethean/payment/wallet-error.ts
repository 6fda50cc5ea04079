/** Why a wallet, or a payment, did not do what was asked; each error says what to do. */

/** What went wrong between this program and the wallet RPC. */
export type WalletFault =
  /** No connection, or it broke. */
  | 'unreachable'
  /** User or password of the wallet RPC are wrong, or it asks for a way of proof that is not used here. */
  | 'unauthorised'
  /** No answer within the time of the call. What the wallet did is not known. */
  | 'timeout'
  /** An answer that is not JSON-RPC, or without a field that it must have. */
  | 'malformed'
  /** The wallet refused; `rpcCode` is its number. */
  | 'refused'
  /** The wallet file cannot be opened. */
  | 'no-wallet'
  /** Another wallet than the one meant answers. */
  | 'wrong-wallet';

/** A call to the wallet RPC that failed. `message` is one line with what to do. */
export class WalletError extends Error {
  /** Stable, for programs. */
  override readonly name = 'WalletError';
  /** 3: the wallet RPC is needed and not there; 2: settings; 1: others. */
  readonly exitCode: 1 | 2 | 3;
  constructor(
    /** What went wrong. */
    readonly fault: WalletFault,
    message: string,
    /** The number of a JSON-RPC error. */
    readonly rpcCode?: number,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.exitCode = fault === 'unreachable' ? 3 : fault === 'unauthorised' ? 2 : 1;
  }
}

/** Why a payment was not made. */
export type PaymentFault =
  /** The order itself is not one that can be paid. */
  | 'invalid-order'
  /** The same session was ordered with another price, address or payment id. */
  | 'other-terms'
  /** A limit of the settings is below it. */
  | 'limit'
  /** The fee of the transaction is above `max-fee`; nothing was sent. */
  | 'fee'
  /** The time in which the session had to be paid is over. */
  | 'late'
  /** The wallet has not enough unlocked coins; nothing was sent. */
  | 'no-funds'
  /** It may have been sent, and the wallet cannot tell. It is not sent again. */
  | 'in-doubt'
  /** The transaction was refused by the network. */
  | 'failed'
  /** The wallet could not be used before anything was sent; `cause` is its error. */
  | 'wallet'
  /** Another process of this user pays now. */
  | 'busy'
  /** A person said no. */
  | 'declined';

/** After these nothing has left the wallet, and nothing will. */
const NOTHING_PAID: ReadonlySet<PaymentFault> = new Set([
  'invalid-order',
  'limit',
  'fee',
  'late',
  'no-funds',
  'declined',
  'wallet',
]);

/** A payment that was not made. `message` is one line with what to do. */
export class PaymentError extends Error {
  /** Stable, for programs. */
  override readonly name = 'PaymentError';
  /** That of the wallet's error, else 1. */
  readonly exitCode: 1 | 2 | 3;
  /** Whether it is certain that nothing left the wallet and nothing will (`isNothingPaid` of the ports). */
  readonly nothingPaid: boolean;
  constructor(
    /** Why nothing was paid, or why it is not known. */
    readonly fault: PaymentFault,
    message: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.exitCode = cause instanceof WalletError ? cause.exitCode : 1;
    this.nothingPaid = NOTHING_PAID.has(fault);
  }
}
