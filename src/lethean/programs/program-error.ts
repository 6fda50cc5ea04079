/** Why the wallet RPC or the node of `run-wallet` and `run-daemon` does not run. */

/** What went wrong with a program that this one starts. */
export type ProgramFault =
  /** It is not on the PATH, or cannot be executed. */
  | 'missing'
  /** Its settings do not fit together. */
  | 'settings'
  /** Another program has its port. */
  | 'port'
  /** It ended again and again, or gave no sign that it works. */
  | 'ended';

/** A program was not started, or did not stay. `message` is one line with what to do. */
export class ProgramError extends Error {
  /** Stable, for programs. */
  override readonly name = 'ProgramError';
  /** 2: settings; 3: a program or port is needed and not there. */
  readonly exitCode: 2 | 3;
  constructor(
    /** What went wrong. */
    readonly fault: ProgramFault,
    message: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.exitCode = fault === 'settings' ? 2 : 3;
  }
}
