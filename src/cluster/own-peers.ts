/** The peers of this node, as the others know them. Pure. */
import type { LocalPeer } from '../directory/neighbours.js';
import type { CarriedProof } from '../protocol/nick-auth.js';
import { formatLocation } from '../protocol/location.js';
import { SetDigest } from './digest.js';
import type { Entry } from './record.js';

export interface OwnPeer {
  readonly nick: string;
  readonly location: string;
  readonly features: readonly string[];
  readonly rank: number;
  /** When its connection was accepted. */
  readonly since: number;
  readonly key: string | undefined;
  readonly proof: CarriedProof | undefined;
}

function entryOf({ since, ...rest }: OwnPeer, now: number): Entry {
  return { ...rest, ageMs: Math.max(0, now - since) };
}

export class OwnPeers {
  readonly #peers = new Map<string, OwnPeer>();
  #digest = new SetDigest();

  get size(): number {
    return this.#peers.size;
  }

  get digest(): string {
    return this.#digest.text;
  }

  get(nick: string): OwnPeer | undefined {
    return this.#peers.get(nick);
  }

  values(): IterableIterator<OwnPeer> {
    return this.#peers.values();
  }

  /** Returns the entry to announce. */
  add(peer: LocalPeer, rank: number, now: number): Entry {
    this.delete(peer.nick);
    const own = {
      nick: peer.nick,
      location: formatLocation(peer.location),
      features: peer.features,
      rank,
      since: peer.acceptedAt,
      key: peer.provenKey,
      proof: peer.carriedProof,
    };
    const entry = entryOf(own, now);
    this.#peers.set(peer.nick, own);
    this.#digest.toggle(entry);
    return entry;
  }

  delete(nick: string): boolean {
    const own = this.#peers.get(nick);
    if (!own) return false;
    this.#peers.delete(nick);
    this.#digest.toggle(entryOf(own, own.since));
    return true;
  }

  entries(now: number): readonly Entry[] {
    return [...this.#peers.values()].map((own) => entryOf(own, now));
  }

  clear(): void {
    this.#peers.clear();
    this.#digest = new SetDigest();
  }
}

/** What shows which peer a connection belongs to. */
interface Identity {
  readonly location: string;
  readonly key: string | undefined;
}

/**
 * Whether two connections to two nodes with one nick belong to one peer: both proved the same key, or neither
 * proved one and both declare the same location. A peer that can prove its key needs no trust in that.
 */
export function isSamePeer(a: Identity, b: Identity): boolean {
  if (a.key !== undefined || b.key !== undefined) return a.key === b.key;
  return a.location === b.location;
}
