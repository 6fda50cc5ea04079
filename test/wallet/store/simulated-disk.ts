/** A file system in memory that can lose what was not synced, as a power cut does. */
import { basename, dirname } from 'node:path';
import { LockedError, type InstanceLock } from '../../../src/ops/instance-lock.js';
import type { OpenMode, StoreFile, StoreFiles } from '../../../src/wallet/store/files.js';
import { systemError } from './faulting-files.js';

const SECTOR = 512;
/** The process id in errors of locks. */
export const OTHER_PID = 4_242;

interface Inode {
  readonly id: number;
  now: Uint8Array;
  /** After the last sync. */
  synced: Uint8Array;
}

function resized(bytes: Uint8Array, length: number): Uint8Array {
  const result = new Uint8Array(length);
  result.set(bytes.subarray(0, length));
  return result;
}

export class SimulatedDisk implements StoreFiles {
  #now: Map<string, Inode>;
  #synced: Map<string, Inode>;
  readonly #folders: Set<string>;
  readonly #locks = new Set<string>();
  #lastId = 0;

  constructor(names: ReadonlyMap<string, Inode> = new Map(), folders: Iterable<string> = ['/']) {
    this.#now = new Map(names);
    this.#synced = new Map(names);
    this.#folders = new Set(folders);
  }

  /** A disk with these files, all synced. */
  static of(files: Readonly<Record<string, Uint8Array>>): SimulatedDisk {
    const names = Object.entries(files).map(
      ([path, bytes], id) => [path, { id, now: bytes.slice(), synced: bytes.slice() }] as const,
    );
    const folders = names.flatMap(([path]) => [dirname(path), dirname(dirname(path))]);
    return new SimulatedDisk(new Map(names), ['/', ...folders]);
  }

  /** The files now, by path. */
  get content(): Record<string, Uint8Array> {
    return Object.fromEntries(
      [...this.#now].map(([path, { now }]) => [path, now.slice()] as const),
    );
  }

  /** The disk as another process finds it after this one was killed. */
  afterKill(): SimulatedDisk {
    return this.#copy((inode) => inode.now, this.#now);
  }

  /**
   * The disk after a power cut. What was not synced is there in part: `random` (0 to below 1) decides for
   * each sector of a file, its length, and for the names of each folder.
   */
  afterPowerCut(random: () => number): SimulatedDisk {
    const names = new Map(this.#synced);
    const folders = new Set([...this.#now.keys(), ...this.#synced.keys()].map((p) => dirname(p)));
    for (const folder of folders) {
      if (random() < 0.5) continue;
      for (const path of names.keys()) if (dirname(path) === folder) names.delete(path);
      for (const [path, inode] of this.#now) if (dirname(path) === folder) names.set(path, inode);
    }
    return this.#copy(({ now, synced }) => {
      if (now === synced) return now;
      const least = Math.min(now.length, synced.length);
      const most = Math.max(now.length, synced.length);
      const bytes = resized(synced, least + Math.floor(random() * (most - least + 1)));
      for (let at = 0; at < bytes.length; at += SECTOR) {
        if (random() < 0.5) continue;
        bytes.set(now.subarray(at, Math.min(at + SECTOR, bytes.length, now.length)), at);
      }
      return bytes;
    }, names);
  }

  #copy(bytesOf: (inode: Inode) => Uint8Array, names: ReadonlyMap<string, Inode>): SimulatedDisk {
    const copies = new Map<Inode, Inode>();
    for (const inode of names.values()) {
      const bytes = bytesOf(inode).slice();
      copies.set(inode, { id: inode.id, now: bytes, synced: bytes });
    }
    const files = [...names].flatMap(([path, inode]) => {
      const copy = copies.get(inode);
      return copy === undefined ? [] : [[path, copy] as const];
    });
    const disk = new SimulatedDisk(new Map(files), this.#folders);
    disk.#lastId = this.#lastId;
    return disk;
  }

  /** Locks a folder's lock file, as another process does. */
  lockElsewhere(path: string): () => void {
    this.#locks.add(path);
    return () => this.#locks.delete(path);
  }

  async makeFolder(path: string): Promise<void> {
    for (let folder = path; !this.#folders.has(folder); folder = dirname(folder)) {
      this.#folders.add(folder);
    }
  }

  async open(path: string, mode: OpenMode): Promise<StoreFile> {
    const found = this.#now.get(path);
    if (mode === 'read' || mode === 'write') {
      if (found === undefined) throw systemError('ENOENT');
      return this.#fileOf(found);
    }
    if (!this.#folders.has(dirname(path))) throw systemError('ENOENT');
    if (found !== undefined && mode === 'new') throw systemError('EEXIST');
    const none = new Uint8Array(0);
    const inode = found ?? { id: ++this.#lastId, now: none, synced: none };
    inode.now = none;
    this.#now.set(path, inode);
    return this.#fileOf(inode);
  }

  #fileOf(inode: Inode): StoreFile {
    let isOpen = true;
    const check = (): void => {
      if (!isOpen) throw systemError('EBADF');
    };
    return {
      read: async (buffer, position) => {
        check();
        const bytes = inode.now.subarray(position, position + buffer.length);
        buffer.set(bytes);
        return bytes.length;
      },
      write: async (bytes, position) => {
        check();
        const now = resized(inode.now, Math.max(inode.now.length, position + bytes.length));
        now.set(bytes, position);
        inode.now = now;
        return bytes.length;
      },
      sync: async () => {
        check();
        inode.synced = inode.now;
      },
      truncate: async (length) => {
        check();
        inode.now = resized(inode.now, length);
      },
      size: async () => {
        check();
        return inode.now.length;
      },
      identity: async () => String(inode.id),
      close: async () => {
        check();
        isOpen = false;
      },
    };
  }

  async rename(from: string, to: string): Promise<void> {
    const inode = this.#now.get(from);
    if (inode === undefined) throw systemError('ENOENT');
    this.#now.delete(from);
    this.#now.set(to, inode);
  }

  async remove(path: string): Promise<void> {
    this.#now.delete(path);
  }

  async syncFolder(path: string): Promise<void> {
    for (const known of this.#synced.keys()) {
      if (dirname(known) === path) this.#synced.delete(known);
    }
    for (const [known, inode] of this.#now) {
      if (dirname(known) === path) this.#synced.set(known, inode);
    }
  }

  async list(path: string): Promise<readonly string[]> {
    if (!this.#folders.has(path)) throw systemError('ENOENT');
    return [...this.#now.keys()]
      .filter((name) => dirname(name) === path)
      .map((name) => basename(name));
  }

  async lock(path: string): Promise<InstanceLock> {
    if (this.#locks.has(path)) throw new LockedError(path, OTHER_PID);
    this.#locks.add(path);
    return {
      release: async () => {
        this.#locks.delete(path);
      },
    };
  }
}
