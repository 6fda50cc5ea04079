/** A payment as its file has it, and the file as text. Pure. */
import { isRecord, type JsonRecord } from '../../kit/json-record.js';
import { amountOfJson } from '../amount.js';
import { writeJson, type JsonValue } from '../exact-json.js';
import type { PaymentOrder } from '../ports.js';

export interface OrderTransaction {
  readonly txid: string;
  /** Atomic units. */
  readonly fee: bigint;
  /** With it the same transaction is sent again. */
  readonly metadata: string | undefined;
}

export type OrderState =
  /**
   * The wallet was asked to make the transactions. `prepared`: it was not asked to send any. `direct`: it may have
   * sent them.
   */
  | { readonly kind: 'ordered'; readonly how: 'prepared' | 'direct' }
  /** The transactions are known; the wallet may have sent them. */
  | { readonly kind: 'made'; readonly transactions: readonly OrderTransaction[] }
  /** The wallet has sent them. */
  | {
      readonly kind: 'sent';
      readonly transactions: readonly OrderTransaction[];
      readonly proofs: readonly { readonly txid: string; readonly signature: string }[];
    };

export interface OrderRecord {
  readonly order: PaymentOrder;
  /** Address of the wallet that pays. */
  readonly wallet: string;
  /** Seconds since 1970. */
  readonly orderedAt: number;
  /** The address in the transaction of the first destination: an integrated one, or the same. */
  readonly payee: string;
  readonly state: OrderState;
}

/**
 * What a person must know before a payment of several transactions is forgotten: a part of them may be on its way.
 * Empty for one transaction. With a blank at its beginning.
 */
export function partText(transactions: readonly Pick<OrderTransaction, 'txid'>[]): string {
  if (transactions.length < 2) return '';
  const ids = transactions.map(({ txid }) => txid).join(', ');
  return (
    ` The payment has ${transactions.length} transactions, and a part of them may have been sent; it would be paid twice. ` +
    `Look for them in "onionmc lethean wallet", and after some blocks in an explorer of the network: ${ids}`
  );
}

const VERSION = 1;
const MAX_TEXT = 300;
const MAX_HEX = 2_000_000;

function stateJson(state: OrderState): JsonValue {
  if (state.kind === 'ordered') return { ...state };
  const transactions = state.transactions.map(({ txid, fee, metadata }) => ({
    txid,
    fee: fee.toString(),
    metadata,
  }));
  if (state.kind === 'made') return { kind: state.kind, transactions };
  return { kind: state.kind, transactions, proofs: state.proofs.map((each) => ({ ...each })) };
}

/** The text of the file. */
export function ordersText(records: readonly OrderRecord[]): string {
  const orders = records.map(({ order, wallet, orderedAt, payee, state }) => ({
    sessionId: order.sessionId,
    paymentId: order.paymentId,
    days: order.days,
    payBy: order.payBy,
    destinations: order.destinations.map(({ address, amount }) => ({
      address,
      amount: amount.toString(),
    })),
    wallet,
    orderedAt,
    payee,
    state: stateJson(state),
  }));
  return `${writeJson({ version: VERSION, orders })}\n`;
}

const textOf = (value: unknown, most = MAX_TEXT): string | undefined =>
  typeof value === 'string' && value.length <= most ? value : undefined;
const wholeOf = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;

/** Every value of a list, or undefined where one of them cannot be read. */
function allOf<T>(
  value: unknown,
  read: (each: JsonRecord) => T | undefined,
): readonly T[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const found: T[] = [];
  for (const each of value as readonly unknown[]) {
    const one = isRecord(each) ? read(each) : undefined;
    if (one === undefined) return undefined;
    found.push(one);
  }
  return found;
}

function readTransaction(row: JsonRecord): OrderTransaction | undefined {
  const txid = textOf(row['txid']);
  const fee = amountOfJson(row['fee']);
  const { metadata } = row;
  if (txid === undefined || fee === undefined) return undefined;
  if (metadata === undefined) return { txid, fee, metadata };
  const hex = textOf(metadata, MAX_HEX);
  return hex === undefined ? undefined : { txid, fee, metadata: hex };
}

function readState(value: unknown): OrderState | undefined {
  if (!isRecord(value)) return undefined;
  const { kind, how } = value;
  if (kind === 'ordered' && (how === 'prepared' || how === 'direct')) return { kind, how };
  const transactions = allOf(value['transactions'], readTransaction);
  if (transactions === undefined || transactions.length === 0) return undefined;
  if (kind === 'made') return { kind, transactions };
  const proofs = allOf(value['proofs'], (row) => {
    const txid = textOf(row['txid']);
    const signature = textOf(row['signature'], MAX_HEX);
    return txid === undefined || signature === undefined ? undefined : { txid, signature };
  });
  return kind === 'sent' && proofs !== undefined ? { kind, transactions, proofs } : undefined;
}

function readOrder(row: JsonRecord): OrderRecord | undefined {
  const sessionId = textOf(row['sessionId']);
  const paymentId = textOf(row['paymentId']);
  const days = wholeOf(row['days']);
  const wallet = textOf(row['wallet']);
  const orderedAt = wholeOf(row['orderedAt']);
  const payee = textOf(row['payee']);
  const state = readState(row['state']);
  const destinations = allOf(row['destinations'], (each) => {
    const address = textOf(each['address']);
    const amount = amountOfJson(each['amount']);
    return address === undefined || amount === undefined ? undefined : { address, amount };
  });
  if (sessionId === undefined || paymentId === undefined || days === undefined) return undefined;
  if (wallet === undefined || orderedAt === undefined || payee === undefined) return undefined;
  if (state === undefined || destinations === undefined) return undefined;
  const payBy = wholeOf(row['payBy']);
  if (row['payBy'] !== undefined && payBy === undefined) return undefined;
  const terms = { sessionId, paymentId, days, destinations };
  const order = payBy === undefined ? terms : { ...terms, payBy };
  return { order, wallet, orderedAt, payee, state };
}

/** The payments of a file; undefined where one of them cannot be read: it may be one that was made. */
export function readOrders(text: string): readonly OrderRecord[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isRecord(value) && value['version'] === VERSION
    ? allOf(value['orders'], readOrder)
    : undefined;
}
