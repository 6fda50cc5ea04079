/** Why a session did not come to stand. */

/** The caller, or the settings, did not agree to pay. Nothing was paid. */
export class NotAgreedError extends Error {
  /** Stable, for programs. */
  override readonly name = 'NotAgreedError';
}

/**
 * The payment has its blocks, and the manager does not count it. The session is kept: `resume` asks the manager
 * again, and never pays again.
 */
export class NotRecognisedError extends Error {
  /** Stable, for programs. */
  override readonly name = 'NotRecognisedError';
  constructor(
    /** The manager's id of the session. */
    readonly sessionId: string,
    /** The transactions that paid, as far as they are known. */
    readonly txids: readonly string[],
    seconds: number,
  ) {
    super(
      `the provider did not recognise the payment of this session within ${seconds} s: ` +
        'it is not paid again; ask the provider, with the transaction and its proof of "onionmc lethean sessions"',
    );
  }
}

/** The session ended: its state says why. */
export class SessionOverError extends Error {
  /** Stable, for programs. */
  override readonly name = 'SessionOverError';
}

/** Another use of this gate and space has begun, or stands. */
export class SessionInUseError extends Error {
  /** Stable, for programs. */
  override readonly name = 'SessionInUseError';
}
