/**
 * Counts the parts of JSON before it is parsed: parsing 40 kB of brackets takes thirty times as long as
 * parsing a string of that size, and any peer can send them.
 */

/** Most levels, members and items of a text. Those of deployed peers have a dozen. */
const MAX_PARTS = 100;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * The index of the quote that ends the string whose text begins at `from`; the end of the text if there
 * is none.
 */
function endOfString(text: string, from: number): number {
  for (let at = from; ; at++) {
    at = text.indexOf('"', at);
    if (at === -1) return text.length;
    let escapes = at;
    while (escapes > from && text.charCodeAt(escapes - 1) === BACKSLASH) escapes--;
    if ((at - escapes) % 2 === 0) return at;
  }
}

/** Whether JSON text has more than 100 levels, members and items together. Never throws. */
export function hasTooManyParts(text: string): boolean {
  let parts = 0;
  // A text with fewer characters cannot have more parts.
  for (let at = 0; at < text.length && parts + text.length - at > MAX_PARTS; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at + 1);
    else if (code === 0x5b || code === 0x7b || code === 0x2c) parts++;
    if (parts > MAX_PARTS) return true;
  }
  return false;
}
