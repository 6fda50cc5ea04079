/** Steps 3, 4 and 6 of section 4.1: the payment leaves, gets its blocks, and the dispatcher recognises it. */
import type { Clock } from '../../kit/clock.js';
import { errorText } from '../../kit/error-text.js';
import { pause } from '../../kit/pause.js';
import type { Log } from '../../channel/log.js';
import { isNothingPaid, type Manager, type Payer } from '../ports.js';
import { NotRecognisedError } from './errors.js';
import type { SessionLedger } from './ledger.js';
import type { SessionSettings } from './settings.js';
import { SessionStateError, type Payment } from './state.js';
import { orderOf } from './terms.js';

export interface PaymentSteps {
  readonly ledger: SessionLedger;
  readonly payer: Payer;
  readonly manager: Manager;
  readonly settings: SessionSettings;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * From UNPAID or CONFIRMING to CONNECTING. May be called again after a crash anywhere: the payer finds the payment of
 * the same order. Rejects with the payer's error, with a NotRecognisedError, with a SessionStateError when the manager
 * changes the session, or with the reason of the signal.
 */
export async function payAndConfirm(steps: PaymentSteps, signal: AbortSignal): Promise<void> {
  const { ledger, payer, settings } = steps;
  if (ledger.state.state === 'UNPAID') {
    signal.throwIfAborted();
    const { session, payBy } = ledger.state;
    // On disk before the payer hears of it.
    await ledger.apply({ kind: 'order', order: orderOf(session, payBy) });
  }
  if (ledger.state.state !== 'CONFIRMING') return;
  const payment = await paid(steps, ledger.state.payment, signal);
  if (payment?.receipt !== undefined) {
    await payer.confirmed(payment.receipt, settings.confirmations, signal);
  }
  await granted(steps, payment, signal);
}

async function paid(
  { ledger, payer }: PaymentSteps,
  payment: Payment | undefined,
  signal: AbortSignal,
): Promise<Payment | undefined> {
  if (payment === undefined || payment.receipt !== undefined) return payment;
  try {
    const receipt = await payer.pay(payment.order, signal);
    await ledger.apply({ kind: 'paid', receipt });
    return { order: payment.order, receipt };
  } catch (error) {
    if (isNothingPaid(error)) await ledger.apply({ kind: 'not-paid', reason: errorText(error) });
    throw error;
  }
}

/** Asks the manager until the session is paid and active. A manager that cannot be reached is asked again. */
async function granted(
  { ledger, manager, settings, clock, log }: PaymentSteps,
  payment: Payment | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { pollManager, grantTimeout } = settings;
  const end = clock.now() + grantTimeout * 1_000;
  let told = '';
  for (;;) {
    signal.throwIfAborted();
    try {
      // oxlint-disable-next-line no-await-in-loop -- one question after the other
      const session = await manager.session(ledger.state.session.sessionId, signal);
      // oxlint-disable-next-line no-await-in-loop
      const state = await ledger.apply({ kind: 'update', session });
      if (state.state === 'CONNECTING') return;
    } catch (error) {
      if (error instanceof SessionStateError) throw error;
      signal.throwIfAborted();
      // The same words once.
      if (errorText(error) !== told)
        log.warn('the manager did not tell the session', { error: errorText(error) });
      told = errorText(error);
    }
    if (clock.now() >= end) {
      const txids = payment?.receipt?.txids ?? [];
      throw new NotRecognisedError(ledger.state.session.sessionId, txids, grantTimeout);
    }
    // oxlint-disable-next-line no-await-in-loop
    await pause(clock, pollManager * 1_000, signal);
  }
}
