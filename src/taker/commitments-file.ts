/**
 * `cmtdata/commitments.json`: the taker's used commitments, and proofs of coins of other wallets. The
 * original uses the same file, so a commitment that one program used is not used by the other. It is
 * replaced as a whole at each write.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import type { CommitmentStore } from '../negotiation/ports.js';
import { readStateFile, writeStateFile } from '../ops/state-file.js';
import {
  parseCommitmentsJson,
  withUsed,
  type CommitmentsJson,
  type CommitmentsJsonFault,
  type ExternalCoin,
} from './commitments-json.js';

const MAX_BYTES = 128 * 1024 * 1024;
const NOTHING = '{"used": [], "external": {}}';

const FAULTS: Readonly<Record<CommitmentsJsonFault, string>> = {
  json: 'it is not a JSON object',
  used: 'a member of "used" is not a commitment of 64 hex digits',
  external: 'an entry of "external" is not a coin with its key and its proofs',
};

/** The file cannot be used. The message is one line: what, where, what to do. */
export class CommitmentsFileError extends Error {
  override readonly name = 'CommitmentsFileError';
}

const hashOf = (point: string): string => bytesToHex(sha256(hexToBytes(point)));

/** The open file. */
export class TakerCommitmentsFile implements CommitmentStore {
  readonly #path: string;
  #content: CommitmentsJson;
  #used: Set<string>;
  /** The end of the last write: writes run one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(path: string, content: CommitmentsJson) {
    this.#path = path;
    this.#content = content;
    this.#used = new Set(content.used);
  }

  /**
   * Reads the file. One that is missing is made with the first used commitment.
   * @throws CommitmentsFileError when it has another form; the error of the file system.
   */
  static async open(path: string): Promise<TakerCommitmentsFile> {
    return new TakerCommitmentsFile(path, await read(path));
  }

  has(commitment: string): boolean {
    return this.#used.has(commitment);
  }

  /**
   * Adds a used commitment. The file is read again before it is replaced, since another program may have
   * written it. Resolves after it is on the disk, to whether the commitment was new.
   */
  add(commitment: string): Promise<boolean> {
    const run = this.#last.then(
      () => this.#add(commitment),
      () => this.#add(commitment),
    );
    this.#last = run.catch(() => undefined);
    return run;
  }

  /** Coins of other wallets with their proofs, which are not verified. */
  get external(): readonly ExternalCoin[] {
    return this.#content.external;
  }

  get size(): number {
    return this.#used.size;
  }

  async #add(commitment: string): Promise<boolean> {
    const found = await read(this.#path);
    if (found.used.includes(commitment)) {
      this.#take(found);
      return false;
    }
    await writeStateFile(this.#path, withUsed(found, commitment));
    this.#take({ ...found, used: [...found.used, commitment] });
    return true;
  }

  #take(content: CommitmentsJson): void {
    this.#content = content;
    this.#used = new Set(content.used);
  }
}

async function read(path: string): Promise<CommitmentsJson> {
  const bytes = await readStateFile(path, MAX_BYTES);
  const parsed = parseCommitmentsJson(
    bytes === undefined ? NOTHING : new TextDecoder().decode(bytes),
    hashOf,
  );
  if (parsed.ok) return parsed.value;
  throw new CommitmentsFileError(
    `${path}: ${FAULTS[parsed.reason]}; correct it, or move it away when no other program needs it`,
  );
}
