/** What `onionmc coinjoin` is asked for: options, amounts, destinations, limits, numbers of makers. */
import t from 'tap';
import {
  collectNick,
  parseMakers,
  parseMaxFeeAbs,
  parseShare,
} from '../../../src/cli/coinjoin/option-values.js';
import {
  coinjoinTarget,
  coinjoinWish,
  feeLimits,
  type RequestOptions,
} from '../../../src/cli/coinjoin/request.js';
import { peekSettings, type Settings } from '../../../src/config/settings.js';

const ADDRESS = 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080';
const ONE_LINE = /^[^\n]+$/;

t.test('shares: a fraction as in the original, or a percentage', (t) => {
  const rows: readonly (readonly [string, number])[] = [
    ['0.001', 0.001],
    ['0.1%', 0.001],
    ['0.1 %', 0.001],
    ['5%', 0.05],
    ['0', 0],
    ['1', 1],
    ['100%', 1],
    ['0.00001', 0.00001],
    ['0.07%', 0.0007],
  ];
  for (const [text, expected] of rows) t.equal(parseShare(text), expected, text);
  for (const text of ['', '%', '1.5', '101%', '-1', '0,1%', '.5', '1e-3', '0.1%%', 'x', '0x1']) {
    t.throws(() => parseShare(text), ONE_LINE, text);
  }
  t.end();
});

t.test('satoshi, makers, nicks', (t) => {
  t.equal(parseMaxFeeAbs('500'), 500);
  t.equal(parseMaxFeeAbs('500sat'), 500);
  t.equal(parseMaxFeeAbs('0'), 0);
  for (const text of ['', '0.1', '5btc', '-1', '2100000000000001', '1e3']) {
    t.throws(() => parseMaxFeeAbs(text), ONE_LINE, text);
  }
  t.equal(parseMakers('1'), 1);
  t.equal(parseMakers('99'), 99);
  for (const text of ['0', '100', '1.5', '-1', '']) t.throws(() => parseMakers(text), ONE_LINE);
  t.strictSame(collectNick('J5b', collectNick('J5a')), ['J5a', 'J5b']);
  t.throws(() => collectNick('J5a', ['J5a']), /twice/);
  for (const text of ['', 'a b', 'a!b', 'PUBLIC']) t.throws(() => collectNick(text), ONE_LINE);
  const many = Array.from({ length: 99 }, (_, n) => `J5${n}`);
  t.throws(() => collectNick('J5x', many), /at most 99/);
  t.end();
});

