/** What is read from a wallet file of another program. */
import type { Network } from '../../protocol/constants.js';
import type { Outpoint } from '../../protocol/outpoint.js';

/** The first index of a branch that was not handed out. */
export interface ForeignIndex {
  readonly mixdepth: number;
  readonly branch: 0 | 1;
  readonly next: number;
}

/** A wallet of another program. */
export interface ForeignWallet {
  readonly program: 'joinmarket' | 'joinmarket-ng';
  /** The 16 to 32 bytes behind the seed words, lower-case hex (BIP39). */
  readonly entropy: string;
  /** The passphrase (seed extension), where the file has it; undefined where it does not say. */
  readonly passphrase: string | undefined;
  /** The networks that the file may mean; all of them where it does not say. */
  readonly networks: readonly Network[];
  /** Addresses of the mixdepths: native segwit, or nested. */
  readonly kind: 'native' | 'nested';
  /** Number of mixdepths, at least 5. */
  readonly mixdepths: number;
  readonly indices: readonly ForeignIndex[];
  readonly labels: readonly { readonly address: string; readonly label: string }[];
  readonly frozen: readonly Outpoint[];
  /** Height of the best block when the wallet was made, where the file says. */
  readonly birthHeight: number | undefined;
  /** When the wallet was made, in Unix seconds, to within a day. */
  readonly created: number | undefined;
  /** Fingerprint of the master key, 8 hex digits, where the file says. */
  readonly fingerprint: string | undefined;
  /** What is not taken over, and what the person should do, one sentence each. */
  readonly notes: readonly string[];
}

/** Why a file cannot be imported. */
export type WalletImportFault =
  /** It is no wallet file that this program knows. */
  | 'unknown'
  /** It is encrypted, and there is no password. */
  | 'password-needed'
  /** The password is wrong. */
  | 'password'
  /** It is cut off or changed. */
  | 'damaged'
  /** It is a wallet that this program cannot use; the message says what can be done. */
  | 'unsupported';

/** One line about the content of a file, without its name. */
export class WalletImportError extends Error {
  override readonly name = 'WalletImportError';
  constructor(
    readonly fault: WalletImportFault,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The mixdepths of a wallet in both programs, unless it was made with more. */
export const USUAL_MIXDEPTHS = 5;

export function wrongPassword(): WalletImportError {
  return new WalletImportError('password', 'the password is wrong');
}

export function passwordNeeded(): WalletImportError {
  return new WalletImportError('password-needed', 'the file is encrypted: its password is needed');
}

export function damagedFile(what: string): WalletImportError {
  return new WalletImportError('damaged', `the file is damaged (${what}): use a copy of it`);
}
