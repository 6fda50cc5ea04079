/**
 * A payment that replaces an earlier one of this wallet with a higher fee. Pure. The rules are those of
 * nodes (findings: the relay increment times the size of the new transaction must be paid on top of the
 * old fee). A child that pays for its parent is not offered: nodes differ in whether they relay it.
 */
import { grouped } from '../../kit/decimal.js';
import { dustLimit, feeFor } from '../../bitcoin/fee.js';
import type { Transaction } from '../../bitcoin/transaction.js';
import { formatOutpoint, type Outpoint } from '../../protocol/outpoint.js';
import { BRANCH, WalletError, type KeyPlace, type PaymentPlan, type WalletCoin } from '../api.js';
import type { SignedTransaction } from '../requests.js';
import { rateText } from './fee-limits.js';
import { finishedPlan, type PlanTerms } from './finish-plan.js';
import { exactShape, sumOf, sweepShape, type Shape } from './shape.js';

/** The relay increment where the source does not tell its minimum, in sat/kvB. */
const DEFAULT_INCREMENT = 1_000;

/** What a bump is planned from. */
export interface BumpInput extends PlanTerms {
  readonly signed: SignedTransaction;
  /** The transaction that is to be replaced. */
  readonly transaction: Transaction;
  /** All coins of the wallet. */
  readonly coins: readonly WalletCoin[];
  readonly placeOf: (script: string) => KeyPlace | undefined;
  readonly feePerKb: number;
  readonly acceptAbsurdFee?: boolean | undefined;
}

const refuse = (text: string): WalletError => new WalletError('request', text);

const STATES: Readonly<Record<SignedTransaction['state'], string | undefined>> = {
  pending: undefined,
  confirmed: 'is in a block already',
  replaced: 'was replaced by another payment of this wallet',
  lost: 'is lost: another transaction spent one of its coins',
  abandoned: 'was given up',
};

/** The script of the change of a payment; undefined without one. */
export function changeOf(
  transaction: Transaction,
  placeOf: (script: string) => KeyPlace | undefined,
  mixdepth: number,
): { readonly script: string; readonly value: number } | undefined {
  const { outputs } = transaction;
  if (outputs.length < 2) return undefined;
  return outputs.find(({ script }) => {
    const place = placeOf(script);
    return place?.branch === BRANCH.internal && place.mixdepth === mixdepth;
  });
}

function spentCoins(input: BumpInput, name: string): readonly WalletCoin[] {
  const byName = new Map(input.coins.map((coin) => [formatOutpoint(coin), coin]));
  return input.transaction.inputs.map((outpoint: Outpoint) => {
    const coin = byName.get(formatOutpoint(outpoint));
    if (coin !== undefined) return coin;
    throw new WalletError(
      'coin',
      `the coin ${formatOutpoint(outpoint)} of ${name} is no longer there: run onionmc wallet history`,
    );
  });
}

/** The values of the replacement, before its fee is compared with the old one. */
function bumpedShape(
  { transaction, placeOf, feePerKb, changeLike }: BumpInput,
  coins: readonly WalletCoin[],
  name: string,
): Shape & { readonly script: string } {
  const { outputs } = transaction;
  const change = changeOf(transaction, placeOf, coins[0]?.mixdepth ?? 0);
  const [first, ...more] = outputs.filter((output) => output.script !== change?.script);
  if (first === undefined || more.length > 0) {
    throw refuse(`${name} is no payment of this program: it has ${outputs.length} outputs`);
  }
  const { script, value } = first;
  if (change !== undefined) {
    const shape = exactShape(coins, script, value, changeLike, (v) => feeFor(v, feePerKb));
    if (shape !== undefined) return { ...shape, script };
    throw new WalletError(
      'funds',
      `the change of ${name} is ${grouped(change.value)} sat, too little for ${rateText(feePerKb)}: give a ` +
        'lower --fee-rate, or wait until the payment confirms',
    );
  }
  if (placeOf(script) === undefined) {
    throw refuse(
      `${name} has no change output that could pay a higher fee, and its receiver would get less. Wait until ` +
        'it confirms; nodes forget it after about two weeks, and it is sent again as long as it is open',
    );
  }
  // The only output belongs to this wallet: the fee comes from it.
  const shape = sweepShape(coins, script, feePerKb);
  if (shape.value >= dustLimit(script)) return { ...shape, script };
  throw new WalletError('funds', `${name} has too little for a fee of ${rateText(feePerKb)}`);
}

/**
 * Plans the replacement of a signed payment. The payment output stays as it is; a higher fee comes from the
 * change, or from the only output where that belongs to the wallet.
 * @throws WalletError `request` when the payment cannot be replaced, `fee` when the fee is too low for a
 *   replacement (the text says which is enough), `funds` when the change does not suffice.
 */
export function planBump(input: BumpInput): PaymentPlan {
  const { signed, transaction, minimumFeePerKb, acceptAbsurdFee } = input;
  const name = signed.txid ?? signed.unsignedTxid;
  const state = STATES[signed.state];
  if (state !== undefined) throw refuse(`${name} ${state}`);
  if (signed.kind !== 'send' && signed.kind !== 'redeem') {
    throw refuse(`${name} is a coinjoin: only a payment of this wallet alone can be bumped`);
  }
  const coins = spentCoins(input, name);
  const oldFee = sumOf(coins) - sumOf(transaction.outputs);
  const shape = bumpedShape(input, coins, name);
  const least = oldFee + feeFor(shape.vsize, minimumFeePerKb ?? DEFAULT_INCREMENT);
  if (shape.fee < least) {
    const rate = Math.ceil((least * 1000) / shape.vsize);
    throw new WalletError(
      'fee',
      `${name} pays ${grouped(oldFee)} sat; nodes replace it from ${grouped(least)} sat on: give a --fee-rate ` +
        `of ${rateText(rate)} or more`,
    );
  }
  return finishedPlan(shape, { script: shape.script, acceptAbsurdFee }, input, name);
}

/**
 * The least fee rate at which a payment can be replaced, rounded up, in sat/kvB. For a payment whose
 * change becomes dust it may be a little more than needed.
 */
export function leastBumpFeePerKb(
  oldFee: number,
  vsize: number,
  minimumFeePerKb: number | undefined,
): number {
  const least = oldFee + feeFor(vsize, minimumFeePerKb ?? DEFAULT_INCREMENT);
  return Math.ceil((least * 1000) / vsize);
}
