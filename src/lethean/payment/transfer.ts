/** One row of `get_transfers` as a typed value. Pure. */
import { isRecord, type JsonRecord } from '../../kit/json-record.js';
import { amountOfJson } from '../amount.js';

/** A row of the wallet's history. */
export interface Transfer {
  readonly txid: string;
  /** `block` is a mined reward; `pool` came in and is in no block; `pending` went out and is in no block. */
  readonly type: 'in' | 'out' | 'pending' | 'failed' | 'pool' | 'block';
  /** Atomic units; 0 for one of the wallet to itself once it is in a block. */
  readonly amount: bigint;
  readonly fee: bigint;
  /** 16 or 64 hex digits; absent where it has none. */
  readonly paymentId: string | undefined;
  readonly destinations: readonly { readonly address: string; readonly amount: bigint }[];
  /** Of its block; 0 while it is in none. */
  readonly height: number;
  readonly confirmations: number;
  /** Seconds since 1970. */
  readonly timestamp: number;
  readonly doubleSpendSeen: boolean;
}

const TYPES = ['in', 'out', 'pending', 'failed', 'pool', 'block'] as const;
const whole = (value: unknown): number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0;

/** Undefined where the row lacks its id, kind or amount. */
export function readTransfer(row: JsonRecord): Transfer | undefined {
  const { txid, payment_id: id, destinations } = row;
  const type = TYPES.find((each) => each === row['type']);
  const amount = amountOfJson(row['amount']);
  if (typeof txid !== 'string' || !/^[0-9a-f]{64}$/.test(txid)) return undefined;
  if (type === undefined || amount === undefined) return undefined;
  const paymentId =
    typeof id === 'string' && /^(?:[0-9a-f]{16}|[0-9a-f]{64})$/.test(id) && !/^0+$/.test(id)
      ? id
      : undefined;
  return {
    txid,
    type,
    amount,
    fee: amountOfJson(row['fee']) ?? 0n,
    paymentId,
    destinations: (Array.isArray(destinations) ? destinations : []).flatMap((each: unknown) => {
      if (!isRecord(each) || typeof each['address'] !== 'string') return [];
      const part = amountOfJson(each['amount']);
      return part === undefined ? [] : [{ address: each['address'], amount: part }];
    }),
    height: whole(row['height']),
    confirmations: whole(row['confirmations']),
    timestamp: whole(row['timestamp']),
    doubleSpendSeen: row['double_spend_seen'] === true,
  };
}
