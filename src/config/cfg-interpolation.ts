/**
 * `%` in values, as Python's `BasicInterpolation` reads it (docs/protocol.md, section 13.1): `%%` is a
 * percent sign, `%(name)s` the value of another key of the same section or of `[DEFAULT]`, anything
 * else an error. A value is expanded when it is read, so a stray `%` in an unused key is no error.
 */
import { fail, ok, type Parsed } from '../protocol/result.js';

export type InterpolationFault =
  'interpolation-syntax' | 'interpolation-missing' | 'interpolation-depth' | 'interpolation-size';

const MAX_DEPTH = 10;
/** Longest expanded value, in characters: references to references grow exponentially. */
const MAX_EXPANDED = 1_048_576;
const REFERENCE = /^%\(([^)]+)\)s/;

/** Replaces the references in `value`; `lookup` finds the raw value of a (lower-case) key. */
export function interpolate(
  value: string,
  lookup: (key: string) => string | undefined,
): Parsed<string, InterpolationFault> {
  return expand(value, lookup, 1);
}

function expand(
  value: string,
  lookup: (key: string) => string | undefined,
  depth: number,
): Parsed<string, InterpolationFault> {
  if (depth > MAX_DEPTH) return fail('interpolation-depth');
  let out = '';
  let rest = value;
  while (rest !== '') {
    const percent = rest.indexOf('%');
    if (percent < 0) return ok(out + rest);
    out += rest.slice(0, percent);
    rest = rest.slice(percent);
    if (rest.startsWith('%%')) {
      out += '%';
      rest = rest.slice(2);
    } else {
      const reference = REFERENCE.exec(rest);
      if (reference?.[1] === undefined) return fail('interpolation-syntax');
      const raw = lookup(reference[1].toLowerCase());
      if (raw === undefined) return fail('interpolation-missing');
      const inner = raw.includes('%') ? expand(raw, lookup, depth + 1) : ok(raw);
      if (!inner.ok) return inner;
      out += inner.value;
      rest = rest.slice(reference[0].length);
    }
    if (out.length > MAX_EXPANDED) return fail('interpolation-size');
  }
  return ok(out);
}
