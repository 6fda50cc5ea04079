/** Runs of schedules: the result is the same wherever the program is killed, and no step is done twice. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import t from 'tap';
import { leftovers } from '../../src/schedule/leftovers.js';
import { parseSchedule } from '../../src/schedule/lines.js';
import { DEFAULT_PLAN_OPTIONS } from '../../src/schedule/plan-options.js';
import { planSchedule } from '../../src/schedule/plan.js';
import type { RunEnd } from '../../src/schedule/run.js';
import { ScheduleWorld, type Fate, type WorldOptions } from '../helpers/schedule-world.js';
import { addressNumber, fraction, payTo, satoshi, seeded, step } from '../helpers/schedules.js';

const SHORT = [
  step({ mixdepth: 0, waitMinutes: 30 }),
  step({ mixdepth: 1, amount: fraction(0.4), rounding: 2, waitMinutes: 10.5 }),
  step({ mixdepth: 1, amount: satoshi(5_000_000), destination: payTo(1) }),
  step({ mixdepth: 1, destination: payTo(2), waitMinutes: 60 }),
  step({ mixdepth: 2, destination: { kind: 'ask' } }),
];
const SHORT_WORLD: WorldOptions = {
  steps: SHORT,
  balances: [50_000_000, 0, 0],
  answer: () => 3,
};

/** What counts of a world at its end. */
function resultOf({ transactions, paid, schedule }: ScheduleWorld) {
  const confirmed = transactions.filter(({ height }) => height !== undefined);
  return {
    schedule,
    paid,
    done: confirmed.map(({ label, amount, order }) => [label, amount, order.makers]),
  };
}

/** No label has two transactions that count. */
function checkOnce({ transactions }: ScheduleWorld): void {
  const alive = transactions.filter(({ isLost }) => !isLost).map(({ label }) => label);
  assert.equal(new Set(alive).size, alive.length, 'every step has at most one transaction');
}

t.test('a schedule runs to its end', async (t) => {
  const world = new ScheduleWorld(SHORT_WORLD);
  const { end, state, facts } = await world.live();
  t.same(end, { kind: 'finished' });
  const first = 50_000_000 - 4_500;
  const part = 20_000_000; // 0.4 of it, to 2 figures
  const rest = first - part - 5_000_000 - 3 * 4_500;
  t.same(
    world.paid,
    new Map([
      [addressNumber(1).address, 5_000_000],
      [addressNumber(2).address, rest],
      [addressNumber(3).address, part - 4_500],
    ]),
  );
  t.same(facts && leftovers(state, facts), []);
  const parsed = parseSchedule(world.schedule, 'regtest');
  t.ok(
    parsed.ok && parsed.steps.every(({ completed }) => completed.kind === 'sent'),
    'every line is marked',
  );
  t.match(world.schedule, addressNumber(3).address, 'with the address that was asked for');

  const waits = world.events.flatMap((one) => (one.kind === 'waits' ? [one.waiting] : []));
  t.same(
    waits.map(({ step: at, reason }) => [at, reason]),
    [
      [1, 'confirmation'],
      [1, 'confirmations'],
      [2, 'confirmation'],
      [2, 'confirmations'],
      [3, 'confirmation'],
      [3, 'confirmations'],
      [4, 'confirmation'],
      [4, 'confirmations'],
      [4, 'wait'],
      [4, 'confirmation'],
    ],
    'each wait is told once, with its reason',
  );
});

t.test('a first step whose coins are too young waits, and counts no attempt', async (t) => {
  const world = new ScheduleWorld({ ...SHORT_WORLD, depositHeight: 99 });
  const { end, state } = await world.live();
  t.same(end, { kind: 'finished' });
  const [first] = world.events.filter(({ kind }) => kind !== 'fault');
  t.match(first, { kind: 'waits', waiting: { step: 0, reason: 'young', until: undefined } });
  const begins = world.events.filter(({ kind }) => kind === 'begins');
  t.equal(begins.length, state.steps.length, 'each step began once');
  t.ok((world.transactions[0]?.height ?? 0) > 103, 'after five confirmations');
});

t.test('killed at any call to the outside, it comes to the same result', async (t) => {
  const whole = new ScheduleWorld(SHORT_WORLD);
  await whole.live();
  const expected = resultOf(whole);
  t.ok(whole.calls > 80, `${whole.calls} places to be killed at`);
  for (let call = 1; call <= whole.calls; call++) {
    const world = new ScheduleWorld(SHORT_WORLD);
    world.kills.add(call);
    // oxlint-disable-next-line no-await-in-loop -- one world after the other
    await world.liveOn();
    checkOnce(world);
    assert.deepEqual(resultOf(world), expected, `killed at call ${call}`);
  }
});

const anyFate = fc.constantFrom<Fate>(
  'ok',
  'ok',
  'ok',
  'late',
  'lost',
  'too-few-makers',
  'unsigned',
  'sweep-fee',
  'chain',
  'no-commitment',
  'timeout',
);

