/** Renews sessions before their end without a question: `auto-pay-days`. */
import type { Clock } from '../../kit/clock.js';
import { errorText } from '../../kit/error-text.js';
import type { Log } from '../../channel/log.js';
import type { LetheanConnection } from './connection.js';
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
      const isRenewed = await this.#renew(connection);
      return plan(isRenewed ? left() : RETRY);
    };
    plan(left());
    return () => {
      isOver = true;
      cancel?.();
    };
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
