/**
 * What directories told about other peers: who relays whom, who lists whom, where they serve
 * (protocol document, sections 5.3 and 6.3). Directories are named by a key, their location string.
 * None of it is proven.
 */
import { formatLocation, type DeclaredLocation } from '../protocol/location.js';
import type { PeerEntry } from '../protocol/peerlist.js';

/** What one directory showed of one peer. */
interface Sighting {
  readonly relayed: boolean;
  readonly location: DeclaredLocation | undefined;
}

export interface KnownPeer {
  readonly nick: string;
  /** Where most directories say it is; NOT_SERVING when they say so; undefined when none said. */
  readonly location: DeclaredLocation | undefined;
  readonly features: readonly string[];
  /** Directories that relayed a message of it. */
  readonly relayedBy: readonly string[];
  /** Directories that relayed or listed it. */
  readonly shownBy: readonly string[];
}

export interface PeerBook {
  /** A directory delivered a message of this nick. */
  relayed(nick: string, directory: string): void;
  /** A directory listed this peer; one marked as left belongs to `left`. */
  listed(entry: PeerEntry, directory: string): void;
  /** A directory says the nick left. True when none shows it any more, and one did before. */
  left(nick: string, directory: string): boolean;
  /** A directory was lost. Returns the nicks that none shows any more. */
  directoryLost(directory: string): string[];
  get(nick: string): KnownPeer | undefined;
  forget(nick: string): void;
  all(): KnownPeer[];
  readonly size: number;
}

interface Page {
  readonly sightings: Map<string, Sighting>;
  features: ReadonlySet<string>;
}

const MAX_FEATURES = 32;

/** The location most directories name, the earliest where they are even. */
function agreedLocation(sightings: Iterable<Sighting>): DeclaredLocation | undefined {
  const votes = new Map<string, { location: DeclaredLocation; count: number }>();
  for (const { location } of sightings) {
    if (!location) continue;
    const vote = votes.get(formatLocation(location)) ?? { location, count: 0 };
    vote.count++;
    votes.set(formatLocation(location), vote);
  }
  let best: { location: DeclaredLocation; count: number } | undefined;
  for (const vote of votes.values()) if (!best || vote.count > best.count) best = vote;
  return best?.location;
}

/** @param most nicks kept; above it the one not heard of for longest is forgotten */
export function createPeerBook(most: number): PeerBook {
  // In the order of the last sighting.
  const pages = new Map<string, Page>();

  function touch(nick: string): Page {
    const page = pages.get(nick) ?? { sightings: new Map(), features: new Set() };
    pages.delete(nick);
    pages.set(nick, page);
    if (pages.size > most) {
      const [oldest] = pages.keys();
      if (oldest !== undefined) pages.delete(oldest);
    }
    return page;
  }

  /** True when the last sighting went. */
  function unsee(nick: string, directory: string): boolean {
    const page = pages.get(nick);
    if (!page?.sightings.delete(directory) || page.sightings.size > 0) return false;
    pages.delete(nick);
    return true;
  }

  function read(nick: string, page: Page): KnownPeer {
    const sightings = [...page.sightings];
    return {
      nick,
      location: agreedLocation(page.sightings.values()),
      features: [...page.features].toSorted(),
      relayedBy: sightings.filter(([, { relayed }]) => relayed).map(([directory]) => directory),
      shownBy: sightings.map(([directory]) => directory),
    };
  }

  return {
    relayed(nick, directory) {
      const { sightings } = touch(nick);
      sightings.set(directory, { relayed: true, location: sightings.get(directory)?.location });
    },
    listed(entry, directory) {
      const page = touch(entry.nick);
      const relayed = page.sightings.get(directory)?.relayed ?? false;
      page.sightings.set(directory, { relayed, location: entry.location });
      const features = [...page.features, ...entry.features].slice(0, MAX_FEATURES);
      page.features = new Set(features);
    },
    left: unsee,
    directoryLost(directory) {
      return [...pages.keys()].filter((nick) => unsee(nick, directory));
    },
    get(nick) {
      const page = pages.get(nick);
      return page && read(nick, page);
    },
    forget(nick) {
      pages.delete(nick);
    },
    all() {
      return [...pages].map(([nick, page]) => read(nick, page));
    },
    get size() {
      return pages.size;
    },
  };
}
