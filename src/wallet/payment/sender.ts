/** Sends signed payments, and sends them again until they are in a block or lost. */
import { BroadcastError } from '../../chain/chain-error.js';
import type { Chain } from '../../chain/ports.js';
import { WalletError, type SignedPayment } from '../api.js';
import type { SignedTransaction } from '../requests.js';
import type { Wallet } from '../wallet.js';
import { failedOutcome, isDead, seenOutcome, type SendOutcome } from './outcome.js';

/** A signed payment that is not settled, and what is known about it now. */
export interface OpenPayment {
  readonly txid: string;
  readonly outcome: SendOutcome;
}

const isPayment = ({ kind }: SignedTransaction): boolean => kind === 'send' || kind === 'redeem';

/** The signed transaction with this txid. Throws a WalletError (`request`) where there is none. */
export function signedNamed(wallet: Wallet, txid: string): SignedTransaction {
  const found = wallet
    .signedTransactions()
    .find((signed) => signed.txid === txid || signed.unsignedTxid === txid);
  if (found !== undefined) return found;
  throw new WalletError('request', `the wallet signed no transaction ${txid}`);
}

/** The part of payments that talks to the network. */
export class PaymentSender {
  readonly #wallet: Wallet;
  readonly #chain: Chain;

  constructor(wallet: Wallet, chain: Chain) {
    this.#wallet = wallet;
    this.#chain = chain;
  }

  /**
   * Sends a signed payment. A payment that the source refuses for another reason than missing coins, and
   * that was never sent before, is given up: its coins are free again.
   */
  async send({ txid, bytes }: SignedPayment): Promise<SendOutcome> {
    const signed = signedNamed(this.#wallet, txid);
    const outcome = await this.#broadcast(signed, bytes);
    if (outcome.kind === 'sent') await this.#mark(signed, true);
    else if (!signed.seen && isDead(outcome)) await this.#wallet.abandon(signed.unsignedTxid);
    return outcome;
  }

  /**
   * Looks at every open payment and sends those again that the source does not have, also after a restart
   * between signing and sending. Of payments that replace each other only the newest is sent.
   */
  async resume(signal?: AbortSignal): Promise<readonly OpenPayment[]> {
    const pending = this.#wallet
      .signedTransactions()
      .filter((signed) => signed.state === 'pending' && isPayment(signed));
    const replaced = new Set(pending.map(({ replaces }) => replaces));
    const open: OpenPayment[] = [];
    for (const signed of pending) {
      const { bytes, txid, unsignedTxid } = signed;
      if (bytes === undefined || txid === undefined || replaced.has(unsignedTxid)) continue;
      // oxlint-disable-next-line no-await-in-loop -- one at a time, in the order of signing
      open.push({ txid, outcome: await this.#resumeOne(signed, bytes, signal) });
    }
    return open;
  }

  async #resumeOne(
    signed: SignedTransaction,
    bytes: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<SendOutcome> {
    const outcome = await this.#found(signed, bytes, signal);
    // Nothing is given up here: a crash may have come between an earlier sending and its record.
    if (outcome.kind === 'sent') await this.#mark(signed, true);
    else if (outcome.kind !== 'waiting' && outcome.kind !== 'confirmed') {
      await this.#mark(signed, false);
    }
    return outcome;
  }

  /** Where a payment is; sends it where it was not seen. */
  async #found(
    signed: SignedTransaction,
    bytes: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<SendOutcome> {
    try {
      const state = await this.#chain.transactionState(bytes, signed.height, signal);
      return seenOutcome(state) ?? (await this.#broadcast(signed, bytes));
    } catch (error) {
      return failedOutcome(error);
    }
  }

  async #broadcast(signed: SignedTransaction, bytes: Uint8Array): Promise<SendOutcome> {
    try {
      await this.#chain.broadcast(bytes);
      return { kind: 'sent' };
    } catch (error) {
      if (!(error instanceof BroadcastError) || error.fault !== 'missing-coins') {
        return failedOutcome(error);
      }
      // The answer for a lost payment and for a confirmed one whose outputs are spent: look for it.
      return this.#lookFor(signed, bytes, error);
    }
  }

  async #lookFor(
    signed: SignedTransaction,
    bytes: Uint8Array,
    refusal: BroadcastError,
  ): Promise<SendOutcome> {
    try {
      const state = await this.#chain.transactionState(bytes, signed.height);
      const text =
        `the node does not know a coin of it (${refusal.reason}). The payment may be in a block already, so ` +
        'its coins stay reserved';
      return seenOutcome(state) ?? { kind: 'unclear', text };
    } catch (error) {
      return failedOutcome(error);
    }
  }

  async #mark(signed: SignedTransaction, seen: boolean): Promise<void> {
    if (signed.seen !== seen) await this.#wallet.markSeen(signed.unsignedTxid, seen);
  }
}
