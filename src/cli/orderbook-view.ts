/** Formats the orderbook for a person and for a program. */
import type { DirectoryInfo } from '../channel/message-channel.js';
import { grouped, shiftDecimal } from '../kit/decimal.js';
import { shownJson, shownLine } from '../kit/shown-text.js';
import type { BookBond } from '../orderbook/book-api.js';
import type { BookOffer } from '../orderbook/book.js';
import { formatLocation } from '../protocol/location.js';
import { isRelative, offerFee } from '../protocol/offer.js';
import { textTable, type Column } from '../kit/text-table.js';

/** Amount of the coinjoin for which fees are compared, in satoshi. */
const REFERENCE_AMOUNT = 1_000_000;

/** From 10 bitcoin on, amounts are shown in bitcoin, rounded down, so that a row stays narrow. */
const COINS_FROM = 1_000_000_000;
/** From 1,000 bitcoin on, only whole ones are shown. */
const WHOLE_COINS_FROM = 100_000_000_000;
const MAX_FEE_CHARS = 9;

function sats(value: number): string {
  if (value < COINS_FROM) return grouped(value);
  if (value >= WHOLE_COINS_FROM) return `${Math.floor(value / 100_000_000)} BTC`;
  return `${shiftDecimal(String(Math.floor(value / 1_000_000)), -2) ?? ''} BTC`;
}

/** The fee as the maker states it; rounded when it has more digits than fit. */
function feeText({ type, cjfee }: BookOffer): string {
  if (!isRelative(type)) {
    const fee = Number(cjfee);
    return fee < COINS_FROM ? `${grouped(fee)} sat` : sats(fee);
  }
  const percent = shiftDecimal(cjfee, 2) ?? '?';
  return percent.length <= MAX_FEE_CHARS ? `${percent} %` : `~${Number(percent).toPrecision(2)} %`;
}

/** The prefix before `reloffer` and `absoffer`, which names the kind of coins. */
function familyOf({ type }: BookOffer): string {
  return type.replace(/(?:rel|abs)offer$/, '') || 'old';
}

function cheapestFirst(offers: readonly BookOffer[]): readonly BookOffer[] {
  return offers.toSorted(
    (a, b) =>
      offerFee(a, REFERENCE_AMOUNT) - offerFee(b, REFERENCE_AMOUNT) || a.maxsize - b.maxsize,
  );
}

/** The number of directories that show it; with a `+` when it also came directly from the maker. */
function shownBy(offer: BookOffer, directoriesUp: number): string {
  const relayed = `${offer.directories.length}/${Math.max(directoriesUp, offer.directories.length)}`;
  return offer.direct === undefined ? relayed : `${relayed}+`;
}

const COLUMNS: readonly Column[] = [
  { heading: 'maker' },
  { heading: 'kind' },
  { heading: 'oid', numeric: true },
  { heading: 'fee', numeric: true },
  { heading: 'smallest', numeric: true },
  { heading: 'largest', numeric: true },
  { heading: 'sig' },
  { heading: 'on' },
];

/**
 * The offers, the cheapest first, in at most 80 columns; `--json` prints all fields.
 * @param directoriesUp number of directories that could show an offer
 */
export function orderbookTable(offers: readonly BookOffer[], directoriesUp: number): string {
  const rows = cheapestFirst(offers).map((offer) => [
    shownLine(offer.maker),
    familyOf(offer),
    String(offer.oid),
    feeText(offer),
    sats(offer.minsize),
    sats(offer.maxsize),
    offer.verified ? 'yes' : 'no',
    shownBy(offer, directoriesUp),
  ]);
  return textTable(COLUMNS, rows).join('\n');
}

export function directoryLines(directories: readonly DirectoryInfo[]): string[] {
  return directories.map((d) => {
    const where = formatLocation(d.location);
    if (d.state === 'up') return `up    ${where}`;
    return `${d.state === 'waiting' ? 'down' : d.state}  ${where}  ${shownLine(d.lastReason ?? '')}`.trimEnd();
  });
}

/** A bond as the orderbook page gives it. */
function bondJson(bond: BookBond | undefined): object | null {
  if (bond === undefined) return null;
  const { state, detail, locktime = null, amount = null, value = null } = bond;
  return { state, detail, locktime, amount, value };
}

/**
 * Fields have the names of the original watcher's `orderbook.json` where it has them.
 * @param bondOf the bond of a maker, if it has shown one
 */
export function orderbookJson(
  offers: readonly BookOffer[],
  directories: readonly DirectoryInfo[],
  now: number,
  bondOf: (maker: string) => BookBond | undefined,
): string {
  return shownJson({
    offers: cheapestFirst(offers).map((offer) => ({
      counterparty: offer.maker,
      ordertype: offer.type,
      oid: offer.oid,
      minsize: offer.minsize,
      maxsize: offer.maxsize,
      txfee: offer.txfee,
      cjfee: isRelative(offer.type) ? offer.cjfee : Number(offer.cjfee),
      signed: offer.verified,
      fidelity_bond_value: bondOf(offer.maker)?.value ?? 0,
      bond: bondJson(bondOf(offer.maker)),
      age_sec: Math.round((now - offer.lastSeen) / 1000),
      directories: offer.directories,
      direct: offer.direct !== undefined,
    })),
    directories: directories.map((d) => ({
      location: formatLocation(d.location),
      up: d.state === 'up',
      nick: d.nick ?? null,
      motd: d.motd,
      features: d.features,
      reason: d.state === 'up' ? null : (d.lastReason ?? null),
    })),
  });
}
