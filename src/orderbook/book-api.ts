/**
 * The face of the live orderbook: what it tells of offers, bonds and directories. A page, an export or
 * a wallet is written against this file alone.
 *
 * Times: `number` in milliseconds of the book's own monotonic clock, unless a name ends in `Epoch`
 * (milliseconds since 1970). `BookSnapshot.now` is the same clock, so `now - lastSeen` is an age.
 * Directories are named by their location string, `host:port`.
 */
import type { DirectoryState } from '../channel/channel-api.js';
import type { Offer } from '../protocol/offer.js';

/** One offer as one directory showed it. */
export interface OfferSighting {
  readonly directory: string;
  readonly firstSeen: number;
  readonly lastSeen: number;
  /** Came in a pubmsg, whose author the directory vouches for alone. */
  readonly publicly: boolean;
  /** Came in a signed private message. */
  readonly privately: boolean;
  /** It last showed other terms for this oid, unsigned, than the maker signed. */
  readonly differs: boolean;
  /** Since when this directory does not show the offer any more, and why; undefined while it does. */
  readonly withdrawn: { readonly at: number; readonly why: WithdrawnWhy } | undefined;
}

export type WithdrawnWhy =
  /** A `!cancel` came through it, or an offer with this oid that is not valid. */
  | 'cancel'
  /** It said that the maker left (`;D`). */
  | 'left'
  /** Our session with it ended. */
  | 'directory-lost';

/** Only announced publicly; nothing signed has come yet. */
export type Unverified = 'public-only';

/** A maker's bond. One per maker; all entries of a maker carry the same. */
export interface BookBond {
  /** `txid:vout`, txid in display order. Undefined until the proof is parsed. */
  readonly outpoint: string | undefined;
  /** The key of the coins, compressed, 66 hex digits. */
  readonly utxoPublicKey: string | undefined;
  /** Unix seconds until when the coins are locked. */
  readonly locktime: number | undefined;
  /** The last difficulty period (of 2,016 blocks) in which the certificate holds. */
  readonly certExpiry: number | undefined;
  readonly state: BondState;
  /** One line for a person. */
  readonly detail: string;
  /** Satoshi; undefined without a bitcoin node. */
  readonly amount: number | undefined;
  /** Unix seconds; undefined without a bitcoin node. */
  readonly confirmedAt: number | undefined;
  /** By the formula of docs/protocol.md, section 11.4; undefined unless `state` is `valued`. */
  readonly value: number | undefined;
}

export type BondState =
  /** Waits for its turn to be checked. */
  | 'waiting'
  /** Malformed, or a signature does not hold. */
  | 'invalid'
  /** The certificate is over, as the bitcoin node's height tells. */
  | 'expired'
  /** Another maker has proven the same coins since. */
  | 'claimed'
  /** Both signatures hold. What the coins are worth is unknown without a bitcoin node. */
  | 'signed'
  /** Signatures hold; the bitcoin node is being asked, or did not answer. */
  | 'asking'
  /** Signatures hold, but the node knows no such unspent coins that pay this lock. */
  | 'unfunded'
  /** Signatures hold, the coins are there, `value` is known. */
  | 'valued';

/** One offer, merged over all ways it came. */
export interface BookEntry extends Offer {
  /** `maker/oid`; the same as long as the offer stays in the book. */
  readonly id: string;
  readonly maker: string;
  /** Whether the terms as shown were signed by the maker's nick key. */
  readonly verified: boolean;
  /** Why not; undefined when verified. */
  readonly unverified: Unverified | undefined;
  readonly firstSeen: number;
  readonly lastSeen: number;
  /** First and last time it came over a direct link; undefined when it never did. */
  readonly direct: { readonly firstSeen: number; readonly lastSeen: number } | undefined;
  /** By directory, in the order of the first sighting; withdrawn ones too. */
  readonly sightings: readonly OfferSighting[];
  /** Directories that show it now. */
  readonly directories: readonly string[];
  /**
   * Directories that are up and list the maker, or have relayed a word of it: where takers find it. An
   * answer may have come through one of them alone. Undefined means the same as `directories`.
   */
  readonly listedBy?: readonly string[];
  readonly bond: BookBond | undefined;
}

/** Why a directory is flagged. */
export interface AuditFlag {
  readonly kind:
    /** Private messages of one maker do not come through it, while they come through others. */
    | 'withholds'
    /** It loses messages of many makers, far more than others do. */
    | 'lossy';
  /** The maker, for `withholds`. */
  readonly maker: string | undefined;
  readonly since: number;
  /** Rounds in which the maker (any maker, for `lossy`) was heard while this directory was up. */
  readonly rounds: number;
  /** Of these, rounds in which it came through this directory. */
  readonly delivered: number;
  /** Natural logarithm of the likelihood ratio; see docs/audit.md. */
  readonly evidence: number;
  /** One line for a person. */
  readonly detail: string;
}

/** What the audit counts of one directory; see docs/audit.md for what each number can prove. */
export interface DirectoryAudit {
  readonly directory: string;
  /** First the one about the directory itself, where there is one; at most `FLAGS_LISTED` makers. */
  readonly flags: readonly AuditFlag[];
  /** Makers for whom it is flagged. */
  readonly flagged: number;
  /** Whether routing prefers other directories. */
  readonly avoided: boolean;
  /** Rounds of all makers that this directory was expected to take part in, and did. */
  readonly rounds: number;
  readonly delivered: number;
  /** Public messages that others relayed while it was up and showed the maker; and those it relayed. */
  readonly publicExpected: number;
  readonly publicDelivered: number;
  /** Leaves it told. */
  readonly leaves: number;
  /** Of these, makers that afterwards still sent us signed messages another way. */
  readonly leavesContradicted: number;
  /** The strongest pair below the threshold: how near a flag is, 0 to 1. */
  readonly suspicion: number;
}

