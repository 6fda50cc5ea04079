/** The bounds of a soak. Each run prints them, so that a table shows its bounds. */

const MB = 1_000_000;

/** A delivery that has not arrived after this time is lost. */
export const LOST_AFTER_MS = 60_000;
/** Between honest peers, 99 of 100 private messages of a run arrive within this. */
export const PRIVATE_P99_MS = 2_000;
/** 95 of 100 public messages of a run arrive within this. */
export const PUBLIC_P95_MS = 2_000;
/** The directory's live memory may grow by this from the first to the last fifth of the run. */
export const LIVE_GROWTH_BYTES = 10 * MB;
/** The same for its resident memory. */
export const RSS_GROWTH_BYTES = 48 * MB;
/** Live memory after all peers left may exceed that before the first one by this. */
export const LIVE_LEFTOVER_BYTES = 10 * MB;
/** Lines in its log per minute. */
export const LOG_LINES_PER_MINUTE = 60;
/** Fewer rows than this are too few to show growth. */
export const ROWS_FOR_GROWTH = 5;
