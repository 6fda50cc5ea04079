/** Reads wallet files of other programs: the original JoinMarket and joinmarket-ng. */
import { parseRecord } from '../../kit/json-record.js';
import { slicedArgon2, type DerivationOptions, type DeriveKey } from './argon2.js';
import { damagedFile, WalletImportError, type ForeignWallet } from './foreign-wallet.js';
import { jmFormOf, readJmContainer } from './jm-container.js';
import { readJmPayload } from './jm-wallet.js';
import { ngFormOf, readNgWallet } from './ng-wallet.js';

/** Largest file read. That of a wallet with ten thousands of addresses has a few megabytes. */
export const MAX_FOREIGN_WALLET_BYTES = 64 * 1_048_576;

/** What a file is, by its first bytes. */
export interface ForeignForm {
  readonly program: ForeignWallet['program'];
  /** Whether its password is needed. */
  readonly encrypted: boolean;
  /** Whether the password takes some seconds to check, so that progress should be shown. */
  readonly isSlow: boolean;
}

/** What a file is; undefined for one that this program does not know. */
export function foreignFormOf(bytes: Uint8Array): ForeignForm | undefined {
  const jm = jmFormOf(bytes);
  if (jm !== undefined) {
    return { program: 'joinmarket', encrypted: jm === 'encrypted', isSlow: jm === 'encrypted' };
  }
  const ng = ngFormOf(bytes);
  if (ng === undefined) return undefined;
  return { program: 'joinmarket-ng', encrypted: ng !== 'words', isSlow: ng === 'argon2id' };
}

function unknownFile(bytes: Uint8Array): WalletImportError {
  const record = bytes.length < 100_000 ? parseRecord(Buffer.from(bytes).toString('utf8')) : {};
  if (record !== undefined && ('encrypted_seed' in record || 'encrypted_entropy' in record)) {
    return new WalletImportError(
      'unsupported',
      'a wallet of the original from before 2018 (.json): convert it there, or use "recover" with its seed words',
    );
  }
  return new WalletImportError(
    'unknown',
    'no wallet file that this program knows: .jmdat of the original, or .mnemonic of joinmarket-ng',
  );
}

/**
 * Reads a wallet file. The key derivation runs in slices, or beside the event loop; the original's takes
 * ten seconds and more. Rejects with a `WalletImportError`, or with the reason of the signal.
 *
 * @param password undefined for a file that is not encrypted
 */
export async function readForeignWallet(
  bytes: Uint8Array,
  password: string | undefined,
  options: DerivationOptions & {
    /** The content of the `.meta` file beside a file of joinmarket-ng. */
    readonly meta?: Uint8Array | undefined;
    /** For tests: a cheaper derivation. */
    readonly derive?: DeriveKey | undefined;
  } = {},
): Promise<ForeignWallet> {
  if (bytes.length > MAX_FOREIGN_WALLET_BYTES) throw damagedFile('it is too large');
  const derive = options.derive ?? slicedArgon2(options);
  const jm = jmFormOf(bytes);
  if (jm !== undefined) return readJmPayload(await readJmContainer(bytes, jm, password, derive));
  const ng = ngFormOf(bytes);
  if (ng !== undefined) return readNgWallet(bytes, ng, password, options.meta, derive);
  throw unknownFile(bytes);
}
