/** What a soak must not exceed. Printed with every run, so that a table says what it was held to. */

const MB = 1_000_000;

/** A delivery that has not arrived by then is lost. */
export const LOST_AFTER_MS = 60_000;
/** Between honest peers, 99 of 100 private messages of a run arrive within this. */
export const PRIVATE_P99_MS = 2_000;
/** 95 of 100 public ones. */
export const PUBLIC_P95_MS = 2_000;
/** The directory's live memory may grow by this from the first to the last fifth of the run. */
export const LIVE_GROWTH_BYTES = 10 * MB;
/** Its resident memory, likewise. */
export const RSS_GROWTH_BYTES = 48 * MB;
/** And live memory when all have left, above what it was before anybody came. */
export const LIVE_LEFTOVER_BYTES = 10 * MB;
/** Lines in its log per minute. */
export const LOG_LINES_PER_MINUTE = 60;
/** Fewer rows than this are too few to speak of growth. */
export const ROWS_FOR_GROWTH = 5;
