/** What `onionmc status` shows of a maker, and the answer of `onionmc maker why`, on 80 columns. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { makerStatusPage } from '../../src/cli/maker-status-page.js';
import { shortBtc, whyText, type WhyAnswer } from '../../src/cli/maker-why-view.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import { MakerFigures } from '../../src/maker/figures.js';
import { statusJson } from '../../src/maker/status-view.js';
import { whyReport } from '../../src/maker/why.js';
import { DEFAULT_FEE_POLICY } from '../../src/negotiation/taker/fees.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { startMakerPage } from '../../src/roles/maker-page.js';
import { runCli } from '../helpers/cli.js';
import { EMPTY_STATUS, SAMPLE_NOW, sampleStatus } from '../helpers/sample-maker.js';

const EVIL = '\u001b[31m<b>\u202e\n'.repeat(20);

const shown = (status = sampleStatus()): string =>
  makerStatusPage(
    JSON.parse(
      JSON.stringify(
        statusJson({
          status,
          now: SAMPLE_NOW,
          version: '1.2.3',
          upSeconds: 3_723,
          results: new MakerFigures().results,
          outside: { tests: 7, failures: 1, testedSecondsAgo: 75 },
        }),
      ),
    ),
    false,
  );

t.test('the page of a maker on a terminal', async (t) => {
  const page = shown();
  t.equal(
    page,
    `onionmc 1.2.3 maker, signet, up 01:02:03

health    all is well
nick      J5SampleMaker0000
onion     ${'m'.repeat(56)}.onion:5222
outside   answers, tested 00:01:15 ago, 1 of 7 failed
bond      value 1.15e+11, locked until 2028-08-27
chain     block 927 001
offers    sw0reloffer 0.000020, 0.00105000 to 2.50123456 BTC
coins     0: 2.50200000
          1: 0.00000000 (+ 0.12000000 held)
          2: 0.00001000
          3: 0.00000000
          4: 0.00000007
sessions  tx 0.05000000 BTC for 00:00:42
          auth 0.07000000 BTC for 00:00:03
earned    ${page.match(/earned {4}(.*)$/m)?.[1] ?? ''}`,
  );
  t.match(page, /\nearned {4}\d\d \d{3} sat, 120 coinjoins, 1 not settled \(70 sat\), 1 without/);
  t.match(shown(EMPTY_STATUS), /nick {6}-, the next change in 00:05:00\n/);
  t.match(shown(EMPTY_STATUS), /\nbond {6}none\n[^]*\noffers {4}none\n/);
  for (const line of shown(sampleStatus({ noOffer: undefined })).split('\n')) {
    t.ok(line.length <= 80, line);
  }
});

t.test('any answer is shown, and none of its text acts on the terminal', async (t) => {
  const values = [EVIL, null, -1, 1e300, [], {}, [[]], [{}], true];
  for (const value of values) {
    const names = ['health', 'identity', 'offers', 'mixdepths', 'sessions', 'earnings', 'bond'];
    const page = makerStatusPage(Object.fromEntries(names.map((name) => [name, value])), false);
    // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
    t.notMatch(page, /[\u0000-\u0009\u000b-\u001f\u202e]/);
  }
});

/** A configuration with a page at this port. */
const config = (statusPort: number): string =>
  `[BLOCKCHAIN]\nnetwork = signet\n[MESSAGING:onion]\ntype = onion\n[YIELDGENERATOR]\nstatus_port = ${statusPort}\n`;

