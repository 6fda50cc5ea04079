/** What a taker takes from the live orderbook: offers for its addresses, and reasons for doubt. Pure. */
import type { AuditFlag, BookEntry, DirectoryAudit } from '../orderbook/book-api.js';
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
}

const withholds = (flags: readonly AuditFlag[], maker: string): boolean =>
  flags.some((flag) => flag.maker === maker);

/** Whether every directory that lists the maker is flagged for it, or avoided as a whole. */
function isHiddenBehindFlags(entry: BookEntry, audits: readonly DirectoryAudit[]): boolean {
  const listed = entry.listedBy ?? entry.directories;
  if (listed.length === 0 || entry.direct !== undefined) return false;
  return listed.every((directory) => {
    const audit = audits.find((one) => one.directory === directory);
    return audit !== undefined && (audit.avoided || withholds(audit.flags, entry.maker));
  });
}

/**
 * Counts the reasons to ask a maker later: it failed lately; no message signed by it was seen; every
 * directory that lists it was found to withhold messages, its own or those of many.
 */
export function doubtsAbout(
  entries: readonly BookEntry[],
  { failed, now, audits }: Findings,
): (offer: Pick<OfferOfMaker, 'maker' | 'oid' | 'bond'>) => number {
  const flagged = audits.filter(({ flags, avoided }) => avoided || flags.length > 0);
  const count = new Map(
    entries.map((entry) => {
      const reasons = [
        failedLately(failed, entry.maker, bondKey(entry), now),
        !entry.verified,
        isHiddenBehindFlags(entry, flagged),
      ];
      return [`${entry.maker}/${entry.oid}`, reasons.filter(Boolean).length] as const;
    }),
  );
  return ({ maker, oid }) => count.get(`${maker}/${oid}`) ?? 0;
}
