/** A warning about what strangers can repeat. */
import type { Log } from '../channel/log.js';
import type { Clock } from '../channel/ports.js';

/** Least time between two log lines. */
const WARNING_INTERVAL_MS = 60_000;

interface Tools {
  readonly clock: Clock;
  readonly log: Log;
}

/** A warning that is logged once a minute, with how often it was meant. */
export class RareWarning {
  readonly #tools: Tools;
  #warnedAt: number | undefined;
  /** Since the last log line. */
  #times = 0;

  constructor(tools: Tools) {
    this.#tools = tools;
  }

  warn(text: string): void {
    const { clock, log } = this.#tools;
    this.#times += 1;
    const now = clock.now();
    if (this.#warnedAt !== undefined && now - this.#warnedAt < WARNING_INTERVAL_MS) return;
    this.#warnedAt = now;
    log.warn(text, { times: this.#times });
    this.#times = 0;
  }
}
