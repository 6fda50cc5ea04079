/** The most that a taker pays: the arithmetic of the limits, each in the units of the original. */
import { Transaction } from '@scure/btc-signer/transaction.js';
import * as fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { settingsFrom } from '../../src/config/settings.js';
import { parseCfg } from '../../src/config/cfg-file.js';
import {
  DEFAULT_FEE_POLICY,
  feeRate,
  makerCost,
  makerFeeLimit,
  offerFault,
  policyFault,
  virtualSize,
  type FeePolicy,
} from '../../src/negotiation/taker/fees.js';
import type { OwnCoin } from '../../src/negotiation/ports.js';
import { DEFAULT_TAKER_POLICY, type MakerPart } from '../../src/negotiation/taker/api.js';
import { buildTransaction } from '../../src/negotiation/taker/transaction.js';
import { feeFor } from '../../src/bitcoin/fee.js';
import { addressScript } from '../../src/bitcoin/address.js';
import { assemble, buildUnsigned } from '../../src/negotiation/transaction.js';
import { createBoxKeyPair } from '../../src/protocol/encryption.js';
import { MAX_SATOSHI, shareOf, type Offer } from '../../src/protocol/offer.js';
import { takerPolicy } from '../../src/roles/negotiation-settings.js';
import { addressOf, createMemoryChain, mintFor, type CoinType } from '../helpers/coinjoin-world.js';

const policyOf = (part: Partial<FeePolicy>): FeePolicy => ({ ...DEFAULT_FEE_POLICY, ...part });
const offerOf = (part: Partial<Offer>): Offer => ({
  type: 'sw0absoffer',
  oid: 0,
  minsize: 27_300,
  maxsize: MAX_SATOSHI,
  txfee: 0,
  cjfee: '0',
  ...part,
});

t.test('an offer is refused only above both limits', async (t) => {
  const amount = 1_000_000;
  const rows: readonly (readonly [number | undefined, number | undefined, number, boolean])[] = [
    [500, 0.001, 1_000, true],
    [500, 0.001, 1_001, false],
    [1_500, 0.001, 1_500, true],
    [1_500, 0.001, 1_501, false],
    [1_000, undefined, 1_000, true],
    [1_000, undefined, 1_001, false],
    [undefined, 0.001, 1_000, true],
    [undefined, 0.001, 1_001, false],
    [0, undefined, 0, true],
    [0, undefined, 1, false],
    [undefined, 0, 1, false],
    // In floats this is 28.999999999999996.
    [undefined, 0.000029, 29, true],
    [undefined, 1e-7, 1, false],
    [undefined, 5e-324, 1, false],
  ];
  for (const [maxCjFeeAbs, maxCjFeeRel, cost, isTaken] of rows) {
    const policy = policyOf({ maxCjFeeAbs, maxCjFeeRel });
    for (const txfee of [0, 300]) {
      const offer = offerOf({ cjfee: String(cost + txfee), txfee });
      const name = `${cost} sat, limits ${maxCjFeeAbs} and ${maxCjFeeRel}, contributes ${txfee}`;
      t.equal(offerFault(offer, amount, policy)?.fault, isTaken ? undefined : 'fee-limit', name);
    }
  }
  const sized = offerOf({ minsize: 100_000, maxsize: 200_000 });
  const free = policyOf({ maxCjFeeAbs: 0 });
  for (const [size, fault] of [
    [99_999, 'amount-range'],
    [100_000, undefined],
    [200_000, undefined],
    [200_001, 'amount-range'],
    [Number.NaN, 'amount-range'],
  ] as const) {
    t.equal(offerFault(sized, size, free)?.fault, fault, String(size));
  }
  t.equal(policyFault(free), undefined, '0 is a limit as well');
});

t.test('limits hold for all offers and amounts', async (t) => {
  const share = fc.double({ min: 0, max: 0.999, noNaN: true });
  const satoshi = fc.integer({ min: 0, max: MAX_SATOSHI });
  fc.assert(
    fc.property(share, satoshi, (rel, amount) => {
      const got = BigInt(shareOf(rel, amount));
      // The decimal text of the double, times the amount: exact, and rounded down.
      const match = /^(\d+)(?:\.(\d+))?(?:e-(\d+))?$/.exec(String(rel));
      const fraction = match?.[2] ?? '';
      const digits = BigInt(`${match?.[1] ?? ''}${fraction}`);
      const scale = 10n ** BigInt(fraction.length + Number(match?.[3] ?? 0));
      return got * scale <= digits * BigInt(amount) && (got + 1n) * scale > digits * BigInt(amount);
    }),
  );
  fc.assert(
    fc.property(
      fc.option(satoshi, { nil: undefined }),
      fc.option(share, { nil: undefined }),
      fc.integer({ min: 27_300, max: MAX_SATOSHI }),
      fc.record({ cjfee: satoshi, txfee: fc.nat(100_000) }),
      (maxCjFeeAbs, maxCjFeeRel, amount, { cjfee, txfee }) => {
        const policy = policyOf({ maxCjFeeAbs, maxCjFeeRel });
        const offer = offerOf({ cjfee: String(cjfee), txfee });
        if (offerFault(offer, amount, policy) !== undefined) return true;
        const most = Math.max(maxCjFeeAbs ?? 0, Math.ceil(amount * (maxCjFeeRel ?? 0)));
        return makerCost(offer, amount) <= most && makerFeeLimit(policy, amount) <= most;
      },
    ),
  );
  t.pass('all limits hold');
});

