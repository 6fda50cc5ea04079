/** The pure parts of payments: digest, exact JSON, amounts, limits, the file of orders. */
import { createHash } from 'node:crypto';
import t from 'tap';
import * as fc from 'fast-check';
import { MAX_AMOUNT } from '../../src/lethean/amount.js';
import { chooseChallenge, digestHeader } from '../../src/lethean/payment/digest.js';
import { limitFault, orderAmount } from '../../src/lethean/payment/limits.js';
import { ordersText, readOrders } from '../../src/lethean/payment/order-record.js';
import { orderFault } from '../../src/lethean/payment/order-terms.js';

/** What monero-wallet-rpc 0.18 sends. */
const MONERO = [
  'Digest qop="auth",algorithm=MD5,realm="monero-rpc",nonce="a1b2==",stale=false',
  'Digest qop="auth",algorithm=MD5-sess,realm="monero-rpc",nonce="a1b2==",stale=false',
];

t.test('a challenge is chosen', async (t) => {
  const md5 = { algorithm: 'MD5', realm: 'monero-rpc', nonce: 'a1b2==', auth: true, stale: false };
  for (const [name, lines, expected] of [
    ['both of monero', MONERO, md5],
    ['in the other order', MONERO.toReversed(), md5],
    ['in one line', [MONERO.join(', ')], md5],
    ['stale', ['Digest realm="r", nonce="n", stale=TRUE'], { stale: true, auth: false }],
    [
      'SHA-256 before MD5',
      [`${MONERO[0]}`, 'Digest realm="r",nonce="n",algorithm=sha-256,qop="auth-int, auth"'],
      { algorithm: 'SHA-256', auth: true },
    ],
    ['a quoted quote', [String.raw`Digest realm="a\"b", nonce="n"`], { realm: 'a"b' }],
  ] as const) {
    t.match(chooseChallenge(lines), expected, name);
  }
  for (const [name, lines] of [
    ['none', []],
    ['Basic: the password would be readable', ['Basic realm="monero-rpc"']],
    ['the body would have to be hashed', ['Digest realm="r", nonce="n", qop="auth-int"']],
    ['an unknown algorithm', ['Digest realm="r", nonce="n", algorithm=SHA-512-256']],
    ['no nonce', ['Digest realm="r"']],
    ['too long', [`Digest realm="r", nonce="${'n'.repeat(5_000)}"`]],
  ] as const) {
    t.equal(chooseChallenge(lines), undefined, name);
  }
});

t.test('the examples of RFC 7616 and RFC 2617', async (t) => {
  const mufasa = { user: 'Mufasa', password: 'Circle of Life' };
  const use = { method: 'GET', uri: '/dir/index.html', count: 1 };
  const nonce = '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v';
  const challenge = {
    realm: 'http-auth@example.org',
    nonce,
    opaque: 'FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS',
    auth: true,
    stale: false,
  };
  const clientNonce = 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ';
  const header = (algorithm: 'MD5' | 'SHA-256'): string =>
    digestHeader({ ...challenge, algorithm }, mufasa, { ...use, clientNonce });
  t.match(header('MD5'), /response="8ca523f5e9506fed4657c9700eebdbec"/);
  t.match(
    header('SHA-256'),
    /response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"/,
  );
  t.match(header('MD5'), /^Digest username="Mufasa", .*nc=00000001, cnonce="f2.*opaque="FQhe/);
  const older = digestHeader(
    {
      realm: 'testrealm@host.com',
      nonce: 'dcd98b7102dd2f0e8b11d0f600bfb0c093',
      opaque: undefined,
      algorithm: 'MD5',
      auth: true,
      stale: false,
    },
    { user: 'Mufasa', password: 'Circle Of Life' },
    { ...use, clientNonce: '0a4f113b' },
  );
  t.match(older, /response="6629fae49393a05397450978507c4ef1"/);
});

const md5 = (text: string): string => createHash('md5').update(text).digest('hex');

t.test('the form without qop, and -sess', async (t) => {
  const base = { realm: 'r', nonce: 'n', opaque: undefined, stale: false };
  const use = { method: 'POST', uri: '/json_rpc', count: 2, clientNonce: 'c' };
  const login = md5('u:r:p');
  const asked = md5('POST:/json_rpc');
  const plain = digestHeader(
    { ...base, algorithm: 'MD5', auth: false },
    { user: 'u', password: 'p' },
    use,
  );
  t.match(plain, `response="${md5(`${login}:n:${asked}`)}"`);
  t.notMatch(plain, /qop|nc=|cnonce/);
  const sess = digestHeader(
    { ...base, algorithm: 'MD5-sess', auth: true },
    { user: 'u', password: 'p' },
    use,
  );
  t.match(sess, `response="${md5(`${md5(`${login}:n:c`)}:n:00000002:c:auth:${asked}`)}"`);
});

t.test('no text breaks the reader of challenges', async () => {
  fc.assert(
    fc.property(fc.array(fc.string(), { maxLength: 4 }), (lines) => {
      chooseChallenge(lines);
      chooseChallenge(lines.map((line) => `Digest ${line}`));
    }),
  );
});

const u64 = fc.bigInt({ min: 0n, max: MAX_AMOUNT });
const ADDRESS = '4'.repeat(95);
const ORDER = {
  sessionId: 's1',
  paymentId: '0123456789abcdef',
  days: 3,
  destinations: [{ address: ADDRESS, amount: 300n }],
};
const LIMITS = { payment: 1_000n, perDay: 2_000n, dayPrice: 100n, fee: 10n };

