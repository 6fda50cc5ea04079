/** The coinjoin of the demo: the taker pays itself through the makers, and the transaction is drawn. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { silentLog } from '../../channel/log.js';
import type { TransactionOutput } from '../../bitcoin/transaction.js';
import { counted, grouped } from '../../kit/decimal.js';
import { DEFAULT_TAKER_POLICY } from '../../negotiation/taker/api.js';
import { systemClock } from '../../overlay/system-clock.js';
import { formatOutpoint } from '../../protocol/outpoint.js';
import type { CoinjoinEvent, CoinjoinRequest } from '../../taker/api.js';
import { DEFAULT_BONDLESS_MAKERS_ALLOWANCE } from '../../taker/choose.js';
import { TakerCommitmentsFile } from '../../taker/commitments-file.js';
import { TakerCommitments } from '../../taker/commitments.js';
import { Market } from '../../taker/market.js';
import { planCoinjoin, type PlanOptions } from '../../taker/plan.js';
import { runTakerCoinjoin } from '../../taker/run.js';
import { unixTime, type DemoMoney, type Purse } from './money.js';
import type { Participants } from './participants.js';
import { pictureOf } from './picture.js';
import type { Screen } from './screen.js';

export interface DemoCoinjoin {
  readonly txid: string;
  /** Satoshi of each side's equal output. */
  readonly amount: number;
  readonly makers: number;
  readonly makerFees: number;
  readonly minerFee: number;
  /** From the plan to the transaction in the network. */
  readonly seconds: number;
}

/** Satoshi. */
const AMOUNT = 5_000_000;
/** Most for one maker. */
const MAX_FEE = { abs: 5_000, rel: 0.001 } as const;
/** Satoshi per 1,000 virtual bytes. */
const FEE_PER_KB = 5_000;

function requestOf(makers: number): CoinjoinRequest {
  return {
    amount: AMOUNT,
    destination: { kind: 'internal' },
    mixdepth: 0,
    makers,
    minimumMakers: Math.max(1, makers - 1),
    maxFeeAbs: MAX_FEE.abs,
    maxFeeRel: MAX_FEE.rel,
    fee: { kind: 'rate', feePerKb: FEE_PER_KB },
    choice: 'bond-weighted',
    picks: [],
    broadcast: 'self',
  };
}

/** Sums of each mixdepth and of bonds. */
function balanceRows(purses: readonly Purse[]): readonly (readonly string[])[] {
  const rows = purses.map(({ name, wallet }) => {
    const { mixdepths, bonds, total } = wallet.summary();
    const locked = bonds.reduce((sum, { value }) => sum + value, 0);
    return [
      name,
      ...mixdepths.map(({ balance }) => grouped(balance)),
      locked === 0 ? '' : grouped(locked),
      grouped(total),
    ];
  });
  return [['sat', 'mixdepth 0', 'mixdepth 1', 'in a bond', 'all but the bond'], ...rows];
}

/** `maker 1 signed, maker 2 asked`. */
function phaseText(
  { phase, makers }: Extract<CoinjoinEvent, { kind: 'phase' }>,
  nameOf: ReadonlyMap<string, string>,
): string {
  const states = [...makers].map(([nick, step]) => `${nameOf.get(nick) ?? nick} ${step}`);
  return [phase, ...(states.length > 0 ? [states.toSorted().join(', ')] : [])].join(': ');
}

/**
 * Shows the balances, the phases, the transaction and the balances after it. Rejects when the coinjoin did
 * not succeed, with one line that says why.
 */
export async function showCoinjoin(
  { makers, taker, takerChannel }: Participants,
  money: DemoMoney,
  screen: Screen,
  signal: AbortSignal,
): Promise<DemoCoinjoin> {
  const purses = [...money.makers, money.taker];
  const { wallet } = money.taker;
  const { chain } = money.chain;
  const nameOf = new Map(makers.map(({ name, channel }) => [channel.nick, name]));
  screen.heading('Balances before the coinjoin');
  screen.table(balanceRows(purses));

  const coins = new Map<string, TransactionOutput>();
  for (const purse of purses) {
    for (const coin of purse.wallet.coins()) coins.set(formatOutpoint(coin), coin);
  }
  const request = requestOf(makers.length);
  const market = new Market({
    book: taker.live,
    family: 'p2wpkh',
    policy: {
      ...DEFAULT_TAKER_POLICY,
      bondlessMakersAllowance: DEFAULT_BONDLESS_MAKERS_ALLOWANCE,
    },
    request,
    random: Math.random,
    failed: new Map(),
    unixTime,
  });
  const file = await TakerCommitmentsFile.open(join(money.folder, 'commitments.json'));
  const options: PlanOptions = {
    wallet,
    chain,
    commitments: new TakerCommitments({ wallet, chain, file }),
    policy: DEFAULT_TAKER_POLICY,
    candidates: market.candidates(AMOUNT),
    randomBytes,
    signal,
  };
  screen.heading('A coinjoin');
  const plan = await planCoinjoin(request, options);
  const { worst } = plan;
  screen.say(
    'taker',
    `joins ${grouped(AMOUNT)} sat with ${counted(plan.makers.length, 'maker')}; at most ` +
      `${grouped(worst.makerFees)} sat for makers and ${grouped(worst.minerFee)} sat for miners`,
  );
  const began = performance.now();
  const outcome = await runTakerCoinjoin(plan, {
    ...options,
    channel: takerChannel,
    clock: systemClock,
    log: silentLog,
    onEvent: (event) =>
      screen.say(
        'taker',
        event.kind === 'phase' ? phaseText(event, nameOf) : `tries again: ${event.reason}`,
      ),
  });
  if (!outcome.ok) throw new Error(`the coinjoin failed (${outcome.fault}): ${outcome.detail}`);
  const seconds = (performance.now() - began) / 1000;
  const { txid, amount, makerFees, minerFee } = outcome;
  screen.say('taker', `the transaction is in the network after ${seconds.toFixed(1)} s`);
  await money.mine(1);
  screen.say('chain', `it is in block ${wallet.height}`);

  const signed = wallet.signedTransactions().find((it) => it.txid === txid);
  if (signed?.bytes === undefined) throw new Error('the wallet has no such transaction');
  const picture = pictureOf({
    transaction: signed.bytes,
    spent: (coin) => coins.get(formatOutpoint(coin)),
    ownerOf: (script) => money.ownerOf(script),
    amount,
  });
  screen.heading(`Transaction ${txid}`);
  screen.table(picture.rows);
  screen.say(
    'chain',
    `${picture.equal} equal outputs: the owners are known to this demo only, nothing on the chain ` +
      'tells which of them is the taker',
  );
  screen.say(
    'taker',
    `paid ${grouped(makerFees)} sat to makers and ${grouped(minerFee)} sat to miners`,
  );
  screen.heading('Balances after the coinjoin');
  screen.table(balanceRows(purses));
  return { txid, amount, makers: outcome.makers.length, makerFees, minerFee, seconds };
}
