/** A schedule over a wallet: what the wallet has, and the coinjoins of its steps. */
import type { Clock, Random } from '../channel/ports.js';
import type { Chain } from '../chain/ports.js';
import type { MixdepthFacts, TransactionFacts, WalletFacts } from '../schedule/facts.js';
import type { RunTerms } from '../schedule/decide.js';
import {
  runSchedule,
  type RunEnd,
  type SchedulePorts,
  type ScheduleEvent,
} from '../schedule/run.js';
import type { WalletCoin } from '../wallet/api.js';
import type { SignedTransaction } from '../wallet/requests.js';
import type { Wallet } from '../wallet/wallet.js';
import type { ScheduleFiles } from './schedule-files.js';

/** In which sum of its mixdepth a coin is. */
function partOf({
  frozen,
  hold,
  lockTime,
}: WalletCoin): keyof Omit<MixdepthFacts, 'mixdepth' | 'count' | 'age'> {
  if (lockTime !== undefined) return 'locked';
  if (frozen !== undefined) return 'frozen';
  switch (hold) {
    case undefined:
      return 'available';
    case 'unconfirmed':
      return 'pending';
    case 'leased':
    case 'signed':
      return 'held';
    case 'frozen':
      return 'frozen';
    case 'immature':
    case 'locked':
      return 'locked';
  }
}

function mixdepthFacts(wallet: Wallet): readonly MixdepthFacts[] {
  const coins = wallet.coins();
  return Array.from({ length: wallet.secret.mixdepths }, (_, mixdepth) => {
    const sums = { available: 0, count: 0, age: 0, pending: 0, frozen: 0, held: 0, locked: 0 };
    for (const coin of coins) {
      if (coin.mixdepth !== mixdepth) continue;
      const part = partOf(coin);
      sums[part] += coin.value;
      if (part !== 'available') continue;
      sums.count += 1;
      sums.age = Math.max(sums.age, coin.confirmations);
    }
    return { mixdepth, ...sums };
  });
}

const STATES: Readonly<Record<SignedTransaction['state'], TransactionFacts['state']>> = {
  pending: 'pending',
  confirmed: 'confirmed',
  replaced: 'lost',
  lost: 'lost',
  abandoned: 'lost',
};

function transactionFacts(wallet: Wallet): readonly TransactionFacts[] {
  const history = wallet.history();
  const entries = new Map(history.map((entry) => [entry.txid, entry] as const));
  const signed = wallet.signedTransactions().map(({ label, txid, state, signedAt }) => {
    const entry = txid === undefined ? undefined : entries.get(txid);
    // A rescan from a later height knows that it is in a block, and not in which one.
    const height = state === 'confirmed' ? (entry?.height ?? wallet.height) : undefined;
    return { label, txid, state: STATES[state], height, time: entry?.time ?? signedAt };
  });
  const known = new Set(signed.map(({ txid }) => txid));
  const others = history
    .filter(({ txid }) => !known.has(txid))
    .map(({ label, txid, state, height, time }): TransactionFacts => {
      return { label, txid, state: state === 'replaced' ? 'lost' : state, height, time };
    });
  return [...signed, ...others];
}

/** What a wallet has, as far as it has read the chain. */
export function walletFacts(wallet: Wallet): WalletFacts {
  return {
    height: wallet.height,
    mixdepths: mixdepthFacts(wallet),
    transactions: transactionFacts(wallet),
  };
}

/** What a run of a wallet's schedule needs. */
export interface WalletScheduleOptions {
  readonly wallet: Wallet;
  readonly chain: Chain;
  readonly files: ScheduleFiles;
  readonly terms: RunTerms;
  /** Does the coinjoin of a step. */
  readonly coinjoin: SchedulePorts['coinjoin'];
  /** Asks for the address of a step. */
  readonly address: SchedulePorts['address'];
  /** Continues the coinjoins of earlier runs; called whenever the chain was read, while none runs. */
  readonly resume?: ((signal: AbortSignal) => Promise<void>) | undefined;
  readonly clock: Clock;
  readonly unixTime: () => number;
  readonly random: Random;
  readonly stop: AbortSignal;
  readonly abort: AbortSignal;
  readonly onEvent: (event: ScheduleEvent) => void;
}

/** Runs the schedule of the files to its end, or until it is stopped; see `runSchedule`. */
export async function runWalletSchedule(options: WalletScheduleOptions): Promise<RunEnd> {
  const { wallet, chain, files, terms, coinjoin, address, resume, onEvent } = options;
  const { clock, unixTime, random, stop, abort } = options;
  const ports: SchedulePorts = {
    async facts(signal) {
      await wallet.sync({ signal });
      await resume?.(signal);
      return walletFacts(wallet);
    },
    coinjoin,
    address,
    save: (state) => files.save(state),
    async nextBlock(signal) {
      // A block that came after the wallet was read must end the wait, too.
      await chain.nextTip(wallet.tip ?? (await chain.tip(signal)), signal);
    },
    unixTime,
    clock,
    random,
  };
  return runSchedule(await files.load(), { ports, terms, stop, abort, onEvent });
}
