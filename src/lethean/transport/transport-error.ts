/** The errors of the ways to an exit. */

/**
 * Stable names of failures, for programs and tests:
 * - `credentials`: the gate refuses the session's user name, password, bearer or key
 * - `identity`: certificate or host key of the gate is not the provider's
 * - `unreachable`: no connection to the gate, or it ended during the handshake
 * - `protocol`: the gate answers with something else than its protocol
 * - `destination`: the gate works, but does not connect to the destination
 * - `timeout`: no answer in time
 * - `aborted`: the caller cancelled
 * - `ended`: the tunnel has ended or was closed
 * - `program`: a program of this machine is missing or failed (`ssh`, `ip`, `wg`)
 * - `unsupported`: the gate or the session lacks something that this transport needs
 */
export type TransportFault =
  | 'credentials'
  | 'identity'
  | 'unreachable'
  | 'protocol'
  | 'destination'
  | 'timeout'
  | 'aborted'
  | 'ended'
  | 'program'
  | 'unsupported';

/** A failure of a tunnel, or of one connection through it. The text has no credentials. */
export class TransportError extends Error {
  /** Stable, for programs. */
  override readonly name = 'TransportError';

  constructor(
    /** What failed. */
    readonly fault: TransportFault,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Faults that another attempt with the same session cannot repair. */
export function isRefusal(error: unknown): boolean {
  return (
    error instanceof TransportError &&
    (error.fault === 'credentials' || error.fault === 'identity' || error.fault === 'unsupported')
  );
}