t.test('amount and destination', (t) => {
  const internal = { kind: 'internal' };
  const address = { kind: 'address', address: ADDRESS };
  const rows: readonly (readonly [string, string | undefined, number | 'sweep', object])[] = [
    ['0.1', ADDRESS, 10_000_000, address],
    ['10000000sat', ADDRESS, 10_000_000, address],
    ['sweep', ADDRESS, 'sweep', address],
    ['SWEEP', 'internal', 'sweep', internal],
    ['all', 'INTERNAL', 'sweep', internal],
    ['0.1', 'INTERNAL', 10_000_000, internal],
    [`bitcoin:${ADDRESS}?amount=0.2`, undefined, 20_000_000, address],
    ['0.2', `bitcoin:${ADDRESS}?amount=0.2&label=Shop`, 20_000_000, address],
  ];
  for (const [first, second, amount, destination] of rows) {
    const target = coinjoinTarget(first, second, 'regtest');
    t.match(target, { amount, destination }, `${first} ${second}`);
  }
  const wrong: readonly (readonly [string, string | undefined, RegExp])[] = [
    ['0.1', undefined, /or INTERNAL for the next mixdepth$/],
    ['1', ADDRESS, /1sat or 1btc/],
    ['0', 'INTERNAL', /amount/],
    ['0.1', 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4', /this wallet is of regtest/],
    ['0.1', 'next', /address/],
    ['0.1', `bitcoin:${ADDRESS}?amount=0.2`, /asks for 20000000 sat/],
    [`bitcoin:${ADDRESS}`, undefined, /has no amount/],
    ['1,5', 'INTERNAL', /comma/],
    ['-1', 'INTERNAL', /amount/],
  ];
  for (const [first, second, why] of wrong) {
    const label = `${first} ${second}`;
    t.throws(() => coinjoinTarget(first, second, 'regtest'), { message: why, exitCode: 2 }, label);
    t.throws(() => coinjoinTarget(first, second, 'regtest'), { message: ONE_LINE }, label);
  }
  t.equal(
    coinjoinTarget('0.2', `bitcoin:${ADDRESS}?label=Shop%0AX`, 'regtest').label?.includes('\n'),
    false,
    'the text of a request is made safe',
  );
  t.end();
});

t.test('the limits of one maker', (t) => {
  const none = { maxCjFeeAbs: null, maxCjFeeRel: null };
  const file = { maxCjFeeAbs: 900, maxCjFeeRel: 0.002 };
  const rows: readonly (readonly [Parameters<typeof feeLimits>, object])[] = [
    [[{}, none], { maxFeeAbs: 500, maxFeeRel: 0.001 }],
    [[{}, file], { maxFeeAbs: 900, maxFeeRel: 0.002 }],
    [[{ maxFeeAbs: 1 }, file], { maxFeeAbs: 1, maxFeeRel: undefined }],
    [[{ maxFeeRel: 0.05 }, none], { maxFeeAbs: undefined, maxFeeRel: 0.05 }],
    [[{ maxFeeRel: 0.4, acceptHighMakerFee: true }, none], { maxFeeRel: 0.4 }],
    [[{}, { maxCjFeeAbs: 0, maxCjFeeRel: null }], { maxFeeAbs: 0, maxFeeRel: undefined }],
  ];
  for (const [args, expected] of rows) t.match(feeLimits(...args), expected);
  t.throws(() => feeLimits({ maxFeeRel: 0.4 }, none), {
    message:
      '--max-fee-rel 0.4 lets each maker take 40% of the amount: write 0.4% or 0.004 if you meant percent, or add --accept-high-maker-fee',
    exitCode: 2,
  });
  t.throws(() => feeLimits({}, { maxCjFeeAbs: null, maxCjFeeRel: 0.4 }), /max_cj_fee_rel 0\.4/);
  t.end();
});

async function settingsWith(
  policy: Partial<Settings['policy']>,
): Promise<Pick<Settings, 'policy'>> {
  const { settings } = await peekSettings({ role: 'wallet', datadir: '/nonexistent' });
  return { policy: { ...settings.policy, ...policy } };
}

t.test('the number of makers, the rate, the rest', async (t) => {
  const usual = await settingsWith({});
  const target = coinjoinTarget('0.1', 'INTERNAL', 'regtest');
  const options: RequestOptions = { mixdepth: 2, choice: 'bond-weighted' };
  const drawn = Array.from(
    { length: 60 },
    () => coinjoinWish(target, options, usual).request.makers,
  );
  t.strictSame(
    [...new Set(drawn)].toSorted((a, b) => a - b),
    [8, 9, 10],
    'as in the original',
  );
  const wish = coinjoinWish(target, options, usual);
  t.equal(wish.drawsMakers, true);
  t.match(wish.request, {
    amount: 10_000_000,
    mixdepth: 2,
    minimumMakers: 4,
    maxFeeAbs: 500,
    maxFeeRel: 0.001,
    fee: { kind: 'blocks', blocks: 3 },
    choice: 'bond-weighted',
    picks: [],
    broadcast: 'random-peer',
  });
  const rows: readonly (readonly [Partial<RequestOptions>, object])[] = [
    [{ makers: 5 }, { makers: 5 }],
    [{ pick: ['a', 'b', 'c', 'd', 'e'] }, { makers: 5, picks: ['a', 'b', 'c', 'd', 'e'] }],
    [{ pick: ['a', 'b', 'c', 'd', 'e'], makers: 4 }, { makers: 4 }],
    [{ feeRate: 1_500 }, { fee: { kind: 'rate', feePerKb: 1_500 } }],
    [{ blocks: 6 }, { fee: { kind: 'blocks', blocks: 6 } }],
    [{ broadcast: 'self' }, { broadcast: 'self' }],
  ];
  for (const [part, expected] of rows) {
    t.match(coinjoinWish(target, { ...options, ...part }, usual).request, expected);
  }
  const rate = await settingsWith({ txFees: 2_000, minimumMakers: 12, txBroadcast: 'self' });
  t.match(coinjoinWish(target, options, rate).request, {
    makers: 12,
    fee: { kind: 'rate', feePerKb: 2_000 },
    broadcast: 'self',
  });
  const wrong: readonly (readonly [Partial<RequestOptions>, RegExp])[] = [
    [{ makers: 3 }, /^--makers is 3, and \[POLICY\] minimum_makers is 4/],
    [{ pick: ['a', 'b'] }, /^the number of makers named is 2, and \[POLICY\] minimum_makers is 4/],
    [{ pick: ['a', 'b', 'c', 'd'], makers: 5 }, /^--makers is 5, and 4 are named with --pick/],
  ];
  for (const [part, why] of wrong) {
    const label = JSON.stringify(part);
    const ask = (): unknown => coinjoinWish(target, { ...options, ...part }, usual);
    t.throws(ask, { message: why, exitCode: 2 }, label);
    t.throws(ask, { message: ONE_LINE }, label);
  }
});
