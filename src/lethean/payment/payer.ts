/**
 * Pays for sessions, each once. The order is on disk before the wallet hears of it; then the wallet makes the
 * transactions without sending them, their data goes to the disk, and only then are they sent. A process that was
 * killed anywhere in between sends the same transactions again, which cannot pay twice.
 *
 * The wallet's own history is not enough for this: a wallet RPC that is killed after it has sent a transaction does
 * not know of it until a block has it, and never of its payment id (findings/monero-wallet-forgets.sh). A transaction
 * that the history has in a block is not sent again: the history would then have a second row for it.
 */
import type { Clock } from '../../kit/clock.js';
import { errorText } from '../../kit/error-text.js';
import type { Log } from '../../channel/log.js';
import type { Payer, PaymentOrder, PaymentReceipt } from '../ports.js';
import { waitForBlocks } from './confirmations.js';
import { limitFault, orderAmount, type PaymentLimits } from './limits.js';
import type { OrderBook } from './order-book.js';
import { partText, type OrderRecord, type OrderTransaction } from './order-record.js';
import { orderFault, sameTerms } from './order-terms.js';
import { amountText } from '../amount.js';
import type { Transfer } from './transfer.js';
import { isAddress, type MadeTransaction, type Outgoing, type Wallet } from './wallet.js';
import { PaymentError, WalletError } from './wallet-error.js';
import { RpcCode } from './wallet-rpc.js';

/** What a person is asked before the first payment of a session. */
export interface PaymentQuestion {
  readonly order: PaymentOrder;
  /** Atomic units, without the fee of the network. */
  readonly amount: bigint;
}

export interface WalletPayerOptions {
  readonly wallet: Wallet;
  readonly book: OrderBook;
  readonly limits: PaymentLimits;
  /**
   * Whether to pay; asked once for each session, and not again after a restart. Absent: the caller has asked, and the
   * limits alone decide.
   */
  readonly approve?: (question: PaymentQuestion, signal: AbortSignal) => Promise<boolean>;
  readonly clock: Clock;
  readonly log: Log;
  /** Seconds since 1970. */
  readonly now: () => number;
  /** Between two looks at the wallet while blocks are awaited, in milliseconds; default 10 s. */
  readonly pollMs?: number;
}

/** Refusals that come before anything is sent, also where making and sending are one call. */
const NOT_SENT: ReadonlySet<number | undefined> = new Set([
  RpcCode.WRONG_ADDRESS,
  RpcCode.WRONG_PAYMENT_ID,
  RpcCode.NOT_ENOUGH_MONEY,
  RpcCode.NOT_ENOUGH_OUTPUTS,
  RpcCode.NOT_ENOUGH_UNLOCKED,
]);
const NO_FUNDS: ReadonlySet<number | undefined> = new Set([
  RpcCode.NOT_ENOUGH_MONEY,
  RpcCode.NOT_ENOUGH_OUTPUTS,
  RpcCode.NOT_ENOUGH_UNLOCKED,
]);

