/**
 * The one question of all doors: may this client, with this code, enter now? A backend knows the codes;
 * this file limits attempts, bounds what waits, and reports each decision.
 */
import { Attempts, type AttemptLimits } from './attempts.js';
import {
  decided,
  type AdmissionRequest,
  type AuditEntry,
  type Backend,
  type Decision,
  type HeldSession,
} from './api.js';
import { MAX_CODE_BYTES } from './code-text.js';
import { isAddress } from './code-record.js';

/** Decisions that wait for scrypt or a program at one time. */
const MAX_WAITING = 256;

export interface AdmissionEngineOptions {
  readonly backend: Backend;
  readonly attempts?: AttemptLimits;
  /** Codes that have expired or are used up are answered with PAYME (default REJECT). */
  readonly payme?: boolean;
  /** Called with each decision, in order; must not throw. */
  readonly onDecision?: (entry: AuditEntry) => void;
}

export class AdmissionEngine {
  readonly #options: AdmissionEngineOptions;
  readonly #attempts: Attempts;
  #waiting = 0;

  constructor(options: AdmissionEngineOptions) {
    this.#options = options;
    this.#attempts = new Attempts(options.attempts);
  }

  /** Decides; at once for codes that we make. The promise never rejects. */
  decide(request: AdmissionRequest): Decision | Promise<Decision> {
    const early = this.#early(request);
    if (early) return this.#finish(request, early);
    if (this.#waiting >= MAX_WAITING) return this.#finish(request, decided('LIMITED', 'busy'));
    if (!this.#attempts.take(request.address, request.now)) {
      return this.#finish(request, decided('LIMITED', 'attempts'));
    }
    return this.#judge(request);
  }

  /** Whether a session that was admitted may stay; it counts as one that lasts. */
  stays(held: HeldSession, now: number): boolean {
    return this.#options.backend.stays(held, now);
  }

  /** A session has ended. */
  left(held: HeldSession): void {
    this.#options.backend.left(held);
  }

  close(): void {
    this.#options.backend.close();
  }

  #early(request: AdmissionRequest): Decision | undefined {
    const { address, code } = request;
    if (code.length > MAX_CODE_BYTES || !isAddress(address)) return decided('REJECT', 'malformed');
    return this.#options.backend.recognise(request);
  }

  async #judge(request: AdmissionRequest): Promise<Decision> {
    this.#waiting++;
    try {
      const decision = await this.#options.backend.judge(request);
      if (decision.verdict === 'OKAY') this.#attempts.giveBack(request.address);
      return this.#finish(request, decision);
    } finally {
      this.#waiting--;
    }
  }

  #finish(request: AdmissionRequest, made: Decision): Decision {
    const isOver = made.reason === 'expired' || made.reason === 'used-up';
    const decision: Decision =
      isOver && this.#options.payme === true ? { ...made, verdict: 'PAYME' } : made;
    const { door, address, now } = request;
    this.#options.onDecision?.({ ...decision, door, address, now });
    return decision;
  }
}
