/** Makes an input smaller while its result stays the same. */

/**
 * Removes smaller and smaller pieces, as long as `stillShows` is true for the rest; then replaces bytes by
 * plain ones where the result stays the same.
 *
 * @param maxTries the most runs of the check; an input that is not minimal by then is small enough to read
 */
export function minimise(
  input: Uint8Array,
  stillShows: (candidate: Uint8Array) => boolean,
  maxTries = 3_000,
): Uint8Array {
  let best = Buffer.from(input);
  let tries = 0;
  const shows = (candidate: Uint8Array): boolean => ++tries <= maxTries && stillShows(candidate);

  for (
    let size = Math.ceil(best.length / 2);
    size >= 1;
    size = size === 1 ? 0 : Math.ceil(size / 2)
  ) {
    let at = 0;
    while (at < best.length) {
      const candidate = Buffer.concat([best.subarray(0, at), best.subarray(at + size)]);
      if (shows(candidate)) best = candidate;
      else at += size;
    }
  }
  for (let at = 0; at < best.length; at++) {
    if (best[at] === 0x61) continue;
    const candidate = Buffer.from(best);
    candidate[at] = 0x61;
    if (shows(candidate)) best = candidate;
  }
  return best;
}
