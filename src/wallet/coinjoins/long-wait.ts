/** When a coinjoin in the mempool has waited so long for a block that its owner should know. Pure. */

/** 72 hours: as joinmarket-ng gives up a transaction. Here its coins stay held, since it may still confirm. */
export const LONG_WAIT_HOURS = 72;

/** Whether a signed transaction waits for longer; both in Unix seconds. */
export const waitsLong = (signedAt: number, now: number): boolean =>
  now - signedAt > LONG_WAIT_HOURS * 3_600;
