/** What a maker's page is made of: sums, days, health, and nothing that names a coin or a taker. */
import { array, assert, integer, nat, property, record } from 'fast-check';
import t from 'tap';
import { MakerFigures } from '../../src/maker/figures.js';
import {
  COINJOINS_LISTED,
  DAYS_KEPT,
  earningsByDay,
  earningsOf,
  makerHealth,
  statusJson,
} from '../../src/maker/status-view.js';
import {
  EMPTY_STATUS,
  PLANTED,
  SAMPLE_NOW,
  sampleCoinjoin,
  sampleStatus,
  YEAR,
} from '../helpers/sample-maker.js';

const DAY = 86_400;

const at = (confirmedAt: number, earned: number) => sampleCoinjoin(0, { confirmedAt, earned });

const view = (status = sampleStatus()) =>
  statusJson({
    status,
    now: SAMPLE_NOW,
    version: '1.2.3',
    upSeconds: 61.4,
    results: new MakerFigures().results,
    outside: { tests: 3, failures: 1, testedSecondsAgo: 12, dialMs: 900, answerMs: 300 },
  });

t.test('earnings: what is in the chain, what is not settled, what will not confirm', async (t) => {
  t.same(earningsOf([]), { confirmed: 0, earned: 0, pending: 0, pendingEarned: 0, failed: 0 });
  t.same(
    earningsOf([
      sampleCoinjoin(3, { earned: 100 }),
      sampleCoinjoin(2, { earned: -20 }),
      sampleCoinjoin(1, { state: 'pending', confirmedAt: undefined, earned: 7 }),
      sampleCoinjoin(1, { state: 'replaced', confirmedAt: undefined, earned: 1e6 }),
      sampleCoinjoin(1, { state: 'lost', confirmedAt: undefined, earned: 1e6 }),
      sampleCoinjoin(1, { state: 'abandoned', confirmedAt: undefined, earned: 1e6 }),
    ]),
    { confirmed: 2, earned: 80, pending: 1, pendingEarned: 7, failed: 3 },
  );
});

t.test('earnings by day: days in UTC, only days with a coinjoin, the oldest first', async (t) => {
  const midnight = Math.floor(SAMPLE_NOW / DAY) * DAY;
  t.same(
    earningsByDay([
      at(midnight, 5),
      at(midnight - 1, 3),
      at(midnight + DAY - 1, 6),
      sampleCoinjoin(0, { state: 'pending', confirmedAt: undefined }),
    ]),
    {
      before: { coinjoins: 0, earned: 0 },
      days: [
        { at: midnight - DAY, coinjoins: 1, amount: 12_345_678, earned: 3 },
        { at: midnight, coinjoins: 2, amount: 24_691_356, earned: 11 },
      ],
    },
  );
});

t.test('no coinjoin is lost in the days, however many there are', async (t) => {
  const some = array(
    record({
      day: nat({ max: 3 * DAYS_KEPT }),
      earned: integer({ min: -1000, max: 1e6 }),
    }),
    { maxLength: 200 },
  );
  assert(
    property(some, (list) => {
      const coinjoins = list.map(({ day, earned }) =>
        sampleCoinjoin(0, { confirmedAt: day * DAY + 7, earned }),
      );
      const { before, days } = earningsByDay(coinjoins);
      const counted = days.reduce((sum, day) => sum + day.coinjoins, before.coinjoins);
      const earned = days.reduce((sum, day) => sum + day.earned, before.earned);
      return counted === list.length && earned === earningsOf(coinjoins).earned;
    }),
  );
  const every = Array.from({ length: DAYS_KEPT + 10 }, (_, i) =>
    sampleCoinjoin(0, { confirmedAt: i * DAY, earned: 1 }),
  );
  const { before, days } = earningsByDay(every);
  t.same([before, days.length], [{ coinjoins: 10, earned: 10 }, DAYS_KEPT]);
});

t.test('health', async (t) => {
  t.same(makerHealth(sampleStatus()), { ok: true });
  t.same(makerHealth(sampleStatus({ reachable: undefined, nick: undefined })), { ok: true });
  t.match(makerHealth(sampleStatus({ reachable: false })), { ok: false, reason: /outside/ });
  t.same(
    makerHealth({ ...EMPTY_STATUS, nextIdentityAt: SAMPLE_NOW }),
    { ok: true },
    'a planned change',
  );
  t.same(makerHealth({ ...EMPTY_STATUS, nextIdentityAt: undefined }), {
    ok: false,
    reason: 'no offer: no mixdepth has enough confirmed coins',
  });
});

t.test('/status: its shape', async (t) => {
  const status = sampleStatus();
  t.match(view(), {
    role: 'maker',
    version: '1.2.3',
    network: 'signet',
    now: SAMPLE_NOW,
    uptimeSeconds: 61,
    health: { ok: true },
    identity: { nick: status.nick, location: status.location, nextChangeAt: undefined },
    outside: { reachable: true, tests: 3, failures: 1, testedSecondsAgo: 12 },
    offers: [{ ordertype: 'sw0reloffer', oid: 0, maxsize: 250_123_456, cjfee: '0.000020' }],
    mixdepths: status.mixdepths,
    sessions: [
      { step: 'tx', amount: 5_000_000, seconds: 42 },
      { step: 'auth', amount: 7_000_000, seconds: 3 },
    ],
    ended: { signed: 0, silent: 0 },
    earnings: { confirmed: 120, pending: 1, pendingEarned: 70, failed: 1 },
    bond: { value: 114_557_102_085, lockTime: 1_851_000_000 },
    height: 927_001,
  });
  const { coinjoins } = view();
  t.ok(Array.isArray(coinjoins));
  if (!Array.isArray(coinjoins)) return;
  t.equal(coinjoins.length, COINJOINS_LISTED);
  t.match(coinjoins[0], { state: 'pending', earned: 70, signedAt: SAMPLE_NOW }, 'the newest first');
  t.match(view(EMPTY_STATUS), {
    identity: { nick: undefined, nextChangeAt: SAMPLE_NOW + 300 },
    offers: [],
    coinjoins: [],
    bond: undefined,
  });
});

t.test('/status names no transaction, no coin and no taker', async (t) => {
  const text = JSON.stringify(view());
  for (const [what, secret] of Object.entries(PLANTED)) {
    t.notOk(text.includes(secret.split(':', 1)[0] ?? ''), what);
  }
  t.notMatch(text, /[0-9a-f]{64}/);
  t.equal(YEAR.length, 122);
});

t.test('ended sessions are counted by result', async (t) => {
  const figures = new MakerFigures();
  const failed = { result: 'failed', by: 'taker', step: 'auth', detail: 'x' } as const;
  figures.ended({ ...failed, fault: 'silent' });
  figures.ended({ ...failed, fault: 'silent' });
  figures.ended({ ...failed, fault: 'payment' });
  figures.ended({ result: 'signed', txid: 'x', pushed: true, amount: 1, earned: 1 });
  const counted = Object.entries(figures.results).filter(([, count]) => count > 0);
  t.same(Object.fromEntries(counted), { signed: 1, silent: 2, payment: 1 });
});
