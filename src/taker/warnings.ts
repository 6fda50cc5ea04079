/** What a user should know before agreeing to a coinjoin, one sentence each. Pure. */
import { scriptKind, type ScriptKind } from '../bitcoin/script.js';
import { counted, grouped } from '../kit/decimal.js';
import { formatOutpoint } from '../protocol/outpoint.js';
import type { KeyPlace, WalletCoin } from '../wallet/api.js';
import { sumOf, type Worst } from './amounts.js';
import type { CoinjoinRequest } from './api.js';

/** Above these shares of the amount, in percent, a fee is high: those of the original. */
const HIGH_MAKER_PERCENT = 2;
const HIGH_MINER_PERCENT = 5;

/** What the warnings are about. */
export interface WarningInput {
  readonly request: CoinjoinRequest;
  readonly amount: number;
  readonly worst: Worst;
  readonly fitting: number;
  /** Whether the coins pay also the worst case. */
  readonly isAmple: boolean;
  /** All coins of the wallet, and those that are spent. */
  readonly coins: readonly WalletCoin[];
  readonly spent: readonly WalletCoin[];
  /** Kind of the makers' outputs. */
  readonly kind: ScriptKind;
  readonly isOwn: (script: string) => KeyPlace | undefined;
  readonly wasFunded: (script: string) => boolean;
}

function destinationWarnings({ request, kind, isOwn, wasFunded }: WarningInput): readonly string[] {
  const { destination, mixdepth } = request;
  if (destination.kind === 'internal') return [];
  const warnings: string[] = [];
  const theirs = scriptKind(destination.script);
  if (theirs !== kind) {
    warnings.push(
      `The destination is of type ${theirs}, those of the makers are ${kind}: the transaction shows which ` +
        'equal output is yours.',
    );
  }
  if (isOwn(destination.script)?.mixdepth === mixdepth) {
    warnings.push(
      `The destination is an address of mixdepth ${mixdepth}, where the coins come from: it links them to the ` +
        'change.',
    );
  }
  if (wasFunded(destination.script)) {
    warnings.push('The destination was paid before: reuse of an address links the payments.');
  }
  return warnings;
}

function leftBehind({ request, coins, spent }: WarningInput): readonly string[] {
  if (request.amount !== 'sweep') return [];
  const names = new Set(spent.map(formatOutpoint));
  const left = coins.filter(
    (coin) =>
      coin.mixdepth === request.mixdepth &&
      coin.lockTime === undefined &&
      !names.has(formatOutpoint(coin)),
  );
  if (left.length === 0) return [];
  const holds = [...new Set(left.map(({ hold }) => hold ?? 'free'))].join(', ');
  return [
    `${counted(left.length, 'coin')} with ${grouped(sumOf(left))} sat of mixdepth ${request.mixdepth} stay behind ` +
      `(${holds}).`,
  ];
}

/** The warnings of a plan. */
export function planWarnings(input: WarningInput): readonly string[] {
  const { request, amount, worst, fitting, isAmple } = input;
  const warnings = [...destinationWarnings(input), ...leftBehind(input)];
  if (worst.makerFees * 100 > HIGH_MAKER_PERCENT * amount) {
    warnings.push(
      `The makers may get ${grouped(worst.makerFees)} sat, more than ${HIGH_MAKER_PERCENT} % of the amount.`,
    );
  }
  if (worst.minerFee * 100 > HIGH_MINER_PERCENT * amount) {
    warnings.push(
      `The miners may get ${grouped(worst.minerFee)} sat, more than ${HIGH_MINER_PERCENT} % of the amount.`,
    );
  }
  if (fitting >= request.minimumMakers && fitting < request.makers) {
    warnings.push(
      `Only ${counted(fitting, 'maker')} of the ${request.makers} wanted can be asked.`,
    );
  }
  if (!isAmple) {
    warnings.push(
      'The coins do not pay the most that makers and miners could get: the round may fail, and cost a try.',
    );
  }
  return warnings;
}