t.test('planned schedules end in the addresses, with any faults and any kills', async (t) => {
  const property = fc.asyncProperty(
    fc.nat(),
    fc.array(anyFate, { maxLength: 30 }),
    fc.array(fc.integer({ min: 1, max: 900 }), { maxLength: 12 }),
    async (seed, fates, kills) => {
      const balances = [0, 300_000_000, 0, 50_000_000, 10_000_000];
      const addresses = [1, 2, 3].map((n) => addressNumber(n));
      const planned = planSchedule(
        { options: DEFAULT_PLAN_OPTIONS, balances, addresses },
        seeded(seed),
      );
      assert.ok(planned.ok);
      const world = new ScheduleWorld({
        steps: planned.steps,
        balances,
        fates,
        seed,
        terms: { attempts: 100 },
      });
      for (const call of kills) world.kills.add(call);
      const { end, state, facts } = await world.liveOn();
      assert.deepEqual(end, { kind: 'finished' });
      checkOnce(world);
      assert.ok(facts);
      assert.deepEqual(leftovers(state, facts), []);
      const fees = world.transactions.reduce((sum, { fee, isLost }) => sum + (isLost ? 0 : fee), 0);
      const paid = [...world.paid.values()].reduce((a, b) => a + b, 0);
      assert.equal(paid, 360_000_000 - fees);
      assert.equal(world.paid.size, 3);
    },
  );
  // The first one: a part that would leave less than mincjamount for the sweep after it.
  await fc.assert(property, { numRuns: 60, examples: [[298_650_568, [], []]] });
  t.end();
});

t.test('a part leaves enough for the sweep after it', async (t) => {
  const amountsOf = async (available: number, value: number): Promise<readonly number[]> => {
    const steps = [
      step({ mixdepth: 0, amount: fraction(value) }),
      step({ mixdepth: 0, destination: payTo(1) }),
      step({ mixdepth: 1, destination: payTo(2) }),
    ];
    const world = new ScheduleWorld({ steps, balances: [available, 0] });
    const { end, state, facts } = await world.live();
    t.same(end, { kind: 'finished' });
    const left = (facts && leftovers(state, facts)) ?? [];
    t.ok(
      left.every(({ mixdepth }) => mixdepth !== 0),
      'nothing is left where the sweep began',
    );
    return world.transactions.map(({ amount }) => amount);
  };
  t.equal((await amountsOf(10_000_000, 0.5))[0], 5_000_000);
  t.equal((await amountsOf(10_000_000, 0.999))[0], 9_800_000, 'twice mincjamount is left');
  const swept = await amountsOf(299_999, 0.5);
  t.equal(swept.length, 1, 'or it is skipped, and all goes with the sweep');
  t.ok((swept[0] ?? 0) > 290_000);
});

