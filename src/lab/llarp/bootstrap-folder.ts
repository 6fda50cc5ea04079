/**
 * A folder through which routers of several processes find each other: each writes a bootstrap file with its contact,
 * and reads those of the others again and again. A contact is written anew when it was renewed.
 */
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../kit/clock.js';
import { BoundedMap } from '../../kit/bounded-map.js';
import type { RouterContact } from '../../llarp/structures.js';
import { readBootstrap, writeBootstrap } from './bootstrap.js';

const ENDING = '.signed';
/** Most files that are read, and most bytes of one. */
const MAX_FILES = 1_024;
const MAX_FILE_BYTES = 1_048_576;
const READ_EVERY_MS = 10_000;

/** The router that takes part. */
interface Member {
  readonly contact: RouterContact;
  /** Takes contacts of others. */
  meet(contacts: Iterable<RouterContact>): number;
}

export interface BootstrapFolderOptions {
  readonly folder: string;
  /** Of the own file, without its ending. */
  readonly name: string;
  readonly member: Member;
  readonly clock: Clock;
  readonly everyMs?: number;
  /** A file that cannot be read or written; the others are read all the same. */
  readonly onError: (error: Error) => void;
}

export class BootstrapFolder {
  readonly #options: BootstrapFolderOptions;
  /** The state of each file when it was read, so that an unchanged one is left alone. */
  readonly #read = new BoundedMap<string, string>(MAX_FILES);
  #written: RouterContact | undefined;
  #cancel: () => void = () => undefined;
  /** The look at the folder that goes on now, or the last one. */
  #looking: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(options: BootstrapFolderOptions) {
    this.#options = options;
  }

  /** Makes the folder if need be, writes the own contact and reads the others, now and later. */
  static async join(options: BootstrapFolderOptions): Promise<BootstrapFolder> {
    await mkdir(options.folder, { recursive: true, mode: 0o700 });
    const folder = new BootstrapFolder(options);
    folder.#looking = folder.#look();
    await folder.#looking;
    return folder;
  }

  /** Removes the own file: this router goes away. */
  async leave(): Promise<void> {
    this.#closed = true;
    this.#cancel();
    // It may be writing the own file.
    await this.#looking;
    await rm(this.#ownPath(), { force: true });
  }

  #ownPath(): string {
    return join(this.#options.folder, `${this.#options.name}${ENDING}`);
  }

  async #look(): Promise<void> {
    const { clock, everyMs = READ_EVERY_MS, onError } = this.#options;
    try {
      await this.#writeOwn();
      await this.#readOthers();
    } catch (error) {
      onError(asError(error));
    }
    if (this.#closed) return;
    this.#cancel = clock.after(everyMs, () => {
      this.#looking = this.#look();
    });
  }

  async #writeOwn(): Promise<void> {
    const { contact } = this.#options.member;
    if (contact === this.#written) return;
    await writeBootstrap(this.#ownPath(), [contact]);
    this.#written = contact;
  }

  async #readOthers(): Promise<void> {
    const { folder, name } = this.#options;
    const names = (await readdir(folder)).filter((file) => file.endsWith(ENDING));
    for (const file of names.slice(0, MAX_FILES)) {
      // oxlint-disable-next-line no-await-in-loop -- few small files, one after the other
      if (file !== `${name}${ENDING}` && !this.#closed) await this.#readOne(join(folder, file));
    }
  }

  async #readOne(path: string): Promise<void> {
    const { member, onError } = this.#options;
    try {
      const { mtimeMs, size, ino } = await stat(path);
      const state = `${mtimeMs} ${size} ${ino}`;
      if (this.#read.get(path) === state) return;
      if (size > MAX_FILE_BYTES) throw new Error(`${path} has more than ${MAX_FILE_BYTES} bytes`);
      this.#read.set(path, state);
      member.meet(await readBootstrap(path));
    } catch (error) {
      // A router that goes away removes its file.
      if (!isMissing(error)) onError(asError(error));
    }
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