t.test('a policy without a limit is refused', async (t) => {
  const limited = { maxCjFeeAbs: 1_000 };
  const rows: readonly (readonly [Partial<FeePolicy>, string | undefined])[] = [
    [{}, 'no-fee-limit'],
    [limited, undefined],
    [{ maxCjFeeRel: 0.001 }, undefined],
    ...[Number.NaN, -1, 0.5, Infinity].flatMap((value) => [
      [{ maxCjFeeAbs: value }, 'bad-policy'] as const,
      [{ ...limited, absurdFeePerKb: value }, 'bad-policy'] as const,
      [{ ...limited, txFees: value }, 'bad-policy'] as const,
    ]),
    ...[Number.NaN, -1, Infinity].flatMap((value) => [
      [{ maxCjFeeRel: value }, 'bad-policy'] as const,
      [{ ...limited, txFeesFactor: value }, 'bad-policy'] as const,
      [{ ...limited, maxSweepFeeChange: value }, 'bad-policy'] as const,
    ]),
    [{ ...limited, maxCjFeeRel: 1.5 }, 'bad-policy'],
  ];
  for (const [part, fault] of rows) {
    t.equal(policyFault(policyOf(part))?.fault, fault, JSON.stringify(part));
  }
});

const rate = (part: Partial<FeePolicy>, estimate: number | undefined, chance = 0) =>
  feeRate(policyOf(part), estimate, chance);

t.test('tx_fees: blocks up to 1,000, a rate above', async (t) => {
  t.strictSame(rate({ txFees: 1_000 }, 4_321), { ok: true, feePerKb: 4_321 });
  t.strictSame(rate({ txFees: 1_001 }, undefined), { ok: true, feePerKb: 1_001 });
  t.strictSame(rate({ txFees: 2_000 }, undefined, 0.5), { ok: true, feePerKb: 2_200 });
  t.strictSame(rate({ txFees: 3 }, 1_000, 0.999), { ok: true, feePerKb: 1_199 });
  t.strictSame(rate({ txFees: 3 }, undefined), { ok: true, feePerKb: 10_000 }, 'rate unknown');
  t.strictSame(rate({ txFees: 350_000 }, undefined, 0.9), { ok: true, feePerKb: 350_000 });
  t.match(rate({ txFees: 350_001 }, undefined), { ok: false, fault: 'absurd-fee' });
  t.match(rate({}, 350_001), { ok: false, fault: 'absurd-fee' });
  t.match(rate({}, Infinity), { ok: false, fault: 'absurd-fee' });
  t.match(rate({ absurdFeePerKb: 9_999 }, undefined), { ok: false, fault: 'absurd-fee' });
});

const read = async (text: string): Promise<Partial<FeePolicy>> => {
  const cfg = parseCfg(`${text}\n[MESSAGING:a]\ntype = onion\n`, 'joinmarket.cfg');
  if (!cfg.ok) throw new Error('not a configuration');
  const { settings } = await settingsFrom(cfg.value, { datadir: '/data', role: 'taker' });
  return takerPolicy(settings);
};

t.test('the keys of [POLICY] become the policy of a taker', async (t) => {
  t.match(await read(''), { ...DEFAULT_FEE_POLICY }, 'the defaults are equal');
  t.equal(policyFault(policyOf(await read('')))?.fault, 'no-fee-limit');
  const keys = [
    ['max_cj_fee_abs', '40_000', { maxCjFeeAbs: 40_000 }],
    ['max_cj_fee_abs', '0', { maxCjFeeAbs: 0 }],
    ['max_cj_fee_rel', '0.004', { maxCjFeeRel: 0.004 }],
    ['tx_fees', '2500', { txFees: 2_500 }],
    ['tx_fees_factor', '0', { txFeesFactor: 0 }],
    ['absurd_fee_per_kb', '150000', { absurdFeePerKb: 150_000 }],
    ['max_sweep_fee_change', '0.5', { maxSweepFeeChange: 0.5 }],
  ] as const;
  for (const [key, value, policy] of keys) {
    t.match(await read(`[POLICY]\n${key} = ${value}`), policy, key);
  }
  for (const line of ['max_cj_fee_abs = x', 'max_cj_fee_rel = 2', 'tx_fees = 0', 'tx_fees = 1.5']) {
    await t.rejects(read(`[POLICY]\n${line}`), { name: 'ConfigError' }, line);
  }
});

const AMOUNT = 1_000_000;

const scriptOf = (text: string): string => addressScript('signet', addressOf(text)) ?? '';

