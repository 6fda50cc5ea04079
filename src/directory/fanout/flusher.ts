/**
 * Writes what waits in the shared log to the ready peers: to all of them at once, or in a round of steps
 * to one part of them after the other. After the last part it frees the log and reports the flush.
 */
import type { Peer } from '../peer.js';
import type { BroadcastLog } from './broadcast-log.js';
import type { FanoutOptions } from './fanout.js';
import { MOST_STEPS, type FlushPart } from './flush-timer.js';
import type { Outboxes } from './outbox.js';

export interface FlusherOptions {
  readonly log: BroadcastLog;
  readonly outboxes: Outboxes;
  readonly fanout: Pick<
    FanoutOptions,
    'registry' | 'clock' | 'random' | 'tally' | 'limits' | 'drop' | 'onFlush'
  >;
}

export class Flusher {
  readonly #options: FlusherOptions;
  /** Log position of the last flush of all, or of the last step of a round. */
  #flushed = 0;
  /** Log position at the first step of the round: each peer gets at least what is before it. */
  #roundStart = 0;
  /** Log position up to which every peer was given the log, to write it as fast as the peer reads. */
  #settled = 0;
  /** Largest lag, and longest step in milliseconds, since the first step. */
  #lag = 0;
  #tookMs = 0;

  constructor(options: FlusherOptions) {
    this.#options = options;
  }

  /**
   * Writes the log up to its end to the peers of one part.
   * @returns the log position up to which now every peer has been given the log
   */
  flush({ step, steps }: FlushPart): number {
    const { log, fanout } = this.#options;
    const { end } = log;
    if (step === 0) {
      this.#roundStart = end;
      this.#lag = 0;
      this.#tookMs = 0;
    }
    const startedAt = fanout.clock.now();
    const place = (at: number): number => Math.floor((MOST_STEPS * at) / steps);
    this.#pump(end, place(step), place(step + 1));
    this.#tookMs = Math.max(this.#tookMs, fanout.clock.now() - startedAt);
    if (step < steps - 1) return this.#settled;
    this.#settled = this.#roundStart;
    this.#finish(end);
    return this.#settled;
  }

  /**
   * To the peers whose arrival has a remainder from one number up to another. So a peer has the same place in
   * every round, whoever comes and goes. Starts with any peer, so that the order is not always the same.
   */
  #pump(end: number, from: number, to: number): void {
    const { fanout } = this.#options;
    const { ready } = fanout.registry;
    const first = Math.floor(fanout.random() * ready.length);
    const lagging: Peer[] = [];
    for (let i = 0; i < ready.length; i++) {
      const peer = ready[(first + i) % ready.length];
      if (!peer) continue;
      const place = peer.arrival % MOST_STEPS;
      if (place >= from && place < to && !this.#pumpOne(peer, end)) lagging.push(peer);
    }
    for (const peer of lagging) fanout.drop(peer, 'lag');
  }

  /** False when the peer lags too far behind. */
  #pumpOne({ outbox }: Peer, end: number): boolean {
    const { outboxes, fanout } = this.#options;
    outbox.due = end;
    outboxes.pump(outbox);
    if (outbox.cursor === end) return true;
    if (outboxes.lag(outbox) > fanout.limits.sendQueueBytes) return false;
    this.#lag = Math.max(this.#lag, end - outbox.cursor);
    return true;
  }

  #finish(end: number): void {
    const { log, fanout } = this.#options;
    let slowest = end;
    for (const { outbox } of fanout.registry.ready) slowest = Math.min(slowest, outbox.cursor);
    log.trim(slowest);
    fanout.tally.flushes++;
    fanout.onFlush?.({
      bytes: end - this.#flushed,
      lagBytes: this.#lag,
      keptBytes: log.size,
      tookMs: this.#tookMs,
    });
    this.#flushed = end;
  }
}
