/** A live book with made-up offers, for tests of the page: equal numbers give an equal book. */
import { EventEmitter } from 'eventemitter3';
import type {
  BookBond,
  BookChange,
  BookEntry,
  BookStatistics,
  DirectoryAudit,
  DirectoryReport,
  LiveBook,
  LiveBookEvents,
  OfferSighting,
} from '../../src/orderbook/book-api.js';
import { OFFER_TYPES, type OfferType } from '../../src/protocol/commands.js';
import { isRelative } from '../../src/protocol/offer.js';

export interface SampleBook extends LiveBook {
  /** Puts offers in, or replaces those of the same id, and emits the change. */
  put(...entries: readonly BookEntry[]): void;
  drop(...ids: readonly string[]): void;
  /** Emits a change of the statistics. */
  touch(): void;
  /** Forgets all changes up to now. */
  forget(): void;
}

export const DIRECTORIES = [
  'jmv2dirze66rwxsq7xv7frhmaufyicd3yz5if6obtavsskczjkndn6yd.onion:5222',
  'satoshi2vcg5e2ept7tjkzlkpomkobqmgtsjzegg6wipnoajadissead.onion:5222',
  'ylegp63psfqh3zk2huckf2xth6dxvh2z364ykjfvvoyehdg2uy4gqyqd.onion:5222',
] as const;
const LETTERS = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'.split('');

/** Uniform in [0, 1), always the same sequence (a linear congruential generator). */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function sighting(directory: string, withdrawn: boolean): OfferSighting {
  return {
    directory,
    firstSeen: 0,
    lastSeen: 1000,
    publicly: true,
    privately: true,
    differs: false,
    withdrawn: withdrawn ? { at: 2000, why: 'left' } : undefined,
  };
}

/** The generator of secp256k1, which is a valid key. */
export const SAMPLE_KEY = '0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798';

export function bondOf(value: number | undefined, locktime = 1_900_000_000): BookBond {
  return {
    outpoint: `${'ab'.repeat(32)}:1`,
    utxoPublicKey: SAMPLE_KEY,
    locktime,
    certExpiry: 500,
    state: value === undefined ? 'signed' : 'valued',
    detail: 'both signatures hold',
    amount: value === undefined ? undefined : 100_000_000,
    confirmedAt: value === undefined ? undefined : 1_700_000_000,
    value,
  };
}

/** An offer; members that are not given have plain values. */
export function entryOf(given: Partial<BookEntry> & { readonly maker: string }): BookEntry {
  const { maker, oid = 0, directories = DIRECTORIES } = given;
  return {
    id: `${maker}/${oid}`,
    type: 'sw0reloffer',
    oid,
    minsize: 100_000,
    maxsize: 500_000_000,
    txfee: 0,
    cjfee: '0.00002',
    verified: true,
    unverified: undefined,
    firstSeen: 0,
    lastSeen: 0,
    direct: undefined,
    sightings: DIRECTORIES.map((each) => sighting(each, !directories.includes(each))),
    directories,
    bond: undefined,
    ...given,
  };
}

/** Offers as on the real network: sizes and fees over many orders of magnitude. */
export function sampleEntries(count: number, seed = 7): BookEntry[] {
  const random = createRandom(seed);
  const pick = <T>(list: readonly T[], or: T): T => list[Math.floor(random() * list.length)] ?? or;
  return Array.from({ length: count }, () => {
    const maker = `J5${Array.from({ length: 14 }, () => pick(LETTERS, 'x')).join('')}`;
    const type =
      random() < 0.9
        ? pick<OfferType>(['sw0reloffer', 'sw0absoffer'], 'sw0reloffer')
        : pick(OFFER_TYPES, 'reloffer');
    const relative = isRelative(type);
    const shownBy = [0.98, 0.9, 0.72];
    const value = Math.round(10 ** (7 + 6 * random()));
    return entryOf({
      maker,
      type,
      minsize: Math.round(27_300 * 10 ** (2.2 * random())),
      maxsize: Math.round(10 ** (6.7 + 4 * random())),
      cjfee: String(
        relative
          ? Number((10 ** (-6 + 3.2 * random())).toPrecision(2))
          : Math.round(10 ** (1 + 3 * random())),
      ),
      verified: random() < 0.93,
      unverified: undefined,
      lastSeen: -Math.round(900_000 * random() ** 3),
      firstSeen: -1_000_000,
      direct: random() < 0.3 ? { firstSeen: 0, lastSeen: 0 } : undefined,
      directories: DIRECTORIES.filter((_, i) => random() < (shownBy[i] ?? 1)),
      bond:
        random() < 0.55 ? bondOf(value, 1_830_000_000 + Math.round(2.5e8 * random())) : undefined,
    });
  });
}

/**
 * The same offers as a program shows them today: without a bitcoin node no bond has a value, and both
 * directories that are up list nearly every maker, while most answers came through one of them.
 */
export function asReached(entries: readonly BookEntry[]): BookEntry[] {
  const [first, second] = DIRECTORIES;
  return entries.map((entry, i) => {
    const directories = [i % 5 === 0 ? second : first];
    return {
      ...entry,
      directories,
      sightings: directories.map((each) => sighting(each, false)),
      listedBy: i % 17 === 3 ? directories : [first, second],
      bond: entry.bond && bondOf(undefined, entry.bond.locktime),
    };
  });
}

