/**
 * A copy of a short text that was cut out of a long one. V8 keeps a cut of 13 characters or more as a
 * view of what it was cut from, so a nick that is remembered would keep its line of 40,000 bytes.
 * Everything from a peer that outlives its message goes through here.
 */
export function ownText(text: string): string {
  return text.split('').join('');
}
