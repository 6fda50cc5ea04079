/** Renews sessions before their end without a question: `auto-pay-days`. */
import type { Clock } from '../../kit/clock.js';
import { errorText } from '../../kit/error-text.js';
import type { Log } from '../../channel/log.js';
import type { LetheanConnection } from './connection.js';
import type { StoredState } from './record-file.js';
import type { SessionSettings } from './settings.js';

export interface RenewalsOptions {
  readonly clock: Clock;
  /** Seconds since 1970. */
  readonly now: () => number;
  readonly log: Log;
  readonly settings: SessionSettings;
  readonly renew: (connection: LetheanConnection, days: number) => Promise<void>;
}

/** Longest wait of one timer, milliseconds. */
const MAX_WAIT_MS = 86_400_000;
const DAY = 86_400;
/** After a renewal that failed, seconds. */
const RETRY = 300;

export class Renewals {
  readonly #options: RenewalsOptions;

  constructor(options: RenewalsOptions) {
    this.#options = options;
  }

  /** Renews a connection until the returned function is called. */
  watch(connection: LetheanConnection): () => void {
    const { clock, now, settings } = this.#options;
    if (settings.autoPayDays === 0) return () => {};
    let cancel: (() => void) | undefined;
    let isOver = false;
    const plan = (seconds: number): void => {
      if (isOver) return;
      const wait = Math.min(Math.max(0, seconds * 1_000), MAX_WAIT_MS);
      cancel = clock.after(wait, () => void look());
    };
    const left = (): number => connection.state.session.expires - settings.renewBefore - now();
    const look = async (): Promise<void> => {
      if (left() > 0) return plan(left());
      const half = secondsToHalf(connection.state, settings.unpaidExpiry, now());
      if (half > 0 && now() + half >= connection.state.session.expires) return this.#stopped();
      if (half > 0) return plan(half);
      const isRenewed = await this.#renew(connection);
      return plan(isRenewed ? left() : RETRY);
    };
    plan(left());
    return () => {
      isOver = true;
      cancel?.();
    };
  }

  #stopped(): void {
    this.#options.log.warn(
      'the provider ends a session before half of its paid time: it is not renewed automatically, and nothing more was paid. Ask the provider, connect to another one, or connect again and agree to the payment',
    );
  }

  async #renew(connection: LetheanConnection): Promise<boolean> {
    const { log, settings, renew } = this.#options;
    try {
      await renew(connection, settings.autoPayDays);
      return true;
    } catch (error) {
      log.warn('a session was not renewed', { error: errorText(error) });
      return false;
    }
  }
}

/**
 * Until half of the paid time has been served; 0 or less from then on, and for a free session. The manager names the
 * beginning and the end. This client knows its order, so a beginning more than `unpaid-expiry` before it has no effect.
 */
function secondsToHalf(state: StoredState, unpaidExpiry: number, now: number): number {
  if (!('payment' in state) || state.payment === undefined) return 0;
  const { session, payment } = state;
  const ordered = (payment.order.payBy ?? 0) - unpaidExpiry;
  const begin = Math.max(session.activated, ordered);
  return begin + (session.days * DAY) / 2 - now;
}
