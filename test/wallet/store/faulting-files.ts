/**
 * A layer over a file system that numbers every effect, lets one of them fail, or kills the program
 * there.
 */
import { basename } from 'node:path';
import type { InstanceLock } from '../../../src/ops/instance-lock.js';
import type { OpenMode, StoreFile, StoreFiles } from '../../../src/wallet/store/files.js';

/** What happens at one effect. */
export type FaultKind =
  /** The system call fails and does nothing. */
  | 'ENOSPC'
  | 'EIO'
  /** A write fails after it wrote half of its bytes. */
  | 'half, then ENOSPC'
  /** A write writes half of its bytes and says so. */
  | 'short'
  /** The program is killed before, in the middle of, or after the effect. */
  | 'killed before'
  | 'killed half-way'
  | 'killed after';

/** What happens at the effect with a number, from 0. */
export interface Fault {
  readonly at: number;
  readonly kind: FaultKind;
  /** At all effects from there on. */
  readonly isLasting?: boolean;
}

/** The program was killed: nothing that it does afterwards has an effect. */
export class Killed extends Error {
  override readonly name = 'Killed';
}

/** An error as the system gives it. */
export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: simulated`), { code });
}

/** One effect: all of it, and half of it where that is possible. */
interface Effect<T> {
  readonly what: string;
  readonly run: () => Promise<T>;
  readonly half?: () => Promise<T>;
}

export class FaultingFiles implements StoreFiles {
  /** Each effect since the beginning, such as `write journal`. */
  readonly effects: string[] = [];
  fault: Fault | undefined;
  readonly #inner: StoreFiles;
  readonly #onKill: () => void;
  #isKilled = false;

  /** @param onKill ends the process; without it, every later call rejects. */
  constructor(inner: StoreFiles, fault?: Fault, onKill: () => void = () => {}) {
    this.#inner = inner;
    this.fault = fault;
    this.#onKill = onKill;
  }

  /** An effect outside the file system: it is numbered, and can fail, as those inside are. */
  outside<T>(what: string, run: () => Promise<T>): Promise<T> {
    return this.#effect({ what, run });
  }

  #alive(): void {
    if (this.#isKilled) throw new Killed();
  }

  #kill(): never {
    this.#isKilled = true;
    this.#onKill();
    throw new Killed();
  }

  async #effect<T>({ what, run, half }: Effect<T>): Promise<T> {
    this.#alive();
    const number = this.effects.push(what.replace(/[0-9a-f]{12}/, 'RANDOM')) - 1;
    const { at = Infinity, kind, isLasting = false } = this.fault ?? {};
    if (kind === undefined || number < at || (number > at && !isLasting)) return run();
    // To remove needs no room.
    const needsRoom = !/^(remove|truncate)/.test(what);
    switch (kind) {
      case 'EIO':
        throw systemError('EIO');
      case 'ENOSPC':
      case 'half, then ENOSPC':
        if (!needsRoom) return run();
        if (kind === 'half, then ENOSPC') await half?.();
        throw systemError('ENOSPC');
      case 'short':
        return half === undefined ? run() : half();
      case 'killed before':
        return this.#kill();
      case 'killed half-way':
        await half?.();
        return this.#kill();
      case 'killed after':
        await run();
        return this.#kill();
    }
  }

  makeFolder(path: string): Promise<void> {
    return this.#effect({
      what: `makeFolder ${basename(path)}`,
      run: () => this.#inner.makeFolder(path),
    });
  }

  async open(path: string, mode: OpenMode): Promise<StoreFile> {
    this.#alive();
    const run = () => this.#inner.open(path, mode);
    if (mode === 'read' || mode === 'write') return this.#over(await run(), basename(path));
    const what = `open ${basename(path)} to ${mode}`;
    return this.#over(await this.#effect({ what, run }), basename(path));
  }

  #over(file: StoreFile, name: string): StoreFile {
    return {
      read: (buffer, position) => {
        this.#alive();
        return file.read(buffer, position);
      },
      write: (bytes, position) =>
        this.#effect({
          what: `write ${name}`,
          run: () => file.write(bytes, position),
          half: () => file.write(bytes.subarray(0, Math.ceil(bytes.length / 2)), position),
        }),
      sync: () => this.#effect({ what: `sync ${name}`, run: () => file.sync() }),
      truncate: (length) =>
        this.#effect({ what: `truncate ${name}`, run: () => file.truncate(length) }),
      size: () => file.size(),
      identity: () => file.identity(),
      close: () => file.close(),
    };
  }

  rename(from: string, to: string): Promise<void> {
    return this.#effect({
      what: `rename ${basename(from)} to ${basename(to)}`,
      run: () => this.#inner.rename(from, to),
    });
  }

  remove(path: string): Promise<void> {
    return this.#effect({
      what: `remove ${basename(path)}`,
      run: () => this.#inner.remove(path),
    });
  }

  syncFolder(path: string): Promise<void> {
    return this.#effect({
      what: `syncFolder ${basename(path)}`,
      run: () => this.#inner.syncFolder(path),
    });
  }

  list(path: string): Promise<readonly string[]> {
    this.#alive();
    return this.#inner.list(path);
  }

  lock(path: string): Promise<InstanceLock> {
    return this.#effect({ what: `lock ${basename(path)}`, run: () => this.#inner.lock(path) });
  }
}
