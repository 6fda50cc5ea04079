/** Times of the soak that are shorter than in use, and why. They are printed with every run. */

/** Milliseconds. */
export const SHORTENED = {
  /** `maker_timeout_sec` is 60 s: a silent maker would cost a minute of every round. */
  makerWaitMs: 6_000,
  /** 5 s: the proof waits for slower makers. */
  authHoldMs: 1_000,
  /** `unconfirm_timeout_sec` is 180 s: a maker that keeps what it should broadcast. */
  unconfirmedMs: 3_000,
  /** `pending_tx_timeout_min` is 60 min: coins of a transaction that no taker finished. */
  pendingTxTimeoutMs: 5_000,
  /** `session_timeout_sec` is 300 s: coins of a taker that disappeared after `ioauth`. */
  txWaitMs: 15_000,
  /** 60 s: from `pubkey` to `auth`. */
  authWaitMs: 8_000,
  /** 300 s: from the signatures to a `push`. */
  pushWaitMs: 5_000,
  /** 60 s: wallet, chain, disk. A machine under load needs it nearly whole. */
  portWaitMs: 10_000,
  /** 5 s: between two questions for the best block. */
  pollMs: 50,
} as const;

/** A maker that lost its network has it back after this time. */
export const CUT_MS = 600;

export const NETWORK = 'regtest';
/** Fewer than the five of a new wallet: each costs the soak derivations and nothing differs. */
export const MAKER_MIXDEPTHS = 3;
export const TAKER_MIXDEPTHS = 5;
