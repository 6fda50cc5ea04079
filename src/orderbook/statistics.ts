/** Computes the figures of the merged book, and of each directory compared with it. */
import type { DirectoryInfo, PeerInfo } from '../channel/channel-api.js';
import { formatLocation } from '../protocol/location.js';
import type { BookOffer, Orderbook } from './book.js';
import {
  MISSING_LISTED,
  type BookBond,
  type BookStatistics,
  type DirectoryAudit,
  type DirectoryReport,
} from './book-api.js';
import type { Health } from './directory-health.js';

export interface StatisticsSources {
  readonly book: Pick<Orderbook, 'names' | 'offersOf'>;
  readonly directories: readonly DirectoryInfo[];
  readonly bondOf: (maker: string) => BookBond | undefined;
  readonly peer: (nick: string) => PeerInfo | undefined;
  readonly health: (directory: string) => Health;
  readonly audit: (directory: string) => DirectoryAudit | undefined;
}

interface Tally {
  offers: number;
  makers: number;
  only: number;
  differing: number;
  missingCount: number;
  readonly missing: string[];
}

type Totals = Pick<
  BookStatistics,
  | 'offers'
  | 'makers'
  | 'verifiedOffers'
  | 'bondedMakers'
  | 'valuedMakers'
  | 'bondValue'
  | 'directoriesUp'
  | 'directories'
>;

/** Directories that show the maker: by an offer, a message, or in a peer list. */
function shownBy(offers: readonly BookOffer[], peer: PeerInfo | undefined): Set<string> {
  const shown = new Set(offers.flatMap((offer) => offer.directories));
  for (const location of peer?.directories ?? []) shown.add(formatLocation(location));
  return shown;
}

function report(info: DirectoryInfo, tally: Tally, sources: StatisticsSources): DirectoryReport {
  const directory = formatLocation(info.location);
  return {
    directory,
    nick: info.nick,
    state: info.state,
    lastReason: info.lastReason,
    motd: info.motd,
    features: info.features,
    ...sources.health(directory),
    ...tally,
    audit: sources.audit(directory),
  };
}

export function gatherStatistics(sources: StatisticsSources): Totals {
  const tallies = new Map<string, Tally>();
  const up: string[] = [];
  for (const { location, state } of sources.directories) {
    const directory = formatLocation(location);
    if (state === 'up') up.push(directory);
    tallies.set(directory, {
      offers: 0,
      makers: 0,
      only: 0,
      differing: 0,
      missingCount: 0,
      missing: [],
    });
  }
  const totals = { offers: 0, makers: 0, verifiedOffers: 0, bondedMakers: 0, valuedMakers: 0 };
  let worth = 0;

  for (const maker of sources.book.names()) {
    const offers = sources.book.offersOf(maker);
    const shown = shownBy(offers, sources.peer(maker));
    totals.makers++;
    for (const offer of offers) {
      totals.offers++;
      if (offer.verified) totals.verifiedOffers++;
      for (const { directory, withdrawn, differs } of offer.sightings) {
        const tally = tallies.get(directory);
        if (!tally) continue;
        if (differs) tally.differing++;
        if (!withdrawn) tally.offers++;
      }
    }
    for (const directory of new Set(offers.flatMap((offer) => offer.directories))) {
      const tally = tallies.get(directory);
      if (tally) tally.makers++;
    }
    const [first] = shown;
    const sole = shown.size === 1 && first !== undefined ? tallies.get(first) : undefined;
    if (sole) sole.only++;
    for (const directory of shown.size > 0 ? up : []) {
      const tally = tallies.get(directory);
      if (!tally || shown.has(directory)) continue;
      tally.missingCount++;
      if (tally.missing.length < MISSING_LISTED) tally.missing.push(maker);
    }
    const bond = sources.bondOf(maker);
    if (bond && bond.state !== 'invalid') totals.bondedMakers++;
    if (bond?.value !== undefined) {
      totals.valuedMakers++;
      worth += bond.value;
    }
  }

  return {
    ...totals,
    bondValue: worth,
    directoriesUp: up.length,
    directories: sources.directories.flatMap((info) => {
      const tally = tallies.get(formatLocation(info.location));
      return tally ? [report(info, tally, sources)] : [];
    }),
  };
}
