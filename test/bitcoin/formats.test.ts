/** Descriptors with their checksums (BIP380), and bencode. */
import { base64 } from '@scure/base';
import * as fc from 'fast-check';
import t from 'tap';
import {
  BencodeDict,
  formatBencode,
  parseBencode,
  type Bencode,
} from '../../src/bitcoin/bencode.js';
import {
  addressDescriptor,
  checkDescriptor,
  descriptorChecksum,
  rawDescriptor,
  shWpkhDescriptor,
  wpkhDescriptor,
} from '../../src/bitcoin/descriptor.js';

t.test('checksums of descriptors', (t) => {
  t.equal(descriptorChecksum('raw(deadbeef)'), '89f8spxm', 'BIP380');
  const good = 'raw(deadbeef)#89f8spxm';
  t.strictSame(checkDescriptor(good), { ok: true, value: 'raw(deadbeef)' });
  const table: readonly (readonly [string, string])[] = [
    // BIP380
    ['raw(deadbeef)', 'descriptor-form'],
    ['raw(deadbeef)#', 'descriptor-checksum'],
    ['raw(deadbeef)#89f8spxmx', 'descriptor-checksum'],
    ['raw(deadbeef)#89f8spx', 'descriptor-checksum'],
    ['raw(dedbeef)#89f8spxm', 'descriptor-checksum'],
    ['raw(deedbeef)#89f8spxm', 'descriptor-checksum'],
    ['raw(deedbeef)##9f8spxm', 'descriptor-form'],
    ['raw(Ü)#00000000', 'descriptor-checksum'],
    ['', 'descriptor-form'],
    ['#', 'descriptor-form'],
    ['x'.repeat(100_001), 'descriptor-form'],
  ];
  for (const [text, reason] of table) {
    t.strictSame(checkDescriptor(text), { ok: false, reason }, text.slice(0, 40));
  }
  t.equal(descriptorChecksum('raw(Ü)'), undefined);
  t.end();
});

t.test('descriptors of a wallet', (t) => {
  const account = {
    fingerprint: '73c5da0a',
    path: "84'/0'/0'",
    publicKey:
      'xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V',
  };
  const origin = `[73c5da0a/84h/0h/0h]${account.publicKey}`;
  const table = [
    [wpkhDescriptor(account, 0), `wpkh(${origin}/0/*)`],
    [shWpkhDescriptor({ ...account, path: '84h/0h/0h' }, 1), `sh(wpkh(${origin}/1/*))`],
    [addressDescriptor('bcrt1qx'), 'addr(bcrt1qx)'],
    [rawDescriptor('0020ab'), 'raw(0020ab)'],
  ] as const;
  for (const [text, value] of table) t.strictSame(checkDescriptor(text), { ok: true, value });
  t.throws(() => addressDescriptor('ß'), RangeError);
  t.end();
});

