/** Amounts of LTHN: exact in both directions. */
import * as fc from 'fast-check';
import t from 'tap';
import {
  formatAmount,
  MAX_AMOUNT,
  parseAmount,
  parseComputedAmount,
} from '../../src/lethean/amount.js';

t.test('text in atomic units', (t) => {
  const table: readonly (readonly [string, bigint | undefined])[] = [
    ['0', 0n],
    ['0.5', 50_000_000n],
    ['.5', 50_000_000n],
    ['1e-8', 1n],
    ['2E3', 200_000_000_000n],
    ['0.00000001', 1n],
    ['0.10000000', 10_000_000n],
    ['184467440737.09551615', MAX_AMOUNT],
    ['184467440737.09551616', undefined],
    ['0.000000001', undefined],
    ['-1', undefined],
    ['1e99', undefined],
    ['', undefined],
    ['0x10', undefined],
    ['1,5', undefined],
    ['NaN', undefined],
  ];
  for (const [text, amount] of table) t.equal(parseAmount(text), amount, text);
  t.end();
});

t.test('numbers that floats have spoilt are the nearest amount', (t) => {
  const table: readonly (readonly [string, bigint | undefined])[] = [
    ['0.30000000000000004', 30_000_000n],
    ['0.29999999999999998', 30_000_000n],
    ['0.000000005', 1n],
    ['0.0000000049', 0n],
    ['3e-9', 0n],
    ['-0.1', undefined],
    ['1e30', undefined],
    ['184467440737.095516154', MAX_AMOUNT],
    ['184467440737.095516155', undefined],
  ];
  for (const [text, amount] of table) t.equal(parseComputedAmount(text), amount, text);
  t.equal(parseComputedAmount(String(0.1 + 0.2)), 30_000_000n);
  t.end();
});

t.test('property: an amount survives its text, and the text of a float price is the price', (t) => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: MAX_AMOUNT }), (amount) => {
      return (
        parseAmount(formatAmount(amount)) === amount &&
        parseComputedAmount(formatAmount(amount)) === amount
      );
    }),
  );
  // What a provider computes: (gate + space) * days, in floats.
  const cents = fc.integer({ min: 0, max: 1_000_000 });
  fc.assert(
    fc.property(cents, cents, fc.integer({ min: 1, max: 365 }), (gate, space, days) => {
      const computed = (gate / 100 + space / 100) * days;
      const exact = BigInt(gate + space) * BigInt(days) * 1_000_000n;
      return parseComputedAmount(String(computed)) === exact;
    }),
  );
  t.end();
});

t.test('a loss is shown with its sign', (t) => {
  t.equal(formatAmount(-150_000_000n), '-1.5');
  t.end();
});
