/**
 * The file of payments: an order is on disk before the wallet hears of it. Only the process that holds the lock
 * changes it, and each change is read from the disk first.
 */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { LockedError, lockInstance } from '../../ops/instance-lock.js';
import { readStateFile, writeStateFile } from '../../ops/state-file.js';
import { ordersText, readOrders, type OrderRecord } from './order-record.js';
import { PaymentError } from './wallet-error.js';

const MAX_BYTES = 64 * 1024 * 1024;
/** Orders that are kept; the oldest sent ones go first. */
const MAX_ORDERS = 5_000;
/** After so long no transaction has to be sent again, and its data is left out. */
const METADATA_SECONDS = 7 * 86_400;

/** The file of all payments: what was ordered, made and sent. */
export class OrderBook {
  /** The file. */
  readonly path: string;

  /** @param path the file: `payments.json` in the folder of variable data */
  constructor(path: string) {
    this.path = path;
  }

  /** All payments, the oldest first. Rejects with a PaymentError when the file cannot be read. */
  async all(): Promise<readonly OrderRecord[]> {
    const bytes = await readStateFile(this.path, MAX_BYTES);
    if (bytes === undefined) return [];
    const records = readOrders(Buffer.from(bytes).toString('utf8'));
    if (records !== undefined) return records;
    throw new PaymentError(
      'in-doubt',
      `${this.path} cannot be read, so payments may be unknown: restore it from a backup; to begin anew, compare "get_transfers" of the wallet with your sessions and move the file away`,
    );
  }

  /** The order of a session, if there is one. */
  async find(sessionId: string): Promise<OrderRecord | undefined> {
    return (await this.all()).find(({ order }) => order.sessionId === sessionId);
  }

  /** Writes a payment, in the place of the one for the same session. Resolves when it is on disk. */
  async put(record: OrderRecord): Promise<void> {
    const { sessionId } = record.order;
    const records = await this.all();
    const at = records.findIndex(({ order }) => order.sessionId === sessionId);
    const next = at < 0 ? [...records, record] : records.with(at, record);
    await this.#write(next, record.orderedAt);
  }

  /** Takes a payment out that was surely not sent. @returns whether it was there */
  async remove(sessionId: string): Promise<boolean> {
    const records = await this.all();
    const rest = records.filter(({ order }) => order.sessionId !== sessionId);
    if (rest.length === records.length) return false;
    await this.#write(rest, 0);
    return true;
  }

  /** Runs while no other process changes the file. Rejects with a PaymentError `busy`. */
  async exclusively<T>(work: () => Promise<T>): Promise<T> {
    await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
    const lock = await lockInstance(`${this.path}.lock`).catch((error: unknown) => {
      if (!(error instanceof LockedError)) throw error;
      throw new PaymentError(
        'busy',
        `another onionmc pays at this moment (${error.message}): wait until it has ended`,
        error,
      );
    });
    try {
      return await work();
    } finally {
      await lock.release();
    }
  }

  async #write(records: readonly OrderRecord[], now: number): Promise<void> {
    const surplus = records.length - MAX_ORDERS;
    let dropped = 0;
    const kept = records.filter(({ state }) => {
      if (dropped >= surplus || state.kind !== 'sent') return true;
      dropped += 1;
      return false;
    });
    await writeStateFile(this.path, ordersText(kept.map((each) => lean(each, now))));
  }
}

function lean(record: OrderRecord, now: number): OrderRecord {
  const { state, orderedAt } = record;
  if (state.kind !== 'sent' || orderedAt > now - METADATA_SECONDS) return record;
  const transactions = state.transactions.map((each) => ({ ...each, metadata: undefined }));
  return { ...record, state: { ...state, transactions } };
}
