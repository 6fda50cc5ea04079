/** What a person sees of a coinjoin: the plan, its warnings, the lines while it runs, the end; and the JSON. */
import t from 'tap';
import {
  doneLines,
  failedLines,
  outcomeJson,
  planJson,
  revealedText,
} from '../../../src/cli/coinjoin/outcome-view.js';
import { makersText, PhaseLines, type LineOutput } from '../../../src/cli/coinjoin/phase-lines.js';
import { planText } from '../../../src/cli/coinjoin/plan-view.js';
import type { MakerReport } from '../../../src/negotiation/taker/api.js';
import type { CoinjoinOutcome, CoinjoinPlan } from '../../../src/taker/api.js';

const TXID = 'ab'.repeat(32);

const PLAN: CoinjoinPlan = {
  request: {
    amount: 10_000_000,
    destination: { kind: 'internal' },
    mixdepth: 0,
    makers: 2,
    minimumMakers: 1,
    maxFeeAbs: 500,
    maxFeeRel: 0.001,
    fee: { kind: 'blocks', blocks: 3 },
    choice: 'bond-weighted',
    picks: [],
    broadcast: 'random-peer',
  },
  amount: 10_000_000,
  coins: [{ txid: TXID, vout: 1, value: 20_000_000 }],
  feePerKb: 1_500,
  worst: { makerFees: 10_000, minerFee: 1_500 },
  fitting: 7,
  makers: [
    { nick: 'J5a', fee: 5_000, bonded: true },
    { nick: 'J5b', fee: 4_000, bonded: false },
    { nick: 'J5c', fee: 4_500, bonded: true },
  ],
  commitments: [
    {
      txid: TXID,
      vout: 2,
      value: 5,
      confirmations: 9,
      triesLeft: 3,
      fault: 'too small',
      external: false,
    },
    {
      txid: TXID,
      vout: 1,
      value: 20_000_000,
      confirmations: 6,
      triesLeft: 2,
      fault: undefined,
      external: false,
    },
    {
      txid: TXID,
      vout: 3,
      value: 20_000_000,
      confirmations: 6,
      triesLeft: 0,
      fault: undefined,
      external: true,
    },
  ],
  obstacle: undefined,
  warnings: ['the destination has another type than the outputs of the makers'],
};

t.test('the plan before the question', (t) => {
  t.equal(
    planText(PLAN),
    [
      'mixes   0.10000000  to a fresh address of the next mixdepth',
      `spends  0.20000000  ${TXID}:1`,
      'makers              2 makers, 1 with a bond; 7 makers of the orderbook fit',
      'costs   0.00011500  at most 11 500 sat (0.12 %) of the amount',
      '                    makers 10 000 sat (0.10 %)',
      '                    miners 1 500 sat (0.01 %) at 1.5 sat/vB',
      `proofs  0.20000000  ${TXID}:1  2 tries left, 6 confirmations`,
      `        0.00000005  ${TXID}:2  3 tries left, 9 confirmations, too small`,
      `        0.20000000  ${TXID}:3  no tries left, 6 confirmations, external`,
      'warning: the destination has another type than the outputs of the makers',
    ].join('\n'),
  );
  const address = 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080';
  const sweep = planText({
    ...PLAN,
    request: {
      ...PLAN.request,
      amount: 'sweep',
      makers: 5,
      destination: { kind: 'address', address, script: '' },
    },
    coins: Array.from({ length: 10 }, (_, vout) => ({ txid: TXID, vout, value: 1_000_000 })),
    fitting: 1,
  });
  t.match(sweep, `sweeps  about 0.10000000  to ${address}\n`);
  t.match(sweep, 'and 2 coins more');
  t.match(sweep, '3 makers, 2 with a bond; 1 maker of the orderbook fits');
  t.end();
});

t.test('makers by state', (t) => {
  t.equal(makersText(new Map()), '');
  t.equal(
    makersText(
      new Map([
        ['a', 'pubkey'],
        ['b', 'ready'],
        ['c', 'failed'],
        ['d', 'pubkey'],
      ]),
    ),
    '4 makers: 2 asked, 1 ready, 1 failed',
  );
  t.end();
});

/** What a terminal or a pipe shows. */
function outputOf(isLive: boolean): LineOutput & { readonly shown: string[]; at: number } {
  const shown: string[] = [];
  const output = {
    isLive,
    at: 0,
    shown,
    now: () => output.at,
    redraw: (text: string) => void shown.push(`~${text}`),
    line: (text: string) => void shown.push(text),
  };
  return output;
}

