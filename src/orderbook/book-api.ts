/**
 * The interface of the live orderbook: offers, bonds and directories. Pages, exports and wallets depend
 * only on this file.
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
  /** It came in a public message, whose author only the directory knows. */
  readonly publicly: boolean;
  /** It came in a signed private message. */
  readonly privately: boolean;
  /**
   * The directory last showed unsigned terms for this oid that differ from those that the maker signed.
   */
  readonly differs: boolean;
  /**
   * Since when this directory does not show the offer any more, and why; undefined while it shows it.
   */
  readonly withdrawn: { readonly at: number; readonly why: WithdrawnReason } | undefined;
}

export type WithdrawnReason =
  /** It relayed a `!cancel`, or an invalid offer with this oid. */
  | 'cancel'
  /** It announced that the maker left (`;D`). */
  | 'left'
  /** Our session with it ended. */
  | 'directory-lost';

/** Only announced publicly; no signed message has come yet. */
export type Unverified = 'public-only';

/** A maker's bond. There is one per maker, and all entries of the maker contain it. */
export interface BookBond {
  /** `txid:vout`, txid in display order. Undefined until the proof is parsed. */
  readonly outpoint: string | undefined;
  /** The key of the coins, compressed, 66 hex digits. */
  readonly utxoPublicKey: string | undefined;
  /** The coins are locked until then, in Unix seconds. */
  readonly locktime: number | undefined;
  /** The last difficulty period (of 2,016 blocks) in which the certificate is valid. */
  readonly certExpiry: number | undefined;
  /** How far the check of the bond came. */
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

/** How far the check of a bond came (docs/protocol.md, section 11). */
export type BondState =
  /** Waits to be verified. */
  | 'waiting'
  /** Malformed, or a signature is not valid. */
  | 'invalid'
  /** The certificate has expired at the bitcoin node's height. */
  | 'expired'
  /** Another maker has proven the same coins later. */
  | 'claimed'
  /** Both signatures are valid. The value is unknown without a bitcoin node. */
  | 'signed'
  /** Signatures are valid; the bitcoin node is being asked, or did not answer. */
  | 'asking'
  /** Signatures are valid, but the node knows no such unspent coins with this lock. */
  | 'unfunded'
  /** Signatures are valid, the coins exist, `value` is known. */
  | 'valued';

/** One offer, merged from all directories and direct links. */
export interface BookEntry extends Offer {
  /** `maker/oid`; constant while the offer is in the book. */
  readonly id: string;
  /** Nick of the maker. */
  readonly maker: string;
  /** Whether the maker's nick key signed the terms as shown. */
  readonly verified: boolean;
  /** Why it is not verified; undefined when it is. */
  readonly unverified: Unverified | undefined;
  /** When any directory or direct link first showed it. */
  readonly firstSeen: number;
  /** When any directory or direct link last showed it. */
  readonly lastSeen: number;
  /** First and last time it came over a direct link; undefined if never. */
  readonly direct:
    | {
        /** When it first came over a direct link. */
        readonly firstSeen: number;
        /** When it last came over a direct link. */
        readonly lastSeen: number;
      }
    | undefined;
  /** By directory, in the order in which they first showed it; including those that no longer do. */
  readonly sightings: readonly OfferSighting[];
  /** Directories that show it now. */
  readonly directories: readonly string[];
  /**
   * Directories that are connected and list the maker, or have relayed a message of it: takers find it
   * there. An answer may have come through only one of them. Undefined means the same as `directories`.
   */
  readonly listedBy?: readonly string[];
  /** The maker's bond; undefined if it has shown none. */
  readonly bond: BookBond | undefined;
}

/** Why a directory is flagged. */
export interface AuditFlag {
  /** The flags of the directory. */
  readonly kind:
    /** It does not deliver one maker's private messages, while others do. */
    | 'withholds'
    /** It loses messages of many makers, many more than other directories do. */
    | 'lossy';
  /** The maker, for `withholds`. */
  readonly maker: string | undefined;
  /** When it was flagged, by the book's clock. */
  readonly since: number;
  /**
   * Rounds in which the maker (any maker, for `lossy`) was heard while this directory was connected.
   */
  readonly rounds: number;
  /** The number of these rounds in which this directory delivered. */
  readonly delivered: number;
  /** Natural logarithm of the likelihood ratio; see docs/audit.md. */
  readonly evidence: number;
  /** One line for a person. */
  readonly detail: string;
}

/** The audit's figures of one directory; docs/audit.md says what each number can prove. */
export interface DirectoryAudit {
  /** Its location, `host:port`. */
  readonly directory: string;
  /** First the flag about the directory itself, if there is one; at most `FLAGS_LISTED` makers. */
  readonly flags: readonly AuditFlag[];
  /** Makers for whom it is flagged. */
  readonly flagged: number;
  /** Whether routing prefers other directories. */
  readonly avoided: boolean;
  /** Rounds of all makers in which this directory should deliver, and in which it did. */
  readonly rounds: number;
  /** Rounds of all makers in which this directory delivered. */
  readonly delivered: number;
  /**
   * Public messages that other directories relayed while this one was connected and showed the maker;
   * and those it relayed.
   */
  readonly publicExpected: number;
  /** The number of these messages that this directory relayed. */
  readonly publicDelivered: number;
  /** Leaves that it announced. */
  readonly leaves: number;
  /** Of these, makers from which signed messages came another way afterwards. */
  readonly leavesContradicted: number;
  /** The strongest evidence below the threshold, from 0 to 1 (a flag). */
  readonly suspicion: number;
}

/** One record of the evidence file. */
export interface EvidenceRecord {
  /** When it was recorded, in milliseconds since 1970. */
  readonly atEpoch: number;
  /** The directory's location, `host:port`. */
  readonly directory: string;
  /** Whether the flag was set or removed. */
  readonly event: 'flag' | 'clear';
  /** The fault that the flag reports. */
  readonly kind: AuditFlag['kind'];
  /** Nick of the maker, for `withholds`. */
  readonly maker: string | undefined;
  /** Rounds in which the directory should deliver. */
  readonly rounds: number;
  /** Rounds in which it delivered. */
  readonly delivered: number;
  /** Natural logarithm of the likelihood ratio; see docs/audit.md. */
  readonly evidence: number;
  /** For each compared directory: rounds in which it should deliver, and those in which it did. */
  readonly compared: Readonly<
    Record<
      string,
      {
        /** Rounds in which it should deliver. */
        readonly rounds: number;
        /** Rounds in which it delivered. */
        readonly delivered: number;
      }
    >
  >;
}

/** One directory compared with the merged book. */
export interface DirectoryReport {
  /** Its location, `host:port`. */
  readonly directory: string;
  /** Its nick in the last accepted handshake; undefined before the first one. */
  readonly nick: string | undefined;
  /** The state of our link to it. */
  readonly state: DirectoryState;
  /** Since when it is connected or not. Undefined before the first attempt ended. */
  readonly since: number | undefined;
  /** Why the last session or attempt ended. */
  readonly lastReason: string | undefined;
  /** The message of the day in the last accepted handshake; empty before the first one. */
  readonly motd: string;
  /** The features in the last accepted handshake. */
  readonly features: readonly string[];
  /** Number of sessions, and of those that were lost. */
  readonly sessions: number;
  /** Number of sessions that were lost. */
  readonly losses: number;
  /** Milliseconds it was connected since the book was opened. */
  readonly upForMs: number;
  /** Number of offers it shows now, and of their makers. */
  readonly offers: number;
  /** Number of makers whose offers it shows now. */
  readonly makers: number;
  /** Makers that only this directory shows. */
  readonly only: number;
  /**
   * Makers of the book that other directories show and this one does not, although it is connected; the
   * first `MISSING_LISTED` nicks. Perhaps the maker is not connected there.
   */
  readonly missing: readonly string[];
  /** Number of all such makers. */
  readonly missingCount: number;
  /** Offers for which this directory shows other terms than the merged book. */
  readonly differing: number;
  /** The figures of the audit; undefined without an audit. */
  readonly audit: DirectoryAudit | undefined;
}

/** Most makers in `DirectoryAudit.flags`. */
export const FLAGS_LISTED = 100;
/** Most nicks in `DirectoryReport.missing`. */
export const MISSING_LISTED = 100;

/** Figures of the whole book, and of each directory. */
export interface BookStatistics {
  /** Number of offers. */
  readonly offers: number;
  /** Number of makers with an offer. */
  readonly makers: number;
  /** Offers that their makers signed. */
  readonly verifiedOffers: number;
  /** Makers whose bond is not `invalid`, and makers whose bond is `valued`. */
  readonly bondedMakers: number;
  /** Makers whose bond is `valued`. */
  readonly valuedMakers: number;
  /** Sum of the known values. */
  readonly bondValue: number;
  /** Bonds that wait to be verified. */
  readonly bondsWaiting: number;
  /** Whether a bitcoin node answers, so that bonds can be valued. */
  readonly chain: 'none' | 'up' | 'down';
  /** Number of connected directories. */
  readonly directoriesUp: number;
  /** One report for each directory of the channel. */
  readonly directories: readonly DirectoryReport[];
  /** The newest last; at most 200. */
  readonly evidence: readonly EvidenceRecord[];
  /** When the makers were last asked; undefined if never. */
  readonly refreshedAt: number | undefined;
  /** Milliseconds until the makers are asked again; undefined when no request is planned. */
  readonly nextRefreshInMs: number | undefined;
}

/** The whole book at one version. */
export interface BookSnapshot {
  /** Number of the last change that is included. */
  readonly version: number;
  /** The book's clock, and the same moment since 1970. */
  readonly now: number;
  /** The same moment, in milliseconds since 1970. */
  readonly nowEpoch: number;
  /** Every offer of the book. */
  readonly entries: readonly BookEntry[];
}

/** The changes from `version - 1` to `version`. Apply them in order; after a gap, take a snapshot. */
export interface BookChange {
  /** Number of this change: one more than that of the change before. */
  readonly version: number;
  /** When the change was made, by the book's clock. */
  readonly now: number;
  /** The same moment, in milliseconds since 1970. */
  readonly nowEpoch: number;
  /** New or changed entries, complete. */
  readonly upserts: readonly BookEntry[];
  /** Ids of removed entries. */
  readonly removed: readonly string[];
  /** The statistics (directories, bonds, audit) changed too: read them again. */
  readonly statistics: boolean;
}

/** The events of a live orderbook. */
export interface LiveBookEvents {
  /** At most four times a second. */
  change: (change: BookChange) => void;
}

/** The orderbook of a running peer. Read-only except for `refresh`. */
export interface LiveBook {
  /** Number of the last change; it grows by one with each change. */
  readonly version: number;
  /** Number of offers. */
  readonly offers: number;
  /** Number of makers with an offer. */
  readonly makers: number;
  /** The book's clock, in milliseconds; all times of this book use it. */
  now(): number;
  /** The whole book now. */
  snapshot(): BookSnapshot;
  /**
   * Changes after `version`, oldest first; undefined when some of them are no longer kept (the last 256
   * are): take a snapshot then.
   */
  changesSince(version: number): readonly BookChange[] | undefined;
  /** Iterates over the whole book; meant for a few calls a second. */
  statistics(): BookStatistics;
  /** Adds a listener. It is called synchronously. */
  on<E extends keyof LiveBookEvents>(event: E, listener: LiveBookEvents[E]): void;
  /** Removes a listener. */
  off<E extends keyof LiveBookEvents>(event: E, listener: LiveBookEvents[E]): void;
  /**
   * Asks every maker for its offers now. False when they were asked less than 30 s ago: all takers ask
   * all makers, and directories limit the rate.
   */
  refresh(): boolean;
  /** Stops listening and all timers. The caller closes the channel. */
  close(): void;
}

/** The output of a bond as the bitcoin node reports it. */
export type BondOutput =
  | {
      /** Whether the node knows such an unspent, confirmed output. */
      readonly found: true;
      /** Satoshi. */
      readonly amount: number;
      /** Block time of the confirmation, unix seconds. */
      readonly confirmedAt: number;
      /** The scriptPubKey, in hex. */
      readonly scriptHex: string;
    }
  /** There is no such output, or it is unconfirmed or spent. */
  | {
      /** Whether the node knows such an unspent, confirmed output. */
      readonly found: false;
    };

/**
 * The calls of a bitcoin node that bonds need. A proof names an output, but neither its amount nor its
 * confirmation time (docs/protocol.md, section 11), so without a node a bond has no value. All calls
 * may reject; they are repeated later.
 */
export interface BondChainView {
  /** The best block. */
  tip(): Promise<{
    /** Height of the best block. */
    readonly height: number;
    /** Median time of the best block, unix seconds. */
    readonly medianTime: number;
  }>;
  /** One unspent output; `txid` in display order. May reject. */
  output(txid: string, vout: number): Promise<BondOutput>;
}
