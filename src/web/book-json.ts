/**
 * The orderbook as JSON, for the page and for other programs. Fields have the names of the original
 * watcher's `orderbook.json` where it has them (`offers`, `fidelitybonds` and their members;
 * docs/protocol.md, section 13.4). The other fields are onionmc's.
 *
 * Times are unix seconds, amounts satoshi, directories `host:port`.
 */
import type {
  AuditFlag,
  BookBond,
  BookEntry,
  BookSnapshot,
  BookStatistics,
  BondState,
  DirectoryReport,
  EvidenceRecord,
  LiveBook,
  Unverified,
  WithdrawnReason,
} from '../orderbook/book-api.js';
import type { Network } from '../protocol/constants.js';
import { isRelative } from '../protocol/offer.js';
import { bondAddress } from '../bitcoin/bond.js';

/** A moment on the book's clock, and the same moment since 1970, both in milliseconds. */
export type Moment = Pick<BookSnapshot, 'now' | 'nowEpoch'>;

export interface BondJson {
  readonly state: BondState;
  readonly detail: string;
  /** `txid:vout`; null until the proof was parsed. */
  readonly outpoint: string | null;
  readonly locktime: number | null;
  readonly amount: number | null;
  readonly value: number | null;
}

export interface OfferJson {
  readonly counterparty: string;
  readonly oid: number;
  readonly ordertype: string;
  readonly minsize: number;
  readonly maxsize: number;
  readonly txfee: number;
  /** A number of satoshi for absolute offers, a decimal string for relative ones. */
  readonly cjfee: number | string;
  /** 0 without a bond and while its value is unknown; `bond.state` distinguishes the two. */
  readonly fidelity_bond_value: number;
  /** Constant for the life of the offer. */
  readonly id: string;
  readonly signed: boolean;
  readonly unsigned_because: Unverified | null;
  readonly first_seen: number;
  readonly last_seen: number;
  /** Whether it ever came directly from the maker. */
  readonly direct: boolean;
  /** Directories that show it now. */
  readonly directories: readonly string[];
  /** Directories that are connected and show the maker, in a list or by a message. */
  readonly listed_by: readonly string[];
  /** Directories that show unsigned terms which differ from those that the maker signed. */
  readonly differing: readonly string[];
  /** Directories that showed it before and no longer do. */
  readonly withdrawn: readonly {
    readonly directory: string;
    readonly at: number;
    readonly why: WithdrawnReason;
  }[];
  readonly bond: BondJson | null;
}

export interface FidelityBondJson {
  readonly counterparty: string;
  readonly utxo: { readonly txid: string; readonly vout: number };
  readonly bond_value: number;
  readonly locktime: number;
  readonly amount: number;
  readonly address: string;
  readonly utxo_confirmation_timestamp: number;
  /** The key of the coins, compressed, in hex. */
  readonly utxo_pub: string;
  readonly cert_expiry: number;
}

export interface AuditFlagJson {
  readonly kind: AuditFlag['kind'];
  readonly maker: string | null;
  readonly since: number;
  readonly rounds: number;
  readonly delivered: number;
  readonly detail: string;
}

export interface DirectoryJson {
  readonly location: string;
  readonly nick: string | null;
  readonly up: boolean;
  readonly state: DirectoryReport['state'];
  readonly since: number | null;
  readonly reason: string | null;
  readonly motd: string;
  readonly features: readonly string[];
  readonly sessions: number;
  readonly losses: number;
  readonly offers: number;
  readonly makers: number;
  /** Makers that no other directory shows. */
  readonly only: number;
  /**
   * Makers that other directories show and this one does not, although it is connected; at most 100 are
   * named.
   */
  readonly missing: readonly string[];
  readonly missing_count: number;
  readonly differing: number;
  readonly audit: {
    readonly avoided: boolean;
    readonly rounds: number;
    readonly delivered: number;
    readonly public_expected: number;
    readonly public_delivered: number;
    readonly leaves: number;
    readonly leaves_contradicted: number;
    readonly suspicion: number;
    /** At most 100 makers are listed; `flagged` counts all. */
    readonly flags: readonly AuditFlagJson[];
    readonly flagged: number;
  } | null;
}

export interface EvidenceJson {
  readonly at: number;
  readonly directory: string;
  readonly event: EvidenceRecord['event'];
  readonly kind: EvidenceRecord['kind'];
  readonly maker: string | null;
  readonly rounds: number;
  readonly delivered: number;
}

