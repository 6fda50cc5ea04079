/**
 * Runs a schedule: asks `decide` what comes next, writes it down, and does it. Every state is on the disk
 * before its effect and after it.
 */
import type { Random } from '../channel/ports.js';
import type { Clock } from '../kit/clock.js';
import { pause } from '../kit/pause.js';
import type { CoinjoinOutcome } from '../taker/api.js';
import type { StepDestination, StepOrder } from './api.js';
import { decide, type Decision, type RunTerms } from './decide.js';
import type { WalletFacts } from './facts.js';
import { answered, begun, ended } from './outcome.js';
import type { RunState } from './run-state.js';

/** What a run needs from outside. */
export interface SchedulePorts {
  /** Reads the chain up to its tip, and tells what the wallet has. Rejects when the chain does not answer. */
  facts(signal: AbortSignal): Promise<WalletFacts>;
  /** Does a coinjoin. It does not reject for what the network or makers do; see `CoinjoinOutcome`. */
  coinjoin(order: StepOrder, signal: AbortSignal): Promise<CoinjoinOutcome>;
  /** Asks a person for the address of a step. Rejects where there is no person to ask. */
  address(step: number): Promise<Extract<StepDestination, { readonly kind: 'address' }>>;
  /** Writes the state, and then the schedule. Resolves when both are on the disk. */
  save(state: RunState): Promise<void>;
  /** Resolves when the tip is another one than that of the last `facts`, or when the signal is aborted. */
  nextBlock(signal: AbortSignal): Promise<void>;
  /** The wall clock, in Unix seconds. */
  unixTime(): number;
  readonly clock: Clock;
  readonly random: Random;
}

/** What a run tells while it runs. */
export type ScheduleEvent =
  | { readonly kind: 'begins'; readonly step: number; readonly order: StepOrder }
  | { readonly kind: 'waits'; readonly waiting: Extract<Decision, { readonly kind: 'wait' }> }
  | { readonly kind: 'ended'; readonly step: number; readonly outcome: CoinjoinOutcome }
  /** The chain did not answer; the run asks again. */
  | { readonly kind: 'fault'; readonly error: unknown };

export interface RunOptions {
  readonly ports: SchedulePorts;
  readonly terms: RunTerms;
  /** Aborted: the run ends after the coinjoin that runs. */
  readonly stop: AbortSignal;
  /** Aborted: that coinjoin ends too. */
  readonly abort: AbortSignal;
  readonly onEvent: (event: ScheduleEvent) => void;
}

/** How a run ended. */
export interface RunEnd {
  readonly state: RunState;
  /** Undefined where the chain was not read after the start. */
  readonly facts: WalletFacts | undefined;
  readonly end:
    | { readonly kind: 'finished' }
    | { readonly kind: 'failed'; readonly step: number }
    | { readonly kind: 'stopped' };
}

/** Longest sleep without a look at the chain; a clock that was set also ends a wait by then. */
const LONGEST_SLEEP_MS = 60_000;
const AGAIN_AFTER_MS = 10_000;

class Runner {
  readonly #options: RunOptions;
  #state: RunState;
  /** The state that is on the disk. */
  #saved: string | undefined;
  #shown = '';

  constructor(state: RunState, options: RunOptions) {
    this.#options = options;
    this.#state = state;
  }

  async run(): Promise<RunEnd> {
    const { stop } = this.#options;
    let facts: WalletFacts | undefined;
    while (!stop.aborted) {
      // oxlint-disable-next-line no-await-in-loop -- one step after the other
      const read = await this.#facts();
      if (read === undefined) continue;
      facts = read;
      // oxlint-disable-next-line no-await-in-loop
      const end = await this.#next(facts);
      if (end !== undefined) return { state: this.#state, facts, end };
    }
    return { state: this.#state, facts, end: { kind: 'stopped' } };
  }

  /** Undefined after a fault of the chain, and a pause. */
  async #facts(): Promise<WalletFacts | undefined> {
    const { ports, stop, onEvent } = this.#options;
    try {
      return await ports.facts(stop);
    } catch (error) {
      if (stop.aborted) return undefined;
      onEvent({ kind: 'fault', error });
      await pause(ports.clock, AGAIN_AFTER_MS, stop);
      return undefined;
    }
  }

  async #next(facts: WalletFacts): Promise<RunEnd['end'] | undefined> {
    const { ports, terms } = this.#options;
    const { state, decision } = decide(this.#state, facts, terms, ports.unixTime());
    const waiting = decision.kind === 'wait' ? waitingOf(decision) : undefined;
    await this.#save({ ...state, waiting });
    switch (decision.kind) {
      case 'finished':
      case 'failed':
        return decision;
      case 'wait':
        await this.#wait(decision);
        return undefined;
      case 'ask':
        await this.#save(answered(this.#state, decision.step, await ports.address(decision.step)));
        return undefined;
      case 'coinjoin':
        await this.#coinjoin(decision.step, decision.order);
        return undefined;
    }
  }

  async #coinjoin(step: number, order: StepOrder): Promise<void> {
    const { ports, terms, abort, onEvent } = this.#options;
    await this.#save(begun(this.#state, step, ports.unixTime()));
    onEvent({ kind: 'begins', step, order });
    const outcome = await ports.coinjoin(order, abort);
    const { random } = ports;
    await this.#save(ended(this.#state, step, outcome, { terms, random, now: ports.unixTime() }));
    onEvent({ kind: 'ended', step, outcome });
  }

  async #wait(waiting: Extract<Decision, { readonly kind: 'wait' }>): Promise<void> {
    const { ports, stop, onEvent } = this.#options;
    const shown = JSON.stringify(waiting);
    if (shown !== this.#shown) onEvent({ kind: 'waits', waiting });
    this.#shown = shown;
    const { until } = waiting;
    const left = until === undefined ? Infinity : (until - ports.unixTime()) * 1_000;
    const over = new AbortController();
    const either = AbortSignal.any([stop, over.signal]);
    const sleep = pause(ports.clock, Math.min(LONGEST_SLEEP_MS, Math.max(1, left)), either);
    try {
      // A chain that does not answer is told at the next look at it.
      await Promise.race([sleep, ports.nextBlock(either).catch(() => sleep)]);
    } finally {
      over.abort();
    }
  }

  async #save(state: RunState): Promise<void> {
    this.#state = state;
    const text = JSON.stringify(state);
    if (text === this.#saved) return;
    await this.#options.ports.save(state);
    this.#saved = text;
  }
}

const waitingOf = ({
  step,
  reason,
  until,
}: Extract<Decision, { readonly kind: 'wait' }>): RunState['waiting'] => ({ step, reason, until });

/**
 * Runs a schedule until every step is done or skipped, one failed too often, or the run is stopped. Rejects
 * when the disk or the wallet fails, and where an address is needed and nobody can be asked: the state on the
 * disk is then that before the step.
 */
export function runSchedule(state: RunState, options: RunOptions): Promise<RunEnd> {
  return new Runner(state, options).run();
}
