/**
 * Reads the file of a maker's fidelity bond. Its key certifies our nicks to takers, so no other user
 * may read it. No error contains text of the file.
 */
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { errorCode } from '../kit/error-text.js';
import type { Network } from '../protocol/constants.js';
import type { OwnBond } from '../protocol/fidelity-bond.js';
import { ownBondFault, parseBondFile, type OwnBondFault } from '../protocol/own-bond.js';

/** The faults of a bond file: of the file itself, its network, or its bond. */
export type BondFileFault =
  'unreadable' | 'not-a-file' | 'mode' | 'owner' | 'size' | 'network' | OwnBondFault;

/** A bond file that cannot be used: the fault, and what is allowed. */
export class BondFileError extends Error {
  /** Always `BondFileError`. */
  override readonly name = 'BondFileError';

  constructor(
    /** The fault of the file; stable. */
    readonly code: BondFileFault,
    /** The value found, for a person. */
    readonly found: string,
    /** The allowed values, for a person. */
    readonly allowed: string,
  ) {
    super(`a bond file is ${found}; allowed: ${allowed}`);
  }
}

/** Settings with which a bond file must agree. */
export interface BondFileOptions {
  /** The network that the file must name. */
  readonly network: Network;
  /**
   * Height of the chain, or a height that it has surely reached; without it the expiry is not checked.
   */
  readonly tipHeight?: number | undefined;
  /** The user who may own it; default the user of this process. */
  readonly uid?: number | undefined;
}

const MAX_BYTES = 4096;
const FORM = 'a JSON object of the form in docs/negotiation.md, with no other members';

const CONTENT_FAULTS: Readonly<Record<OwnBondFault, readonly [string, string]>> = {
  'bond-form': ['not of the form of a bond', FORM],
  'bond-coin-key': [
    'with the private key that can spend the coin of the bond',
    "a certified key of its own; the coin's key belongs into no file of a program that is online",
  ],
  'bond-certificate': [
    'with a certificate that does not verify',
    'a signature of utxo_public_key over the certified key and cert_expiry',
  ],
  'bond-expired': [
    'with a certificate that has expired',
    'one for a difficulty period that is not over: have the coin certify a key again',
  ],
};

async function openFile(path: string): Promise<FileHandle> {
  try {
    // Non-blocking, because the path may be a pipe.
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const code = errorCode(error) ?? 'unknown';
    throw new BondFileError(
      'unreadable',
      `unreadable (${code})`,
      'a file of mode 0600 of the user that runs the maker',
    );
  }
}

async function readOwnFile(path: string, uid: number | undefined): Promise<string> {
  const file = await openFile(path);
  try {
    // Of the open file, not of the path, so that the file cannot be exchanged in between.
    const stats = await file.stat();
    if (!stats.isFile()) throw new BondFileError('not-a-file', 'no regular file', 'a file');
    if (uid !== undefined && stats.uid !== uid) {
      const found = `of user ${stats.uid}`;
      throw new BondFileError('owner', found, `one of user ${uid}, the user of the maker (chown)`);
    }
    const mode = stats.mode & 0o7777;
    if (mode !== 0o600 && mode !== 0o400) {
      const found = `of mode ${mode.toString(8).padStart(4, '0')}`;
      throw new BondFileError('mode', found, 'mode 0600, so that no one else reads it (chmod 600)');
    }
    const buffer = new Uint8Array(MAX_BYTES + 1);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    if (bytesRead > MAX_BYTES) {
      throw new BondFileError('size', `larger than ${MAX_BYTES} bytes`, FORM);
    }
    return Buffer.from(buffer.subarray(0, bytesRead)).toString('utf8');
  } finally {
    await file.close();
  }
}

/**
 * Reads a bond from a file of mode 0600 (or 0400) that belongs to our user. The bond must be for this
 * network, with a valid certificate, and without the coin's own key. Rejects with a BondFileError.
 */
export async function readBondFile(path: string, options: BondFileOptions): Promise<OwnBond> {
  const text = await readOwnFile(path, options.uid ?? process.geteuid?.());
  const parsed = parseBondFile(text);
  if (!parsed.ok) throw new BondFileError(parsed.reason, ...CONTENT_FAULTS[parsed.reason]);
  const { network, bond } = parsed.value;
  if (network !== options.network) {
    throw new BondFileError('network', `for ${network}`, `a bond of ${options.network}`);
  }
  const fault = ownBondFault(bond, options.tipHeight);
  if (fault !== undefined) throw new BondFileError(fault, ...CONTENT_FAULTS[fault]);
  return bond;
}