/** Pays with a wallet RPC, each session once. */
export class WalletPayer implements Payer {
  readonly #options: WalletPayerOptions;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: WalletPayerOptions) {
    this.#options = options;
  }

  /** Rejects with a PaymentError, a WalletError, or the reason of the signal. */
  pay(order: PaymentOrder, signal: AbortSignal): Promise<PaymentReceipt> {
    const { book } = this.#options;
    const mine = this.#turn.then(() => {
      signal.throwIfAborted();
      return book.exclusively(() => this.#payOrTell(order, signal));
    });
    this.#turn = mine.catch(() => {});
    return mine;
  }

  /** Rejects with a PaymentError when the network refuses the transaction, or the reason of the signal. */
  async confirmed(receipt: PaymentReceipt, blocks: 0 | 1 | 2, signal: AbortSignal): Promise<void> {
    const { wallet, book, clock, log, pollMs = 10_000 } = this.#options;
    const record = await book.find(receipt.order.sessionId);
    const known =
      record === undefined || record.state.kind === 'ordered' ? [] : record.state.transactions;
    const metadata = new Map(known.map((each) => [each.txid, each.metadata]));
    const transactions = receipt.txids.map((txid) => ({ txid, metadata: metadata.get(txid) }));
    await waitForBlocks({ wallet, clock, log, pollMs, transactions, blocks }, signal);
  }

  /** An error of the wallet that left no order behind is certain that nothing was paid. */
  async #payOrTell(order: PaymentOrder, signal: AbortSignal): Promise<PaymentReceipt> {
    try {
      return await this.#pay(order, signal);
    } catch (error) {
      if (!(error instanceof WalletError)) throw error;
      if ((await this.#options.book.find(order.sessionId)) !== undefined) throw error;
      throw new PaymentError('wallet', `nothing was paid: ${error.message}`, error);
    }
  }

  async #pay(order: PaymentOrder, signal: AbortSignal): Promise<PaymentReceipt> {
    const { book } = this.#options;
    const fault = orderFault(order, isAddress);
    if (fault !== undefined) throw new PaymentError('invalid-order', `${fault}: nothing was paid`);
    const known = await book.find(order.sessionId);
    if (known === undefined) return this.#first(order, signal);
    if (!sameTerms(known.order, order)) {
      throw new PaymentError(
        'other-terms',
        'this session was ordered before at another price, address or payment id: nothing was paid; ask the provider for a new session',
      );
    }
    const address = await this.#options.wallet.address(signal);
    if (known.wallet !== address) {
      throw new PaymentError(
        'in-doubt',
        'this session was ordered from another wallet: set wallet-name back to it, or ask the provider for a new session',
      );
    }
    return this.#again(known, signal);
  }

  async #first(order: PaymentOrder, signal: AbortSignal): Promise<PaymentReceipt> {
    const { book, wallet, limits, approve, now } = this.#options;
    this.#checkTime(order);
    await this.#checkLimits(order);
    const address = await wallet.address(signal);
    const amount = orderAmount(order);
    if (approve !== undefined && !(await approve({ order, amount }, signal))) {
      throw new PaymentError('declined', 'nothing was paid, as you chose');
    }
    signal.throwIfAborted();
    this.#checkTime(order);
    const how = (await wallet.canRelay(signal)) ? 'prepared' : 'direct';
    const { outgoing, payee } = await this.#outgoing(order, signal);
    const state = { kind: 'ordered', how } as const;
    const record: OrderRecord = { order, wallet: address, orderedAt: now(), payee, state };
    await book.put(record);
    return how === 'prepared'
      ? this.#prepared(record, outgoing, limits, signal)
      : this.#direct(record, outgoing, signal);
  }

  /** A provider forgets a session that is not paid in time. */
  #checkTime({ payBy }: PaymentOrder): void {
    if (payBy === undefined || this.#options.now() < payBy) return;
    throw new PaymentError(
      'late',
      'nothing was paid: the provider may have forgotten this session by now; connect again for a new one',
    );
  }

  async #checkLimits(order: PaymentOrder): Promise<void> {
    const { book, limits, now } = this.#options;
    const others = (await book.all()).filter((each) => each.order.sessionId !== order.sessionId);
    const paid = others.map((each) => ({
      orderedAt: each.orderedAt,
      amount: orderAmount(each.order),
    }));
    const fault = limitFault(order, paid, limits, now());
    if (fault === undefined) return;
    throw new PaymentError(
      'limit',
      `nothing was paid: ${amountText(fault.found)} is above ${fault.key} = ${amountText(fault.limit)}; raise ${fault.key} if this price is meant`,
    );
  }

  /** The destinations with the payment id in the first address, where the wallet can do so. */
  async #outgoing(
    { paymentId, destinations }: PaymentOrder,
    signal: AbortSignal,
  ): Promise<{ outgoing: Outgoing; payee: string }> {
    const [first, ...others] = destinations;
    const address = first?.address ?? '';
    const plain = { outgoing: { destinations, paymentId }, payee: address };
    if (first === undefined || paymentId.length !== 16) return plain;
    const payee = await this.#options.wallet.integratedAddress(address, paymentId, signal);
    if (payee === undefined) return plain;
    const outgoing = {
      destinations: [{ address: payee, amount: first.amount }, ...others],
      paymentId: undefined,
    };
    return { outgoing, payee };
  }

  async #prepared(
    record: OrderRecord,
    outgoing: Outgoing,
    limits: PaymentLimits,
    signal: AbortSignal,
  ): Promise<PaymentReceipt> {
    const { wallet, book } = this.#options;
    let made: readonly MadeTransaction[];
    try {
      made = await wallet.prepare(outgoing, signal);
    } catch (error) {
      // Nothing was sent: the order must not count towards the limits.
      await book.remove(record.order.sessionId);
      throw refusal(error);
    }
    const fee = made.reduce((sum, each) => sum + each.fee, 0n);
    const amount = made.reduce((sum, each) => sum + each.amount, 0n);
    if (fee > limits.fee || amount !== orderAmount(record.order)) {
      await book.remove(record.order.sessionId);
      throw fee > limits.fee
        ? new PaymentError(
            'fee',
            `nothing was paid: the fee ${amountText(fee)} is above max-fee = ${amountText(limits.fee)}; raise max-fee, or wait until fees are lower`,
          )
        : new PaymentError(
            'invalid-order',
            'nothing was paid: the wallet made a transaction of another amount',
          );
    }
    if (made.some(({ metadata }) => metadata === undefined)) {
      // The wallet may not know `do_not_relay`, and may have sent it.
      const doubtful: OrderRecord = { ...record, state: { kind: 'ordered', how: 'direct' } };
      await book.put(doubtful);
      return this.#settle(doubtful, signal);
    }
    const next: OrderRecord = { ...record, state: { kind: 'made', transactions: made } };
    await book.put(next);
    return this.#relay(next, made, signal);
  }

  async #direct(
    record: OrderRecord,
    outgoing: Outgoing,
    signal: AbortSignal,
  ): Promise<PaymentReceipt> {
    const { wallet, book } = this.#options;
    try {
      const made = await wallet.send(outgoing, signal);
      return await this.#sent(record, made, signal);
    } catch (error) {
      if (!(error instanceof WalletError) || !NOT_SENT.has(error.rpcCode)) throw error;
      await book.remove(record.order.sessionId);
      throw refusal(error);
    }
  }

  /** Continues a payment that a process before has begun. */
  async #again(record: OrderRecord, signal: AbortSignal): Promise<PaymentReceipt> {
    const { state, order } = record;
    switch (state.kind) {
      case 'sent':
        return receiptOf(order, state.transactions, state.proofs);
      case 'made':
        await this.#options.wallet.refresh(signal);
        return this.#relay(record, state.transactions, signal);
      case 'ordered':
        return state.how === 'direct' ? this.#settle(record, signal) : this.#anew(record, signal);
    }
  }

  /**
   * The wallet was never asked to send: begins anew, without a second question. Time and limits count as for a new
   * order, because days may lie between.
   */
  async #anew(record: OrderRecord, signal: AbortSignal): Promise<PaymentReceipt> {
    const { book, limits, now } = this.#options;
    const { order } = record;
    try {
      this.#checkTime(order);
      await this.#checkLimits(order);
    } catch (error) {
      await book.remove(order.sessionId);
      throw error;
    }
    const { outgoing } = await this.#outgoing(order, signal);
    const dated = { ...record, orderedAt: now() };
    await book.put(dated);
    return this.#prepared(dated, outgoing, limits, signal);
  }

  /** Sends what the wallet does not know to be in a block. After a restart the wallet has read its blocks before. */
  async #relay(
    record: OrderRecord,
    transactions: readonly OrderTransaction[],
    signal: AbortSignal,
  ): Promise<PaymentReceipt> {
    const { wallet } = this.#options;
    for (const { txid, metadata } of transactions) {
      if (metadata === undefined) continue;
      // oxlint-disable-next-line no-await-in-loop -- one payment after the other
      if ((await wallet.transfer(txid, signal))?.type === 'out') continue;
      try {
        // oxlint-disable-next-line no-await-in-loop
        await wallet.relay(metadata, signal);
      } catch (error) {
        if (!(error instanceof WalletError) || error.fault !== 'refused') throw error;
        // oxlint-disable-next-line no-await-in-loop
        if (isAlive(await wallet.transfer(txid, signal))) continue;
        throw new PaymentError(
          'failed',
          `the network did not take the transaction of this payment (${errorText(error)}): try again; if its coins were spent elsewhere, "onionmc lethean wallet forget ${record.order.sessionId}" lets the session be paid anew.${partText(transactions)}`,
          error,
        );
      }
    }
    return this.#sent(record, transactions, signal);
  }

  /** Looks for a payment that the wallet may have sent in one call; never sends another one. */
  async #settle(record: OrderRecord, signal: AbortSignal): Promise<PaymentReceipt> {
    const { wallet } = this.#options;
    await wallet.refresh(signal);
    const found = (await wallet.transfers(signal)).filter(
      (transfer) => isAlive(transfer) && pays(transfer, record),
    );
    if (found.length > 0) {
      return this.#sent(
        record,
        found.map(({ txid, fee }) => ({ txid, fee, metadata: undefined })),
        signal,
      );
    }
    throw new PaymentError(
      'in-doubt',
      `this session may have been paid, and the wallet does not show it: nothing is paid again. Wait for some blocks and try again; when the wallet surely has not paid, "onionmc lethean wallet forget ${record.order.sessionId}"`,
    );
  }

  async #sent(
    record: OrderRecord,
    transactions: readonly OrderTransaction[],
    signal: AbortSignal,
  ): Promise<PaymentReceipt> {
    const { book, wallet, log } = this.#options;
    const { order, payee } = record;
    const state = { kind: 'sent', transactions, proofs: [] } as const;
    // First this, because the money has left: what follows may fail.
    await book.put({ ...record, state });
    const proofs: { txid: string; signature: string }[] = [];
    try {
      await wallet.store(signal);
      for (const { txid } of transactions) {
        const message = order.sessionId;
        // oxlint-disable-next-line no-await-in-loop -- one connection
        const signature = await wallet.proof({ txid, address: payee, message }, signal);
        proofs.push({ txid, signature });
      }
    } catch (error) {
      log.warn('the wallet gave no proof of a payment', { error: errorText(error) });
    }
    if (proofs.length > 0) await book.put({ ...record, state: { ...state, proofs } });
    log.info('a session was paid');
    return receiptOf(order, transactions, proofs);
  }
}

