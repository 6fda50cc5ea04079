/**
 * What a plan depends on: the parameters of the original's tumbler, with its names and defaults. Pure.
 */

export interface PlanOptions {
  /** Number of addresses that the coins end in. */
  readonly addrcount: number;
  /** Mean and standard deviation of the number of makers. */
  readonly makercountrange: readonly [number, number];
  readonly minmakercount: number;
  /** Number of mixdepths that the coins go through after the first sweeps. */
  readonly mixdepthcount: number;
  /** Mean and standard deviation of the number of coinjoins from one mixdepth. */
  readonly txcountparams: readonly [number, number];
  readonly mintxcount: number;
  /** Mean wait, in minutes. */
  readonly timelambda: number;
  /** Factor of the mean wait after the first sweeps. */
  readonly stage1TimelambdaIncrease: number;
  /** Smallest amount of a coinjoin, satoshi. */
  readonly mincjamount: number;
  /** Share of the amounts that are rounded, 0 to 1. */
  readonly roundingChance: number;
  /** Weights of 1 to 5 significant figures. */
  readonly roundingSigfigWeights: readonly [number, number, number, number, number];
}

export const DEFAULT_PLAN_OPTIONS: PlanOptions = {
  addrcount: 3,
  makercountrange: [9, 1],
  minmakercount: 4,
  mixdepthcount: 4,
  txcountparams: [2, 1],
  mintxcount: 2,
  timelambda: 60,
  stage1TimelambdaIncrease: 3,
  mincjamount: 100_000,
  roundingChance: 0.25,
  roundingSigfigWeights: [55, 15, 25, 65, 40],
};
