/** What a taker decides before a round: which side broadcasts, timeouts and limits. */
import { DEFAULT_FEE_POLICY, type FeePolicy } from './fees.js';

/** Which peer broadcasts the finished transaction (`[POLICY] tx_broadcast`). */
export const BROADCASTS = ['self', 'random-peer', 'not-self'] as const;
/** `self`: we broadcast. `random-peer`: one of the makers or we. `not-self`: one of the makers. */
export type Broadcast = (typeof BROADCASTS)[number];

/** A taker's timeouts and limits; times in milliseconds. */
export interface TakerPolicy extends FeePolicy {
  /** For each answer of a maker (`[TIMEOUT] maker_timeout_sec`). */
  readonly makerWaitMs: number;
  /** Longest time that a proof waits for slower makers, from the first `pubkey` on. */
  readonly authHoldMs: number;
  /** Longest wait for wallet or chain. */
  readonly portWaitMs: number;
  /** A whole round, until everything is signed. */
  readonly roundMs: number;
  /** Until a transaction that a maker broadcasts must be seen (`[TIMEOUT] unconfirm_timeout_sec`). */
  readonly unconfirmedMs: number;
  /** Fewest makers with which the round continues (`[POLICY] minimum_makers`). */
  readonly minimumMakers: number;
  /** Most rounds: after a round that a maker did not sign, another one begins without that maker. */
  readonly rounds: number;
  /** Most makers asked as replacements, in one round. */
  readonly replacements: number;
  /**
   * Most of these that are asked while the original maker stays in the round, because it sent an
   * `error` that may belong to another round.
   */
  readonly spares: number;
  /** Most coins of one maker. */
  readonly makerCoins: number;
  /** Which side broadcasts the transaction (`[POLICY] tx_broadcast`). */
  readonly broadcast: Broadcast;
  /** Whether `auth` names our coin with script and height to makers that offer `neutrino_compat`. */
  readonly neutrinoCompat: boolean;
}

/** The defaults. A limit for the fees of makers is missing: only the user can set it. */
export const DEFAULT_TAKER_POLICY: TakerPolicy = {
  ...DEFAULT_FEE_POLICY,
  makerWaitMs: 60_000,
  authHoldMs: 5_000,
  portWaitMs: 60_000,
  roundMs: 1_200_000,
  unconfirmedMs: 180_000,
  minimumMakers: 4,
  rounds: 3,
  replacements: 10,
  spares: 3,
  makerCoins: 15,
  broadcast: 'random-peer',
  neutrinoCompat: true,
};
