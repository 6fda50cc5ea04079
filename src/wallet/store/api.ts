/**
 * The folder of a wallet, as the rest of the wallet sees it: one encrypted file with the secret, and an
 * append-only journal, encrypted too. What a record means is not known here.
 */
import type { Network } from '../../protocol/constants.js';

/** The content of the wallet file. It never changes after the wallet was created. */
export interface WalletSecret {
  readonly network: Network;
  /** The 16 to 32 bytes behind the seed words, lower-case hex (BIP39). */
  readonly entropy: string;
  /** Addresses of the mixdepths: native segwit (m/84'), or nested (m/49'). */
  readonly kind: 'native' | 'nested';
  /** Number of mixdepths, 1 to 100. */
  readonly mixdepths: number;
  /**
   * Fingerprint of the master key with the passphrase, 8 hex digits. The passphrase is not stored; another
   * one gives another fingerprint and is refused.
   */
  readonly fingerprint: string;
  /** Whether a passphrase belongs to the seed words. */
  readonly hasPassphrase: boolean;
  /** Height of the best block when the wallet was made; 0 when it is not known. */
  readonly birthHeight: number;
  /** When the file was made, in Unix seconds. */
  readonly created: number;
}

/** A record of the journal: JSON without numbers that are not safe integers. */
export type JournalValue =
  | string
  | number
  | boolean
  | null
  | readonly JournalValue[]
  | { readonly [key: string]: JournalValue };

/** Why a wallet folder cannot be used. */
export type WalletStoreFault =
  /** There is no wallet in the folder. */
  | 'missing'
  /** There is one already. */
  | 'exists'
  /** The password is wrong. */
  | 'password'
  /** The file is damaged, or no wallet of this program. */
  | 'damaged'
  /** A later version of this program wrote it. */
  | 'version'
  /** Another process writes to the wallet. */
  | 'locked'
  /** The disk is full, or the file system refuses. */
  | 'disk';

/** One line: what, which file, what to do. `pid` is that of the writer, where it is known. */
export class WalletStoreError extends Error {
  override readonly name = 'WalletStoreError';
  constructor(
    readonly fault: WalletStoreFault,
    message: string,
    readonly pid?: number,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** An open wallet folder. */
export interface WalletStore {
  readonly folder: string;
  readonly secret: WalletSecret;
  /** Records found at the opening, the oldest first. */
  readonly records: readonly JournalValue[];
  /**
   * What was cut off at the end of the journal, in bytes: 0 unless a crash or a full disk interrupted a
   * write.
   */
  readonly lostBytes: number;
  /**
   * Adds records, all of them or none. Resolves after they are synced to the disk: only then may their effect leave the
   * program. Calls run one after the other. Rejects with a `WalletStoreError` (`disk`); the journal then
   * holds what it held, and a later call may succeed.
   */
  append(records: readonly JournalValue[]): Promise<void>;
  /** Records added by another process since the last call, for a reader. A writer gets an empty list. */
  refresh(): Promise<readonly JournalValue[]>;
  /** Encrypts the secret with another password. The journal stays as it is. */
  changePassword(password: string): Promise<void>;
  /** Writes a copy of file and journal to one new file, mode 0600, which `restoreBackup` reads. */
  backup(path: string): Promise<void>;
  /** Releases the lock, and forgets the secret. */
  close(): Promise<void>;
}