function auditOf(directory: string, withheld: string | undefined): DirectoryAudit {
  return {
    directory,
    flags:
      withheld === undefined
        ? []
        : [
            {
              kind: 'withholds',
              maker: withheld,
              since: 0,
              rounds: 14,
              delivered: 0,
              evidence: 12.4,
              detail: 'heard through others in 14 rounds, through this one in none',
            },
          ],
    flagged: withheld === undefined ? 0 : 1,
    avoided: withheld !== undefined,
    rounds: 1280,
    delivered: withheld === undefined ? 1274 : 1190,
    publicExpected: 640,
    publicDelivered: 639,
    leaves: 12,
    leavesContradicted: withheld === undefined ? 0 : 3,
    suspicion: withheld === undefined ? 0.18 : 1,
  };
}

const listed = ({ listedBy, directories }: BookEntry): readonly string[] => listedBy ?? directories;

/** The state of the sample directories: two up, of which one withholds `withheld`, and one down. */
function reportOf(
  directory: string,
  i: number,
  entries: readonly BookEntry[],
  withheld: string | undefined,
): DirectoryReport {
  const here = entries.filter((entry) => entry.directories.includes(directory));
  const makers = new Set(here.map(({ maker }) => maker));
  const found = new Set(
    entries.flatMap((entry) => (listed(entry).includes(directory) ? [entry.maker] : [])),
  );
  const up = i < 2;
  const missing = [...new Set(entries.map(({ maker }) => maker))].filter((m) => !found.has(m));
  return {
    directory,
    nick: 'J5directory',
    state: up ? 'up' : 'waiting',
    since: -3_600_000 * (i + 1),
    lastReason: up ? undefined : 'the onion cannot be reached: host unreachable (SOCKS code 4)',
    motd: 'a sample',
    features: ['ping'],
    sessions: 1 + i,
    losses: i,
    upForMs: 3_600_000,
    offers: here.length,
    makers: makers.size,
    only: entries.filter((entry) => listed(entry).length === 1 && listed(entry)[0] === directory)
      .length,
    missing: up ? missing.slice(0, 100) : [],
    missingCount: up ? missing.length : 0,
    differing: up ? i : 0,
    audit: up ? auditOf(directory, i === 1 ? withheld : undefined) : undefined,
  };
}

function statisticsOf(
  entries: readonly BookEntry[],
  withheld: string | undefined,
  chain: BookStatistics['chain'],
): BookStatistics {
  const makersWith = (has: (entry: BookEntry) => boolean): number =>
    new Set(entries.filter(has).map(({ maker }) => maker)).size;
  return {
    offers: entries.length,
    makers: makersWith(() => true),
    verifiedOffers: entries.filter(({ verified }) => verified).length,
    bondedMakers: makersWith(({ bond }) => bond !== undefined && bond.state !== 'invalid'),
    valuedMakers: makersWith(({ bond }) => bond?.value !== undefined),
    bondValue: entries.reduce((sum, { bond }) => sum + (bond?.value ?? 0), 0),
    bondsWaiting: 0,
    chain,
    directoriesUp: 2,
    directories: DIRECTORIES.map((each, i) => reportOf(each, i, entries, withheld)),
    evidence:
      withheld === undefined
        ? []
        : [
            {
              atEpoch: 1_790_000_000_000,
              directory: DIRECTORIES[1],
              event: 'flag',
              kind: 'withholds',
              maker: withheld,
              rounds: 14,
              delivered: 0,
              evidence: 12.4,
              compared: {},
            },
          ],
    refreshedAt: 0,
    nextRefreshInMs: 60_000,
  };
}

/**
 * @param now the book's clock, it begins at 0
 * @param withheld the maker that a directory withholds, according to the audit
 * @param chain whether a bitcoin node answers
 */
export function createSampleBook(
  now: () => number,
  entries: readonly BookEntry[] = [],
  withheld?: string,
  chain: BookStatistics['chain'] = 'up',
): SampleBook {
  const emitter = new EventEmitter<LiveBookEvents>();
  const offers = new Map(entries.map((entry) => [entry.id, entry]));
  const began = Date.now();
  let changes: BookChange[] = [];
  let version = 1;

  function tell(upserts: readonly BookEntry[], removed: readonly string[]): void {
    version += 1;
    const moment = { now: now(), nowEpoch: began + now() };
    const change = { version, ...moment, upserts, removed, statistics: true };
    changes.push(change);
    emitter.emit('change', change);
  }

  return {
    now,
    get version() {
      return version;
    },
    get offers() {
      return offers.size;
    },
    get makers() {
      return new Set([...offers.values()].map(({ maker }) => maker)).size;
    },
    snapshot: () => ({
      version,
      now: now(),
      nowEpoch: began + now(),
      entries: [...offers.values()],
    }),
    changesSince(since) {
      const first = changes[0]?.version ?? version + 1;
      return since + 1 < first ? undefined : changes.filter((each) => each.version > since);
    },
    statistics: () => statisticsOf([...offers.values()], withheld, chain),
    on: (event, listener) => void emitter.on(event, listener),
    off: (event, listener) => void emitter.off(event, listener),
    refresh: () => false,
    close() {},
    put(...added) {
      for (const entry of added) offers.set(entry.id, entry);
      tell(added, []);
    },
    drop(...ids) {
      for (const id of ids) offers.delete(id);
      tell([], ids);
    },
    touch: () => tell([], []),
    forget() {
      changes = [];
    },
  };
}