/** The part of a maker and our own, such that the miners get exactly `minerFee`. */
function partsOf(fees: readonly number[], minerFee: number, type: CoinType = 'p2wpkh') {
  const chain = createMemoryChain();
  const makers = fees.map((fee, n) => {
    const coins: readonly OwnCoin[] = mintFor(chain, `maker ${n}`, [900_000, 700_000], type);
    const part: MakerPart = {
      coins,
      coinjoinScript: scriptOf(`coinjoin ${n}`),
      changeScript: scriptOf(`change ${n}`),
      change: 600_000 + fee,
      fee,
      txfee: 0,
    };
    return { part };
  });
  const paid = fees.reduce((sum, fee) => sum + fee, 0);
  const coins = mintFor(chain, 'taker', [AMOUNT + paid + minerFee], type);
  const funding = {
    coins,
    coinjoinAddress: addressOf('ours'),
    changeAddress: undefined,
    minerFee,
    lockTime: 0,
  };
  return { makers, funding };
}

interface BuildOptions {
  readonly sweep?: boolean;
  /** Makers wanted. */
  readonly makers?: number;
  readonly type?: CoinType;
}

function built(
  part: Partial<FeePolicy>,
  fees: readonly number[],
  minerFee: number,
  more: BuildOptions = {},
) {
  const { makers, funding } = partsOf(fees, minerFee, more.type);
  const terms = {
    network: 'signet' as const,
    policy: { ...DEFAULT_TAKER_POLICY, maxCjFeeAbs: 1_000, ...part },
    amount: AMOUNT,
    sweep: more.sweep ?? false,
    feePerKb: 2_000,
    makers: more.makers ?? fees.length,
    candidates: [],
    seatLimits: [],
    keys: createBoxKeyPair(randomBytes),
    randomBytes,
  };
  return buildTransaction(terms, makers, funding);
}

t.test('the size of a transaction is known before it is signed', async (t) => {
  for (const [type, perInput] of [
    ['p2wpkh', 68],
    ['p2sh-p2wpkh', 91],
  ] as const) {
    const result = built({}, [0, 0], 2_000, { type });
    if (!result.ok) throw new Error(result.detail);
    const { tx } = result;
    const script = partsOf([], 0, type).funding.coins[0]?.script ?? '';
    const spent = tx.inputs.map(() => ({ script, value: 1 }));
    const size = virtualSize(
      tx,
      [...spent].map((coin) => coin.script),
    );
    t.equal(size, Math.ceil(10.5 + perInput * tx.inputs.length + 31 * tx.outputs.length));
    const signature = { signature: new Uint8Array(72), publicKey: new Uint8Array(33).fill(2) };
    const { bytes } = assemble(
      tx,
      spent.map((coin) => ({ spent: coin, signature })),
    );
    t.equal(Transaction.fromRaw(bytes, { allowUnknownOutputs: true }).vsize, size, type);
  }
  const empty = buildUnsigned([], [], 0);
  t.notOk(empty.ok);
});

t.test('the miners get at most the fee allowed for the size', async (t) => {
  // Five inputs and five outputs of the usual kinds: 506 vB.
  const most = feeFor(506, 350_000);
  t.equal(most, 177_100);
  t.match(built({}, [900, 900], most), { ok: true });
  t.match(built({}, [900, 900], most + 1), { ok: false, fault: 'absurd-fee' });
  t.match(built({ absurdFeePerKb: 3_000 }, [900, 900], 1_518), { ok: true });
  t.match(built({ absurdFeePerKb: 3_000 }, [900, 900], 1_519), { ok: false, fault: 'absurd-fee' });
});

t.test('a sweep whose miner fee does not fit its size is not signed', async (t) => {
  const sweep = { sweep: true };
  // 2 sat/vB ask for 1,012 sat.
  for (const [minerFee, isFit] of [
    [562, false],
    [563, true],
    [1_012, true],
    [5_060, true],
    [5_061, false],
  ] as const) {
    const result = built({}, [900, 900], minerFee, sweep);
    t.match(result, isFit ? { ok: true } : { ok: false, fault: 'sweep-fee' }, `${minerFee} sat`);
    t.match(built({}, [900, 900], minerFee), { ok: true }, 'no such limit without a sweep');
  }
  t.match(built({ maxSweepFeeChange: 0 }, [900, 900], 1_012, sweep), { ok: true });
  t.match(built({ maxSweepFeeChange: 0 }, [900, 900], 1_013, sweep), { fault: 'sweep-fee' });
  t.match(built({ maxSweepFeeChange: 1 }, [900, 900], 100_000, sweep), { ok: true });
});

t.test('all makers together get at most the limit for the number of makers wanted', async (t) => {
  t.match(built({}, [1_000, 1_000], 2_000), { ok: true });
  t.match(built({}, [1_000, 1_001], 2_000), { ok: false, fault: 'fee-limit' });
  t.match(built({}, [1_000, 1_000], 2_000, { makers: 1 }), { ok: false, fault: 'fee-limit' });
  t.match(built({ maxCjFeeRel: 0.002 }, [2_000, 2_000], 2_000), { ok: true });
});
