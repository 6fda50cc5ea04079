/** The class of a public message for the budgets. */
import type { PublicClass } from '../message-classes.js';

/** An offer or a cancellation: `!sw0reloffer ...`, `!cancel ...`. */
const OFFER_START = /^(?:!?)(?:(?:sw0?)?(?:rel|abs)offer|cancel)\b/;

/** The class of a public text by its first command; `orderbook` anywhere in it, as for the rates. */
export function publicClass(text: string): PublicClass {
  if (text.includes('orderbook')) return 'orderbook';
  return OFFER_START.test(text) ? 'offer' : 'other';
}
