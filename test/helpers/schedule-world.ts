/**
 * A wallet, a chain, a disk and makers in memory, for runs of schedules. Time passes only while a run waits;
 * a block comes every ten minutes. The program can be killed at each call of a run to the outside, before
 * and after its effect.
 */
import type { CoinjoinOutcome } from '../../src/taker/api.js';
import type { Random } from '../../src/channel/ports.js';
import type { Clock } from '../../src/kit/clock.js';
import type { ScheduleStep, StepOrder } from '../../src/schedule/api.js';
import { DEFAULT_RUN_TERMS, type RunTerms } from '../../src/schedule/decide.js';
import type { WalletFacts } from '../../src/schedule/facts.js';
import { formatSchedule, parseSchedule, replaceSteps } from '../../src/schedule/lines.js';
import { changedStep, restarted, withSteps } from '../../src/schedule/outcome.js';
import { newRun, type RunState } from '../../src/schedule/run-state.js';
import {
  runSchedule,
  type RunEnd,
  type ScheduleEvent,
  type SchedulePorts,
} from '../../src/schedule/run.js';
import { formatRun, parseRun } from '../../src/schedule/state-text.js';
import { addressNumber, seeded } from './schedules.js';

/** The program was killed. */
export class Killed extends Error {}

/** A transaction of the wallet. */
export interface WorldTransaction {
  readonly label: string;
  readonly txid: string;
  readonly order: StepOrder;
  readonly amount: number;
  readonly change: number;
  readonly fee: number;
  height: number | undefined;
  isLost: boolean;
  /** It reaches no block before this height. */
  readonly notBefore: number;
}

type Failed = Extract<CoinjoinOutcome, { readonly ok: false }>;

/** What a coinjoin does in this world. */
export type Fate =
  | 'ok'
  | Failed['fault']
  /** Signed and not broadcast; it appears three blocks later. */
  | 'late'
  /** Broadcast; then another transaction spends a coin of it. */
  | 'lost';

const START = 1_700_000_000;
const BLOCK_SECONDS = 600;
const FEE_PER_MAKER = 1_000;
const MINER_FEE = 500;

const NOTHING = {
  commitment: false,
  coin: undefined,
  coins: [],
  transaction: false,
  signatures: false,
} as const;

export interface WorldOptions {
  readonly steps: readonly ScheduleStep[];
  readonly balances: readonly number[];
  readonly seed?: number;
  /** Height of the block with the deposits; default: far below. */
  readonly depositHeight?: number;
  readonly terms?: Partial<RunTerms>;
  /** What the coinjoins do, one after the other; `ok` after the last one. */
  readonly fates?: readonly Fate[];
  /** The address that a person gives for a step; absent: there is no terminal. */
  readonly answer?: (step: number) => number;
}

