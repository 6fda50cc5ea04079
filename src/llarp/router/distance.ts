/** Keys of the DHT: their texts, and their distance by exclusive or. */

/** A key as text, for maps. */
export function keyText(key: Uint8Array): string {
  return Buffer.from(key).toString('hex');
}

/** Compares two keys by their distance to a target: below 0 when the first one is nearer. */
export function byDistance(target: Uint8Array): (a: Uint8Array, b: Uint8Array) => number {
  return (a, b) => {
    for (let i = 0; i < target.length; i++) {
      const wanted = target[i] ?? 0;
      const difference = ((a[i] ?? 0) ^ wanted) - ((b[i] ?? 0) ^ wanted);
      if (difference !== 0) return difference;
    }
    return 0;
  };
}
