/** One thread of a vanity search: reports how many keys it tried, and the key that it found. */
import { randomBytes } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { createVanitySearch, parseVanityPrefix, VANITY_BATCH } from './search.js';

/* oxlint-disable unicorn/require-post-message-target-origin -- threads have no origins */

/** The messages of a thread. */
export type VanityReport =
  | { readonly kind: 'tried'; readonly keys: number }
  | { readonly kind: 'found'; readonly expanded: Uint8Array };

/** About ten reports a second. */
const BATCHES_PER_REPORT = 32;

const prefix = parseVanityPrefix(String(workerData));
if (prefix.ok && parentPort !== null) {
  const search = createVanitySearch(prefix.value, randomBytes);
  let expanded: Uint8Array | undefined;
  // The code that started this thread ends it, also in the middle of this loop.
  while (expanded === undefined) {
    let keys = 0;
    for (let batch = 0; batch < BATCHES_PER_REPORT && expanded === undefined; batch += 1) {
      expanded = search.next();
      keys += VANITY_BATCH;
    }
    parentPort.postMessage({ kind: 'tried', keys } satisfies VanityReport);
  }
  parentPort.postMessage({ kind: 'found', expanded } satisfies VanityReport);
}
