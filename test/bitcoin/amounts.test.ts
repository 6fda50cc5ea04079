/** Amounts, fee rates and payment requests as people write them; every sum of money is exact. */
import * as fc from 'fast-check';
import t from 'tap';
import {
  amountFaultText,
  formatBtc,
  parseAmount,
  parseUriAmount,
} from '../../src/bitcoin/amount.js';
import { isPaymentUri, parsePaymentUri, uriFaultText } from '../../src/bitcoin/bip21.js';
import {
  dustLimit,
  feeFor,
  formatSatPerVbyte,
  parseSatPerVbyte,
  rateFaultText,
  rateOf,
} from '../../src/bitcoin/fee.js';

const MAX = 2_100_000_000_000_000;

t.test('amounts', (t) => {
  const table: readonly (readonly [string, number | string])[] = [
    ['0.1', 10_000_000],
    ['0.1btc', 10_000_000],
    ['0.1 BTC', 10_000_000],
    ['1btc', 100_000_000],
    ['10000000sat', 10_000_000],
    ['10000000 sats', 10_000_000],
    ['1SAT', 1],
    ['0.00000001', 1],
    ['0.29', 29_000_000],
    ['1.1', 110_000_000],
    ['20999999.9769', 2_099_999_997_690_000],
    ['21000000btc', MAX],
    ['10000000', 'amount-unit'],
    ['1', 'amount-unit'],
    ['0', 'amount-unit'],
    ['0.0', 'amount-zero'],
    ['0sat', 'amount-zero'],
    ['0,1', 'amount-comma'],
    ['1,000,000sat', 'amount-comma'],
    ['1.000,5', 'amount-comma'],
    ['1.000.000sat', 'amount-form'],
    ['0.123456789', 'amount-places'],
    ['0.100000000', 'amount-places'],
    ['1.5sat', 'amount-fraction'],
    ['1.0sat', 'amount-fraction'],
    ['21000000.00000001', 'amount-range'],
    ['21000001btc', 'amount-range'],
    ['99999999999999999999sat', 'amount-range'],
    ['.5', 'amount-form'],
    ['5.', 'amount-form'],
    ['-1sat', 'amount-form'],
    ['+0.1', 'amount-form'],
    ['1e-3', 'amount-form'],
    ['0x10sat', 'amount-form'],
    ['0.1mbtc', 'amount-form'],
    ['0.1  btc', 'amount-form'],
    [' 0.1', 'amount-form'],
    ['0.1\n', 'amount-form'],
    ['', 'amount-form'],
    ['all', 'amount-form'],
    ['١btc', 'amount-form'],
  ];
  for (const [text, expected] of table) {
    const parsed = parseAmount(text);
    t.equal(parsed.ok ? parsed.value : parsed.reason, expected, JSON.stringify(text));
    if (!parsed.ok) t.match(amountFaultText(text, parsed.reason), /^[\da-z]/);
  }
  t.equal(
    amountFaultText('5000', 'amount-unit'),
    '5000 could be satoshi or BTC: write 5000sat or 5000btc',
  );
  t.equal(formatBtc(0), '0.00000000');
  t.equal(formatBtc(-150_000_000), '-1.50000000');
  const satoshi = fc.integer({ min: 1, max: MAX });
  fc.assert(
    fc.property(satoshi, (value) => {
      const ways = [`${value}sat`, formatBtc(value), `${formatBtc(value)}btc`];
      return ways.every((text) => {
        const parsed = parseAmount(text);
        return parsed.ok && parsed.value === value;
      });
    }),
  );
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[\d.,]{0,20}[a-z ]{0,4}$/)), (text) => {
      const parsed = parseAmount(text);
      if (!parsed.ok) return amountFaultText(text, parsed.reason).length > 0;
      return Number.isSafeInteger(parsed.value) && parsed.value > 0 && parsed.value <= MAX;
    }),
  );
  t.end();
});

t.test('fees and rates', (t) => {
  const fees: readonly (readonly [number, number, number])[] = [
    [110, 1_000, 110],
    [110, 100, 11],
    [141, 1_001, 142],
    [1, 1, 1],
    [0, 5_000, 0],
    [999, 2_500, 2_498],
  ];
  for (const [vsize, rate, fee] of fees) t.equal(feeFor(vsize, rate), fee, `${vsize} ${rate}`);
  const rates: readonly (readonly [string, number | string])[] = [
    ['1', 1_000],
    ['2.5', 2_500],
    ['0.1', 100],
    ['0.125', 125],
    ['0.1250', 125],
    ['10000', 10_000_000],
    ['10000.001', 'rate-range'],
    ['0.0001', 'rate-places'],
    ['0', 'rate-zero'],
    ['0.000', 'rate-zero'],
    ['', 'rate-form'],
    ['1,5', 'rate-form'],
    ['-1', 'rate-form'],
    ['1e3', 'rate-form'],
    ['.5', 'rate-form'],
  ];
  for (const [text, expected] of rates) {
    const parsed = parseSatPerVbyte(text);
    t.equal(parsed.ok ? parsed.value : parsed.reason, expected, text);
    if (!parsed.ok) t.match(rateFaultText(parsed.reason), /^(a|the) fee rate /);
  }
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000_000 }), (rate) => {
      const parsed = parseSatPerVbyte(formatSatPerVbyte(rate));
      return parsed.ok && parsed.value === rate;
    }),
  );
  const vsize = fc.integer({ min: 60, max: 1_000_000 });
  const anyRate = fc.integer({ min: 0, max: 10 ** 12 });
  fc.assert(
    fc.property(vsize, fc.oneof(anyRate, fc.nat(1_000_000)), (size, rate) => {
      // The least whole satoshi that pay the rate.
      const fee = BigInt(feeFor(size, rate));
      const exact = BigInt(size) * BigInt(rate);
      return fee * 1_000n >= exact && (fee - 1n) * 1_000n < exact;
    }),
  );
  fc.assert(
    fc.property(vsize, fc.nat(MAX / 10), (size, fee) => {
      const rate = BigInt(rateOf(fee, size));
      const paid = BigInt(fee) * 1_000n;
      return rate * BigInt(size) <= paid && (rate + 1n) * BigInt(size) > paid;
    }),
  );
  fc.assert(
    fc.property(vsize, fc.nat(1_000_000), (size, rate) => rateOf(feeFor(size, rate), size) >= rate),
  );
  t.end();
});

