/** Selects and sorts the shown offers. Pure. */
import { feeAt } from './chance.js';

const HOLDING_BONDS = new Set(['signed', 'asking', 'valued']);
export const hasBond = ({ bond }) => bond !== null && HOLDING_BONDS.has(bond.state);

/** The text that filters search; an empty filter shows all. */
export const NO_FILTER = {
  text: '',
  type: '',
  directory: '',
  maxFee: Infinity,
  fits: false,
  signed: false,
  bonded: false,
};

/**
 * `directory` is a location, or `-` and a location: offers whose maker that directory does not show.
 */
function matchesDirectory(offer, directory) {
  if (directory === '') return true;
  if (directory.startsWith('-')) return !offer.listed_by.includes(directory.slice(1));
  return offer.listed_by.includes(directory);
}

/** One offer with the values by which the table sorts. */
export function rowOf(offer, amount, chance) {
  return { offer, fee: feeAt(offer, amount), chance };
}

export function matches({ offer, fee }, filter, amount) {
  if (filter.text !== '' && !offer.counterparty.toLowerCase().includes(filter.text)) return false;
  if (filter.type !== '' && offer.ordertype !== filter.type) return false;
  if (filter.signed && !offer.signed) return false;
  if (filter.bonded && !hasBond(offer)) return false;
  if (filter.fits && !(offer.minsize < amount && amount < offer.maxsize)) return false;
  return fee <= filter.maxFee && matchesDirectory(offer, filter.directory);
}

/** Bonds without a value come after all with one, the longer lock first. */
function bondRank({ bond, fidelity_bond_value: value }) {
  if (value > 0) return value;
  return bond !== null && bond.locktime !== null && HOLDING_BONDS.has(bond.state)
    ? -1 / bond.locktime
    : -Infinity;
}

/** Columns by name: sort value and direction of the first click. */
export const SORTS = {
  maker: { key: (row) => row.offer.counterparty, first: 'ascending' },
  type: { key: (row) => row.offer.ordertype, first: 'ascending' },
  fee: { key: (row) => row.fee, first: 'ascending' },
  min: { key: (row) => row.offer.minsize, first: 'ascending' },
  max: { key: (row) => row.offer.maxsize, first: 'descending' },
  bond: { key: (row) => bondRank(row.offer), first: 'descending' },
  directories: { key: (row) => row.offer.listed_by.length, first: 'descending' },
  chance: { key: (row) => row.chance ?? -1, first: 'descending' },
  age: { key: (row) => -row.offer.last_seen, first: 'ascending' },
};

/** A sorted copy. Equal rows are ordered by id, so that they do not move. */
export function sorted(rows, { column, direction }) {
  const { key } = SORTS[column];
  const sign = direction === 'descending' ? -1 : 1;
  const keyed = rows.map((row) => ({ row, key: key(row) }));
  keyed.sort((a, b) => {
    if (a.key !== b.key) return a.key < b.key ? -sign : sign;
    return a.row.offer.id < b.row.offer.id ? -1 : 1;
  });
  return keyed.map(({ row }) => row);
}