/** Figures of the book and of its directories; `/events`, event `statistics`. */
export interface StatisticsJson {
  /** When it was made, in Unix seconds. */
  readonly now: number;
  /** Number of offers. */
  readonly offers: number;
  /** Number of makers with an offer. */
  readonly makers: number;
  /** Offers that their makers signed. */
  readonly signed_offers: number;
  /** Makers with a bond that is not invalid. */
  readonly bonded_makers: number;
  /** Makers with a bond of known value. */
  readonly valued_makers: number;
  /** Sum of the known values of bonds. */
  readonly bond_value: number;
  /** Bonds that wait to be verified. */
  readonly bonds_waiting: number;
  /** Whether a bitcoin node provides the values of bonds. */
  readonly chain: BookStatistics['chain'];
  /** Number of connected directories. */
  readonly directories_up: number;
  /** When the makers were last asked, in Unix seconds; null if never. */
  readonly refreshed_at: number | null;
  /** One entry for each directory. */
  readonly directories: readonly DirectoryJson[];
  /** The latest records of the audit; the file has all of them. */
  readonly evidence: readonly EvidenceJson[];
}

/** `/orderbook.json`. */
export interface OrderbookJson {
  /** Every offer of the book. */
  readonly offers: readonly OfferJson[];
  /** Every bond whose value is known. */
  readonly fidelitybonds: readonly FidelityBondJson[];
  /** Figures of the book and of its directories. */
  readonly statistics: StatisticsJson;
  /** The bitcoin network. */
  readonly network: Network;
  /** Identifies the run of the program: versions of different runs are unrelated. */
  readonly session: string;
  /** Version of the book; grows with each change of one run. */
  readonly version: number;
  /** When it was made, in Unix seconds. */
  readonly now: number;
}

/** The changes from one version to a later one; `/events`, event `book`. */
export interface ChangeJson {
  /** Version of the book after the changes. */
  readonly version: number;
  /** When it was made, in Unix seconds. */
  readonly now: number;
  /** New or changed offers, complete. */
  readonly upserts: readonly OfferJson[];
  /** Ids of removed offers. */
  readonly removed: readonly string[];
}

/** Records of evidence on the page; the file has all of them. */
const MAX_EVIDENCE = 50;

const seconds = (ms: number): number => Math.round(ms / 1000);

/** A time of the book's clock as unix seconds. */
function epoch(at: number, { now, nowEpoch }: Moment): number {
  return seconds(nowEpoch - (now - at));
}

function bondJson(bond: BookBond): BondJson {
  return {
    state: bond.state,
    detail: bond.detail,
    outpoint: bond.outpoint ?? null,
    locktime: bond.locktime ?? null,
    amount: bond.amount ?? null,
    value: bond.value ?? null,
  };
}

/** One offer; `moment` is that of the snapshot or change it belongs to. */
export function offerJson(entry: BookEntry, moment: Moment): OfferJson {
  return {
    counterparty: entry.maker,
    oid: entry.oid,
    ordertype: entry.type,
    minsize: entry.minsize,
    maxsize: entry.maxsize,
    txfee: entry.txfee,
    cjfee: isRelative(entry.type) ? entry.cjfee : Number(entry.cjfee),
    fidelity_bond_value: entry.bond?.value ?? 0,
    id: entry.id,
    signed: entry.verified,
    unsigned_because: entry.unverified ?? null,
    first_seen: epoch(entry.firstSeen, moment),
    last_seen: epoch(entry.lastSeen, moment),
    direct: entry.direct !== undefined,
    directories: entry.directories,
    listed_by: entry.listedBy ?? entry.directories,
    differing: entry.sightings.flatMap(({ differs, directory }) => (differs ? [directory] : [])),
    withdrawn: entry.sightings.flatMap(({ directory, withdrawn }) =>
      withdrawn === undefined
        ? []
        : [{ directory, at: epoch(withdrawn.at, moment), why: withdrawn.why }],
    ),
    bond: entry.bond === undefined ? null : bondJson(entry.bond),
  };
}

function fidelityBond(
  maker: string,
  bond: BookBond,
  network: Network,
): FidelityBondJson | undefined {
  const { outpoint, utxoPublicKey, locktime, certExpiry, amount, confirmedAt, value } = bond;
  if (outpoint === undefined || utxoPublicKey === undefined || locktime === undefined) {
    return undefined;
  }
  if (value === undefined || amount === undefined || confirmedAt === undefined) return undefined;
  const colon = outpoint.lastIndexOf(':');
  return {
    counterparty: maker,
    utxo: { txid: outpoint.slice(0, colon), vout: Number(outpoint.slice(colon + 1)) },
    bond_value: value,
    locktime,
    amount,
    address: bondAddress(locktime, utxoPublicKey, network),
    utxo_confirmation_timestamp: confirmedAt,
    utxo_pub: utxoPublicKey,
    cert_expiry: certExpiry ?? 0,
  };
}

