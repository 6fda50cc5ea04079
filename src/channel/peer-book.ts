/**
 * What directories report about other peers: which relays or lists which, and their locations
 * (docs/protocol.md, sections 5.3 and 6.3). Directories are named by a key, their location string. None
 * of it is proven.
 */
import { BoundedSet } from '../kit/bounded-map.js';
import {
  formatLocation,
  kindsNamedOver,
  namedLocation,
  type DeclaredLocation,
  type Location,
  type LocationKind,
} from '../protocol/location.js';
import { ownText } from '../protocol/own-text.js';
import type { PeerEntry } from '../protocol/peerlist.js';

/** The report of one directory about one peer. */
interface PeerReport {
  readonly relayed: boolean;
  readonly location: DeclaredLocation | undefined;
}

export interface KnownPeer {
  readonly nick: string;
  /**
   * The location that most directories of one overlay report; NOT_SERVING when they report that;
   * undefined without a report. With several overlays, the first location.
   */
  readonly location: DeclaredLocation | undefined;
  /** Its locations, at most one for each overlay of our directories. */
  readonly locations: readonly Location[];
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

/** Where the directories of a channel were dialled. A directory reports about its own overlay only. */
export interface DialledKinds {
  /** The kind of location at which this directory was dialled. */
  kindOf(directory: string): LocationKind | undefined;
  /** The kinds of locations that the overlay reaches. */
  readonly reachable: ReadonlySet<LocationKind>;
}

interface PeerRecord {
  readonly nick: string;
  readonly reports: Map<string, PeerReport>;
  features: ReadonlySet<string>;
}

const MAX_FEATURES = 32;

/** The location that most of these report, the earliest of equal ones. */
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
 * @param dialled by default all directories are in one overlay
 */
export function createPeerBook(most: number, dialled?: DialledKinds): PeerBook {
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

  /** One for each overlay in which a directory reports a location, or that the peer serves none. */
  function agreedLocations(reports: PeerRecord['reports']): readonly DeclaredLocation[] {
    const byKind = new Map<LocationKind | undefined, PeerReport[]>();
    for (const [directory, report] of reports) {
      const kind = dialled?.kindOf(directory);
      const others = byKind.get(kind);
      if (others) others.push(report);
      else byKind.set(kind, [report]);
    }
    return [...byKind.values()].flatMap((same) => agreedLocation(same) ?? []);
  }

  /** The location that a directory may report: one in its own overlay, see `kindsNamedOver`. */
  function reported(location: DeclaredLocation, directory: string): DeclaredLocation {
    const via = dialled?.kindOf(directory);
    if (dialled === undefined || via === undefined) return location;
    return namedLocation(location, kindsNamedOver(via, dialled.reachable));
  }

  function read({ nick, ...record }: PeerRecord): KnownPeer {
    const reports = [...record.reports];
    const agreed = agreedLocations(record.reports);
    const locations = agreed.flatMap((each) => (each.kind === 'not-serving' ? [] : [each]));
    return {
      nick,
      location: locations[0] ?? agreed[0],
      locations,
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
      const location = ownLocation(reported(entry.location, directory));
      record.reports.set(directory, { relayed, location });
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
