/** Settings of the sessions: sections 5.2 and 6.3 of the document. */

export interface SessionSettings {
  /** Blocks to wait for, section 4.1 step 4; 0 with `use-tx-pool`. */
  readonly confirmations: 0 | 1 | 2;
  /** `default-pay-days`. */
  readonly defaultPayDays: number;
  /** `auto-pay-days`: renews for so many days without a question; 0: never. */
  readonly autoPayDays: number;
  /** `free-session-days`: days to ask for where the price is 0. */
  readonly freeSessionDays: number;
  /** `unpaid-expiry`, seconds. */
  readonly unpaidExpiry: number;
  /** `auto-reconnect`: seconds between attempts; 0: no further attempt. */
  readonly autoReconnect: number;
  /** A renewal begins so many seconds before the end. */
  readonly renewBefore: number;
  /** Payload bytes of one session, both directions; undefined: no limit. */
  readonly maxBytes: number | undefined;
  /** Seconds between questions to the manager while a payment is on its way. */
  readonly pollManager: number;
  /** How long the manager may take to grant a session after its payment has its blocks, seconds. */
  readonly grantTimeout: number;
  /** Seconds between records of the bytes of a tunnel. */
  readonly countEvery: number;
}

export const DEFAULT_SESSION_SETTINGS: SessionSettings = {
  confirmations: 2,
  defaultPayDays: 1,
  autoPayDays: 0,
  freeSessionDays: 1,
  unpaidExpiry: 3_600,
  autoReconnect: 30,
  renewBefore: 3_600,
  maxBytes: undefined,
  pollManager: 10,
  grantTimeout: 1_800,
  countEvery: 60,
};