/** The bonds whose coins exist, one per maker, as the original watcher lists them. */
function fidelityBonds(entries: readonly BookEntry[], network: Network): FidelityBondJson[] {
  const bonds = new Map(
    entries.flatMap(({ maker, bond }) => (bond?.value === undefined ? [] : [[maker, bond]])),
  );
  return [...bonds].flatMap(([maker, bond]) => fidelityBond(maker, bond, network) ?? []);
}

function directoryJson(report: DirectoryReport, moment: Moment): DirectoryJson {
  const { audit } = report;
  return {
    location: report.directory,
    nick: report.nick ?? null,
    up: report.state === 'up',
    state: report.state,
    since: report.since === undefined ? null : epoch(report.since, moment),
    reason: report.state === 'up' ? null : (report.lastReason ?? null),
    motd: report.motd,
    features: report.features,
    sessions: report.sessions,
    losses: report.losses,
    offers: report.offers,
    makers: report.makers,
    only: report.only,
    missing: report.missing,
    missing_count: report.missingCount,
    differing: report.differing,
    audit:
      audit === undefined
        ? null
        : {
            avoided: audit.avoided,
            rounds: audit.rounds,
            delivered: audit.delivered,
            public_expected: audit.publicExpected,
            public_delivered: audit.publicDelivered,
            leaves: audit.leaves,
            leaves_contradicted: audit.leavesContradicted,
            suspicion: audit.suspicion,
            flags: audit.flags.map((flag) => ({
              kind: flag.kind,
              maker: flag.maker ?? null,
              since: epoch(flag.since, moment),
              rounds: flag.rounds,
              delivered: flag.delivered,
              detail: flag.detail,
            })),
            flagged: audit.flagged,
          },
  };
}

export function statisticsJson(statistics: BookStatistics, moment: Moment): StatisticsJson {
  return {
    now: seconds(moment.nowEpoch),
    offers: statistics.offers,
    makers: statistics.makers,
    signed_offers: statistics.verifiedOffers,
    bonded_makers: statistics.bondedMakers,
    valued_makers: statistics.valuedMakers,
    bond_value: statistics.bondValue,
    bonds_waiting: statistics.bondsWaiting,
    chain: statistics.chain,
    directories_up: statistics.directoriesUp,
    refreshed_at:
      statistics.refreshedAt === undefined ? null : epoch(statistics.refreshedAt, moment),
    directories: statistics.directories.map((report) => directoryJson(report, moment)),
    evidence: statistics.evidence.slice(-MAX_EVIDENCE).map((record) => ({
      at: seconds(record.atEpoch),
      directory: record.directory,
      event: record.event,
      kind: record.kind,
      maker: record.maker ?? null,
      rounds: record.rounds,
      delivered: record.delivered,
    })),
  };
}

/** The whole book. */
export function orderbookJson(
  book: LiveBook,
  { network, session }: { readonly network: Network; readonly session: string },
): OrderbookJson {
  const snapshot = book.snapshot();
  return {
    offers: snapshot.entries.map((entry) => offerJson(entry, snapshot)),
    fidelitybonds: fidelityBonds(snapshot.entries, network),
    statistics: statisticsJson(book.statistics(), snapshot),
    network,
    session,
    version: snapshot.version,
    now: seconds(snapshot.nowEpoch),
  };
}

/**
 * All changes after `version` as one; undefined when the book no longer has some of them, or never had
 * that version.
 */
export function changesJson(book: LiveBook, version: number): ChangeJson | undefined {
  if (version > book.version) return undefined;
  const changes = book.changesSince(version);
  if (changes === undefined) return undefined;
  const upserts = new Map<string, OfferJson>();
  const removed = new Set<string>();
  let now = 0;
  for (const change of changes) {
    now = seconds(change.nowEpoch);
    for (const id of change.removed) {
      upserts.delete(id);
      removed.add(id);
    }
    for (const entry of change.upserts) {
      removed.delete(entry.id);
      upserts.set(entry.id, offerJson(entry, change));
    }
  }
  return {
    version: changes.at(-1)?.version ?? version,
    now,
    upserts: [...upserts.values()],
    removed: [...removed],
  };
}
