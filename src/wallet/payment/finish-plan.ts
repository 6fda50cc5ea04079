/** The last steps of every plan: limits, lock time, order and warnings. Pure. */
import type { BlockInfo } from '../../chain/ports.js';
import { scriptKind } from '../../bitcoin/script.js';
import type { RandomBytes } from '../../protocol/encryption.js';
import { WalletError, type PaymentPlan } from '../api.js';
import { checkFee, exceedsLimits, type FeeLimits } from './fee-limits.js';
import { paymentLockTime } from './lock-time.js';
import { shuffled } from './random.js';
import type { Shape } from './shape.js';
import { paymentWarnings, type ScriptFacts } from './warnings.js';
import { isStandardSize } from './weights.js';

/** What a plan needs beside coins and values. */
export interface PlanTerms {
  readonly tip: BlockInfo;
  /** What the source of the chain relays at least, in sat/kvB; undefined when it does not know. */
  readonly minimumFeePerKb: number | undefined;
  readonly limits: FeeLimits;
  /** Any script that a change address of this wallet has, for its size. */
  readonly changeLike: string;
  readonly facts: ScriptFacts;
  readonly randomBytes: RandomBytes;
}

/** What is paid, and how freely. */
export interface PlanWish {
  readonly script: string;
  readonly acceptAbsurdFee?: boolean | undefined;
}

/**
 * A plan from values. Throws a WalletError (`fee`, `request`) for a fee outside the limits, or a transaction
 * that is too large for nodes.
 */
export function finishedPlan(
  shape: Shape,
  { script, acceptAbsurdFee = false }: PlanWish,
  { tip, minimumFeePerKb, limits, changeLike, facts, randomBytes }: PlanTerms,
  replaces?: string,
): PaymentPlan {
  const { value, change, fee, vsize, dropped } = shape;
  if (!isStandardSize(vsize)) {
    throw new WalletError(
      'request',
      `${shape.inputs.length} coins make a transaction of ${vsize} vB, which nodes do not relay: ` +
        'send in parts, with --coin',
    );
  }
  checkFee({ fee, vsize, limits, minimumFeePerKb, acceptAbsurdFee });
  const inputs = shuffled(shape.inputs, randomBytes);
  const mixdepth = inputs[0]?.mixdepth ?? 0;
  const payment = { script, value };
  return {
    inputs,
    payment,
    change: change === 0 ? undefined : { value: change, mixdepth },
    fee,
    vsize,
    lockTime: paymentLockTime(inputs, tip, randomBytes),
    warnings: paymentWarnings({
      inputs,
      payment,
      changeKind: change === 0 ? undefined : scriptKind(changeLike),
      fee,
      vsize,
      dropped,
      isAbsurd: exceedsLimits(fee, vsize, limits),
      facts,
      replaces,
    }),
    replaces,
  };
}
