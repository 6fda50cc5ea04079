/**
 * Which gone notices are due: the sender of a private message to somebody who is not here is told so
 * once per addressee and interval, and reroutes at once instead of waiting for a timeout.
 */
import { ownText } from '../../protocol/own-text.js';
import type { Peer } from '../peer.js';

const INTERVAL_MS = 10_000;
/** Addressees remembered per sender; freed with the sender. */
const MAX_REMEMBERED = 64;

/** Whether this sender is to be told now that nobody has this nick; remembers that it was. */
export function goneNoticeDue(sender: Peer, target: string, now: number): boolean {
  const told = (sender.goneTold ??= new Map());
  const before = told.get(target);
  if (before !== undefined && now - before < INTERVAL_MS) return false;
  // Deleted first, so that the map stays in order of time.
  told.delete(target);
  if (told.size >= MAX_REMEMBERED) {
    const [oldest] = told.keys();
    if (oldest !== undefined) told.delete(oldest);
  }
  told.set(ownText(target), now);
  return true;
}
