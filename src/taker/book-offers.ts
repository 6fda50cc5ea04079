/** What a taker takes from the live orderbook: offers for its addresses, and reasons for doubt. Pure. */
import type { BookEntry, DirectoryAudit, EvidenceRecord } from '../orderbook/book-api.js';
import { failedLately, type FailedMakers } from './failed-makers.js';
import { bondKey, type OfferOfMaker } from './choose-eligible.js';

/** The kinds of addresses of a wallet that takes part in coinjoins. */
export type AddressFamily = 'p2wpkh' | 'p2sh-p2wpkh';

const TYPES: Readonly<Record<AddressFamily, readonly string[]>> = {
  p2wpkh: ['sw0reloffer', 'sw0absoffer'],
  'p2sh-p2wpkh': ['swreloffer', 'swabsoffer'],
};

/** The entries whose makers use the same kind of addresses as the wallet. */
export function offersFor(
  entries: readonly BookEntry[],
  family: AddressFamily,
): readonly BookEntry[] {
  return entries.filter(({ type }) => TYPES[family].includes(type));
}

/** What the taker knows about makers, besides their offers. */
export interface Findings {
  /** Failures of former coinjoins. */
  readonly failed: FailedMakers;
  /** Unix seconds. */
  readonly now: number;
  /** The audit of each directory (`DirectoryReport.audit`). */
  readonly audits: readonly DirectoryAudit[];
  /** Flags of this run and of former ones, the newest last (`BookStatistics.evidence`). */
  readonly evidence: readonly EvidenceRecord[];
}

/** A flag of a former run counts for so long, in milliseconds. */
const FLAG_LASTS_MS = 7 * 86_400_000;
/** So many makers whose messages it withheld say something about the directory as a whole. */
const MANY = 3;

/** By directory, the makers whose messages it was found to withhold and was not cleared of. */
function flaggedMakers({
  audits,
  evidence,
  now,
}: Findings): ReadonlyMap<string, ReadonlySet<string>> {
  const flagged = new Map<string, Set<string>>();
  const makersOf = (directory: string): Set<string> => {
    const makers = flagged.get(directory) ?? new Set();
    flagged.set(directory, makers);
    return makers;
  };
  for (const { directory, maker, event, atEpoch } of evidence) {
    if (maker === undefined) continue;
    const isRecent = 1_000 * now - atEpoch < FLAG_LASTS_MS;
    if (event === 'flag' && isRecent) makersOf(directory).add(maker);
    else makersOf(directory).delete(maker);
  }
  for (const { directory, flags } of audits) {
    for (const { maker } of flags) if (maker !== undefined) makersOf(directory).add(maker);
  }
  return flagged;
}

/**
 * Directories that are flagged as a whole. Any maker can get a directory flagged by not using it, so only
 * while they are at most half of all.
 */
function badDirectories(
  findings: Findings,
  flagged: ReadonlyMap<string, ReadonlySet<string>>,
): ReadonlySet<string> {
  const { audits } = findings;
  const all = new Set([...audits.map(({ directory }) => directory), ...flagged.keys()]);
  const bad = [...all].filter(
    (directory) =>
      (flagged.get(directory)?.size ?? 0) >= MANY ||
      audits.some((audit) => audit.directory === directory && audit.avoided),
  );
  return new Set(2 * bad.length <= all.size ? bad : []);
}

/**
 * Counts the reasons to ask a maker later: it failed lately; no message signed by it was seen; every
 * directory that lists it was found to withhold messages, its own or those of many.
 */
export function doubtsAbout(
  entries: readonly BookEntry[],
  findings: Findings,
): (offer: Pick<OfferOfMaker, 'maker' | 'oid' | 'bond'>) => number {
  const { failed, now } = findings;
  const flagged = flaggedMakers(findings);
  const bad = badDirectories(findings, flagged);
  const isHidden = ({ maker, direct, listedBy, directories }: BookEntry): boolean => {
    const listed = listedBy ?? directories;
    if (listed.length === 0 || direct !== undefined) return false;
    return listed.every(
      (directory) => bad.has(directory) || flagged.get(directory)?.has(maker) === true,
    );
  };
  const count = new Map(
    entries.map((entry) => {
      const reasons = [
        failedLately(failed, entry.maker, bondKey(entry), now),
        !entry.verified,
        isHidden(entry),
      ];
      return [`${entry.maker}/${entry.oid}`, reasons.filter(Boolean).length] as const;
    }),
  );
  return ({ maker, oid }) => count.get(`${maker}/${oid}`) ?? 0;
}
