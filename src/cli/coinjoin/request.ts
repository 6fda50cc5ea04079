/** What `onionmc coinjoin` is asked for: amount, destination, limits and number of makers. */
import { randomInt } from 'node:crypto';
import type { PolicySettings, Settings } from '../../config/settings.js';
import type { Network } from '../../protocol/constants.js';
import type { ChoiceRule, CoinjoinRequest, Destination } from '../../taker/api.js';
import type { Broadcast } from '../../negotiation/taker/api.js';
import { UsageError } from '../errors.js';
import { amountOf, paymentTarget } from '../wallet/payment-target.js';

/** The options that decide about the request. */
export interface RequestOptions {
  readonly mixdepth: number;
  readonly makers?: number;
  readonly maxFeeAbs?: number;
  readonly maxFeeRel?: number;
  readonly acceptHighMakerFee?: boolean;
  readonly feeRate?: number;
  readonly blocks?: number;
  readonly pick?: readonly string[];
  readonly choice: ChoiceRule;
  readonly broadcast?: Broadcast;
}

/** Where neither the command line nor the file has a limit for the fee of one maker. */
export const DEFAULT_FEE_LIMITS = { abs: 500, rel: 0.001 } as const;
/** A larger share needs a word: many people write 0.4 and mean 0.4 %. */
export const HIGH_SHARE = 0.05;
/** As in the original. */
const USUAL_MAKERS = { least: 8, most: 10 } as const;
/** `tx_fees` up to this value counts blocks. */
const MOST_BLOCKS = 1_000;

/** Most that one maker gets, and whether a person chose it. */
export interface FeeLimits {
  readonly maxFeeAbs: number | undefined;
  readonly maxFeeRel: number | undefined;
}

/** The limits of the command line; else those of the file; else 500 sat and 0.1 %. */
export function feeLimits(
  options: Pick<RequestOptions, 'maxFeeAbs' | 'maxFeeRel' | 'acceptHighMakerFee'>,
  policy: Pick<PolicySettings, 'maxCjFeeAbs' | 'maxCjFeeRel'>,
): FeeLimits {
  const { maxFeeAbs, maxFeeRel } = options;
  const isGiven = maxFeeAbs !== undefined || maxFeeRel !== undefined;
  const abs = isGiven ? maxFeeAbs : (policy.maxCjFeeAbs ?? undefined);
  const rel = isGiven ? maxFeeRel : (policy.maxCjFeeRel ?? undefined);
  if (abs === undefined && rel === undefined) {
    return { maxFeeAbs: DEFAULT_FEE_LIMITS.abs, maxFeeRel: DEFAULT_FEE_LIMITS.rel };
  }
  if (rel !== undefined && rel > HIGH_SHARE && options.acceptHighMakerFee !== true) {
    const source = isGiven ? '--max-fee-rel' : '[POLICY] max_cj_fee_rel';
    throw new UsageError(
      `${source} ${rel} lets each maker take ${shownPercent(rel)} of the amount: write ${shownPercent(rel / 100)} or ${Number((rel / 100).toPrecision(12))} if you meant percent, or add --accept-high-maker-fee`,
    );
  }
  return { maxFeeAbs: abs, maxFeeRel: rel };
}

/** `5%`, without errors of binary fractions. */
const shownPercent = (share: number): string => `${Number((100 * share).toPrecision(12))}%`;

interface Target {
  readonly amount: number | 'sweep';
  readonly destination: Destination;
  /** What a payment request says about itself. */
  readonly label: string | undefined;
}

const isSweep = (text: string): boolean => ['sweep', 'all'].includes(text.toLowerCase());

/**
 * Reads `AMOUNT|sweep ADDRESS|REQUEST|INTERNAL`, or a payment request that has the amount. Throws a
 * `UsageError` in one line.
 */
export function coinjoinTarget(
  first: string,
  second: string | undefined,
  network: Network,
): Target {
  if (second?.toUpperCase() === 'INTERNAL') {
    const amount = amountOf(isSweep(first) ? 'all' : first);
    const destination = { kind: 'internal' } as const;
    return { amount: amount === 'all' ? 'sweep' : amount, destination, label: undefined };
  }
  if (second === undefined && !/^bitcoin:/i.test(first)) {
    throw new UsageError(
      'give an amount (or sweep) and a destination: onionmc coinjoin NAME 0.1 ADDRESS, or INTERNAL for the next mixdepth',
    );
  }
  const target = paymentTarget(isSweep(first) ? 'all' : first, second, network);
  const { address, script, label } = target;
  const amount = target.amount === 'all' ? 'sweep' : target.amount;
  return { amount, destination: { kind: 'address', address, script }, label };
}

function checkMakers(makers: number, minimumMakers: number, source: string): void {
  if (makers >= minimumMakers) return;
  throw new UsageError(
    `${source} is ${makers}, and [POLICY] minimum_makers is ${minimumMakers}: with fewer makers a coinjoin is easy to undo; ask for more, or lower minimum_makers`,
  );
}

/** The whole request, and what is said about the number of makers. */
export interface Wish {
  readonly request: CoinjoinRequest;
  /** Whether the number of makers was drawn, not given. */
  readonly drawsMakers: boolean;
}

/** Puts the request together. Throws a `UsageError` in one line. */
export function coinjoinWish(
  target: Target,
  options: RequestOptions,
  { policy }: Pick<Settings, 'policy'>,
): Wish {
  const picks = options.pick ?? [];
  const drawn = randomInt(USUAL_MAKERS.least, USUAL_MAKERS.most + 1);
  const { minimumMakers } = policy;
  const makers =
    options.makers ?? (picks.length > 0 ? picks.length : Math.max(drawn, minimumMakers));
  if (options.makers !== undefined && picks.length > 0 && picks.length < options.makers) {
    throw new UsageError(
      `--makers is ${options.makers}, and ${picks.length} are named with --pick: name more, or leave --makers out`,
    );
  }
  const source = options.makers === undefined ? 'the number of makers named' : '--makers';
  checkMakers(makers, minimumMakers, source);
  const { feeRate, blocks } = options;
  const isRate = policy.txFees > MOST_BLOCKS;
  const fee: CoinjoinRequest['fee'] =
    feeRate !== undefined
      ? { kind: 'rate', feePerKb: feeRate }
      : blocks === undefined && isRate
        ? { kind: 'rate', feePerKb: policy.txFees }
        : { kind: 'blocks', blocks: blocks ?? policy.txFees };
  return {
    drawsMakers: options.makers === undefined && picks.length === 0,
    request: {
      amount: target.amount,
      destination: target.destination,
      mixdepth: options.mixdepth,
      makers,
      minimumMakers,
      ...feeLimits(options, policy),
      fee,
      choice: options.choice,
      picks,
      broadcast: options.broadcast ?? policy.txBroadcast,
      label: target.label,
    },
  };
}
