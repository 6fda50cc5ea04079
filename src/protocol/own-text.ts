/**
 * Copies a short text that was cut out of a long one. V8 keeps a slice of 13 characters or more as a
 * view of the long text, so a stored nick would keep its line of 40,000 bytes. Text of a peer that
 * outlives its message must go through this function.
 */
export function ownText(text: string): string {
  return text.split('').join('');
}
