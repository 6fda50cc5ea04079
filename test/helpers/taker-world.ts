/** A taker with a wallet, makers, and a chain in memory; messages pass through a channel of the test. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import type { Chain } from '../../src/chain/ports.js';
import { MemoryChain } from '../../src/chain/memory.js';
import { DEFAULT_MAKER_POLICY, type MakerOutcome } from '../../src/negotiation/maker/api.js';
import {
  createRequestLimiter,
  DEFAULT_REQUEST_LIMITS,
} from '../../src/negotiation/maker/request-limits.js';
import { MakerSessions } from '../../src/negotiation/maker/sessions.js';
import type { MakerWallet } from '../../src/negotiation/ports.js';
import { DEFAULT_TAKER_POLICY, type TakerPolicy } from '../../src/negotiation/taker/api.js';
import type { Offer } from '../../src/protocol/offer.js';
import type { CoinjoinEvent, CoinjoinPlan, CoinjoinRequest } from '../../src/taker/api.js';
import { TakerCommitmentsFile } from '../../src/taker/commitments-file.js';
import { TakerCommitments } from '../../src/taker/commitments.js';
import { planCoinjoin, type PlannedMaker, type PlanOptions } from '../../src/taker/plan.js';
import { runTakerCoinjoin, type RunOptions } from '../../src/taker/run.js';
import type { CoinjoinOutcome } from '../../src/taker/api.js';
import {
  createMakerWallet,
  createMemoryCommitments,
  scriptOf,
  secretOf,
  type TestCoin,
  type TestMakerWallet,
} from './coinjoin-world.js';
import {
  createMessageExchange,
  type HeldMessage,
  type MessageExchange,
} from './message-exchange.js';
import { createTestClock, type TestClock } from './test-clock.js';
import { createWalletWorld, type WalletWorld } from './wallet-world.js';

export const OFFER: Offer = {
  type: 'sw0reloffer',
  oid: 0,
  minsize: 27_300,
  maxsize: 500_000_000,
  txfee: 100,
  cjfee: '0.001',
};

export const POLICY: TakerPolicy = {
  ...DEFAULT_TAKER_POLICY,
  minimumMakers: 2,
  txFeesFactor: 0,
  broadcast: 'self',
};

export const REQUEST: CoinjoinRequest = {
  amount: 1_000_000,
  destination: { kind: 'internal' },
  mixdepth: 0,
  makers: 3,
  minimumMakers: 2,
  maxFeeAbs: 5_000,
  maxFeeRel: 0.01,
  fee: { kind: 'rate', feePerKb: 2_000 },
  choice: 'bond-weighted',
  picks: [],
  broadcast: 'self',
};

export interface WorldMaker {
  readonly nick: string;
  readonly offer: Offer;
  readonly wallet: TestMakerWallet;
  readonly outcomes: MakerOutcome[];
  readonly coins: readonly TestCoin[];
}

export interface TakerWorldOptions {
  /** Values of the taker's coins in mixdepth 0. */
  readonly coins?: readonly number[];
  /** Offers of the makers. Default: four times `OFFER`. */
  readonly offers?: readonly Offer[];
  /** Values of each maker's coins, or of those of the maker with a number from 0. */
  readonly makerCoins?: readonly number[] | ((maker: number) => readonly number[]);
  readonly dress?: (wallet: MakerWallet, nick: string) => MakerWallet;
  /** The messages delivered in place of one; undefined delivers it unchanged. */
  readonly intercept?: (mail: HeldMessage) => readonly HeldMessage[] | undefined;
}