/** One line of the evidence that is kept in a file. */
export interface EvidenceRecord {
  readonly atEpoch: number;
  readonly directory: string;
  readonly event: 'flag' | 'clear';
  readonly kind: AuditFlag['kind'];
  readonly maker: string | undefined;
  readonly rounds: number;
  readonly delivered: number;
  readonly evidence: number;
  /** Per directory that was compared: rounds it was eligible for, and those it delivered in. */
  readonly compared: Readonly<
    Record<string, { readonly rounds: number; readonly delivered: number }>
  >;
}

/** One directory as the merged book sees it. */
export interface DirectoryReport {
  readonly directory: string;
  readonly nick: string | undefined;
  readonly state: DirectoryState;
  /** Since when it is up, or down. Undefined before the first attempt ended. */
  readonly since: number | undefined;
  /** Why the last session or attempt ended. */
  readonly lastReason: string | undefined;
  readonly motd: string;
  readonly features: readonly string[];
  /** Sessions begun, and lost. */
  readonly sessions: number;
  readonly losses: number;
  /** Milliseconds it was up since the book was opened. */
  readonly upForMs: number;
  /** Offers it shows now, and makers of these. */
  readonly offers: number;
  readonly makers: number;
  /** Makers that nobody else shows. */
  readonly only: number;
  /**
   * Makers of the book that other directories show and this one does not, although it is up; the
   * first `MISSING_LISTED` nicks. A maker may simply not be connected there.
   */
  readonly missing: readonly string[];
  readonly missingCount: number;
  /** Offers that this directory shows with other terms than the merged book. */
  readonly differing: number;
  readonly audit: DirectoryAudit | undefined;
}

/** Most makers in `DirectoryAudit.flags`. */
export const FLAGS_LISTED = 100;
/** Most nicks in `DirectoryReport.missing`. */
export const MISSING_LISTED = 100;

export interface BookStatistics {
  readonly offers: number;
  readonly makers: number;
  readonly verifiedOffers: number;
  /** Makers with a bond that is not `invalid`, and with one that is `valued`. */
  readonly bondedMakers: number;
  readonly valuedMakers: number;
  /** Sum of the values that are known. */
  readonly bondValue: number;
  /** Bonds that wait to be checked. */
  readonly bondsWaiting: number;
  /** Whether a bitcoin node answers, so that bonds can be valued at all. */
  readonly chain: 'none' | 'up' | 'down';
  readonly directoriesUp: number;
  readonly directories: readonly DirectoryReport[];
  /** The newest last; at most 200. */
  readonly evidence: readonly EvidenceRecord[];
  /** When the makers were last asked; undefined when never. */
  readonly refreshedAt: number | undefined;
  readonly nextRefreshInMs: number | undefined;
}

/** All of the book at one version. */
export interface BookSnapshot {
  readonly version: number;
  /** The book's clock, and the same moment since 1970. */
  readonly now: number;
  readonly nowEpoch: number;
  readonly entries: readonly BookEntry[];
}

/** What made `version` of `version - 1`. Apply in order; a gap means: take a snapshot. */
export interface BookChange {
  readonly version: number;
  readonly now: number;
  readonly nowEpoch: number;
  /** New or changed entries, whole. */
  readonly upserts: readonly BookEntry[];
  /** Ids of entries that went. */
  readonly removed: readonly string[];
  /** Something of the statistics (directories, bonds, audit) changed too: read them again. */
  readonly statistics: boolean;
}

export interface LiveBookEvents {
  /** At most four times a second. */
  change: (change: BookChange) => void;
}

/** The orderbook of a running peer, by whatever way offers came. Read-only but for `refresh`. */
export interface LiveBook {
  readonly version: number;
  readonly offers: number;
  readonly makers: number;
  /** The book's clock, in milliseconds; all times of this book are on it. */
  now(): number;
  snapshot(): BookSnapshot;
  /**
   * Changes after `version`, oldest first; undefined when some of them are forgotten (the last 256
   * are kept), which means: take a snapshot.
   */
  changesSince(version: number): readonly BookChange[] | undefined;
  /** Walks the whole book; for a few calls a second. */
  statistics(): BookStatistics;
  on<E extends keyof LiveBookEvents>(event: E, listener: LiveBookEvents[E]): void;
  off<E extends keyof LiveBookEvents>(event: E, listener: LiveBookEvents[E]): void;
  /**
   * Asks every maker for its offers now. False when they were asked less than 30 s ago: makers are
   * asked by everybody, and directories limit it.
   */
  refresh(): boolean;
  /** Stops listening and every timer; the channel stays the caller's. */
  close(): void;
}

/** What the bitcoin node says of the output of a bond. */
export type BondOutput =
  | {
      readonly found: true;
      /** Satoshi. */
      readonly amount: number;
      /** Block time of the confirmation, unix seconds. */
      readonly confirmedAt: number;
      /** The output script, lower-case hex. */
      readonly scriptHex: string;
    }
  /** No such output, unconfirmed, or spent. */
  | { readonly found: false };

/**
 * A bitcoin node, as far as bonds need it. A proof names an output but neither its amount nor when it
 * was confirmed (docs/protocol.md, section 11), so without a node a bond has no value. All calls may
 * reject; they are asked again later.
 */
export interface BondChainView {
  tip(): Promise<{
    readonly height: number;
    /** Median time of the best block, unix seconds. */
    readonly medianTime: number;
  }>;
  output(txid: string, vout: number): Promise<BondOutput>;
}