t.test('lines on a terminal change in place; in a pipe they come now and then', (t) => {
  const one = new Map([['a', 'pubkey']] as const);
  const two = new Map([['a', 'auth']] as const);
  const run = (output: ReturnType<typeof outputOf>): readonly string[] => {
    const lines = new PhaseLines(output);
    lines.show({ kind: 'phase', phase: 'probing', makers: new Map() });
    lines.show({ kind: 'phase', phase: 'gathering', makers: one });
    lines.show({ kind: 'phase', phase: 'gathering', makers: one });
    lines.show({ kind: 'phase', phase: 'gathering', makers: two });
    output.at += 5_000;
    lines.show({ kind: 'phase', phase: 'gathering', makers: new Map([['a', 'failed']]) });
    lines.show({ kind: 'again', reason: 'a maker did not sign' });
    lines.show({ kind: 'phase', phase: 'gathering', makers: one });
    lines.show({ kind: 'phase', phase: 'gathering', makers: two });
    lines.end();
    lines.end();
    return output.shown;
  };
  t.strictSame(run(outputOf(true)), [
    '~looking which makers are there',
    '~',
    'looking which makers are there',
    '~asking makers; 1 maker: 1 asked',
    '~asking makers; 1 maker: 1 answered',
    '~asking makers; 1 maker: 1 failed',
    '~',
    'asking makers; 1 maker: 1 failed',
    'a maker did not sign; trying again without the makers that failed',
    '~asking makers; 1 maker: 1 asked',
    '~asking makers; 1 maker: 1 answered',
    '~',
    'asking makers; 1 maker: 1 answered',
  ]);
  t.strictSame(run(outputOf(false)), [
    'looking which makers are there',
    'asking makers; 1 maker: 1 asked',
    'asking makers; 1 maker: 1 failed',
    'a maker did not sign; trying again without the makers that failed',
    'asking makers; 1 maker: 1 asked',
    'asking makers; 1 maker: 1 answered',
  ]);
  t.end();
});

const REPORT: MakerReport = {
  nick: 'J5c',
  offer: { type: 'sw0absoffer', oid: 0, minsize: 1, maxsize: 2, txfee: 0, cjfee: '1' },
  step: 'failed',
  failure: { step: 'ioauth', fault: 'silent', detail: 'no answer\u001b[2J within 60 s' },
};

const DONE: CoinjoinOutcome & { readonly ok: true } = {
  ok: true,
  txid: TXID,
  amount: 10_000_000,
  makers: [
    { nick: 'J5a', fee: 5_000 },
    { nick: 'J5b', fee: -10 },
  ],
  makerFees: 4_990,
  minerFee: 1_510,
  feeRate: 1_234,
  failed: [REPORT],
  broadcastBy: 'J5a',
};

t.test('after it: fees, and who failed why', (t) => {
  t.strictSame(doneLines(DONE), [
    'mixed 10 000 000 sat with 2 makers; it cost 6 500 sat, 0.07 % of the amount',
    'makers got 4 990 sat: J5a 5 000, J5b -10',
    'miners got 1 510 sat, 1.234 sat/vB',
    'broadcast by J5a',
    String.raw`J5c failed (silent): no answer\u001b[2J within 60 s`,
  ]);
  t.match(doneLines({ ...DONE, broadcastBy: undefined })[3], 'broadcast by this program');
  t.strictSame(failedLines([{ ...REPORT, failure: undefined }]), []);
  t.end();
});

t.test('exactly these keys for programs', (t) => {
  const keys = ['txid', 'amount', 'makers', 'makerFees', 'minerFee', 'feeRate', 'failed'];
  const done = outcomeJson(DONE, 0);
  t.strictSame(Object.keys(done), keys);
  t.match(done, {
    txid: TXID,
    amount: 10_000_000,
    makers: [
      { nick: 'J5a', fee: 5_000 },
      { nick: 'J5b', fee: -10 },
    ],
    makerFees: 4_990,
    minerFee: 1_510,
    feeRate: 1.234,
  });
  t.match(done.failed, [{ nick: 'J5c', step: 'ioauth', fault: 'silent' }]);
  const failed: CoinjoinOutcome = {
    ok: false,
    fault: 'too-few-makers',
    detail: 'x',
    failed: [],
    revealed: { commitment: true, coins: [], transaction: false, signatures: false },
  };
  const { txid, amount, makers, makerFees, minerFee, feeRate } = DONE;
  const transaction = { txid, amount, makers, makerFees, minerFee, feeRate };
  const revealed = { commitment: true, coins: [], transaction: true, signatures: true };
  const unseen: CoinjoinOutcome = {
    ok: false,
    fault: 'not-broadcast',
    detail: 'it was not seen in time',
    failed: [],
    revealed,
    transaction,
  };
  t.strictSame(
    outcomeJson(unseen, 5),
    { ...outcomeJson(DONE, 0), failed: [] },
    'a transaction that may still appear is named',
  );
  t.strictSame(outcomeJson(failed, 5), {
    txid: null,
    amount: 5,
    makers: [],
    makerFees: 0,
    minerFee: 0,
    feeRate: 0,
    failed: [],
  });
  t.strictSame(planJson(PLAN), {
    txid: null,
    amount: 10_000_000,
    makers: [
      { nick: 'J5a', fee: 5_000 },
      { nick: 'J5b', fee: 4_000 },
    ],
    makerFees: 10_000,
    minerFee: 1_500,
    feeRate: 1.5,
    failed: [],
  });
  t.end();
});

t.test('what was revealed, at each point', (t) => {
  const none = { commitment: false, coins: [], transaction: false, signatures: false };
  const coins = [{ txid: TXID, vout: 1 }];
  const rows: readonly (readonly [Parameters<typeof revealedText>[0], RegExp])[] = [
    [none, /^nothing was revealed/],
    [{ ...none, commitment: true }, /no coin, no address and no signature$/],
    [{ ...none, commitment: true, coins }, /that (ab){32}:1 is ours.*no signature$/],
    [{ ...none, commitment: true, coins, transaction: true }, /not our signatures/],
    [
      { commitment: true, coins, transaction: true, signatures: true },
      /with our signatures; it may still be sent/,
    ],
  ];
  for (const [revealed, pattern] of rows) t.match(revealedText(revealed), pattern);
  t.end();
});
