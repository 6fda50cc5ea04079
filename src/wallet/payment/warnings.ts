/** What a person should know before agreeing to a payment, one sentence each. Pure. */
import { counted, grouped } from '../../kit/decimal.js';
import type { WalletCoin } from '../api.js';
import { scriptKind } from '../../bitcoin/script.js';
import { FEE_WARNING_PERCENT, shownRate } from './fee-limits.js';

/** What the wallet remembers about the script that is paid. */
export interface ScriptFacts {
  /** It belongs to an address of this wallet. */
  isOwn(script: string): boolean;
  /** A transaction that the wallet knows has paid it. */
  wasPaid(script: string): boolean;
  /** A signed payment to it has no confirmation yet: its txid. */
  openPayment(script: string): string | undefined;
}

/** What the warnings look at. */
export interface WarningTerms {
  readonly inputs: readonly WalletCoin[];
  readonly payment: { readonly script: string; readonly value: number };
  readonly changeKind: string | undefined;
  readonly fee: number;
  readonly vsize: number;
  /** Satoshi that no output gets because a change of this size would be dust. */
  readonly dropped: number;
  readonly isAbsurd: boolean;
  readonly facts: ScriptFacts;
  readonly replaces: string | undefined;
}

function scriptWarnings({ payment, changeKind, facts, replaces }: WarningTerms): readonly string[] {
  const { script } = payment;
  const warnings: string[] = [];
  const open = facts.openPayment(script);
  if (open !== undefined && open !== replaces) {
    warnings.push(
      `The payment ${open} to the same address is not confirmed yet: if both confirm, it is paid twice.`,
    );
  } else if (replaces === undefined && facts.wasPaid(script)) {
    warnings.push(
      facts.isOwn(script)
        ? 'This address of your own wallet was used before: its coins can be linked, and a coin that comes ' +
            'to it when it is empty is frozen.'
        : 'This address was paid before: everyone can link the two payments.',
    );
  }
  const kind = scriptKind(script);
  if (changeKind !== undefined && kind !== changeKind) {
    warnings.push(
      `The address is of type ${kind} and the change of type ${changeKind}: observers can tell which ` +
        'output is the change.',
    );
  }
  return warnings;
}

function mergeWarnings(inputs: readonly WalletCoin[]): readonly string[] {
  const warnings: string[] = [];
  const bonds = inputs.filter(({ lockTime }) => lockTime !== undefined);
  if (bonds.length > 1) {
    warnings.push(
      `${counted(bonds.length, 'bond')} are spent together: everyone sees that they have one owner.`,
    );
  } else if (bonds.length === 1 && inputs.length > 1) {
    warnings.push(
      'A bond is spent together with other coins: takers know the bond, so everyone can link the coins to it.',
    );
  }
  // Coins of one address are linked already.
  const deposits = new Set(
    inputs
      .filter((coin) => coin.mixdepth === 0 && coin.lockTime === undefined && !coin.mergeable)
      .map(({ script }) => script),
  );
  if (deposits.size > 1) {
    warnings.push(
      `${deposits.size} coins of mixdepth 0 that came from no coinjoin are spent together: everyone can link ` +
        'them to each other.',
    );
  }
  return warnings;
}

function feeWarnings({ payment, fee, vsize, dropped, isAbsurd }: WarningTerms): readonly string[] {
  const warnings: string[] = [];
  // In integers: the product of a percentage and a value that exists is exact.
  if (fee * 100 > payment.value * FEE_WARNING_PERCENT) {
    const percent = ((fee / payment.value) * 100).toFixed(1);
    warnings.push(`The fee of ${grouped(fee)} sat is ${percent} % of the amount.`);
  }
  if (isAbsurd) {
    warnings.push(
      `The fee of ${shownRate(fee, vsize)} is above the limit, which you chose to ignore.`,
    );
  }
  if (dropped > 0) {
    warnings.push(
      `The fee includes ${grouped(dropped)} sat, because a change output of this size could not be spent.`,
    );
  }
  return warnings;
}

/** All warnings about a payment, the gravest kind first. */
export function paymentWarnings(terms: WarningTerms): readonly string[] {
  return [...scriptWarnings(terms), ...mergeWarnings(terms.inputs), ...feeWarnings(terms)];
}