t.test('dust, as nodes relay it', (t) => {
  const table: readonly (readonly [string, string, number])[] = [
    ['p2wpkh', `0014${'00'.repeat(20)}`, 294],
    ['p2wsh', `0020${'00'.repeat(32)}`, 330],
    ['p2tr', `5120${'00'.repeat(32)}`, 330],
    ['p2sh', `a914${'00'.repeat(20)}87`, 540],
    ['p2pkh', `76a914${'00'.repeat(20)}88ac`, 546],
    ['data', '6a0401020304', 0],
  ];
  for (const [name, script, limit] of table) t.equal(dustLimit(script), limit, name);
  t.end();
});

const ADDRESS = 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4';
const SCRIPT = '0014751e76e8199196d454941c45d1b3a323f1433bd6';

t.test('payment requests', (t) => {
  const good: readonly (readonly [string, object])[] = [
    [`bitcoin:${ADDRESS}`, {}],
    [
      `BITCOIN:${ADDRESS.toUpperCase()}?AMOUNT=0.1`,
      { amount: 10_000_000, address: ADDRESS.toUpperCase() },
    ],
    [`bitcoin:${ADDRESS}?amount=20.3&label=Luke%2DJr`, { amount: 2_030_000_000, label: 'Luke-Jr' }],
    [
      `bitcoin:${ADDRESS}?amount=50&message=Donation%20for%20x`,
      { amount: 5_000_000_000, message: 'Donation for x' },
    ],
    [`bitcoin:${ADDRESS}?amount=0.10000000000`, { amount: 10_000_000 }],
    [`bitcoin:${ADDRESS}?amount=1.`, { amount: 100_000_000 }],
    [`bitcoin:${ADDRESS}?somethingyoudontunderstand=50&pj=https%3a%2f%2fx`, {}],
    [`bitcoin:${ADDRESS}?`, {}],
  ];
  for (const [text, expected] of good) {
    const parsed = parsePaymentUri(text, 'mainnet');
    t.strictSame(
      parsed,
      { ok: true, value: { address: ADDRESS, script: SCRIPT, ...expected } },
      text,
    );
  }
  const bad: readonly (readonly [string, string])[] = [
    ['bitcoin:', 'uri-form'],
    [ADDRESS, 'uri-form'],
    [`litecoin:${ADDRESS}`, 'uri-form'],
    [`bitcoin:${ADDRESS}#x`, 'uri-form'],
    [`bitcoin://${ADDRESS}`, 'address-form'],
    [`bitcoin:${ADDRESS.replace('w5', 'w6')}`, 'address-checksum'],
    ['bitcoin:tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx', 'address-of-testnet'],
    [`bitcoin:${ADDRESS}?req-somethingyoudontunderstand=50`, 'uri-required'],
    [`bitcoin:${ADDRESS}?REQ-pj=1`, 'uri-required'],
    [`bitcoin:${ADDRESS}?r%65q-x=1`, 'uri-required'],
    [`bitcoin:${ADDRESS}?amount=1&amount=2`, 'uri-repeated'],
    [`bitcoin:${ADDRESS}?amount=0.1&Amount=0.1`, 'uri-repeated'],
    [`bitcoin:${ADDRESS}?label=%zz`, 'uri-encoding'],
    [`bitcoin:${ADDRESS}?label=%ff`, 'uri-encoding'],
    [`bitcoin:${ADDRESS}?amount=`, 'amount-form'],
    [`bitcoin:${ADDRESS}?amount=1,5`, 'amount-form'],
    [`bitcoin:${ADDRESS}?amount=0.1btc`, 'amount-form'],
    [`bitcoin:${ADDRESS}?amount=0`, 'amount-zero'],
    [`bitcoin:${ADDRESS}?amount=0.000000001`, 'amount-places'],
    [`bitcoin:${ADDRESS}?label=${'x'.repeat(501)}`, 'uri-length'],
    [`bitcoin:${ADDRESS}?${'x'.repeat(4_000)}`, 'uri-length'],
  ];
  for (const [text, reason] of bad) {
    t.strictSame(parsePaymentUri(text, 'mainnet'), { ok: false, reason }, text.slice(0, 90));
  }
  t.match(uriFaultText('uri-required'), /requires/);
  t.equal(uriFaultText('address-form'), undefined);
  t.ok(isPaymentUri('Bitcoin:x'));
  t.notOk(isPaymentUri(ADDRESS));
  t.strictSame(parseUriAmount('21000001'), { ok: false, reason: 'amount-range' });
  const query = fc.stringMatching(/^[a-z=&%\d.-]{0,40}$/);
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        query.map((rest) => `bitcoin:${ADDRESS}?${rest}`),
      ),
      (text) => {
        const parsed = parsePaymentUri(text, 'mainnet');
        return !parsed.ok || parsed.value.script === SCRIPT;
      },
    ),
  );
  t.end();
});
