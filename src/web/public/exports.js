/** Files with the shown data, made in the browser. */

/** The same columns as `/orderbook.csv`. */
const COLUMNS = [
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
];

/**
 * Quotes a text where necessary, and puts a `'` before text that a spreadsheet would take for a
 * formula.
 */
function cell(value) {
  const text =
    typeof value === 'string' && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function csvOf(offers) {
  const lines = offers.map((offer) =>
    COLUMNS.map((name) =>
      cell(name === 'directories' ? offer.directories.join(' ') : offer[name]),
    ).join(','),
  );
  return `${[COLUMNS.join(','), ...lines].join('\r\n')}\r\n`;
}

export const jsonOf = (offers) => `${JSON.stringify({ offers }, null, 2)}\n`;

/** Offers a file for download. */
export function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
