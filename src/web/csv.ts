/** The offers as a table for spreadsheets (RFC 4180). */
import type { OfferJson } from './book-json.js';

/** Columns of `/orderbook.csv`; the page exports the same ones. */
export const CSV_COLUMNS = [
  'counterparty',
  'oid',
  'ordertype',
  'minsize',
  'maxsize',
  'txfee',
  'cjfee',
  'fidelity_bond_value',
  'signed',
  'directories',
  'first_seen',
  'last_seen',
] as const;

/**
 * Quotes a text where necessary, and puts a `'` before text that a spreadsheet would take for a
 * formula.
 */
function cell(value: string | number | boolean): string {
  const text =
    typeof value === 'string' && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** One line per offer, heading first. Times are unix seconds, directories are separated by blanks. */
export function orderbookCsv(offers: readonly OfferJson[]): string {
  const lines = offers.map((offer) =>
    CSV_COLUMNS.map((column) =>
      cell(column === 'directories' ? offer.directories.join(' ') : offer[column]),
    ).join(','),
  );
  return `${[CSV_COLUMNS.join(','), ...lines].join('\r\n')}\r\n`;
}
