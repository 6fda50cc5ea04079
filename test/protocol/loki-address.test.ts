/** z-base-32, and the names of Lokinet. */
import * as fc from 'fast-check';
import t from 'tap';
import {
  isLokinetName,
  lokiHost,
  parseLokiName,
  snodeHost,
} from '../../src/protocol/loki-address.js';
import { decodeZbase32, encodeZbase32 } from '../../src/protocol/zbase32.js';

const hex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'));

t.test('z-base-32: the vectors of its specification', async (t) => {
  for (const [bytes, text] of [
    ['', ''],
    ['00', 'yy'],
    ['80', 'oy'],
    ['f0bfc7', '6n9hq'],
    ['d47a04', '4t7ye'],
    ['ffffffffff', '99999999'],
    ['0000000000', 'yyyyyyyy'],
    ['00'.repeat(32), 'y'.repeat(52)],
    ['ff'.repeat(32), `${'9'.repeat(51)}o`],
  ] as const) {
    t.equal(encodeZbase32(hex(bytes)), text, bytes);
    t.strictSame(decodeZbase32(text), { ok: true, value: hex(bytes) }, text);
  }
  for (const [text, reason] of [
    ['y', 'zbase32-length'],
    ['yyy', 'zbase32-length'],
    ['yb', 'zbase32-spare-bits'],
    ['YY', 'zbase32-alphabet'],
    ['0y', 'zbase32-alphabet'],
    ['lv', 'zbase32-alphabet'],
    ['2y', 'zbase32-alphabet'],
    ['y\n', 'zbase32-alphabet'],
    ['y=', 'zbase32-alphabet'],
    [`${'9'.repeat(51)}9`, 'zbase32-spare-bits'],
    [`${'9'.repeat(53)}y`, 'zbase32-length'],
  ] as const) {
    t.strictSame(decodeZbase32(text), { ok: false, reason }, JSON.stringify(text));
  }
});

t.test('z-base-32: one text for each byte string, and no parser throws', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
      const decoded = decodeZbase32(encodeZbase32(bytes));
      return decoded.ok && Buffer.compare(decoded.value, bytes) === 0;
    }),
  );
  const digits = Array.from('ybndrfg8ejkmcpqxot1uwisza345h769lv2Y= ');
  const text = fc.oneof(
    fc.string(),
    fc.array(fc.constantFrom(...digits)).map((a) => a.join('')),
  );
  fc.assert(
    fc.property(text, (value) => {
      const decoded = decodeZbase32(value);
      return !decoded.ok || encodeZbase32(decoded.value) === value;
    }),
  );
});

/** Addresses of running services and routers, published by their owners. */
const SERVICES = [
  'dw68y1xhptqbhcm5s8aaaip6dbopykagig5q5u1za4c7pzxto77y.loki',
  '7okic5x5do3uh3usttnqz9ek3uuoemdrwzto1hciwim9f947or6y.loki',
  'azfoj73snr9f3neh5c6sf7rtbaeabyxhr1m4un5aydsmsrxo964o.loki',
];
const ROUTER = '8zfiwpgonsu5zpddpxwdurxyb19x6r96xy4qbikff99jwsziws9y.snode';

t.test('addresses of services and routers', async (t) => {
  for (const host of SERVICES) {
    const read = parseLokiName(host);
    t.ok(read.ok && read.value.kind === 'address' && read.value.subdomain === '');
    if (read.ok && read.value.kind === 'address') t.equal(lokiHost(read.value.publicKey), host);
    t.match(parseLokiName(`a.b-c.${host}`), {
      ok: true,
      value: { kind: 'address', subdomain: 'a.b-c' },
    });
    t.strictSame(parseLokiName(`${host}.`), { ok: false, reason: 'loki-dot' });
    t.strictSame(parseLokiName(host.toUpperCase()), { ok: false, reason: 'loki-suffix' });
    t.strictSame(parseLokiName(`.${host}`), { ok: false, reason: 'loki-label' });
    for (const last of 'bndrfg8ejkmcpqxt1uwisza345h769') {
      const other = host.replace(/[yo]\.loki$/, `${last}.loki`);
      t.strictSame(parseLokiName(other), { ok: false, reason: 'loki-key' }, last);
    }
  }
  const router = parseLokiName(ROUTER);
  t.ok(router.ok && router.value.kind === 'router');
  if (router.ok && router.value.kind === 'router')
    t.equal(snodeHost(router.value.publicKey), ROUTER);
  t.strictSame(parseLokiName(`a.${ROUTER}`), { ok: false, reason: 'loki-key' });
  t.strictSame(parseLokiName('short.snode'), { ok: false, reason: 'loki-key' });
  t.throws(() => lokiHost(new Uint8Array(31)), RangeError);
  t.throws(() => snodeHost(new Uint8Array(33)), RangeError);
});

t.test('names of ONS', async (t) => {
  for (const [host, name, subdomain] of [
    ['probably.loki', 'probably', ''],
    ['jason.loki', 'jason', ''],
    ['xn--a.loki', 'xn--a', ''],
    ['a.xn--b.loki', 'xn--b', 'a'],
    ['the.goog.loki', 'goog', 'the'],
    ['420.loki', '420', ''],
    [`${'a'.repeat(32)}.loki`, 'a'.repeat(32), ''],
    [`${'a'.repeat(31)}-${'b'.repeat(31)}.loki`, `${'a'.repeat(31)}-${'b'.repeat(31)}`, ''],
  ] as const) {
    t.strictSame(parseLokiName(host), { ok: true, value: { kind: 'ons', name, subdomain } }, host);
  }
  for (const [host, reason] of [
    ['loki.loki', 'loki-reserved'],
    ['snode.loki', 'loki-reserved'],
    ['localhost.loki', 'loki-reserved'],
    ['x.loki.loki', 'loki-reserved'],
    ['-a.loki', 'loki-label'],
    ['a-.loki', 'loki-label'],
    ['bn--a.loki', 'loki-label'],
    ['a..loki', 'loki-label'],
    ['.loki', 'loki-label'],
    ['a_b.loki', 'loki-label'],
    ['A.loki', 'loki-label'],
    ['ä.loki', 'loki-label'],
    [`${'a'.repeat(33)}.loki`, 'loki-label'],
    [`${'a'.repeat(31)}-${'b'.repeat(32)}.loki`, 'loki-label'],
    [`${'a.'.repeat(125)}loki`, 'loki-label'],
    ['loki', 'loki-suffix'],
    ['', 'loki-suffix'],
    ['example.com', 'loki-suffix'],
    ['probably.loki.', 'loki-dot'],
    ['probably.loki\n', 'loki-suffix'],
  ] as const) {
    t.strictSame(parseLokiName(host), { ok: false, reason }, JSON.stringify(host));
  }
});

t.test('every key has one address; a text with the suffix is recognised in any case', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (key) => {
      const read = parseLokiName(lokiHost(key));
      const same = read.ok && read.value.kind === 'address' ? read.value.publicKey : undefined;
      return same !== undefined && Buffer.compare(same, key) === 0;
    }),
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      const named = [`${text}.loki`, `${text}.LOKI.`, `${text}.Snode`];
      const read = parseLokiName(`${text}.loki`);
      return named.every(isLokinetName) && (read.ok || read.reason.startsWith('loki-'));
    }),
  );
});
