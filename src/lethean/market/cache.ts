/**
 * The folders of section 3.4 that hold descriptions: `providers/`, `my-providers/`, `spaces/`, `gates/`. One file for
 * each object, named after its full id with the reference's endings, written atomically.
 */
import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { readStateFile, writeStateFile } from '../../ops/state-file.js';
import type { Gate, Provider, Space, Vdp } from '../model.js';
import { DescriptionError, readFields, type Fields } from './fields.js';
import { formatGate, formatProvider, formatSpace } from './format.js';
import { parseGate } from './parse-gate.js';
import { parseProvider, parseSpace } from './parse-provider.js';

export interface DescriptionFolders {
  /** Known providers. */
  readonly providers: string;
  /** Providers of sessions of this client: their identity is kept. */
  readonly myProviders: string;
  /** Spaces of known providers. */
  readonly spaces: string;
  /** Gates of known providers. */
  readonly gates: string;
}

/** Most files of one folder that are kept, and the largest file. */
export const MAX_FILES = 2_000;
export const MAX_FILE_BYTES = 262_144;
/** A description without a validity of its own is used for this long after it was written, seconds. */
export const USUAL_VALIDITY = 30 * 86_400;
/** A revision may be so many seconds ahead of this clock: a later one would keep every description after it away. */
const MAX_AHEAD = 86_400;

/** A description that the cache did not take or could not read. */
export interface CacheFault {
  readonly path: string;
  readonly reason: string;
}

export interface CachedVdp extends Vdp {
  readonly faults: readonly CacheFault[];
}

interface Kind<T> {
  readonly folder: string;
  readonly ending: string;
  readonly parse: (fields: Fields) => T;
  readonly format: (value: T) => string;
  readonly idOf: (value: T) => string;
  readonly validUntil: (value: T) => number | undefined;
}

export class DescriptionCache {
  readonly #providers: Kind<Provider>;
  readonly #mine: Kind<Provider>;
  readonly #spaces: Kind<Space>;
  readonly #gates: Kind<Gate>;

