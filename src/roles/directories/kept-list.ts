/**
 * The newest valid list that this program has: verified before it is kept, written atomically with mode 0600,
 * and verified again when it is read.
 */
import type { ServedList } from '../../directory/directory.js';
import { parseDocument, type ListDocument } from '../../directory-lists/list-document.js';
import { LIST_BOUNDS } from '../../directory-lists/limits.js';
import type { ListRefusal } from '../../directory-lists/refusal.js';
import { offerDocument } from '../../directory-lists/served-list.js';
import {
  verifyDocument,
  type AcceptedList,
  type Trust,
  type VerifiedList,
} from '../../directory-lists/verify.js';
import { readStateFile, StateFileTooLargeError, writeStateFile } from '../../ops/state-file.js';
import type { Location } from '../../protocol/location.js';

/** The name of the file in the data directory. */
export const LIST_FILE = 'directory-list.json';

/** What became of a document: it is kept now, or the one before stays. */
export type ListOutcome =
  | { readonly outcome: 'newer' | 'same' }
  | { readonly outcome: 'refused'; readonly reason: ListRefusal };

interface Kept {
  readonly verified: VerifiedList;
  readonly document: ListDocument;
  readonly served: ServedList;
}

export interface KeptListOptions {
  readonly path: string;
  readonly trust: Trust;
  /** Seconds since 1970. */
  readonly unixTime: () => number;
}

export class KeptList {
  readonly #options: KeptListOptions;
  #kept: Kept | undefined;
  /** Documents are taken one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(options: KeptListOptions) {
    this.#options = options;
  }

  /**
   * Reads the file. A file that is not valid here (other keys are pinned now) counts as none; `refused` says
   * why. Rejects with the error of the file system.
   */
  static async open(
    options: KeptListOptions,
  ): Promise<{ readonly list: KeptList; readonly refused: ListRefusal | undefined }> {
    const list = new KeptList(options);
    let bytes: Uint8Array | undefined;
    try {
      bytes = await readStateFile(options.path, LIST_BOUNDS.documentBytes);
    } catch (error) {
      if (error instanceof StateFileTooLargeError) return { list, refused: 'oversize' };
      throw error;
    }
    if (bytes === undefined) return { list, refused: undefined };
    // An expired list is still the newest one that was seen: no older one may follow it.
    const read = list.#read(bytes, undefined);
    return { list, refused: read.ok ? undefined : read.reason };
  }

  /** The newest list, even when it has expired; undefined: none was ever accepted. */
  get accepted(): AcceptedList | undefined {
    return this.#kept?.verified.accepted;
  }

  get document(): ListDocument | undefined {
    return this.#kept?.document;
  }

  /** Whether there is a list that has not expired. */
  get isValid(): boolean {
    return this.#kept !== undefined && this.#kept.verified.list.expires > this.#now;
  }

  /** The directories of the list; empty without a valid list. */
  locations(): readonly Location[] {
    if (!this.isValid) return [];
    return this.#kept?.verified.list.entries.map(({ location }) => location) ?? [];
  }

  /** For other peers; undefined without a valid list. */
  served(): ServedList | undefined {
    return this.isValid ? this.#kept?.served : undefined;
  }

  /** Verifies a document and keeps it when it is newer. Rejects when it cannot be written. */
  take(bytes: Uint8Array): Promise<ListOutcome> {
    const turn = this.#turn.then(() => this.#take(bytes));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  get #now(): number {
    return this.#options.unixTime();
  }

  async #take(bytes: Uint8Array): Promise<ListOutcome> {
    const before = this.#kept;
    const read = this.#read(bytes, this.#now);
    if (!read.ok) return { outcome: 'refused', reason: read.reason };
    if (before?.verified.accepted.hash === this.#kept?.verified.accepted.hash) {
      this.#kept = before;
      return { outcome: 'same' };
    }
    try {
      await writeStateFile(this.#options.path, bytes);
    } catch (error) {
      this.#kept = before;
      throw error;
    }
    return { outcome: 'newer' };
  }

  #read(
    bytes: Uint8Array,
    now: number | undefined,
  ): { readonly ok: true } | { readonly ok: false; readonly reason: ListRefusal } {
    const parsed = parseDocument(bytes);
    if (!parsed.ok) return parsed;
    const { trust } = this.#options;
    const verified = verifyDocument(parsed.value, { ...trust, now, accepted: this.accepted });
    if (!verified.ok) return verified;
    const served = offerDocument(bytes, verified.value.accepted);
    this.#kept = { verified: verified.value, document: parsed.value, served };
    return { ok: true };
  }
}
