/** The folder `sessions/` (section 3.4): one file for each session, on disk before anything that depends on it. */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorText } from '../../kit/error-text.js';
import { lockInstance, type InstanceLock } from '../../ops/instance-lock.js';
import { readStateFile, writeStateFile } from '../../ops/state-file.js';
import { formatRecord, parseRecord, type SessionRecord } from './record-file.js';

/** Most sessions that are kept. Older ones that are over are removed for newer ones. */
export const MAX_SESSIONS = 500;
const MAX_FILE_BYTES = 1_048_576;
/** Of a new session, so that its file has room for the payment and what the manager says later. */
const MAX_FIRST_BYTES = 524_288;
const ENDING = '.lsession';

/** A session's name on this machine: two providers may give the same id. */
export type SessionKey = string;

export function keyOf({
  state,
}: {
  readonly state: Pick<SessionRecord['state'], 'selected' | 'session'>;
}): SessionKey {
  return `${state.selected.providerId.slice(0, 16)}-${state.session.sessionId}`;
}

export interface StoreFault {
  readonly path: string;
  readonly reason: string;
}

export interface StoredSessions {
  readonly records: ReadonlyMap<SessionKey, SessionRecord>;
  /** Files that could not be read. They stay. */
  readonly faults: readonly StoreFault[];
}

/** Reads a folder without owning it: what another process does may be between two files. */
export async function readSessions(folder: string): Promise<StoredSessions> {
  const records = new Map<SessionKey, SessionRecord>();
  const faults: StoreFault[] = [];
  for (const name of await namesIn(folder)) {
    const path = join(folder, name);
    try {
      // oxlint-disable-next-line no-await-in-loop -- one small file after the other
      const bytes = await readStateFile(path, MAX_FILE_BYTES);
      if (bytes === undefined) continue;
      const record = parseRecord(Buffer.from(bytes).toString('utf8'));
      records.set(keyOf(record), record);
    } catch (error) {
      faults.push({ path, reason: errorText(error) });
    }
  }
  return { records, faults };
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    const names = await readdir(folder);
    return names.filter((name) => name.endsWith(ENDING)).toSorted();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

export class SessionStore {
  readonly #folder: string;
  readonly #records: Map<SessionKey, SessionRecord>;
  readonly #lock: Pick<InstanceLock, 'release'>;
  readonly faults: readonly StoreFault[];

  private constructor(folder: string, stored: StoredSessions, lock: Pick<InstanceLock, 'release'>) {
    this.#folder = folder;
    this.#records = new Map(stored.records);
    this.#lock = lock;
    this.faults = stored.faults;
  }

  /**
   * Owns the folder until `close`: no second client uses these sessions (section 10.3). Rejects with a LockedError
   * when another process has it, or the error of the file system.
   */
  static async open(
    folder: string,
    lock: (path: string) => Promise<Pick<InstanceLock, 'release'>> = lockInstance,
  ): Promise<SessionStore> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const held = await lock(join(folder, 'lock'));
    try {
      return new SessionStore(folder, await readSessions(folder), held);
    } catch (error) {
      await held.release();
      throw error;
    }
  }

  get all(): ReadonlyMap<SessionKey, SessionRecord> {
    return this.#records;
  }

  get(key: SessionKey): SessionRecord | undefined {
    return this.#records.get(key);
  }

  /** Resolves when the record is on disk. Rejects when there is no room, or with the error of the file system. */
  async save(record: SessionRecord): Promise<void> {
    const key = keyOf(record);
    const text = formatRecord(record);
    if (!this.#records.has(key)) {
      if (Buffer.byteLength(text) > MAX_FIRST_BYTES) {
        throw new Error(
          `the description of this session is larger than ${MAX_FIRST_BYTES} bytes: nothing was paid; choose another gate`,
        );
      }
      await this.#makeRoom();
    }
    await writeStateFile(this.#pathOf(key), text);
    this.#records.set(key, record);
  }

  async remove(key: SessionKey): Promise<void> {
    await rm(this.#pathOf(key), { force: true });
    this.#records.delete(key);
  }

  async close(): Promise<void> {
    await this.#lock.release();
  }

  /** Removes the session that is over for the longest time when the folder is full. */
  async #makeRoom(): Promise<void> {
    if (this.#records.size < MAX_SESSIONS) return;
    const [oldest] = [...this.#records]
      .filter(([, { state }]) => isForgettable(state))
      .toSorted(([, a], [, b]) => a.since - b.since);
    if (oldest === undefined) {
      throw new Error(
        `${this.#folder} has ${MAX_SESSIONS} sessions that are not over; end some of them`,
      );
    }
    await this.remove(oldest[0]);
  }

  #pathOf(key: SessionKey): string {
    return join(this.#folder, `${key}${ENDING}`);
  }
}

/** Nothing can be lost with it. */
function isForgettable(state: SessionRecord['state']): boolean {
  if (state.state === 'EXPIRED') return true;
  return state.state === 'DISCONNECTED' && !state.granted && state.payment === undefined;
}
