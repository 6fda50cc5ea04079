/**
 * Recognises private messages of a running conversation: the addressee has written to the sender a
 * short while ago. Such messages have the highest priority when the directory is busy, because a
 * coinjoin fails when one of them is lost.
 */
import { BoundedMap } from '../../kit/bounded-map.js';
import type { Partners } from '../peer.js';

/** Silence after which a conversation has ended. The longest phase of a coinjoin takes minutes. */
const RUNNING_MS = 600_000;
/**
 * Most partners remembered per peer and kind; freed with the peer. Those that answered are kept
 * separately, so that a maker that answers a flood of requests does not forget its real conversations.
 */
const MAX_REMEMBERED = 128;

export function newPartners(): Partners {
  return { addressed: new BoundedMap(MAX_REMEMBERED), mutual: new BoundedMap(MAX_REMEMBERED) };
}

/** A peer, here or at another node. */
interface Party {
  readonly nick: string;
  partners: Partners | undefined;
}

function hasWritten({ partners }: Party, to: string, now: number): boolean {
  const at = partners?.mutual.get(to) ?? partners?.addressed.get(to);
  return at !== undefined && now - at < RUNNING_MS;
}

/** Whether a message from one peer to the other continues a conversation. */
export function isRunning(sender: Party, target: Party, now: number): boolean {
  return hasWritten(target, sender.nick, now);
}

/** Notes that a message went from one peer to the other. */
export function noteMessage(sender: Party, target: Party, running: boolean, now: number): void {
  const partners = (sender.partners ??= newPartners());
  if (!running) {
    if (!partners.mutual.has(target.nick)) partners.addressed.set(target.nick, now);
    return;
  }
  partners.addressed.delete(target.nick);
  partners.mutual.set(target.nick, now);
  // The other peer has been answered, which makes the conversation mutual.
  const targetPartners = target.partners;
  if (targetPartners?.addressed.delete(sender.nick)) targetPartners.mutual.set(sender.nick, now);
}

/** Whether this peer is in the middle of any conversation. */
export function inConversation({ partners }: Pick<Party, 'partners'>, now: number): boolean {
  let last = -Infinity;
  for (const at of partners?.mutual.values() ?? []) last = Math.max(last, at);
  return now - last < RUNNING_MS;
}
