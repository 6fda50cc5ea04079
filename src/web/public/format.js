/** Formats numbers, amounts and times for people. Every function returns plain text. */

const SATOSHI = 100_000_000;
const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat('en-US', {
  notation: 'compact',
  maximumSignificantDigits: 3,
});
const significant = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 3 });
const THIN_SPACE = '\u202f';

const TYPES = {
  sw0reloffer: 'sw0 relative',
  sw0absoffer: 'sw0 absolute',
  swreloffer: 'sw relative',
  swabsoffer: 'sw absolute',
  reloffer: 'legacy relative',
  absoffer: 'legacy absolute',
};

export const typeText = (type) => TYPES[type] ?? type;

/** 12345.6 becomes 12 346. */
export const count = (value) => whole.format(value).replaceAll(',', THIN_SPACE);

/** A count with its noun: 1 maker, 2 makers. */
export const many = (value, what) => `${count(value)} ${what}${value === 1 ? '' : 's'}`;

/**
 * A decimal text times ten to the power of `places`, as plain digits without superfluous zeros and
 * without a float. Undefined for text that is not a decimal number.
 */
export function shift(text, places) {
  const parts = /^(\d{0,32})(?:\.(\d{0,32}))?(?:[eE]([+-]?\d{1,2}))?$/.exec(text);
  if (parts === null) return undefined;
  const [, front = '', fraction = '', exponent = '0'] = parts;
  const digits = front + fraction;
  if (digits === '') return undefined;
  const point = front.length + Number(exponent) + places;
  const padded = digits.padStart(digits.length + Math.max(0, -point), '0');
  const at = Math.max(0, point);
  const ahead = padded.slice(0, at).padEnd(at, '0').replace(/^0+/, '');
  const behind = padded.slice(at).replace(/0+$/, '');
  return `${ahead === '' ? '0' : ahead}${behind === '' ? '' : `.${behind}`}`;
}

/** Satoshi as bitcoin, all eight digits, so that columns line up. */
export function bitcoin(sats) {
  const digits = String(sats).padStart(9, '0');
  return `${digits.slice(0, -8)}.${digits.slice(-8)}`;
}

/** The same for axes and sentences, without trailing zeros. */
export const shortBitcoin = (sats) =>
  (sats < 1e6 * SATOSHI ? significant : compact).format(sats / SATOSHI).replaceAll(',', THIN_SPACE);

export const satoshi = (sats) => `${count(sats)} sat`;

/** A share of 1 as per cent. */
export function percent(share) {
  if (share === 0) return '0 %';
  const value = share * 100;
  if (value < 0.000001) return '≈ 0 %';
  return `${value >= 10 ? value.toFixed(1) : significant.format(value)} %`;
}

/** A chance, with one decimal. */
export function chanceText(chance) {
  if (chance === undefined) return '–';
  const value = chance * 100;
  return value < 0.05 ? '< 0.1 %' : `${value.toFixed(1)} %`;
}

/** Characters of a fee in a column; a longer one is rounded. */
const LONGEST_FEE = 10;

/** A share of 1, as text, in per cent, with every digit that the maker states. */
function feePercent(share) {
  const exact = shift(share, 2);
  return exact === undefined || exact.length > LONGEST_FEE ? percent(Number(share)) : `${exact} %`;
}

/** The fee as the maker states it. */
export function feeText(offer) {
  return typeof offer.cjfee === 'number'
    ? `${shortCount(offer.cjfee)} sat`
    : feePercent(offer.cjfee);
}

/** 114557102085 becomes 115B; beyond trillions 1.1e+20. */
export const bondValue = (value) => (value < 1e15 ? compact.format(value) : value.toExponential(1));

/** A count in a narrow column, in full below a million: a cut number would be read as a smaller one. */
export const shortCount = (value) => (value < 1e6 ? count(value) : bondValue(value));

/** 1536 becomes 1.5 kB. */
export function bytes(value) {
  if (value < 1000) return `${count(value)} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  let size = value / 1000;
  let unit = 0;
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${significant.format(size)} ${units[unit]}`;
}

/** 2.35 ms, 410 ms, 1.52 s. */
export function milliseconds(value) {
  return value < 999.5
    ? `${significant.format(value)} ms`
    : `${significant.format(value / 1000)} s`;
}

/** A rate without needless digits: 0.12, 3.4, 12 400. */
export const rate = (value) => (value < 9.95 ? significant.format(value) : count(value));

export function date(unixSeconds) {
  return new Date(unixSeconds * 1000).toISOString().slice(0, 10);
}

export function clockTime(unixSeconds) {
  return new Date(unixSeconds * 1000).toLocaleTimeString([], { hour12: false });
}

/** How long ago, in the largest suitable unit. */
export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 172_800) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86_400)} d`;
}

const BONDS = {
  waiting: 'being checked',
  invalid: 'invalid',
  expired: 'expired',
  claimed: 'claimed by another',
  signed: 'signed',
  asking: 'being valued',
  unfunded: 'no coins',
  valued: 'valued',
};

export const bondState = (state) => BONDS[state] ?? state;

/** The same with the unit as a word. */
const BOND_WORDS = {
  waiting: 'checking',
  claimed: 'another’s',
  asking: 'asking',
};

/** A bond in one cell. */
export function bondText(bond) {
  if (bond === null) return '–';
  if (bond.value !== null) return bondValue(bond.value);
  const holds = bond.state === 'signed' || bond.state === 'asking';
  if (holds && bond.locktime !== null) return `until ${date(bond.locktime).slice(0, 7)}`;
  return BOND_WORDS[bond.state] ?? bondState(bond.state);
}

/** A shortened onion address; other names are not shortened. */
export function shortLocation(location) {
  const onion = /^([a-z2-7]{8})[a-z2-7]{42}([a-z2-7]{6})\.onion(:\d+)?$/.exec(location);
  return onion === null ? location : `${onion[1]}…${onion[2]}.onion`;
}