t.test('onionmc status --role maker', async (t) => {
  const port = await freePort();
  const dir = t.testdir({});
  await writeFile(join(dir, 'joinmarket.cfg'), config(port));
  const ask = ['status', '--role', 'maker', '--datadir', dir];
  const away = await runCli(ask);
  t.equal(away.code, 3);
  t.match(
    away.stderr,
    /^onionmc: no maker answers at http:\/\/127\.0\.0\.1:\d+\/status .*YIELDGEN/,
  );
  const server = await startMakerPage({
    host: '127.0.0.1',
    port,
    status: () => sampleStatus(),
    outside: () => ({
      reachable: undefined,
      tests: 0,
      failures: 0,
      testedAt: undefined,
      dialMs: undefined,
      answerMs: undefined,
    }),
    figures: new MakerFigures(),
    clock: systemClock,
    log: silentLog,
    epoch: () => SAMPLE_NOW * 1000,
  });
  t.teardown(() => server?.close());
  const text = await runCli(ask);
  t.equal(text.code, 0, text.stderr);
  t.match(text.stdout, /^onionmc \S+ maker, signet, up .*\n\nhealth {4}all is well\n/);
  const json = await runCli([...ask, '--json']);
  t.match(JSON.parse(json.stdout), { role: 'maker', outside: { tests: 0 } });
  const byUrl = await runCli(['status', '--url', `http://127.0.0.1:${port}`]);
  t.match(byUrl.stdout, / maker, signet/, 'a maker is recognised at an address');
  await writeFile(join(dir, 'joinmarket.cfg'), config(0));
  const off = await runCli(ask);
  t.equal(off.code, 2);
  t.match(off.stderr, /\[YIELDGENERATOR\] status_port is 0.*status_port = 62602/);
});

t.test('a page that other machines could reach is refused', async (t) => {
  const dir = t.testdir({
    'joinmarket.cfg':
      '[MESSAGING:onion]\ntype = onion\n[YIELDGENERATOR]\nstatus_host = 0.0.0.0\nstatus_port = 62602\n',
  });
  const { code, stderr } = await runCli(['status', '--role', 'maker', '--datadir', dir]);
  t.equal(code, 2);
  t.match(stderr, /status_host: found "0\.0\.0\.0"; allowed: an address of this machine only/);
});

const offer = {
  type: 'sw0reloffer',
  oid: 0,
  minsize: 100_000,
  maxsize: 50_000_000,
  txfee: 0,
  cjfee: '0.000020',
} as const;
const policy = { ...DEFAULT_FEE_POLICY, maxCjFeeAbs: 500, maxCjFeeRel: 0.001 };
const taker = { policy, makers: 2, bondless: 0.125 };

function answer(chain: boolean): WhyAnswer {
  const book = [1, 2, 3].map((n) => ({
    ...offer,
    maker: `J5Maker${n}`,
    cjfee: `0.0000${n}0`,
    ...(n < 3 ? { bond: { outpoint: `${n}:0`, state: 'valued' as const, value: n * 1e12 } } : {}),
  }));
  const report = whyReport({
    book,
    nick: undefined,
    offers: [offer],
    bond: 0,
    chain,
    amounts: [10_000_000, 100_000_000],
    taker,
    bonds: [{ amount: 10_000_000, months: 12 }],
    bondPolicy: {},
    now: SAMPLE_NOW,
  });
  return {
    source: 'wallet',
    nick: undefined,
    offers: [offer],
    noOffer: undefined,
    bond: 0,
    taker,
    report,
  };
}

t.test('the answer of maker why', async (t) => {
  const text = whyText('savings', answer(true));
  t.match(text, /^savings: offers of the wallet; a running maker varies them at random\n/);
  t.match(text, /\n {2}sw0reloffer 0: 0\.001 to 0\.5 BTC for 0\.002 %\n {2}fidelity bond: none\n/);
  t.match(text, /\n0\.1 +4 \(2\) +200 sat +2 of 4 +- +[\d.]+\n/);
  t.match(text, /\n {2}1 +0 \(0\) +- +- +- +amount too large\n/);
  t.match(text, /What would change it:\n {2}offers up to that amount .*: 100\.0 picks in 100/);
  t.match(
    text,
    /\n {2}a bond of 0\.1 BTC for 12 months: [\d.]+ picks in 100 coinjoins of 0\.1 BTC/,
  );
  t.match(text, /chosen by bonds except 12\.5 % of the seats/);
  const blind = whyText('savings', answer(false));
  t.match(blind, /\n! without a bitcoin node no bond has a known value/);
  t.match(blind, /\n0\.1 .* \?\n/, 'no number where there is none');
  const evil = whyText('savings', { ...answer(true), source: 'running', nick: EVIL });
  // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
  t.notMatch(evil, /[\u0000-\u0009\u000b-\u001f\u202e]/);
  for (const line of `${text}\n${blind}`.split('\n')) t.ok(line.length <= 80, line);
  t.same([10_000_000, 100_000_000, 1, 123_000_000].map(shortBtc), [
    '0.1',
    '1',
    '0.00000001',
    '1.23',
  ]);
});
