/** The errors of an overlay. Tor and its SOCKS port have errors of their own. */
export type OverlayErrorCode =
  /** The address is in use, forbidden, or not one of this machine. */
  | 'listen-failed'
  /** This overlay never connects to such an address. */
  | 'location-refused'
  /** The connection failed. */
  | 'dial-failed'
  /** The program that carries the overlay does not answer. */
  | 'carrier-unreachable'
  /** The operator's own Tor serves it, and its `hostname` file is missing or wrong. */
  | 'hostname-file'
  /** The overlay was created without options to serve. */
  | 'not-serving';

/** The message has the fault, the place and the fix. `code` is stable. */
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
