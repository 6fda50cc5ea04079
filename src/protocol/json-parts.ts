/**
 * A look at JSON before it is parsed: to parse 40 kB of brackets takes thirty times as long as a string
 * of that size, and anybody can send them.
 */

/** Nestings, members and items that a text may have; those of deployed peers have a dozen. */
const MAX_PARTS = 100;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** The place of the quote that ends the string whose text begins at `from`; the end where none does. */
function endOfString(text: string, from: number): number {
  for (let at = from; ; at++) {
    at = text.indexOf('"', at);
    if (at === -1) return text.length;
    let escapes = at;
    while (escapes > from && text.charCodeAt(escapes - 1) === BACKSLASH) escapes--;
    if ((at - escapes) % 2 === 0) return at;
  }
}

/** Whether JSON text has more than 100 nestings, members and items together. Never throws. */
export function hasTooManyParts(text: string): boolean {
  let parts = 0;
  // Fewer characters cannot hold more.
  for (let at = 0; at < text.length && parts + text.length - at > MAX_PARTS; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at + 1);
    else if (code === 0x5b || code === 0x7b || code === 0x2c) parts++;
    if (parts > MAX_PARTS) return true;
  }
  return false;
}
