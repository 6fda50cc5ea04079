/**
 * Decides which gone notices are sent: the sender of a private message to an absent nick gets one per
 * addressee and interval, so that it uses another route at once instead of waiting for a timeout.
 */
import { BoundedMap } from '../../kit/bounded-map.js';
import { ownText } from '../../protocol/own-text.js';
import type { Peer } from '../peer.js';

const INTERVAL_MS = 10_000;
/** Most addressees remembered per sender; freed with the sender. */
export const MAX_GONE_TOLD = 64;

/** Whether this sender gets a gone notice for this nick now; notes that it does. */
export function goneNoticeDue(sender: Peer, target: string, now: number): boolean {
  const told = (sender.goneTold ??= new BoundedMap(MAX_GONE_TOLD));
  const before = told.get(target);
  if (before !== undefined && now - before < INTERVAL_MS) return false;
  told.set(ownText(target), now);
  return true;
}