  constructor(folders: DescriptionFolders) {
    this.#providers = {
      folder: folders.providers,
      ending: '.lprovider',
      parse: parseProvider,
      format: formatProvider,
      idOf: ({ providerId }) => providerId,
      validUntil: ({ validUntil }) => validUntil,
    };
    this.#mine = { ...this.#providers, folder: folders.myProviders };
    this.#spaces = {
      folder: folders.spaces,
      ending: '.lspace',
      parse: parseSpace,
      format: formatSpace,
      idOf: ({ spaceId }) => spaceId,
      validUntil: ({ validUntil }) => validUntil,
    };
    this.#gates = {
      folder: folders.gates,
      ending: '.lgate',
      parse: parseGate,
      format: formatGate,
      idOf: ({ gateId }) => gateId,
      validUntil: ({ validUntil }) => validUntil,
    };
  }

  /**
   * All valid descriptions. A provider of `my-providers/` counts as it is there, unless the other description has
   * the same wallet and certificates. Files that cannot be read are told,
   * and stay.
   * @param now seconds since 1970
   */
  async read(now: number): Promise<CachedVdp> {
    const faults: CacheFault[] = [];
    const known = await readAll(this.#providers, now, faults);
    const { mine, unreadable } = await this.#readMine(faults);
    const providers = new Map(known);
    for (const [id, own] of mine) {
      const other = known.get(id);
      if (other === undefined || changedIdentity(other, own) !== undefined) providers.set(id, own);
    }
    for (const id of unreadable) providers.delete(id);
    const spaces = await readAll(this.#spaces, now, faults);
    const gates = await readAll(this.#gates, now, faults);
    return {
      providers: [...providers.values()],
      spaces: [...spaces.values()],
      gates: [...gates.values()],
      faults,
    };
  }

  /**
   * Keeps descriptions. Refused, and told: an older revision of a provider than the kept one, or one of the future; another wallet or
   * other certificates for a provider of `my-providers/` (`forget` allows them); more than `MAX_FILES` in a folder.
   * Gates and spaces of a refused provider are refused with it.
   * @param now seconds since 1970
   */
  async put(vdp: Vdp, now: number): Promise<readonly CacheFault[]> {
    const faults: CacheFault[] = [];
    const known = await readAll(this.#providers, undefined, []);
    const { mine, unreadable } = await this.#readMine([]);
    const refused = new Set<string>();
    const fresh = vdp.providers.filter((provider) => {
      const reason = refusal(
        provider,
        known.get(provider.providerId),
        unreadable.has(provider.providerId) ? 'unreadable' : mine.get(provider.providerId),
        now,
      );
      if (reason === undefined) return true;
      refused.add(provider.providerId);
      faults.push({ path: pathOf(this.#providers, provider.providerId), reason });
      return false;
    });
    const isTaken = (object: Gate | Space): boolean => !refused.has(object.providerId);
    await writeAll(this.#providers, fresh, now, faults);
    await writeAll(this.#spaces, vdp.spaces.filter(isTaken), now, faults);
    await writeAll(this.#gates, vdp.gates.filter(isTaken), now, faults);
    return faults;
  }

  /** The kept identities, and the ids of those whose files cannot be read: nothing else may take their places. */
  async #readMine(faults: CacheFault[]): Promise<{
    readonly mine: ReadonlyMap<string, Provider>;
    readonly unreadable: ReadonlySet<string>;
  }> {
    const own: CacheFault[] = [];
    const mine = await readAll(this.#mine, undefined, own);
    faults.push(...own);
    const ids = own.map(({ path }) => basename(path, this.#mine.ending));
    return { mine, unreadable: new Set(ids) };
  }

  /** Keeps the identity of a provider from now on: wallet and certificates. */
  async adopt(provider: Provider): Promise<void> {
    await writeStateFile(pathOf(this.#mine, provider.providerId), formatProvider(provider));
  }

  /** The kept identity of a provider; undefined where there is none, or its file cannot be read. */
  async pinned(providerId: string): Promise<Provider | undefined> {
    return readOne(this.#mine, pathOf(this.#mine, providerId), []);
  }

  /** Forgets the kept identity, so that the provider's next description counts. */
  async forget(providerId: string): Promise<void> {
    await rm(pathOf(this.#mine, providerId), { force: true });
  }

  /** Removes descriptions that are no longer valid. Returns their number. */
  async prune(now: number): Promise<number> {
    const counts = [
      await pruneFolder(this.#providers, now),
      await pruneFolder(this.#spaces, now),
      await pruneFolder(this.#gates, now),
    ];
    return counts.reduce((sum, count) => sum + count, 0);
  }
}

/** Why a provider's new description is not taken. */
function refusal(
  provider: Provider,
  known: Provider | undefined,
  mine: Provider | 'unreadable' | undefined,
  now: number,
): string | undefined {
  if (mine === 'unreadable') return 'what was kept of this provider in my-providers cannot be read';
  if ((provider.revision ?? 0) > now + MAX_AHEAD) return 'its revision is in the future';
  if ((provider.revision ?? 0) < (known?.revision ?? 0)) return 'the kept description is newer';
  return mine === undefined ? undefined : changedIdentity(provider, mine);
}

function changedIdentity(provider: Provider, mine: Provider): string | undefined {
  if (provider.wallet !== mine.wallet) return 'a provider of earlier sessions has another wallet';
  const [one, two] = [provider.ca.toSorted().join(''), mine.ca.toSorted().join('')];
  return one === two ? undefined : 'a provider of earlier sessions has other certificates';
}

const pathOf = <T>(kind: Kind<T>, id: string): string => join(kind.folder, `${id}${kind.ending}`);

async function namesIn<T>(kind: Kind<T>): Promise<readonly string[]> {
  let names: readonly string[];
  try {
    names = await readdir(kind.folder);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
  return names.filter((name) => name.endsWith(kind.ending)).toSorted();
}

/** By id. `now` undefined: the validity does not matter. */
async function readAll<T>(
  kind: Kind<T>,
  now: number | undefined,
  faults: CacheFault[],
): Promise<ReadonlyMap<string, T>> {
  const values = new Map<string, T>();
  const names = await namesIn(kind);
  if (names.length > MAX_FILES) {
    const reason = `has more than ${MAX_FILES} files; the others are not read`;
    faults.push({ path: kind.folder, reason });
  }
  for (const name of names.slice(0, MAX_FILES)) {
    const path = join(kind.folder, name);
    // oxlint-disable-next-line no-await-in-loop -- one small file after the other
    const value = await readOne(kind, path, faults);
    if (value === undefined) continue;
    // oxlint-disable-next-line no-await-in-loop
    if (now !== undefined && (await isOver(kind, value, path, now))) continue;
    values.set(kind.idOf(value), value);
  }
  return values;
}

async function readOne<T>(
  kind: Kind<T>,
  path: string,
  faults: CacheFault[],
): Promise<T | undefined> {
  try {
    const bytes = await readStateFile(path, MAX_FILE_BYTES);
    if (bytes === undefined) return undefined;
    return kind.parse(readFields(Buffer.from(bytes).toString('utf8')));
  } catch (error) {
    const isFault = error instanceof DescriptionError || error instanceof Error;
    faults.push({ path, reason: isFault ? error.message : 'cannot be read' });
    return undefined;
  }
}

async function isOver<T>(kind: Kind<T>, value: T, path: string, now: number): Promise<boolean> {
  const end = kind.validUntil(value);
  if (end !== undefined) return end <= now;
  return (await stat(path)).mtimeMs / 1_000 + USUAL_VALIDITY <= now;
}

async function writeAll<T>(
  kind: Kind<T>,
  values: readonly T[],
  now: number,
  faults: CacheFault[],
): Promise<void> {
  const present = new Set(await namesIn(kind));
  for (const value of values) {
    const name = `${kind.idOf(value)}${kind.ending}`;
    const path = join(kind.folder, name);
    const isDated = (kind.validUntil(value) ?? now + 1) <= now;
    const text = kind.format(value);
    if (Buffer.byteLength(text) > MAX_FILE_BYTES) {
      faults.push({ path, reason: `is larger than ${MAX_FILE_BYTES} bytes` });
      continue;
    }
    if (isDated || (!present.has(name) && present.size >= MAX_FILES)) {
      const reason = isDated ? 'is no longer valid' : `the folder has ${MAX_FILES} files`;
      faults.push({ path, reason });
      continue;
    }
    present.add(name);
    // oxlint-disable-next-line no-await-in-loop -- one small file after the other
    await writeStateFile(path, text);
    // The clock of the caller: `isOver` compares with it.
    // oxlint-disable-next-line no-await-in-loop
    await utimes(path, now, now);
  }
}

async function pruneFolder<T>(kind: Kind<T>, now: number): Promise<number> {
  let count = 0;
  for (const name of await namesIn(kind)) {
    const path = join(kind.folder, name);
    // oxlint-disable-next-line no-await-in-loop -- one small file after the other
    const value = await readOne(kind, path, []);
    // oxlint-disable-next-line no-await-in-loop
    if (value === undefined || !(await isOver(kind, value, path, now))) continue;
    // oxlint-disable-next-line no-await-in-loop
    await rm(path, { force: true });
    count++;
  }
  return count;
}
