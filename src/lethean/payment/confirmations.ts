/** Waits until the transactions of a payment have their blocks. */
import type { Clock } from '../../kit/clock.js';
import type { Log } from '../../channel/log.js';
import { errorText } from '../../kit/error-text.js';
import { pause } from '../../kit/pause.js';
import type { Transfer } from './transfer.js';
import type { Wallet } from './wallet.js';
import { PaymentError, WalletError } from './wallet-error.js';

export interface BlockWait {
  readonly wallet: Wallet;
  readonly clock: Clock;
  readonly log: Log;
  readonly pollMs: number;
  readonly transactions: readonly {
    readonly txid: string;
    readonly metadata: string | undefined;
  }[];
  /** 0: the pool of the wallet's node is enough. */
  readonly blocks: 0 | 1 | 2;
}

/** A transaction in no block is sent again so often: a node that was restarted may have lost its pool. */
const SEND_AGAIN_MS = 300_000;
/** Faults after which the wallet may answer again. */
const PASSING: ReadonlySet<string> = new Set(['unreachable', 'timeout']);

function hasBlocks(transfer: Transfer | undefined, blocks: number): boolean {
  if (transfer === undefined || transfer.doubleSpendSeen) return false;
  if (blocks === 0 && transfer.type === 'pending') return true;
  return transfer.type === 'out' && transfer.height > 0 && transfer.confirmations >= blocks;
}

/**
 * A wallet RPC that does not answer is asked again. Rejects with a PaymentError when the network refuses a
 * transaction, with a WalletError that does not pass, or the reason of the signal.
 */
export async function waitForBlocks(wait: BlockWait, signal: AbortSignal): Promise<void> {
  const { clock, log, pollMs } = wait;
  let isAway = false;
  const sentAt = new Map<string, number>();
  for (;;) {
    signal.throwIfAborted();
    try {
      // oxlint-disable-next-line no-await-in-loop -- one look after the other
      if (await allThere(wait, sentAt, signal)) return;
      isAway = false;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof WalletError) || !PASSING.has(error.fault)) throw error;
      if (!isAway) log.warn('the wallet RPC does not answer', { error: errorText(error) });
      isAway = true;
    }
    // oxlint-disable-next-line no-await-in-loop
    await pause(clock, pollMs, signal);
  }
}

async function allThere(
  wait: BlockWait,
  sentAt: Map<string, number>,
  signal: AbortSignal,
): Promise<boolean> {
  const { wallet, clock, transactions, blocks } = wait;
  await wallet.refresh(signal);
  let all = true;
  for (const { txid, metadata } of transactions) {
    // oxlint-disable-next-line no-await-in-loop -- one connection
    let transfer = await wallet.transfer(txid, signal);
    const now = clock.now();
    const isDue = now - (sentAt.get(txid) ?? -SEND_AGAIN_MS) >= SEND_AGAIN_MS;
    if (transfer?.type !== 'out' && isDue) {
      // `pending` is what the wallet remembers, and not what the pool of its node has
      // (findings/monero-wallet-forgets.sh).
      // oxlint-disable-next-line no-await-in-loop
      await sendAgain(wait, txid, metadata, signal);
      sentAt.set(txid, now);
      // oxlint-disable-next-line no-await-in-loop
      transfer = await wallet.transfer(txid, signal);
    }
    if (!hasBlocks(transfer, blocks)) all = false;
  }
  return all;
}

/**
 * A wallet RPC that was killed forgets what it sent (findings/monero-wallet-forgets.sh). Sending the same transaction
 * again is harmless.
 */
async function sendAgain(
  { wallet }: BlockWait,
  txid: string,
  metadata: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (metadata === undefined) return;
  try {
    await wallet.relay(metadata, signal);
  } catch (error) {
    if (!(error instanceof WalletError) || error.fault !== 'refused') throw error;
    const transfer = await wallet.transfer(txid, signal);
    if (transfer !== undefined && transfer.type !== 'failed') return;
    throw new PaymentError(
      'failed',
      `the network refuses the transaction of this payment (${errorText(error)}): its coins were spent elsewhere, or the node is on another chain`,
      error,
    );
  }
}
