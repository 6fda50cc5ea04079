/** Any text that is valid Unicode, for property tests. */
import * as fc from 'fast-check';

/** Any code point but the surrogates. */
const codePoint = fc.oneof(
  fc.integer({ min: 0, max: 0x7f }),
  fc.integer({ min: 0, max: 0xd7ff }),
  fc.integer({ min: 0xe000, max: 0x10ffff }),
);

/**
 * Texts of any code points, and sometimes names such as `__proto__`, like `fc.string({ unit: 'binary' })`. That one
 * makes a table of all 1,112,064 code points: more than half a second of processor time in each test process.
 * @param bounds of the number of code points
 */
export function unicodeText(
  bounds: { readonly minLength?: number; readonly maxLength?: number } = {},
): fc.Arbitrary<string> {
  const points = fc.array(codePoint, bounds).map((some) => String.fromCodePoint(...some));
  return fc.oneof({ weight: 7, arbitrary: points }, { weight: 1, arbitrary: fc.string(bounds) });
}
