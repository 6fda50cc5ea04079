/** Coins and plans of a wallet that exists only on paper, for pure tests. */
import { randomBytes } from 'node:crypto';
import type { BlockInfo } from '../../src/chain/ports.js';
import type { PaymentRequest, WalletCoin } from '../../src/wallet/api.js';
import { FEE_LIMITS } from '../../src/wallet/payment/fee-limits.js';
import type { PlanInput } from '../../src/wallet/payment/plan.js';

export const SCRIPTS = {
  p2wpkh: `0014${'11'.repeat(20)}`,
  p2sh: `a914${'22'.repeat(20)}87`,
  p2wsh: `0020${'33'.repeat(32)}`,
  p2tr: `5120${'44'.repeat(32)}`,
  p2pkh: `76a914${'55'.repeat(20)}88ac`,
} as const;

export const TIP: BlockInfo = {
  height: 900_000,
  hash: 'aa'.repeat(32),
  time: 1_800_000_000,
  medianTime: 1_799_997_000,
};

let made = 0;

/** A coin of mixdepth 0 that can be spent; each has another outpoint and another address. */
export function paperCoin(value: number, over: Partial<WalletCoin> = {}): WalletCoin {
  made += 1;
  const index = made % 1000;
  return {
    txid: made.toString(16).padStart(64, '0'),
    vout: 0,
    mixdepth: 0,
    branch: 0,
    index,
    value,
    script: `0014${made.toString(16).padStart(40, '0')}`,
    address: `address ${made}`,
    path: `m/84'/1'/0'/0/${index}`,
    confirmations: 10,
    height: 899_991,
    origin: 'coinjoin',
    frozen: undefined,
    hold: undefined,
    signedFor: undefined,
    lockTime: undefined,
    outsideKey: undefined,
    mergeable: true,
    label: undefined,
    ...over,
  };
}

/** A bond coin; its lock time is over, by default. */
export const paperBond = (value: number, over: Partial<WalletCoin> = {}): WalletCoin =>
  paperCoin(value, {
    branch: 2,
    origin: 'bond',
    lockTime: 1_767_225_600,
    script: `0020${(made + 1).toString(16).padStart(64, '0')}`,
    ...over,
  });

/** What `planPayment` needs, for a wallet of native segwit that never paid anything. */
export function paperPlan(
  coins: readonly WalletCoin[],
  request: Partial<PaymentRequest>,
  over: Partial<PlanInput> = {},
): PlanInput {
  return {
    coins,
    request: { amount: 100_000, script: SCRIPTS.p2wpkh, feePerKb: 2_000, ...request },
    tip: TIP,
    minimumFeePerKb: 1_000,
    limits: FEE_LIMITS,
    changeLike: `0014${'99'.repeat(20)}`,
    facts: { isOwn: () => false, wasPaid: () => false, openPayment: () => undefined },
    randomBytes: (count) => randomBytes(count),
    ...over,
  };
}
