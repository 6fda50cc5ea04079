/**
 * From coins, a request and the tip to a plan that can be shown, agreed to and signed. Pure: nothing is
 * written, no address is handed out. All sums are exact integers.
 */
import { dustLimit, feeFor } from '../../bitcoin/fee.js';
import { scriptKind } from '../../bitcoin/script.js';
import { grouped } from '../../kit/decimal.js';
import { MAX_SATOSHI } from '../../protocol/offer.js';
import { WalletError, type PaymentPlan, type PaymentRequest, type WalletCoin } from '../api.js';
import { selectCoins } from '../selection.js';
import { eligibleCoins, fundsText, namedCoins } from './eligible.js';
import { finishedPlan, type PlanTerms } from './finish-plan.js';
import { exactShape, sumOf, sweepShape, type Shape } from './shape.js';
import { inputFee, paymentVsize } from './weights.js';

/** Highest fee rate that is computed with, in satoshi per 1,000 virtual bytes: 10,000 sat/vB. */
const MAX_FEE_PER_KB = 10_000_000;
/** The longer count of more than 252 inputs, and the rounding to whole virtual bytes. */
const ROUNDING_VBYTES = 3;

/** What a plan is made from. */
export interface PlanInput extends PlanTerms {
  /** All coins of the wallet. */
  readonly coins: readonly WalletCoin[];
  readonly request: PaymentRequest;
}

/**
 * Coins by address: those of one address are linked already, so they are spent together, and none stays
 * behind. A coin is worth its value without the fee for spending it. Each fee is rounded up, so chosen
 * groups suffice. Coins that cost more than they hold are left out.
 */
function worthyGroups(
  coins: readonly WalletCoin[],
  feePerKb: number,
): readonly { readonly coins: readonly WalletCoin[]; readonly value: number }[] {
  const byScript = new Map<string, WalletCoin[]>();
  for (const coin of coins) {
    if (coin.value <= inputFee(coin, feePerKb)) continue;
    const others = byScript.get(coin.script);
    if (others === undefined) byScript.set(coin.script, [coin]);
    else others.push(coin);
  }
  return [...byScript.values()].map((group) => ({
    coins: group,
    value: group.reduce((sum, coin) => sum + coin.value - inputFee(coin, feePerKb), 0),
  }));
}

/** The coins that the rule chooses, and the payment from them. */
function chosenShape({ coins, request, tip, changeLike }: PlanInput, value: number): Shape {
  const { script, feePerKb, rule = 'default' } = request;
  const mixdepth = request.mixdepth ?? 0;
  const eligible = eligibleCoins(coins, mixdepth, tip);
  const fees = (vsize: number): number => feeFor(vsize, feePerKb);
  const groups = worthyGroups(eligible, feePerKb);
  const target = value + fees(paymentVsize([], [script]) + ROUNDING_VBYTES);
  // Without a choice all coins are tried with their exact fee.
  const inputs = (selectCoins(groups, target, rule) ?? groups).flatMap((group) => group.coins);
  const shape = exactShape(inputs, script, value, changeLike, fees);
  if (shape !== undefined) return shape;
  const fee = feeFor(paymentVsize(inputs, [script]), feePerKb);
  throw new WalletError(
    'funds',
    `${grouped(value)} sat and a fee of ${grouped(fee)} sat are more than what can be spent: ` +
      fundsText(coins, mixdepth, tip),
  );
}

/** The payment from exactly these coins. */
function namedShape({ coins, request, tip, changeLike }: PlanInput): Shape {
  const { amount, script, feePerKb, mixdepth } = request;
  const inputs = namedCoins(coins, request.coins ?? [], mixdepth, tip);
  if (amount === 'all') return sweepShape(inputs, script, feePerKb);
  const shape = exactShape(inputs, script, amount, changeLike, (v) => feeFor(v, feePerKb));
  if (shape !== undefined) return shape;
  const fee = feeFor(paymentVsize(inputs, [script]), feePerKb);
  throw new WalletError(
    'funds',
    `the named coins have ${grouped(sumOf(inputs))} sat, less than ${grouped(amount)} sat and a fee of ` +
      `${grouped(fee)} sat: name more coins, or a smaller amount`,
  );
}

function shapeOf(input: PlanInput): Shape {
  const { coins, request, tip } = input;
  if (request.coins !== undefined && request.coins.length > 0) return namedShape(input);
  if (request.amount !== 'all') return chosenShape(input, request.amount);
  const mixdepth = request.mixdepth ?? 0;
  const inputs = eligibleCoins(coins, mixdepth, tip);
  if (inputs.length > 0) return sweepShape(inputs, request.script, request.feePerKb);
  throw new WalletError('funds', `nothing can be spent: ${fundsText(coins, mixdepth, tip)}`);
}

function checkRequest({ amount, script, feePerKb }: PaymentRequest): void {
  if (!/^(?:[0-9a-f]{2})+$/.test(script)) throw new WalletError('request', 'no script to pay');
  if (!Number.isSafeInteger(feePerKb) || feePerKb < 0 || feePerKb > MAX_FEE_PER_KB) {
    const most = `at most ${MAX_FEE_PER_KB / 1_000} sat/vB can be paid`;
    throw new WalletError('fee', `the fee rate is ${feePerKb / 1_000} sat/vB; ${most}`);
  }
  if (amount === 'all') return;
  if (!Number.isSafeInteger(amount) || amount < 1 || amount > MAX_SATOSHI) {
    throw new WalletError(
      'amount',
      `the amount ${amount} is no number of satoshi from 1 to 21 million BTC`,
    );
  }
}

/** Throws when an output of this value would not be relayed. */
function checkDust(script: string, value: number, isSweep: boolean): void {
  const dust = dustLimit(script);
  if (value >= dust) return;
  const found = isSweep
    ? `the coins leave ${grouped(Math.max(0, value))} sat after the fee`
    : `${grouped(value)} sat is too little`;
  throw new WalletError(
    'amount',
    `${found}: nodes do not relay less than ${dust} sat to an address of type ${scriptKind(script)}`,
  );
}

/**
 * Plans a payment. Throws a WalletError with the reason, which names the coin where there is one: see
 * `WalletFault`. The inputs of the plan are in their final, random order.
 */
export function planPayment(input: PlanInput): PaymentPlan {
  const { request } = input;
  checkRequest(request);
  if (request.amount !== 'all') checkDust(request.script, request.amount, false);
  const shape = shapeOf(input);
  checkDust(request.script, shape.value, request.amount === 'all');
  return finishedPlan(shape, request, input);
}