const at = (orderedAt: number, amount: bigint) => ({ orderedAt, amount });

const of = (amount: bigint, days = 3) => ({
  ...ORDER,
  days,
  destinations: [{ address: ADDRESS, amount }],
});

t.test('limits', async (t) => {
  const now = 1_000_000;
  for (const [name, order, paid, expected] of [
    ['at the price of a day', of(300n), [], undefined],
    ['one unit above it', of(301n), [], { key: 'max-day-price', limit: 100n, found: 101n }],
    ['at the limit of a payment', of(1_000n, 10), [], undefined],
    ['above it', of(1_001n, 100), [], { key: 'max-payment', found: 1_001n }],
    ['with those of the day', of(300n), [at(now - 100, 1_700n)], undefined],
    ['above with them', of(300n), [at(now - 100, 1_701n)], { key: 'max-per-day', found: 2_001n }],
    ['those of the day before do not count', of(300n), [at(now - 86_400, 1_701n)], undefined],
    ['a second less does', of(300n), [at(now - 86_399, 1_701n)], { key: 'max-per-day' }],
    ['a time in the future does', of(300n), [at(now + 9_999, 1_701n)], { key: 'max-per-day' }],
  ] as const) {
    const found = limitFault(order, paid, LIMITS, now);
    if (expected === undefined) t.equal(found, undefined, name);
    else t.match(found, expected, name);
  }
});

t.test('the sum of a day never passes its limit, in any order of payments', async () => {
  const payments = fc.array(
    fc.tuple(fc.bigInt({ min: 1n, max: 1_500n }), fc.integer({ min: 1, max: 20 }), fc.nat(40_000)),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(payments, (all) => {
      const paid: { orderedAt: number; amount: bigint }[] = [];
      let now = 1_000_000;
      for (const [amount, days, seconds] of all) {
        now += seconds;
        const order = { ...ORDER, days, destinations: [{ address: ADDRESS, amount }] };
        if (limitFault(order, paid, LIMITS, now) === undefined)
          paid.push({ orderedAt: now, amount });
      }
      return paid.every(({ orderedAt }) => {
        const day = paid.filter(
          (each) => each.orderedAt <= orderedAt && each.orderedAt > orderedAt - 86_400,
        );
        return day.reduce((sum, { amount }) => sum + amount, 0n) <= LIMITS.perDay;
      });
    }),
  );
});

const isAddress = (text: string): boolean => text === ADDRESS;

t.test('orders that cannot be paid', async (t) => {
  t.equal(orderFault(ORDER, isAddress), undefined);
  t.equal(orderFault({ ...ORDER, paymentId: 'a'.repeat(64) }, isAddress), undefined);
  for (const [change, words] of [
    [{ sessionId: '' }, /session/],
    [{ sessionId: 'a b' }, /session/],
    [{ paymentId: '0123' }, /payment id/],
    [{ paymentId: '0123456789ABCDEF' }, /payment id/],
    [{ days: 0 }, /days/],
    [{ days: 1.5 }, /days/],
    [{ destinations: [] }, /destination/],
    [
      { destinations: Array.from({ length: 16 }, () => ({ address: ADDRESS, amount: 1n })) },
      /more than 15/,
    ],
    [{ destinations: [{ address: 'x', amount: 1n }] }, /address/],
    [{ destinations: [{ address: ADDRESS, amount: 0n }] }, /above 0/],
    [{ destinations: [{ address: ADDRESS, amount: -5n }] }, /above 0/],
  ] as const) {
    t.match(orderFault({ ...ORDER, ...change }, isAddress), words);
  }
});

t.test('the file of orders', async (t) => {
  const transaction = fc.record({
    txid: fc.stringMatching(/^[0-9a-f]{64}$/),
    fee: u64,
    metadata: fc.option(fc.stringMatching(/^[0-9a-f]{2,40}$/), { nil: undefined }),
  });
  const transactions = fc.array(transaction, { minLength: 1, maxLength: 3 });
  const proofs = fc.array(fc.record({ txid: fc.string(), signature: fc.string() }), {
    maxLength: 2,
  });
  const state = fc.oneof(
    fc.record({
      kind: fc.constant('ordered' as const),
      how: fc.constantFrom('prepared', 'direct'),
    }),
    fc.record({ kind: fc.constant('made' as const), transactions }),
    fc.record({ kind: fc.constant('sent' as const), transactions, proofs }),
  );
  const record = fc.record({
    order: fc.record({
      sessionId: fc.string(),
      paymentId: fc.string(),
      days: fc.nat(),
      destinations: fc.array(fc.record({ address: fc.string(), amount: u64 }), { maxLength: 3 }),
    }),
    wallet: fc.string(),
    orderedAt: fc.nat(),
    payee: fc.string(),
    state,
  });
  fc.assert(
    fc.property(fc.array(record, { maxLength: 4 }), (records) => {
      t.same(readOrders(ordersText(records)), records);
    }),
    { numRuns: 50 },
  );
  const text = ordersText([
    {
      order: ORDER,
      wallet: 'w',
      orderedAt: 1,
      payee: 'p',
      state: { kind: 'ordered', how: 'direct' },
    },
  ]);
  for (let end = 0; end < text.length - 1; end++) {
    t.equal(readOrders(text.slice(0, end)), undefined, 'a cut file is not read as fewer payments');
  }
  t.equal(readOrders(text.replace('"direct"', '"other"')), undefined);
  t.equal(readOrders(text.replace('"300"', '"-300"')), undefined);
  t.equal(orderAmount(ORDER), 300n);
});