const isAlive = (transfer: Transfer | undefined): boolean =>
  transfer?.type === 'pending' || transfer?.type === 'out';

/** Whether a transfer has the payment id and the destinations of an order. */
function pays({ paymentId, destinations }: Transfer, { order, payee }: OrderRecord): boolean {
  if (paymentId !== order.paymentId) return false;
  return order.destinations.every(({ address, amount }, i) =>
    destinations.some(
      (each) => each.amount === amount && each.address === (i === 0 ? payee : address),
    ),
  );
}

function receiptOf(
  order: PaymentOrder,
  transactions: readonly OrderTransaction[],
  proofs: PaymentReceipt['proofs'],
): PaymentReceipt {
  const fees = transactions.reduce((sum, { fee }) => sum + fee, 0n);
  return {
    order,
    txids: transactions.map(({ txid }) => txid),
    spent: orderAmount(order) + fees,
    proofs,
  };
}

function refusal(error: unknown): unknown {
  if (!(error instanceof WalletError)) return error;
  if (NO_FUNDS.has(error.rpcCode)) {
    return new PaymentError('no-funds', `nothing was paid: ${error.message}`, error);
  }
  if (error.rpcCode === RpcCode.WRONG_PAYMENT_ID) {
    return new PaymentError(
      'invalid-order',
      `nothing was paid: the wallet cannot send this payment id (${error.message}); choose another provider`,
      error,
    );
  }
  return error;
}
