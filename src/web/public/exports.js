/** Files of what is shown, made in the browser. */

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

/** Quoted where it must be; text that a spreadsheet would take for a formula gets a `'` in front. */
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

/** Hands the browser a file to keep. */
export function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
