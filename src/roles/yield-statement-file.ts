/**
 * Keeps `yigen-statement.csv`. What it must hold follows from the journal of the wallet, so a line that a
 * crash prevented is written at the next start, and none is written twice.
 */
import { constants } from 'node:fs';
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Log } from '../channel/log.js';
import { errorCode, errorText } from '../kit/error-text.js';
import type { MakerCoinjoin } from '../maker/api.js';
import { connectedLine, missingLines, STATEMENT_HEADER } from '../maker/yield-statement.js';

/** About 700,000 coinjoins. */
const MAX_BYTES = 64 * 1024 * 1024;

/** The statement cannot be read or written. */
export class StatementError extends Error {
  override readonly name = 'StatementError';
}

/** One writer at a time: the lock of the maker sees to it. */
export class YieldStatement {
  readonly #path: string;
  readonly #log: Log;
  readonly #file: FileHandle;
  readonly #lines: string[];
  /** The last write; they run one after the other. */
  #last: Promise<void> = Promise.resolve();
  /** Whether the last write failed: one line of the log tells. */
  #isFailing = false;

  private constructor(path: string, log: Log, file: FileHandle, lines: string[]) {
    this.#path = path;
    this.#log = log;
    this.#file = file;
    this.#lines = lines;
  }

  /**
   * Opens or makes the file, with the header of the original. The rest of a line that a crash cut off is
   * removed. Rejects with a `StatementError`.
   */
  static async open(path: string, log: Log): Promise<YieldStatement> {
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
      try {
        const { size } = await file.stat();
        if (size > MAX_BYTES) {
          throw new Error(`it is larger than ${MAX_BYTES} bytes: move it away`);
        }
        const text = await file.readFile('utf8');
        const end = text.lastIndexOf('\n') + 1;
        const whole = text.slice(0, end);
        const bytes = Buffer.byteLength(whole);
        if (bytes < size) await file.truncate(bytes);
        const lines = whole.split(/\r?\n/).filter((line) => line !== '');
        const statement = new YieldStatement(path, log, file, lines);
        if (lines.length === 0) await statement.#append([STATEMENT_HEADER], bytes);
        return statement;
      } catch (error) {
        await file.close();
        throw error;
      }
    } catch (error) {
      const reason = errorCode(error) ?? errorText(error);
      throw new StatementError(
        `${path} cannot be opened (${reason}): the maker writes its statement there`,
        { cause: error },
      );
    }
  }

  /** The line of a start. */
  connected(now: number): void {
    this.#write(() => [connectedLine(now)]);
  }

  /** Adds the lines of coinjoins that were confirmed and have none. */
  update(coinjoins: readonly MakerCoinjoin[]): void {
    this.#write(() => missingLines(this.#lines, coinjoins));
  }

  /** Resolves after the last write; never rejects. */
  written(): Promise<void> {
    return this.#last;
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#file.close();
  }

  /** A line that cannot be written now follows with a later one. */
  #write(make: () => readonly string[]): void {
    this.#last = this.#last.then(() => this.#writeNow(make));
  }

  async #writeNow(make: () => readonly string[]): Promise<void> {
    const lines = make();
    if (lines.length === 0) return;
    try {
      const { size } = await this.#file.stat();
      await this.#append(lines, size);
      this.#isFailing = false;
    } catch (error) {
      const reason = errorText(error);
      if (!this.#isFailing) this.#log.warn(`${this.#path} cannot be written: ${reason}`);
      this.#isFailing = true;
    }
  }

  /** A write that fails halfway, on a full disk, leaves no part of a line. */
  async #append(lines: readonly string[], at: number): Promise<void> {
    const bytes = Buffer.from(`${lines.join('\n')}\n`);
    try {
      let done = 0;
      while (done < bytes.length) {
        // oxlint-disable-next-line no-await-in-loop -- the rest of a short write
        const { bytesWritten } = await this.#file.write(
          bytes,
          done,
          bytes.length - done,
          at + done,
        );
        done += bytesWritten;
      }
      await this.#file.datasync();
    } catch (error) {
      await this.#file.truncate(at).catch(() => {});
      throw error;
    }
    this.#lines.push(...lines);
  }
}
