/** JSON with exact numbers: descriptions of providers, and amounts of the wallet. */
import * as fc from 'fast-check';
import t from 'tap';
import { amountOfJson, MAX_AMOUNT } from '../../src/lethean/amount.js';
import {
  JsonError,
  JsonNumber,
  parseExactJson,
  plainJson,
  writeJson,
} from '../../src/lethean/exact-json.js';

t.test('JSON keeps the text of numbers, and refuses what could be read in two ways', (t) => {
  t.same(
    parseExactJson(' {"a":[1.10,-2e3,true,null,"\\u00e9\\n"]} '),
    new Map([['a', [new JsonNumber('1.10'), new JsonNumber('-2e3'), true, null, 'é\n']]]),
  );
  const refused = [
    '{"a":1,"a":2}',
    '01',
    '1.',
    '+1',
    '"\n"',
    '"\\x"',
    '[1,]',
    '{"a"}',
    '[',
    '',
    'nul',
    '1 2',
    `${'['.repeat(18)}${']'.repeat(18)}`,
    '1'.repeat(65),
  ];
  for (const text of refused) t.throws(() => parseExactJson(text), JsonError, text);
  t.ok(parseExactJson(`"${'x'.repeat(1_000_000)}\\n"`), 'a long text costs no stack');
  t.end();
});

const SIGNS = '{}[]",:0123456789.eE+-\\utrfalsn \n'.split('');

t.test('property: JSON is read as JSON.parse reads it', (t) => {
  const plain = (value: unknown): unknown => {
    if (value instanceof JsonNumber) return Number(value.text);
    if (value instanceof Map) {
      return Object.fromEntries([...value].map(([key, item]) => [key, plain(item)]));
    }
    return Array.isArray(value) ? value.map(plain) : value;
  };
  const values = fc.jsonValue({ maxDepth: 5, noUnicodeString: false });
  fc.assert(
    fc.property(values, (value) => {
      const text = JSON.stringify(value);
      t.same(plain(parseExactJson(text)), JSON.parse(text));
    }),
    { numRuns: 200 },
  );
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...SIGNS) }), (text) => {
      try {
        parseExactJson(text);
      } catch (error) {
        if (!(error instanceof JsonError)) throw error;
        return;
      }
      // Only texts that JSON.parse reads too are read.
      JSON.parse(text);
    }),
    { numRuns: 3_000 },
  );
  t.end();
});

/** As the client reads an answer of the wallet. */
const readJson = (text: string): unknown => plainJson(parseExactJson(text));

const u64 = fc.bigInt({ min: 0n, max: MAX_AMOUNT });

t.test('amounts of 64 bits pass through JSON unchanged', async (t) => {
  fc.assert(
    fc.property(u64, fc.string(), (amount, text) => {
      const written = writeJson({
        amount,
        text,
        list: [amount, true, null, undefined],
        gone: undefined,
      });
      const read = readJson(written);
      const field = (name: string): unknown => Reflect.get(Object(read), name);
      return (
        amountOfJson(field('amount')) === amount &&
        field('text') === text &&
        !written.includes('gone')
      );
    }),
  );
  t.equal(writeJson({ amount: 2n ** 64n - 1n }), '{"amount":18446744073709551615}');
  for (const bad of [
    -1,
    1.5,
    2 ** 60,
    '',
    '-1',
    '1e12',
    '1.0',
    '18446744073709551616',
    null,
    {},
    [],
  ]) {
    t.equal(amountOfJson(bad), undefined, JSON.stringify(bad));
  }
  t.same(readJson('{"a":"12345678901234567890","b":[1e3,-1.5]}'), {
    a: '12345678901234567890',
    b: [1000, -1.5],
  });
  t.throws(() => readJson('{'), JsonError);
});
