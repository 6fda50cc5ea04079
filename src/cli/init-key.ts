/** The onion key after `onionmc init`: an existing, imported, vanity or new one. */
import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import { resolve } from 'node:path';
import {
  keepOnionKey,
  loadOrCreateOnionKey,
  readOnionKey,
  type KeyOwner,
  type OnionKey,
} from '../tor/onion/key-folder.js';
import { MAX_VANITY_CHARS, parseVanityPrefix, type VanityPrefix } from '../tor/vanity/search.js';
import { findVanityKey } from '../tor/vanity/threads.js';
import { UsageError } from './errors.js';
import { quotedLine } from '../kit/shown-text.js';
import { printNote, printProgress } from './print.js';
import { estimateLine, progressLine, type VanityProgress } from './vanity-progress.js';

/** Source of the key, if there is none yet. */
export type KeySource =
  | { readonly kind: 'new' }
  | { readonly kind: 'import'; readonly from: string }
  | { readonly kind: 'vanity'; readonly prefix: VanityPrefix };

export interface PreparedKey {
  readonly key: OnionKey;
  readonly did: 'created' | 'imported' | 'found' | 'unchanged';
}

const PREFIX_FAULTS = {
  empty: 'it is empty',
  long: `it has more than ${MAX_VANITY_CHARS} letters`,
  letter: 'an onion address has only the letters a to z and the digits 2 to 7',
} as const;

/** The value of `--prefix`, or a UsageError. */
export function vanityPrefix(text: string): VanityPrefix {
  const prefix = parseVanityPrefix(text);
  if (prefix.ok) return prefix.value;
  throw new UsageError(`--prefix ${quotedLine(text, 40)}: ${PREFIX_FAULTS[prefix.reason]}`);
}

/** How often the terminal is updated, and when the estimate is good enough to print. Milliseconds. */
const REDRAW_MS = 200;
const FIRST_ESTIMATE_MS = 1_000;

/** Draws a bar on a terminal; otherwise prints the estimate once. */
function progressReporter(prefix: VanityPrefix): { tell(tried: number): void; end(): void } {
  /** The rate is measured from the first report on, because threads take a while to start. */
  let first: { readonly at: number; readonly tried: number } | undefined;
  let estimated = false;
  let drawnAt = -Infinity;
  return {
    tell(all) {
      first ??= { at: performance.now(), tried: all };
      const elapsedMs = performance.now() - first.at;
      const tried = all - first.tried;
      const { text, expectedTries } = prefix;
      const progress: VanityProgress = { prefix: text, expectedTries, tried, elapsedMs };
      if (!estimated && elapsedMs >= FIRST_ESTIMATE_MS) {
        estimated = true;
        printProgress('');
        printNote(estimateLine(progress));
      }
      if (elapsedMs - drawnAt < REDRAW_MS) return;
      drawnAt = elapsedMs;
      printProgress(progressLine(progress));
    },
    end() {
      printProgress('');
    },
  };
}

/** Searches until a key fits. Ctrl-C ends it before anything is written. */
async function search(prefix: VanityPrefix): Promise<Uint8Array> {
  const stopped = new AbortController();
  const stop = (): void => stopped.abort(new Error('the search was stopped; nothing was written'));
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const told = progressReporter(prefix);
  try {
    return await findVanityKey({
      prefix,
      threads: availableParallelism(),
      signal: stopped.signal,
      onTried: (tried) => told.tell(tried),
    });
  } finally {
    told.end();
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

async function keyToImport(from: string): Promise<OnionKey> {
  const key = await readOnionKey(from, 'any-user');
  if (key !== undefined) return key;
  throw new UsageError(
    `--import-key ${from}: there is no hs_ed25519_secret_key in it; give the HiddenServiceDir of the old service`,
  );
}

function refuse(dir: string, there: OnionKey, wanted: string): UsageError {
  return new UsageError(
    `${dir} already holds the key of ${there.host}, ${wanted}; nothing was changed. Fix: move that folder away first, if you no longer need its address`,
  );
}

/** Writes a key that did not exist when we looked; another process may have written one since. */
async function put(dir: string, expanded: Uint8Array): Promise<OnionKey> {
  const { key } = await keepOnionKey(dir, () => expanded);
  if (key.blob !== Buffer.from(expanded).toString('base64')) {
    throw refuse(dir, key, 'which another program has just written');
  }
  return key;
}

/**
 * Checks everything that can fail, and changes nothing. Resolves to a function that writes the key. `owner` other than `us`: the folder belongs to another user, and root only reads it.
 * Rejects with a UsageError or a TorError of step `key-folder`.
 */
export async function prepareKey(
  dir: string,
  source: KeySource,
  owner: KeyOwner,
): Promise<() => Promise<PreparedKey>> {
  const there = await readOnionKey(dir, owner);
  if (there === undefined && owner !== 'us') {
    throw new UsageError(
      `${dir} would belong to root, and the data directory to user id ${owner}: run this as that user first (sudo -u '#${owner}' onionmc init ...)`,
    );
  }
  const unchanged = async (): Promise<PreparedKey> => {
    // Adds a missing public key or hostname file and changes nothing else.
    if (owner === 'us') await loadOrCreateOnionKey(dir);
    const key = await readOnionKey(dir, owner);
    if (key === undefined) throw new UsageError(`the key in ${dir} was removed a moment ago`);
    return { key, did: 'unchanged' };
  };
  switch (source.kind) {
    case 'new':
      if (there !== undefined) return unchanged;
      return async () => {
        const { key, created } = await loadOrCreateOnionKey(dir);
        return { key, did: created ? 'created' : 'unchanged' };
      };
    case 'import': {
      const from = resolve(source.from);
      const wanted = await keyToImport(from);
      if (there !== undefined && there.host !== wanted.host) {
        throw refuse(dir, there, `so the key of ${wanted.host} was not imported`);
      }
      if (there !== undefined) return unchanged;
      const expanded = Buffer.from(wanted.blob, 'base64');
      return async () => ({ key: await put(dir, expanded), did: 'imported' });
    }
    case 'vanity': {
      const { text } = source.prefix;
      if (there?.host.startsWith(text) === true) return unchanged;
      if (there !== undefined) throw refuse(dir, there, `which does not begin with ${text}`);
      const expanded = await search(source.prefix);
      return async () => ({ key: await put(dir, expanded), did: 'found' });
    }
  }
}
