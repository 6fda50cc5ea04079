/**
 * A schedule: coinjoins that are done one after the other. Amounts are whole satoshi, scripts and txids
 * lower-case hex, txids in display order.
 */

/** How much of a mixdepth a step moves. */
export type StepAmount =
  /** Everything that can be spent in the mixdepth; there is no change. */
  | { readonly kind: 'sweep' }
  | { readonly kind: 'satoshi'; readonly value: number }
  /**
   * A part of what the mixdepth has before its consecutive steps, at least `LEAST_FRACTION` and below 1:
   * `orderOf` takes the same part of what is left.
   */
  | { readonly kind: 'fraction'; readonly value: number };

/** Where the equal output of a step goes. */
export type StepDestination =
  /** A fresh address of the next mixdepth; after the last one the first one follows. */
  | { readonly kind: 'internal' }
  /** An address that is asked for when the step begins. */
  | { readonly kind: 'ask' }
  | { readonly kind: 'address'; readonly address: string; readonly script: string };

/** Whether a step was done. */
export type StepMark =
  | { readonly kind: 'open' }
  /** Its transaction was given to the network. */
  | { readonly kind: 'sent'; readonly txid: string }
  | { readonly kind: 'done' };

/** One coinjoin of a schedule. */
export interface ScheduleStep {
  readonly mixdepth: number;
  readonly amount: StepAmount;
  /** Number of makers wanted. */
  readonly makers: number;
  readonly destination: StepDestination;
  /** Time from the confirmation of this step to the next one, in minutes; decimals allowed. */
  readonly waitMinutes: number;
  /** Significant figures of a fraction's amount, 1 to 15; `NO_ROUNDING` leaves it as it is. */
  readonly rounding: number;
  readonly completed: StepMark;
}

/** The least fraction that a line may have. */
export const LEAST_FRACTION = 0.000_001;
/** The rounding of an amount that is not rounded. */
export const NO_ROUNDING = 16;
/** Most steps of one schedule. */
export const MAX_STEPS = 1_000;
export const MAX_MIXDEPTH = 999;
export const MAX_MAKERS = 99;
/** A year. */
export const MAX_WAIT_MINUTES = 525_600;
export const MAX_SATOSHI = 2_100_000_000_000_000;

/** What a step asks a taker for. */
export interface StepOrder {
  readonly mixdepth: number;
  /** Satoshi of each side's equal output, or everything. */
  readonly amount: number | 'sweep';
  readonly makers: number;
  readonly destination: Exclude<StepDestination, { readonly kind: 'ask' }>;
  /** The label of the transaction, which names the step in the wallet (`stepLabel`). */
  readonly label: string;
}
