/** Joins two streams. */
import type { Duplex } from 'node:stream';

/**
 * Copies in both directions, with back-pressure. An end is passed on as an end, so that the other direction can
 * finish; an error or a close of one stream destroys the other.
 */
export function pump(one: Duplex, other: Duplex): void {
  one.on('error', () => other.destroy());
  other.on('error', () => one.destroy());
  one.once('close', () => other.destroy());
  other.once('close', () => one.destroy());
  one.pipe(other);
  other.pipe(one);
}