export class ScheduleWorld {
  readonly transactions: WorldTransaction[] = [];
  readonly events: ScheduleEvent[] = [];
  /** Coins that do not come from a step, by mixdepth. */
  readonly deposits: number[];
  readonly frozen: number[];
  /** The two files. */
  schedule: string;
  state: string | undefined;
  time = START;
  /** Calls to the outside so far. */
  calls = 0;
  /** Numbers of the calls at which the program is killed. */
  readonly kills = new Set<number>();
  readonly stop = new AbortController();
  readonly #options: WorldOptions;
  readonly #random: Random;
  readonly #terms: RunTerms;
  readonly #fates: Fate[];

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#random = seeded(options.seed ?? 1);
    this.#terms = { ...DEFAULT_RUN_TERMS, ...options.terms };
    this.#fates = [...(options.fates ?? [])];
    this.deposits = [...options.balances];
    this.frozen = options.balances.map(() => 0);
    this.schedule = formatSchedule(options.steps);
  }

  get height(): number {
    return Math.floor((this.time - START) / BLOCK_SECONDS) + 100;
  }

  /** What went to each address, in all transactions that are in a block. */
  get paid(): ReadonlyMap<string, number> {
    const paid = new Map<string, number>();
    for (const { order, amount, height } of this.transactions) {
      const { destination } = order;
      if (height === undefined || destination.kind !== 'address') continue;
      paid.set(destination.address, (paid.get(destination.address) ?? 0) + amount);
    }
    return paid;
  }

  /** One life of the program. */
  async live(onEvent: (event: ScheduleEvent) => void = () => {}): Promise<RunEnd> {
    return runSchedule(this.#load(), {
      ports: this.#ports(),
      terms: this.#terms,
      stop: this.stop.signal,
      abort: new AbortController().signal,
      onEvent: (event) => {
        this.events.push(event);
        onEvent(event);
      },
    });
  }

  /** Starts the program again each time it is killed. */
  async liveOn(): Promise<RunEnd> {
    for (;;) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one life after the other
        return await this.live();
      } catch (error) {
        if (!(error instanceof Killed)) throw error;
      }
    }
  }

  /** The state of the disk, as the next life reads it. */
  loaded(): RunState {
    return this.#load();
  }

  #load(): RunState {
    const parsed = parseSchedule(this.schedule, 'regtest');
    if (!parsed.ok) throw new Error(parsed.reason);
    if (this.state === undefined) {
      return newRun({ id: '0123456789abcdef', wallet: 'test' }, parsed.steps);
    }
    const known = parseRun(this.state, 'regtest');
    if (!known.ok) throw new Error(known.field);
    const changed = changedStep(known.state, parsed.steps);
    if (changed !== undefined) throw new Error(`step ${changed + 1} was changed`);
    return restarted(withSteps(known.state, parsed.steps));
  }

  #point(): void {
    this.calls += 1;
    if (this.kills.has(this.calls)) throw new Killed();
  }

  /** Whether the run waits for a time before the next block. */
  #waitsUntil(left: number): boolean {
    const last = this.events.at(-1);
    const until = last?.kind === 'waits' ? last.waiting.until : undefined;
    return until !== undefined && until - this.time < left;
  }

  #pass(ms: number): void {
    this.time += ms / 1_000;
    for (const one of this.transactions) {
      if (one.height === undefined && !one.isLost && this.height > one.notBefore) {
        one.height = this.height;
      }
    }
  }

  #ports(): SchedulePorts {
    const clock: Clock = {
      now: () => this.time * 1_000,
      after: (ms, fn) => {
        const run = (): void => {
          this.#pass(ms);
          fn();
        };
        // After `nextBlock`, so that a long wait passes in blocks.
        let timer = setImmediate(() => {
          timer = setImmediate(run);
        });
        return () => clearImmediate(timer);
      },
    };
    return {
      facts: async () => {
        this.#point();
        return this.#facts();
      },
      coinjoin: async (order) => this.#coinjoin(order),
      address: async (step) => {
        this.#point();
        const answer = this.#options.answer?.(step);
        if (answer === undefined) throw new Error('there is no terminal');
        return { kind: 'address', ...addressNumber(answer) };
      },
      save: async (state) => {
        this.#point();
        this.state = formatRun(state);
        this.#point();
        this.schedule = replaceSteps(this.schedule, state.steps);
        this.#point();
      },
      nextBlock: (signal) =>
        new Promise((resolve) => {
          const left = BLOCK_SECONDS - ((this.time - START) % BLOCK_SECONDS);
          if (this.#waitsUntil(left)) return;
          setImmediate(() => {
            if (!signal.aborted) this.#pass(left * 1_000);
            resolve();
          });
        }),
      unixTime: () => Math.floor(this.time),
      clock,
      random: this.#random,
    };
  }

  /** Confirmed and unconfirmed coins of a mixdepth, from all transactions. */
  #coins(mixdepth: number): { readonly available: number; readonly pending: number } {
    let available = this.deposits[mixdepth] ?? 0;
    let pending = 0;
    const count = this.deposits.length;
    for (const { order, amount, change, fee, height, isLost } of this.transactions) {
      if (isLost) continue;
      const isTarget =
        order.destination.kind === 'internal' && (order.mixdepth + 1) % count === mixdepth;
      const arrives = (isTarget ? amount : 0) + (order.mixdepth === mixdepth ? change : 0);
      if (order.mixdepth === mixdepth) available -= amount + change + fee;
      if (height === undefined) pending += arrives;
      else available += arrives;
    }
    return { available, pending };
  }

  #facts(): WalletFacts {
    return {
      height: this.height,
      mixdepths: this.deposits.map((_, mixdepth) => ({
        mixdepth,
        ...this.#coins(mixdepth),
        count: 1,
        age: this.height - (this.#options.depositHeight ?? 0) + 1,
        frozen: this.frozen[mixdepth] ?? 0,
        held: 0,
        locked: 0,
      })),
      transactions: this.transactions.map(({ label, txid, height, isLost }) => ({
        label,
        txid,
        state: isLost ? 'lost' : height === undefined ? 'pending' : 'confirmed',
        height,
        time: height === undefined ? this.time : START + (height - 100) * BLOCK_SECONDS,
      })),
    };
  }

  async #coinjoin(order: StepOrder): Promise<CoinjoinOutcome> {
    this.#point();
    const fate = this.#fates.shift() ?? 'ok';
    const { available } = this.#coins(order.mixdepth);
    const fee = order.makers * FEE_PER_MAKER + MINER_FEE;
    const amount = order.amount === 'sweep' ? available - fee : order.amount;
    const change = available - fee - amount;
    const lives = fate === 'ok' || fate === 'late' || fate === 'lost';
    if (!lives || change < 0 || amount <= 0) {
      const fault = lives ? 'no-funds' : fate;
      return { ok: false, fault, detail: `it was ${fault}`, failed: [], revealed: NOTHING };
    }
    const txid = (this.transactions.length + 1).toString(16).padStart(64, '0');
    const notBefore = fate === 'late' ? this.height + 3 : this.height;
    const one: WorldTransaction = {
      label: order.label,
      txid,
      order,
      amount,
      change,
      fee,
      height: undefined,
      isLost: false,
      notBefore,
    };
    this.transactions.push(one);
    this.#point();
    if (fate === 'lost') one.isLost = true;
    if (fate === 'late') {
      const revealed = { ...NOTHING, transaction: true, signatures: true };
      return { ok: false, fault: 'not-broadcast', detail: 'no node took it', failed: [], revealed };
    }
    return {
      ok: true,
      txid,
      amount,
      makers: [],
      makerFees: fee - MINER_FEE,
      minerFee: MINER_FEE,
      feeRate: 1_000,
      failed: [],
      broadcastBy: undefined,
    };
  }
}