export interface TakerWorld {
  readonly chain: MemoryChain;
  readonly clock: TestClock;
  readonly office: MessageExchange;
  readonly taker: WalletWorld;
  readonly makers: readonly WorldMaker[];
  readonly candidates: readonly PlannedMaker[];
  readonly commitmentsPath: string;
  readonly events: CoinjoinEvent[];
  /** What a plan needs, for the present wallet of the taker or another one. */
  options(more?: Partial<PlanOptions>, world?: WalletWorld): Promise<PlanOptions>;
  plan(request?: Partial<CoinjoinRequest>, more?: Partial<PlanOptions>): Promise<CoinjoinPlan>;
  /** Plans and runs; delivers messages and moves the clock until it ends. */
  run(
    request?: Partial<CoinjoinRequest>,
    more?: Partial<RunOptions>,
  ): Promise<{ readonly plan: CoinjoinPlan; readonly outcome: CoinjoinOutcome }>;
  /** Runs a plan. */
  carryOut(plan: CoinjoinPlan, more?: Partial<RunOptions>): Promise<CoinjoinOutcome>;
  /** Mines and lets the taker's wallet read the chain. */
  mine(count?: number): Promise<void>;
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Coins of a key in a chain. */
function minted(chain: MemoryChain, name: string, values: readonly number[]): readonly TestCoin[] {
  return values.map((value, n) => {
    const secret = secretOf(`${name} coin ${n}`);
    const script = scriptOf(secret);
    const { txid, vout } = chain.pay(script, value);
    return { txid, vout, script, value, secret };
  });
}

/** Pays the taker's wallet, a coin for each value. */
export async function deposit(
  { wallet, chain }: WalletWorld,
  mixdepth: number,
  values: readonly number[],
): Promise<void> {
  for (const value of values) {
    const { script } = await wallet.handOut({ mixdepth, purpose: 'deposit' });
    chain.pay(script, value);
  }
}

export async function createTakerWorld(
  t: Test,
  options: TakerWorldOptions = {},
): Promise<TakerWorld> {
  const chain = new MemoryChain({ network: 'signet' });
  // A lock time of a height that is not tiny.
  chain.mine(150);
  const taker = await createWalletWorld({ network: 'signet' }, chain);
  await deposit(taker, 0, options.coins ?? [1_500_000, 900_000]);
  const clock = createTestClock();
  const office = createMessageExchange();
  const offers = options.offers ?? [OFFER, OFFER, OFFER, OFFER];
  const makers = offers.map((offer, n): WorldMaker => {
    const nick = `J5maker${n}`;
    const { makerCoins = [900_000, 700_000, 1_600_000] } = options;
    const values = typeof makerCoins === 'function' ? makerCoins(n) : makerCoins;
    const coins = minted(chain, nick, values);
    const own = createMakerWallet(nick, coins);
    const outcomes: MakerOutcome[] = [];
    const channel = office.open(nick);
    const sessions = new MakerSessions({
      channel,
      network: 'signet',
      offers: [offer],
      wallet: options.dress?.(own, nick) ?? own,
      chain,
      commitments: createMemoryCommitments(),
      policy: DEFAULT_MAKER_POLICY,
      limits: { unproven: 2, proven: 2 },
      limiter: createRequestLimiter(clock, DEFAULT_REQUEST_LIMITS),
      clock,
      randomBytes,
      log: silentLog,
      onOutcome: (_, outcome) => outcomes.push(outcome),
      onUsed: () => {},
    });
    channel.on('privmsg', (message) => sessions.receive(message));
    return { nick, offer, wallet: own, outcomes, coins };
  });
  chain.mine(6);
  await taker.sync();
  const candidates = makers.map(({ nick, offer }): PlannedMaker => ({ nick, offer }));
  const commitmentsPath = join(t.testdir({}), 'commitments.json');
  const events: CoinjoinEvent[] = [];
  const writes = new Set<Promise<unknown>>();
  const channel = office.open('J5taker');

  async function planOptions(
    more: Partial<PlanOptions> = {},
    { wallet }: WalletWorld = taker,
  ): Promise<PlanOptions> {
    const file = await TakerCommitmentsFile.open(commitmentsPath);
    const add = file.add.bind(file);
    // Real writes take real time, in which the clock of the test must not move.
    Object.assign(file, {
      add: async (commitment: string) => {
        const writing = add(commitment);
        writes.add(writing);
        return writing.finally(() => writes.delete(writing));
      },
    });
    const view: Chain = more.chain ?? chain;
    return {
      wallet,
      chain: view,
      commitments: new TakerCommitments({ wallet, chain: view, file }),
      policy: POLICY,
      candidates,
      randomBytes,
      ...more,
    };
  }

  async function carryOut(
    plan: CoinjoinPlan,
    more: Partial<RunOptions> = {},
  ): Promise<CoinjoinOutcome> {
    const running = runTakerCoinjoin(plan, {
      ...(await planOptions(more)),
      channel,
      clock,
      log: silentLog,
      onEvent: (event) => events.push(event),
      ...more,
    });
    const ended: unknown[] = [];
    void running.then((outcome) => ended.push(outcome));
    for (let turn = 0; turn < 200 && ended.length === 0; turn += 1) {
      for (let idle = 0; idle < 25 && ended.length === 0;) {
        const mails = office.pending.splice(0);
        idle = mails.length === 0 ? idle + 1 : 0;
        for (const mail of mails) {
          for (const kept of options.intercept?.(mail) ?? [mail]) office.deliver(kept);
        }
        await nextTurn();
        if (writes.size > 0) {
          await Promise.allSettled(writes);
          idle = 0;
        }
      }
      if (ended.length === 0) clock.advance(5_000);
    }
    return running;
  }

  const plan: TakerWorld['plan'] = async (request = {}, more = {}) =>
    planCoinjoin({ ...REQUEST, ...request }, await planOptions(more));

  return {
    chain,
    clock,
    office,
    taker,
    makers,
    candidates,
    commitmentsPath,
    events,
    options: planOptions,
    plan,
    carryOut,
    async run(request = {}, more = {}) {
      const planned = await plan(request, more);
      return { plan: planned, outcome: await carryOut(planned, more) };
    },
    async mine(count = 1) {
      chain.mine(count);
      await taker.sync();
    },
  };
}
