/** What can go wrong in an overlay itself; Tor and its SOCKS port have errors of their own. */
export type OverlayErrorCode =
  /** The address is in use, forbidden, or not one of this machine. */
  | 'listen-failed'
  /** This overlay does not go there, by rule. */
  | 'location-refused'
  /** The connection could not be made. */
  | 'dial-failed'
  /** Served by the operator's own Tor, and its `hostname` file is missing or wrong. */
  | 'hostname-file'
  /** The overlay was made without a way to serve. */
  | 'not-serving';

/** What went wrong, where, and what to do; `code` is stable. */
export class OverlayError extends Error {
  override readonly name = 'OverlayError';
  constructor(
    readonly code: OverlayErrorCode,
    message: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
  }
}
