/** The orderbook as a person and as a program read it. */
import type { DirectoryInfo } from '../channel/message-channel.js';
import { shownJson, shownLine } from '../kit/shown-text.js';
import type { BookOffer } from '../orderbook/book.js';
import { formatLocation } from '../protocol/location.js';
import { isRelative, offerFee } from '../protocol/offer.js';

/** Fees are compared for a coinjoin of this many satoshi. */
const REFERENCE_AMOUNT = 1_000_000;

function sats(value: number): string {
  return value.toLocaleString('en-US').replaceAll(',', ' ');
}

function cheapestFirst(offers: readonly BookOffer[]): readonly BookOffer[] {
  return offers.toSorted(
    (a, b) =>
      offerFee(a, REFERENCE_AMOUNT) - offerFee(b, REFERENCE_AMOUNT) || a.maxsize - b.maxsize,
  );
}

/** How many of the directories show it; `direct` when it came straight. */
function shownBy(offer: BookOffer, directoriesUp: number): string {
  const relayed = `${offer.directories.length}/${Math.max(directoriesUp, offer.directories.length)}`;
  return offer.direct === undefined ? relayed : `${relayed} direct`;
}

/**
 * Rows of a table, heading first, cheapest offer first.
 * @param directoriesUp how many could show an offer
 */
export function orderbookRows(
  offers: readonly BookOffer[],
  directoriesUp: number,
  now: number,
): string[][] {
  const rows = cheapestFirst(offers).map((offer) => [
    shownLine(offer.maker),
    offer.type,
    String(offer.oid),
    isRelative(offer.type) ? `${Number(offer.cjfee) * 100} %` : `${offer.cjfee} sat`,
    sats(offer.txfee),
    sats(offer.minsize),
    sats(offer.maxsize),
    offer.verified ? 'signed' : 'unsigned',
    shownBy(offer, directoriesUp),
    `${Math.round((now - offer.lastSeen) / 1000)} s`,
  ]);
  return [
    [
      'maker',
      'type',
      'oid',
      'fee',
      'miner fee',
      'smallest',
      'largest',
      'announced',
      'directories',
      'age',
    ],
    ...rows,
  ];
}

/** Columns of numbers stand to the right. */
const isNumeric = (column: number): boolean => column >= 2 && column !== 7 && column !== 8;

/** One line for each row, columns padded. */
export function renderTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  }
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) =>
        isNumeric(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0),
      )
      .join('  ')
      .trimEnd();
  return rows.map(line).join('\n');
}

export function directoryLines(directories: readonly DirectoryInfo[]): string[] {
  return directories.map((d) => {
    const where = formatLocation(d.location);
    if (d.state === 'up') return `up    ${where}`;
    return `${d.state === 'waiting' ? 'down' : d.state}  ${where}  ${shownLine(d.lastReason ?? '')}`.trimEnd();
  });
}

/** Names of fields as in the original watcher's `orderbook.json` where it has them. */
export function orderbookJson(
  offers: readonly BookOffer[],
  directories: readonly DirectoryInfo[],
  now: number,
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
