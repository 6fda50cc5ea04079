/** What `send` reads from its arguments, and what it shows before it asks. */
import t from 'tap';
import { paymentTarget } from '../../../src/cli/wallet/payment-target.js';
import { planJson, planText } from '../../../src/cli/wallet/payment-view.js';
import type { PaymentPlan, WalletCoin } from '../../../src/wallet/api.js';

const ADDRESS = 'bcrt1qz9mzxs5fx5n5xjtwa5pj55edxh4dqg9rtkg0w9';
const SCRIPT = '00141176234289352743496eed032a532d35ead020a3';

t.test('amounts, addresses and payment requests', async (t) => {
  const cases: readonly (readonly [string, string | undefined, number | 'all', string?])[] = [
    ['0.1', ADDRESS, 10_000_000],
    ['0.1btc', ADDRESS, 10_000_000],
    ['10000000sat', ADDRESS, 10_000_000],
    ['all', ADDRESS, 'all'],
    ['ALL', ADDRESS.toUpperCase(), 'all'],
    [`bitcoin:${ADDRESS}?amount=0.001`, undefined, 100_000],
    ['0.001', `bitcoin:${ADDRESS}?amount=0.00100000`, 100_000],
    ['0.001', `BITCOIN:${ADDRESS}?label=rent%20May`, 100_000, 'rent May'],
    ['all', `bitcoin:${ADDRESS}?message=thanks`, 'all', 'thanks'],
  ];
  for (const [first, second, amount, label] of cases) {
    const target = paymentTarget(first, second, 'regtest');
    t.match(target, { amount, script: SCRIPT, label }, `${first} ${second ?? ''}`);
  }
});

t.test('what cannot be paid: one line each, with exit code 2', async (t) => {
  const cases: readonly (readonly [string, string | undefined, RegExp])[] = [
    ['1', ADDRESS, /^amount "1": 1 could be satoshi or BTC: write 1sat or 1btc$/],
    ['0,1', ADDRESS, /comma/],
    ['0.123456789', ADDRESS, /eight digits/],
    ['0.5sat', ADDRESS, /satoshi are whole/],
    ['0sat', ADDRESS, /the amount is 0/],
    ['21000001btc', ADDRESS, /21000000 BTC/],
    ['lots', ADDRESS, /0\.1, 0\.1btc or 10000000sat/],
    ['0.1', undefined, /give an amount and an address/],
    [
      '0.1',
      'bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu',
      /^address .* \(this wallet is of regtest\)$/,
    ],
    ['0.1', `${ADDRESS.slice(0, -1)}8`, /^address /],
    [
      '0.1',
      'bitcoin:bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu',
      /^payment request .* its address: /,
    ],
    ['0.1', `bitcoin:${ADDRESS}?amount=0.2`, /asks for 20000000 sat/],
    [`bitcoin:${ADDRESS}`, undefined, /has no amount/],
    [`bitcoin:${ADDRESS}?amount=1&req-x=1`, undefined, /requires something/],
    [`bitcoin:${ADDRESS}?amount=1,5`, undefined, /its amount is not a number of BTC/],
  ];
  for (const [first, second, message] of cases) {
    t.throws(
      () => paymentTarget(first, second, 'regtest'),
      { exitCode: 2, message },
      String(message),
    );
  }
});

const coin: WalletCoin = {
  txid: 'ab'.repeat(32),
  vout: 1,
  mixdepth: 0,
  branch: 0,
  index: 7,
  value: 200_000,
  script: SCRIPT,
  address: ADDRESS,
  path: "m/84'/1'/0'/0/7",
  confirmations: 3,
  height: 120,
  origin: 'deposit',
  frozen: undefined,
  hold: undefined,
  signedFor: undefined,
  lockTime: undefined,
  label: undefined,
  outsideKey: undefined,
  mergeable: false,
};

const plan: PaymentPlan = {
  inputs: [coin],
  payment: { script: SCRIPT, value: 100_000 },
  change: { value: 99_718, mixdepth: 0 },
  fee: 282,
  vsize: 141,
  lockTime: 120,
  warnings: ['This address was paid before: everyone can link the two payments.'],
};

t.test('inputs, change, fee in satoshi, rate and percent', async (t) => {
  t.same(planText(plan, ADDRESS).split('\n'), [
    `spends  0.00200000  ${'ab'.repeat(32)}:1  deposit, mixdepth 0`,
    `pays    0.00100000  ${ADDRESS}`,
    'change  0.00099718  a fresh address of mixdepth 0',
    'fee     0.00000282  282 sat, 2.00 sat/vB, 0.28 % of the payment',
    'warning: This address was paid before: everyone can link the two payments.',
  ]);
  t.same(planJson(plan, ADDRESS), {
    address: ADDRESS,
    amount: 100_000,
    fee: 282,
    vsize: 141,
    feePerKb: 2_000,
    inputs: [{ outpoint: `${'ab'.repeat(32)}:1`, value: 200_000 }],
    change: 99_718,
    replaces: null,
    warnings: plan.warnings,
  });
  const whole = { ...plan, change: undefined, replaces: 'cd'.repeat(32) };
  t.match(planText(whole, ADDRESS), /^replaces (cd){32}\n/);
  t.match(planText(whole, ADDRESS), /\nchange +- +no change output\n/);
});