t.test('a wrong character is found anywhere', (t) => {
  const text = fc
    .stringMatching(/^[0-9a-z()[\]/*',#]{1,80}$/)
    .filter((body) => !body.includes('#'));
  fc.assert(
    fc.property(text, fc.nat(), fc.constantFrom('a', 'Q', '*', '9'), (body, n, other) => {
      const whole = `${body}#${descriptorChecksum(body)}`;
      if (!checkDescriptor(whole).ok) return false;
      const at = n % whole.length;
      const changed = `${whole.slice(0, at)}${other}${whole.slice(at + 1)}`;
      return changed === whole || !checkDescriptor(changed).ok;
    }),
  );
  fc.assert(fc.property(fc.string(), (any) => typeof checkDescriptor(any).ok === 'boolean'));
  t.end();
});

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');

const lengthOf = (item: Bencode | undefined): number | undefined =>
  item instanceof Uint8Array ? item.length : undefined;

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.from(a).equals(b);

t.test('bencode', (t) => {
  const table: readonly (readonly [string, Bencode])[] = [
    ['i0e', 0],
    ['i-42e', -42],
    ['i9007199254740991e', Number.MAX_SAFE_INTEGER],
    ['0:', new Uint8Array()],
    ['4:spam', Uint8Array.from(bytes('spam'))],
    ['le', []],
    ['li1e1:ae', [1, Uint8Array.from(bytes('a'))]],
  ];
  for (const [text, value] of table) {
    t.strictSame(parseBencode(Uint8Array.from(bytes(text))), { ok: true, value }, text);
    t.equal(Buffer.from(formatBencode(value)).toString('latin1'), text);
  }
  const dict = parseBencode(bytes('d1:ai1e2:\xff\x001:xe'));
  if (!dict.ok || !(dict.value instanceof BencodeDict)) throw new Error('no dictionary');
  t.equal(dict.value.get('a'), 1);
  t.equal(dict.value.get('b'), undefined);
  t.equal(dict.value.get('__proto__'), undefined);
  t.equal(dict.value.entries.length, 2);
  const wrong: readonly (readonly [string, string])[] = [
    ['', 'bencode-form'],
    ['x', 'bencode-form'],
    ['i-0e', 'bencode-number'],
    ['i03e', 'bencode-number'],
    ['ie', 'bencode-number'],
    ['i1.5e', 'bencode-form'],
    ['i1', 'bencode-form'],
    ['i9007199254740992e', 'bencode-number'],
    ['i99999999999999999999e', 'bencode-number'],
    ['01:a', 'bencode-number'],
    ['-1:a', 'bencode-form'],
    ['10:short', 'bencode-form'],
    ['9007199254740991:', 'bencode-form'],
    ['d1:bi1e1:ai2ee', 'bencode-order'],
    ['d1:ai1e1:ai2ee', 'bencode-order'],
    ['di1ei2ee', 'bencode-form'],
    ['d1:ae', 'bencode-form'],
    ['li1e', 'bencode-form'],
    ['i1ei2e', 'bencode-end'],
    ['i1e\n', 'bencode-end'],
    ['l'.repeat(5_000), 'bencode-depth'],
  ];
  for (const [text, reason] of wrong) {
    t.strictSame(parseBencode(bytes(text)), { ok: false, reason }, text.slice(0, 30));
  }
  t.throws(() => formatBencode(0.5), RangeError);
  t.throws(() => formatBencode(2 ** 53), RangeError);
  t.end();
});

t.test('the outer part of a wallet file of the original', (t) => {
  const file = base64.decode(
    'Sk1FTkNXTFRkNDpkYXRhMjI0Ov/pvoOkvqioiIn/1aB1MDRdDsg2MrKp11f2HioJkmh66BlJ1rDt5nknLuEt3+GLIwLAFzWTfKTifO1cWky6' +
      'IRjfwafOQFy3wVUnTBjJFquGaZ6sYVTHLTcvDE/oy/4o2wO6NpkyyZfhbfw3SsG6zyJtVuuP0+Z7ShYhN6EFrAoTJJP7dqFNVTxoBmKiX/nm' +
      'PcI6e9TcXf8RESktY7EpVq31BPE8kPLm/kZLYLYgv4tUHH36XXtH1opVFo3C+cJ65vd9Zuz5kAYMqyxPPzTl2sCt7pKzFH/SeTUNDJNIbw/F' +
      'MzplbmNkMjppdjE2OiIiIiIiIiIiIiIiIiIiIiI0OnNhbHQxNjoRERERERERERERERERERERZWU=',
  );
  t.equal(Buffer.from(file.subarray(0, 8)).toString(), 'JMENCWLT');
  const parsed = parseBencode(file.subarray(8));
  if (!parsed.ok || !(parsed.value instanceof BencodeDict)) throw new Error('no dictionary');
  const { value } = parsed;
  t.equal(lengthOf(value.get('data')), 224);
  const inner = value.get('enc');
  if (!(inner instanceof BencodeDict)) throw new Error('no dictionary');
  t.equal(lengthOf(inner.get('iv')), 16);
  t.equal(lengthOf(inner.get('salt')), 16);
  t.strictSame(Buffer.from(formatBencode(value)), Buffer.from(file.subarray(8)));
  t.end();
});

t.test('what is accepted as bencode has one encoding', (t) => {
  const { value: any } = fc.letrec<{ value: Bencode }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.maxSafeInteger(),
      fc.uint8Array({ maxLength: 20 }),
      fc.array(tie('value'), { maxLength: 4 }),
      fc
        .uniqueArray(fc.tuple(fc.uint8Array({ maxLength: 4 }), tie('value')), {
          maxLength: 4,
          selector: ([key]) => key.join(),
        })
        .map((entries) => new BencodeDict(entries)),
    ),
  }));
  fc.assert(
    fc.property(any, fc.nat(), fc.nat(255), (value, at, byte) => {
      const written = formatBencode(value);
      const parsed = parseBencode(written);
      if (!parsed.ok || !same(formatBencode(parsed.value), written)) return false;
      const changed = Uint8Array.from(written);
      changed[at % changed.length] = byte;
      const again = parseBencode(changed);
      return !again.ok || same(formatBencode(again.value), changed);
    }),
  );
  fc.assert(
    fc.property(
      fc.oneof(fc.uint8Array(), fc.stringMatching(/^[ilde:0-9-]{0,40}$/).map(bytes)),
      (raw) => {
        const parsed = parseBencode(raw);
        return !parsed.ok || same(formatBencode(parsed.value), raw);
      },
    ),
  );
  t.end();
});
