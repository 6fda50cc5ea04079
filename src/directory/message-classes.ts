/**
 * The classes into which a directory sorts messages: for the rate of each peer, for the budgets of all
 * peers, and for the counters. The reasons of dropped lines follow from them (`stats.ts`).
 */

/** Classes with a rate for each peer or circuit; see `rates.ts`. */
export const RATE_CLASSES = [
  'pubmsg',
  'orderbook',
  'privmsg',
  /** A private message to a peer that wrote before. */
  'conversation',
  'getpeerlist',
  'getdirlist',
  'ping',
  'junk',
] as const;
export type RateClass = (typeof RATE_CLASSES)[number];

/** Classes of the budgets that wait when the budget is used up, in order of priority; see `budgets.ts`. */
export const PUBLIC_CLASSES = ['offer', 'orderbook', 'other'] as const;
export type PublicClass = (typeof PUBLIC_CLASSES)[number];

/** Classes of the budgets that are dropped when the budget is used up, in order of priority. */
export const DIRECT_CLASSES = ['privmsg', 'peerlist'] as const;
/** A running conversation always passes. */
export type DirectClass = 'conversation' | (typeof DIRECT_CLASSES)[number];

/** Classes of the counters of received and delivered lines. */
export const LINE_CLASSES = [
  'pubmsg',
  'orderbook',
  'privmsg',
  'peerlist',
  'getpeerlist',
  'getdirlist',
  'dirlist',
  'handshake',
  'ping',
  'pong',
  'other',
] as const;
export type LineClass = (typeof LINE_CLASSES)[number];
