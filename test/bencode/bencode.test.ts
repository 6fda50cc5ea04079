/** Bencode: one canonical form, numbers of 64 bits, and bounds on depth, length and parts. */
import * as fc from 'fast-check';
import t from 'tap';
import { decode } from '../../src/bencode/decode.js';
import { encode } from '../../src/bencode/encode.js';
import { MAX_INTEGER, MIN_INTEGER, type BValue } from '../../src/bencode/value.js';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const text = (value: BValue): string => Buffer.from(encode(value)).toString('latin1');

const values = fc.letrec<{ value: BValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.bigInt({ min: MIN_INTEGER, max: MAX_INTEGER }),
    fc.uint8Array({ maxLength: 20 }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc
      .array(fc.tuple(fc.uint8Array({ maxLength: 4 }), tie('value')), { maxLength: 4 })
      .map((pairs) => new Map(pairs.map(([key, v]) => [Buffer.from(key).toString('latin1'), v]))),
  ),
})).value;

t.test('what is written is read back, byte for byte', (t) => {
  fc.assert(
    fc.property(values, (value) => {
      const written = encode(value);
      const read = decode(written);
      if (!read.ok) throw new Error(read.reason);
      return Buffer.from(encode(read.value)).equals(Buffer.from(written));
    }),
  );
  t.end();
});

t.test('bytes that are read have no other form', (t) => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 60 }),
        fc
          .array(fc.constantFrom('d', 'l', 'i', 'e', '0', '1', '-', ':', 'a'), { maxLength: 30 })
          .map((all) => bytes(all.join(''))),
      ),
      (input) => {
        const read = decode(input);
        return !read.ok || Buffer.from(encode(read.value)).equals(Buffer.from(input));
      },
    ),
    { numRuns: 2_000 },
  );
  t.end();
});

t.test('a table of faults', (t) => {
  const FAULTS: readonly (readonly [string, string])[] = [
    ['', 'end'],
    ['i-0e', 'number'],
    ['i03e', 'number'],
    ['ie', 'number'],
    ['i-e', 'number'],
    ['i1.5e', 'byte'],
    ['i18446744073709551616e', 'number'],
    ['i-9223372036854775809e', 'number'],
    ['i123456789012345678901e', 'number'],
    ['i1', 'end'],
    ['01:a', 'number'],
    ['10:short', 'end'],
    ['-1:a', 'byte'],
    ['1:ab', 'trailing'],
    ['i1e\n', 'trailing'],
    ['d1:bi1e1:ai2ee', 'key-order'],
    ['d1:ai1e1:ai2ee', 'key-order'],
    ['di1ei2ee', 'byte'],
    ['d1:ae', 'byte'],
    ['l', 'end'],
    ['x', 'byte'],
    [`${'l'.repeat(17)}${'e'.repeat(17)}`, 'too-deep'],
    [`l${'0:'.repeat(5_000)}e`, 'too-many-parts'],
    [`70000:${'a'.repeat(70_000)}`, 'too-long'],
    // The example of the LLARP document, whose second key d is out of order.
    [
      'd1:ci1e1:d4:wank1:e32:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1:d3:iwp1:i15:123.123.123.1231:pi1234e1:vi0ee',
      'key-order',
    ],
  ];
  for (const [input, reason] of FAULTS) {
    t.same(decode(bytes(input)), { ok: false, reason }, input.slice(0, 40));
  }
  t.end();
});

t.test('numbers of 64 bits and the order of keys', (t) => {
  t.same(decode(bytes('i18446744073709551615e')), { ok: true, value: MAX_INTEGER });
  t.same(decode(bytes('i-9223372036854775808e')), { ok: true, value: MIN_INTEGER });
  t.equal(
    text(
      new Map<string, BValue>([
        ['b', 1n],
        ['a', bytes('x')],
        ['B', []],
      ]),
    ),
    'd1:Ble1:a1:x1:bi1ee',
  );
  const example = new Map<string, BValue>([
    ['p', 1234n],
    ['c', 1n],
    ['i', bytes('123.123.123.123')],
    ['d', bytes('wank')],
    ['v', 0n],
    ['e', bytes('a'.repeat(32))],
  ]);
  t.equal(
    text(example),
    `d1:ci1e1:d4:wank1:e32:${'a'.repeat(32)}1:i15:123.123.123.1231:pi1234e1:vi0ee`,
  );
  t.throws(() => encode(MAX_INTEGER + 1n), RangeError);
  t.throws(() => encode(new Map([['\u0100', 1n]])), RangeError);
  t.end();
});