t.test('waits are times, so they pass while the program is not running', async (t) => {
  const world = new ScheduleWorld({
    steps: [step({ waitMinutes: 600, mixdepth: 0 }), step({ mixdepth: 1, destination: payTo(1) })],
    balances: [10_000_000, 0],
  });
  let stopped: RunEnd | undefined;
  const first = await world.live((event) => {
    if (event.kind === 'waits' && event.waiting.reason === 'wait') world.stop.abort();
  });
  stopped = first;
  t.same(stopped.end, { kind: 'stopped' });
  const { waiting } = world.loaded();
  t.equal(waiting, undefined, 'a new life decides anew');
  t.match(world.state, /"waiting": \{\n *"step": 1,\n *"reason": "wait",\n *"until": 17\d+/);
  const sentAt = world.transactions[0]?.height ?? 0;
  world.time += 540 * 60;
  const later = new ScheduleWorld({ steps: [], balances: [10_000_000, 0] });
  later.transactions.push(...world.transactions);
  later.schedule = world.schedule;
  later.state = world.state;
  later.time = world.time;
  await later.live();
  const begins = later.events.flatMap((one) => (one.kind === 'begins' ? [one.order.label] : []));
  t.same(begins, ['schedule 0123456789abcdef step 2']);
  const second = later.transactions[1]?.height ?? 0;
  t.ok(
    second - sentAt >= 60 && second - sentAt <= 63,
    `${second - sentAt} blocks after the first one`,
  );
});

t.test('after a failure a sweep gets one maker fewer, fractions are drawn again', async (t) => {
  const sweep = new ScheduleWorld({
    steps: [step({ makers: 7, destination: payTo(1) })],
    balances: [10_000_000],
    fates: ['too-few-makers', 'unsigned', 'chain', 'timeout', 'too-few-makers'],
  });
  await sweep.live();
  const makers = sweep.events.flatMap((one) => (one.kind === 'begins' ? [one.order.makers] : []));
  t.same(makers, [7, 6, 5, 5, 4, 4], 'not below minimum_makers, and not when the chain was silent');
  const times = sweep.events.flatMap((one) => (one.kind === 'waits' ? [one.waiting] : []));
  t.same(
    times.map(({ reason }) => reason),
    ['retry', 'retry', 'retry', 'retry', 'retry', 'confirmation'],
  );
  const delays = times.flatMap(({ until }, index) =>
    until === undefined ? [] : [until - (times[index - 1]?.until ?? 1_700_000_000)],
  );
  t.same(delays, [60, 120, 240, 480, 960], 'twice as long each time');

  const drawn = new ScheduleWorld({
    steps: [
      step({ amount: fraction(0.2) }),
      step({ amount: fraction(0.3) }),
      step({ amount: fraction(0.3) }),
      step({ destination: payTo(1) }),
    ],
    balances: [100_000_000, 0],
    fates: ['ok', 'too-few-makers'],
  });
  await drawn.live();
  const amounts = drawn.transactions.map(({ amount }) => amount);
  t.equal(amounts[0], 20_000_000);
  t.notSame(amounts[1], 30_000_000, 'another part');
  t.equal(amounts.length, 4);
  const parsed = parseSchedule(drawn.schedule, 'regtest');
  const parts = parsed.ok
    ? parsed.steps.flatMap(({ amount }) => (amount.kind === 'fraction' ? [amount.value] : []))
    : [];
  t.equal(parts[0], 0.2, 'the line of a step that is done stays');
  t.ok(
    parts.reduce((a, b) => a + b, 0) < 0.96 + 1e-9,
    'and the sweep has more than 5 % of what was left',
  );
});

t.test(
  'a step that fails too often ends the run; a fault that only a person can mend at once',
  async (t) => {
    const many = new ScheduleWorld({
      steps: [step({ destination: payTo(1) })],
      balances: [10_000_000],
      fates: Array.from({ length: 20 }, () => 'too-few-makers'),
    });
    const { end, state, facts } = await many.live();
    t.same(end, { kind: 'failed', step: 0 });
    t.same(facts && leftovers(state, facts), [
      { mixdepth: 0, value: 10_000_000, reason: 'step 1 failed: it was too-few-makers' },
    ]);
    t.ok(many.time - 1_700_000_000 < 9 * 3_600, 'within nine hours');
    t.same((await many.live()).end, { kind: 'finished' }, 'the next start counts anew');

    const wallet = new ScheduleWorld({
      steps: [step()],
      balances: [10_000_000],
      fates: ['wallet'],
    });
    t.same((await wallet.live()).end, { kind: 'failed', step: 0 });
  },
);

t.test('an address that nobody can be asked for', async (t) => {
  const world = new ScheduleWorld({
    steps: [
      step({ destination: payTo(1), amount: fraction(0.5) }),
      step({ destination: { kind: 'ask' } }),
    ],
    balances: [10_000_000],
  });
  await t.rejects(world.live(), { message: 'there is no terminal' });
  checkOnce(world);
  t.equal(world.transactions.length, 1, 'the step before it was done');
  t.match(world.schedule, /\n0,0,4,addrask,0,16,0\n$/, 'and the one that asks is open');
});

t.test('what stays is said, with the reason', async (t) => {
  const world = new ScheduleWorld({
    steps: [
      step({ mixdepth: 0, destination: payTo(1) }),
      step({ mixdepth: 1, destination: payTo(2) }),
      step({ mixdepth: 2, amount: satoshi(1_000_000), destination: payTo(3) }),
      step({ mixdepth: 3, amount: fraction(0.5), destination: payTo(4) }),
    ],
    balances: [99_999, 0, 3_000_000, 0, 700_000],
  });
  world.frozen[1] = 5_000;
  const { state, facts, end } = await world.live();
  t.same(end, { kind: 'finished' });
  t.same(facts && leftovers(state, facts), [
    {
      mixdepth: 0,
      value: 99_999,
      reason: 'step 1 was skipped: mixdepth 0 has 99999 sat, less than mincjamount (100000 sat)',
    },
    {
      mixdepth: 1,
      value: 5_000,
      reason: 'frozen: "onionmc wallet coins" says why, "onionmc wallet unfreeze" frees them',
    },
    { mixdepth: 2, value: 1_995_500, reason: 'they came after its last step, or it left change' },
    { mixdepth: 4, value: 700_000, reason: 'no step spends them' },
  ]);
  t.equal(world.schedule.match(/,1$/gm)?.length, 3, 'skipped steps are marked as done');
});

t.test('a chain that does not answer is asked again', async (t) => {
  const world = new ScheduleWorld({
    steps: [step({ destination: payTo(1) })],
    balances: [10_000_000],
  });
  const { deposits } = world;
  deposits.length = 0;
  Object.defineProperty(deposits, 'map', {
    configurable: true,
    value: () => {
      throw new Error('no node');
    },
  });
  const end = await world.live((event) => {
    if (event.kind !== 'fault') return;
    Reflect.deleteProperty(deposits, 'map');
    deposits.push(10_000_000);
  });
  t.same(end.end, { kind: 'finished' });
  t.equal(world.events.filter(({ kind }) => kind === 'fault').length, 1);
});
