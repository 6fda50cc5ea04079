/**
 * What directories report about other peers: which relays or lists which, and their locations
 * (docs/protocol.md, sections 5.3 and 6.3). Directories are named by a key, their location string. None
 * of it is proven.
 */
import { BoundedSet } from '../kit/bounded-map.js';
import { formatLocation, type DeclaredLocation } from '../protocol/location.js';
import { ownText } from '../protocol/own-text.js';
import type { PeerEntry } from '../protocol/peerlist.js';

/** What one directory reported about one peer. */
interface PeerReport {
  readonly relayed: boolean;
  readonly location: DeclaredLocation | undefined;
}

export interface KnownPeer {
  readonly nick: string;
  /**
   * The location that most directories report; NOT_SERVING when they report that; undefined without a
   * report.
   */
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
  /** A directory listed this peer; entries with `;D` belong to `left`. */
  listed(entry: PeerEntry, directory: string): void;
  /**
   * A directory announces that the nick left. True when no directory shows it any more, and one did
   * before.
   */
  left(nick: string, directory: string): boolean;
  /** A directory was lost. Returns the nicks that no directory shows any more. */
  directoryLost(directory: string): string[];
  get(nick: string): KnownPeer | undefined;
  all(): KnownPeer[];
  readonly size: number;
}

interface PeerRecord {
  readonly nick: string;
  readonly reports: Map<string, PeerReport>;
  features: ReadonlySet<string>;
}

const MAX_FEATURES = 32;

/** The location that most directories report, the earliest of equal ones. */
function agreedLocation(reports: Iterable<PeerReport>): DeclaredLocation | undefined {
  const votes = new Map<string, { location: DeclaredLocation; count: number }>();
  for (const { location } of reports) {
    if (!location) continue;
    const vote = votes.get(formatLocation(location)) ?? { location, count: 0 };
    vote.count++;
    votes.set(formatLocation(location), vote);
  }
  let best: { location: DeclaredLocation; count: number } | undefined;
  for (const vote of votes.values()) if (!best || vote.count > best.count) best = vote;
  return best?.location;
}

function newRecord(nick: string): PeerRecord {
  return { nick: ownText(nick), reports: new Map(), features: new Set() };
}

/** An equal location that does not refer to the received line. */
function ownLocation(location: DeclaredLocation): DeclaredLocation {
  return location.kind === 'not-serving' ? location : { ...location, host: ownText(location.host) };
}

/**
 * @param most nicks kept of each directory. Above it the nick that this directory has not shown for
 *   longest is removed for this directory. So no directory affects what another one reports.
 */
export function createPeerBook(most: number): PeerBook {
  // In the order of the last report.
  const records = new Map<string, PeerRecord>();
  /** By directory, in the order of its last reports. */
  const shown = new Map<string, Set<string>>();

  function touch(received: string, directory: string): PeerRecord {
    const record = records.get(received) ?? newRecord(received);
    const { nick } = record;
    records.delete(nick);
    records.set(nick, record);
    const nicks =
      shown.get(directory) ?? new BoundedSet(most, (oldest) => removeReport(oldest, directory));
    shown.set(directory, nicks.add(nick));
    return record;
  }

  /** True when the last report was removed. */
  function removeReport(nick: string, directory: string): boolean {
    shown.get(directory)?.delete(nick);
    const record = records.get(nick);
    if (!record?.reports.delete(directory) || record.reports.size > 0) return false;
    records.delete(nick);
    return true;
  }

  function read({ nick, ...record }: PeerRecord): KnownPeer {
    const reports = [...record.reports];
    return {
      nick,
      location: agreedLocation(record.reports.values()),
      features: [...record.features].toSorted(),
      relayedBy: reports.filter(([, { relayed }]) => relayed).map(([directory]) => directory),
      shownBy: reports.map(([directory]) => directory),
    };
  }

  return {
    relayed(nick, directory) {
      const { reports } = touch(nick, directory);
      reports.set(directory, { relayed: true, location: reports.get(directory)?.location });
    },
    listed(entry, directory) {
      const record = touch(entry.nick, directory);
      const relayed = record.reports.get(directory)?.relayed ?? false;
      record.reports.set(directory, { relayed, location: ownLocation(entry.location) });
      const features = [...record.features, ...entry.features.map(ownText)].slice(0, MAX_FEATURES);
      record.features = new Set(features);
    },
    left: removeReport,
    directoryLost(directory) {
      return [...(shown.get(directory) ?? [])].filter((nick) => removeReport(nick, directory));
    },
    get(nick) {
      const record = records.get(nick);
      return record && read(record);
    },
    all() {
      return [...records.values()].map(read);
    },
    get size() {
      return records.size;
    },
  };
}
