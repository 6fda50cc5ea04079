/** What a found transaction means for the wallet, as a record. Pure. */
import {
  parseTransaction,
  serializeTransaction,
  type Transaction,
} from '../bitcoin/transaction.js';
import type { BlockInfo, FoundTransaction } from '../chain/ports.js';
import { ChainError } from '../chain/chain-error.js';
import { formatOutpoint } from '../protocol/outpoint.js';
import type { AddressBook } from './address-book.js';
import type { BlockRecord, CoinName, OwnOutput, TransactionRecord } from './records.js';

/** What is needed of the state. */
export interface FoundContext {
  readonly book: AddressBook;
  /** Whether the wallet has, or had, a coin of this name. */
  readonly hasCoin: (name: string) => boolean;
}

/**
 * The amount of the equal outputs of a coinjoin: the most frequent amount occurs k > 1 times, and there are
 * k or k - 1 other outputs, which are change.
 */
export function equalAmount(values: readonly number[]): number | undefined {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  const most = [...counts].toSorted((a, b) => b[1] - a[1])[0];
  if (most === undefined) return undefined;
  const [value, k] = most;
  const others = values.length - k;
  return k > 1 && (others === k || others === k - 1) ? value : undefined;
}

/** The id without input scripts; undefined where it is the same as the txid. */
export function unsignedTxid(transaction: Transaction): string | undefined {
  const { version, lockTime, inputs, outputs } = transaction;
  if (inputs.every(({ scriptSig }) => scriptSig.length === 0)) return undefined;
  const plain = inputs.map(({ txid, vout, sequence }) => ({ txid, vout, sequence }));
  const bytes = serializeTransaction({ version, lockTime, inputs: plain, outputs });
  const read = parseTransaction(bytes);
  return read.ok ? read.value.txid : undefined;
}

/** The outputs that pay the wallet. */
export function ownOutputs(
  outputs: readonly { readonly script: string; readonly value: number }[],
  book: AddressBook,
): readonly OwnOutput[] {
  return outputs.flatMap(({ script, value }, vout) => {
    const name = book.nameOf(script);
    return name === undefined ? [] : [[vout, name, value] as const];
  });
}

function recordOf(
  found: FoundTransaction,
  context: FoundContext,
  created: Set<string>,
): TransactionRecord {
  const read = parseTransaction(found.bytes);
  if (!read.ok || read.value.txid !== found.txid) {
    throw new ChainError(
      'answer',
      `the source of the chain gave another transaction: ${found.txid}`,
    );
  }
  const transaction = read.value;
  const spent: CoinName[] = [];
  for (const outpoint of transaction.spends()) {
    const name = formatOutpoint(outpoint);
    if (created.has(name) || context.hasCoin(name)) spent.push([outpoint.txid, outpoint.vout]);
  }
  const { outputs } = transaction;
  const own = ownOutputs(outputs, context.book);
  for (const [vout] of own) created.add(formatOutpoint({ txid: found.txid, vout }));
  const unsigned = unsignedTxid(transaction);
  const equal = spent.length === 0 ? undefined : equalAmount(outputs.map(({ value }) => value));
  return {
    txid: found.txid,
    at: found.index,
    inputs: transaction.inputCount,
    spent,
    total: outputs.reduce((sum, { value }) => sum + value, 0),
    own,
    ...(unsigned === undefined ? {} : { unsigned }),
    ...(equal === undefined ? {} : { equal }),
  };
}

/** The record of a block with what was found in it. */
export function blockRecord(
  block: BlockInfo,
  transactions: readonly FoundTransaction[],
  context: FoundContext,
): BlockRecord {
  const created = new Set<string>();
  const { height, hash, time } = block;
  const records = transactions.map((found) => recordOf(found, context, created));
  return { kind: 'block', height, hash, time, transactions: records };
}
