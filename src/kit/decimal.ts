/** Decimal numbers as text, shifted and grouped without a conversion to a float. */

/** Most digits before and after the point, and the largest exponent, that are read. */
const DECIMAL = /^(\d{0,32})(?:\.(\d{0,32}))?(?:[eE]([+-]?\d{1,2}))?$/;

/**
 * `text` times ten to the power of `places`, as plain digits without superfluous zeros: `('2e-05', 2)`
 * is `0.002`. Undefined unless `text` is a decimal number, not negative, of at most 32 digits before
 * and after the point, with an optional exponent.
 */
export function shiftDecimal(text: string, places: number): string | undefined {
  const [, whole = '', fraction = '', exponent = '0'] = DECIMAL.exec(text) ?? [];
  const digits = whole + fraction;
  if (digits === '') return undefined;
  const point = whole.length + Number(exponent) + places;
  const padded = digits.padStart(digits.length + Math.max(0, -point), '0');
  const at = Math.max(0, point);
  const front = padded.slice(0, at).padEnd(at, '0').replace(/^0+/, '');
  const behind = padded.slice(at).replace(/0+$/, '');
  return `${front === '' ? '0' : front}${behind === '' ? '' : `.${behind}`}`;
}

/** A whole number with a blank between groups of three digits: `27 300`. */
export function grouped(value: number): string {
  return Math.round(value).toLocaleString('en-US').replaceAll(',', ' ');
}

/** `1 peer`, `2 peers`, `12 345 peers`. */
export function counted(count: number, one: string, several = `${one}s`): string {
  return `${grouped(count)} ${count === 1 ? one : several}`;
}
