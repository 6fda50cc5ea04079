/**
 * Tests whether a directory withholds one maker's messages: two sequential tests for each pair of
 * directory and maker, fed with one round at a time. docs/audit.md says what a round is and how the
 * numbers were chosen. Pure.
 */

/** A round: at least one of `eligible` directories delivered a message of the maker. */
export interface Round {
  /** Directories that were connected, showed the maker and should deliver, this one included. */
  readonly eligible: number;
  /** How many of the others delivered. */
  readonly others: number;
  /** Whether this one delivered. */
  readonly delivered: boolean;
}

export interface PairState {
  readonly rounds: number;
  readonly delivered: number;
  /** Evidence that no message arrives, whatever directories the maker chooses. */
  readonly share: number;
  /**
   * Evidence that fewer messages arrive than through the others, for a maker that answers through all.
   */
  readonly copies: number;
  /**
   * Rounds judged for the second test, halved from time to time; and those in which all others
   * delivered.
   */
  readonly judged: number;
  readonly complete: number;
  readonly flagged: boolean;
}

export const NEW_PAIR: PairState = {
  rounds: 0,
  delivered: 0,
  share: 0,
  copies: 0,
  judged: 0,
  complete: 0,
  flagged: false,
};

/** A directory that loses this much more than the others still counts as honest. */
const TOLERATED_LOSS = 0.1;
/** The share that a withholding directory still delivers. */
const WITHHELD_SHARE = 0.02;
/** For makers that answer through all directories: the least that an honest directory delivers, */
const COPIES_HONEST = 0.85;
/** and what a withholding one delivers. */
const COPIES_WITHHELD = 0.5;
/**
 * A maker answers through all directories when all others delivered in this share of this many rounds.
 */
const COMPLETE_SHARE = 0.75;
const COMPLETE_ROUNDS = 15;
/** Older behaviour, more than about this many rounds ago, no longer counts. */
const JUDGED_MOST = 40;

/**
 * The least share of rounds that an honest directory delivers. The worst case is a maker that sends
 * each message through one directory, chosen evenly; a maker that sends copies is heard more often.
 */
export function leastShare(eligible: number): number {
  return (1 - TOLERATED_LOSS) / (eligible - TOLERATED_LOSS);
}

/** Log-likelihood ratio of one round: withheld against honest. */
function gain(delivered: boolean, honest: number, withheld: number): number {
  return delivered ? Math.log(withheld / honest) : Math.log((1 - withheld) / (1 - honest));
}

/**
 * The evidence at which a pair is flagged. A cumulative sum with floor 0 takes on average at least
 * e^threshold honest rounds to a false alarm, so 1,000 rounds of all pairs together have less than one
 * in a hundred; two tests share that.
 */
export function threshold(pairs: number): number {
  return Math.log(2 * Math.max(1, pairs) * 1_000 * 100);
}

export function evidenceOf({ share, copies }: PairState): number {
  return Math.max(share, copies);
}

/** @param limit of `threshold` */
export function judge(state: PairState, round: Round, limit: number): PairState {
  const { eligible, others, delivered } = round;
  if (eligible < 2) return state;
  // Bounded, so that a directory that stopped withholding can lose its flag.
  const add = (before: number, step: number): number =>
    Math.min(2 * limit, Math.max(0, before + step));
  const share = add(state.share, gain(delivered, leastShare(eligible), WITHHELD_SHARE));

  let { judged, complete, copies } = state;
  if (eligible >= 3 && others > 0) {
    const all = others === eligible - 1;
    if (all && judged >= COMPLETE_ROUNDS && complete >= COMPLETE_SHARE * judged) {
      copies = add(copies, gain(delivered, COPIES_HONEST, COPIES_WITHHELD));
    }
    judged++;
    if (all) complete++;
    if (judged > JUDGED_MOST) {
      judged /= 2;
      complete /= 2;
    }
  }

  const evidence = Math.max(share, copies);
  return {
    rounds: state.rounds + 1,
    delivered: state.delivered + (delivered ? 1 : 0),
    share,
    copies,
    judged,
    complete,
    flagged: state.flagged ? evidence > limit / 2 : evidence >= limit,
  };
}
