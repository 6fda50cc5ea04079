/** Numbers as text: decimal shifts without floats, grouped digits, counted nouns; also those of the page. */
import * as fc from 'fast-check';
import t from 'tap';
import { counted, grouped, shiftDecimal } from '../../src/kit/decimal.js';
import { orderbookTable } from '../../src/cli/orderbook-view.js';
import type { BookOffer } from '../../src/orderbook/book.js';

// The page has no build step and no types.
const pageFormat = new URL('../../src/web/public/format.js', import.meta.url).href;
const module: Readonly<Record<string, unknown>> = await import(pageFormat);

/** The result of a function of the page for these arguments. */
function inPage(name: string, ...args: readonly unknown[]): unknown {
  const call = module[name];
  if (typeof call !== 'function') throw new Error(`the page has no ${name}`);
  const result: unknown = call(...args);
  return result;
}

const SHIFTED: readonly (readonly [string, number, string | undefined])[] = [
  // As a float: 0.0017280000000000002.
  ['0.00001728', 2, '0.001728'],
  ['2e-05', 2, '0.002'],
  ['0.00002', 2, '0.002'],
  ['.5', 2, '50'],
  ['5.', 2, '500'],
  ['1E2', 0, '100'],
  ['0.29', 8, '29000000'],
  ['20999999.9769', 8, '2099999997690000'],
  ['0', 2, '0'],
  ['000.100', 0, '0.1'],
  ['7', -8, '0.00000007'],
  ['1.4e+1', 0, '14'],
  ['', 2, undefined],
  ['.', 2, undefined],
  ['-1', 2, undefined],
  ['1,5', 2, undefined],
  ['1e100', 2, undefined],
  ['0x1', 2, undefined],
];

t.test('the decimal point is moved in the text, without a float', async (t) => {
  for (const [text, places, expected] of SHIFTED) {
    t.equal(shiftDecimal(text, places), expected, `${text} by ${places}`);
    t.equal(inPage('shift', text, places), expected, `${text} by ${places}, in the page`);
  }
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 10n ** 30n }),
      fc.integer({ min: -20, max: 2 }),
      (n, e) => {
        const there = shiftDecimal(String(n), e);
        return there !== undefined && shiftDecimal(there, -e) === String(n);
      },
    ),
  );
});

t.test('amounts and counts', async (t) => {
  t.equal(inPage('bitcoin', 2_099_999_997_690_001), '20999999.97690001');
  t.equal(inPage('bitcoin', 27_300), '0.00027300');
  t.equal(inPage('bitcoin', 0), '0.00000000');
  fc.assert(
    fc.property(fc.nat(Number.MAX_SAFE_INTEGER), (sats) => {
      return Number(String(inPage('bitcoin', sats)).replace('.', '')) === sats;
    }),
  );
  t.equal(inPage('feeText', { cjfee: '0.00001728' }), '0.001728 %');
  t.equal(inPage('feeText', { cjfee: '0.1234567891' }), '12.3 %', 'too many digits are rounded');
  t.equal(inPage('many', 1, 'maker'), '1 maker');
  t.equal(inPage('many', 0, 'maker'), '0 makers');
  t.equal(grouped(2_100_000), '2 100 000');
  t.same(
    [counted(0, 'peer'), counted(1, 'peer'), counted(1_000, 'peer')],
    ['0 peers', '1 peer', '1 000 peers'],
  );
  t.equal(counted(2, 'directory', 'directories'), '2 directories');
});

const offer = (over: Partial<BookOffer>): BookOffer => ({
  maker: 'J5aaaaaaaaaaaaaa',
  type: 'sw0reloffer',
  oid: 0,
  minsize: 27_300,
  maxsize: 2_100_000_000_000_000,
  txfee: 0,
  cjfee: '0.00001728',
  verified: true,
  directories: ['a', 'b'],
  sightings: [],
  direct: { firstSeen: 0, lastSeen: 0 },
  firstSeen: 0,
  lastSeen: 0,
  ...over,
});

t.test('the table of offers fits a terminal of 80 columns', async (t) => {
  const table = orderbookTable(
    [
      offer({}),
      offer({ type: 'absoffer', cjfee: '2100000000000000', oid: 99, verified: false }),
      offer({ cjfee: `0.${'1'.repeat(30)}`, minsize: 999_999_999, direct: undefined }),
      offer({ maxsize: 12_345_678_901, cjfee: '1e-32' }),
      offer({ type: 'swabsoffer', maxsize: 1_000_000_000, cjfee: '500' }),
    ],
    4,
  );
  for (const line of table.split('\n')) t.ok(line.length <= 80, `${line.length}: ${line}`);
  t.match(table, /^J5a{14} +sw0 +0 +0\.001728 % +27 300 +21000000 BTC +yes +2\/4\+$/m);
  t.match(table, /^J5a{14} +old +99 +21000000 BTC .* no +2\/4\+$/m);
  t.match(table, /~11 % +999 999 999 +21000000 BTC +yes +2\/4$/m);
  t.match(table, /~1\.0e-30 % +27 300 +123\.45 BTC/);
  t.match(table, /sw +0 +500 sat +27 300 +10 BTC/);
});
