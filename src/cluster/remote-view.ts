/**
 * The peers that other nodes announced, by node and by nick. A nick may be at several nodes. The peers that are
 * not connected here are kept in one dense list, which the directory's peer lists read. Pure.
 */
import type { RemotePeer } from '../directory/neighbours.js';
import { NOT_SERVING, parseDeclaredLocation, type DeclaredLocation } from '../protocol/location.js';
import { isSameEntry, SetDigest } from './digest.js';
import type { Entry } from './record.js';

/** Most peers of one node that are remembered. */
export const MAX_NODE_PEERS = 200_000;

/** A peer at another node. */
export interface Presence {
  readonly node: string;
  readonly entry: Entry;
  /** When its connection was accepted, by the clock here. */
  readonly since: number;
}

interface Listed extends RemotePeer {
  location: DeclaredLocation;
  features: readonly string[];
  arrival: number;
  slot: number;
}

interface NodePeers {
  readonly entries: Map<string, Presence>;
  readonly digest: SetDigest;
}

export interface RemoteViewOptions {
  /** Whether a peer of this nick is connected here. */
  readonly isLocal: (nick: string) => boolean;
  /** The last connection of a peer to another node has ended, and it is not connected here. */
  readonly onGone: (nick: string, location: DeclaredLocation) => void;
  /** A peer arrived at a node, or left it. */
  readonly onChange: (nick: string) => void;
}

function locationOf({ location }: Entry): DeclaredLocation {
  const parsed = parseDeclaredLocation(location);
  // Of a kind that only the other node knows.
  return parsed.ok ? parsed.value : NOT_SERVING;
}

const NOWHERE: ReadonlyMap<string, Presence> = new Map();

export class RemoteView {
  readonly #options: RemoteViewOptions;
  readonly #nodes = new Map<string, NodePeers>();
  /** By nick and node. */
  readonly #nicks = new Map<string, Map<string, Presence>>();
  readonly #listed = new Map<string, Listed>();
  readonly #list: Listed[] = [];
  #arrivals = 0;
  #connections = 0;
  #version = 0;

  constructor(options: RemoteViewOptions) {
    this.#options = options;
  }

  /** Peers that are not connected here, in no order. */
  get peers(): readonly RemotePeer[] {
    return this.#list;
  }

  /** Changes with `peers`. */
  get version(): number {
    return this.#version;
  }

  /** Connections of peers to all other nodes. */
  get connections(): number {
    return this.#connections;
  }

  /** Nicks at other nodes. */
  get nickCount(): number {
    return this.#nicks.size;
  }

  byNick(nick: string): RemotePeer | undefined {
    return this.#listed.get(nick);
  }

  /** The peers of this nick at other nodes, by node. */
  presences(nick: string): ReadonlyMap<string, Presence> {
    return this.#nicks.get(nick) ?? NOWHERE;
  }

  /** The nicks that are at other nodes. */
  nicks(): IterableIterator<string> {
    return this.#nicks.keys();
  }

  has(node: string, nick: string): boolean {
    return this.#nodes.get(node)?.entries.has(nick) ?? false;
  }

  count(node: string): number {
    return this.#nodes.get(node)?.entries.size ?? 0;
  }

  digest(node: string): string {
    return (this.#nodes.get(node)?.digest ?? new SetDigest()).text;
  }

  entries(node: string): readonly Presence[] {
    return [...(this.#nodes.get(node)?.entries.values() ?? [])];
  }

  /** A node announced a peer; false when it has too many. */
  set(node: string, entry: Entry, now: number): boolean {
    const peers = this.#peersOf(node);
    const { nick } = entry;
    const before = peers.entries.get(nick);
    if (!before && peers.entries.size >= MAX_NODE_PEERS) return false;
    // Nothing new for peer lists; a snapshot has few differences.
    if (before && isSameEntry(before.entry, entry)) return true;
    const presence = { node, entry, since: now - entry.ageMs };
    if (before) peers.digest.toggle(before.entry);
    else this.#connections++;
    peers.digest.toggle(entry);
    peers.entries.set(nick, presence);
    const others = this.#nicks.get(nick);
    if (others) others.set(node, presence);
    else this.#nicks.set(nick, new Map([[node, presence]]));
    this.refresh(nick);
    this.#options.onChange(nick);
    return true;
  }

  /** A peer left a node. */
  delete(node: string, nick: string): void {
    const peers = this.#nodes.get(node);
    const before = peers?.entries.get(nick);
    if (!peers || !before) return;
    peers.entries.delete(nick);
    peers.digest.toggle(before.entry);
    this.#connections--;
    const others = this.#nicks.get(nick);
    others?.delete(node);
    if (others?.size === 0) this.#nicks.delete(nick);
    this.refresh(nick);
    // First, as in one directory: a newcomer that waits for the nick becomes ready afterwards.
    if (others?.size === 0 && !this.#options.isLocal(nick)) {
      this.#options.onGone(nick, locationOf(before.entry));
    }
    this.#options.onChange(nick);
  }

  /** All peers of a node left it. */
  clear(node: string): void {
    for (const nick of this.#nodes.get(node)?.entries.keys() ?? []) this.delete(node, nick);
  }

  /** Makes the peers of a node equal to these. */
  replace(node: string, entries: ReadonlyMap<string, Entry>, now: number): void {
    const peers = this.#peersOf(node);
    for (const nick of peers.entries.keys()) if (!entries.has(nick)) this.delete(node, nick);
    for (const entry of entries.values()) this.set(node, entry, now);
  }

  /** The nick arrived here, left here, or changed elsewhere: lists it or not. */
  refresh(nick: string): void {
    const first = this.#first(nick);
    const listed = this.#listed.get(nick);
    if (!first || this.#options.isLocal(nick)) {
      if (listed) this.#unlist(listed);
      return;
    }
    const location = locationOf(first.entry);
    const { features } = first.entry;
    this.#version++;
    if (listed) {
      Object.assign(listed, { location, features, arrival: ++this.#arrivals });
      return;
    }
    const added: Listed = {
      nick: first.entry.nick,
      location,
      features,
      arrival: ++this.#arrivals,
      partners: undefined,
      slot: this.#list.length,
    };
    this.#list.push(added);
    this.#listed.set(added.nick, added);
  }

  /** The connection that speaks. */
  #first(nick: string): Presence | undefined {
    let first: Presence | undefined;
    for (const presence of this.presences(nick).values()) {
      if (!first || isBefore(presence, first)) first = presence;
    }
    return first;
  }

  #unlist(listed: Listed): void {
    this.#version++;
    this.#listed.delete(listed.nick);
    const last = this.#list.pop();
    if (!last || last === listed) return;
    this.#list[listed.slot] = last;
    last.slot = listed.slot;
  }

  #peersOf(node: string): NodePeers {
    const known = this.#nodes.get(node);
    if (known) return known;
    const added = { entries: new Map<string, Presence>(), digest: new SetDigest() };
    this.#nodes.set(node, added);
    return added;
  }
}

/** Of two connections of one peer, whether the first one speaks. */
export function isBefore(
  a: { readonly node: string; readonly entry: { readonly rank: number } },
  b: { readonly node: string; readonly entry: { readonly rank: number } },
): boolean {
  return a.entry.rank === b.entry.rank ? a.node < b.node : a.entry.rank < b.entry.rank;
}
