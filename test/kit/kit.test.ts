/** The helpers of the kit without a test file of their own: memory, rates, work, waiting, errors, tables. */
import * as fc from 'fast-check';
import t from 'tap';
import { BoundedMap, BoundedSet } from '../../src/kit/bounded-map.js';
import { TurnBudget, WorkQueue } from '../../src/kit/cooperative-work.js';
import {
  errorCode,
  errorCodeOrText,
  errorFields,
  errorText,
  isOurs,
} from '../../src/kit/error-text.js';
import { isRecord, parseRecord, recordOf } from '../../src/kit/json-record.js';
import { pause } from '../../src/kit/pause.js';
import { refill, SlidingWindow, TokenBucket, WindowCounter } from '../../src/kit/rate-limit.js';
import { markdownTable, textTable } from '../../src/kit/text-table.js';
import { createTestClock } from '../helpers/test-clock.js';

t.test('a bounded map forgets the entry that was set longest ago', async (t) => {
  const forgotten: (readonly [string, number])[] = [];
  const map = new BoundedMap<string, number>(2, (...entry) => forgotten.push(entry));
  map.set('a', 1).set('b', 2).set('a', 3).set('c', 4);
  t.strictSame(
    [...map],
    [
      ['a', 3],
      ['c', 4],
    ],
    'setting a known key makes it the newest',
  );
  t.strictSame(forgotten, [['b', 2]]);
  t.equal(map.get('a'), 3);
  map.set('d', 5);
  t.strictSame([...map.keys()], ['c', 'd'], 'reading does not change the order');
  t.equal(
    map.use('c', () => 0),
    4,
    'a known value is kept',
  );
  map.use('e', () => 6);
  t.strictSame(
    [...map],
    [
      ['c', 4],
      ['e', 6],
    ],
    'use makes the entry the newest',
  );
  map.delete('c');
  map.clear();
  t.strictSame(
    forgotten.map(([key]) => key),
    ['b', 'a', 'd'],
    'a deleted entry is not reported as forgotten',
  );
});

t.test('a bounded set forgets the value that was added longest ago', async (t) => {
  const forgotten: string[] = [];
  const set = new BoundedSet<string>(2, (value) => forgotten.push(value));
  set.add('a').add('b').add('a').add('c');
  t.strictSame([...set], ['a', 'c']);
  t.strictSame(forgotten, ['b']);
});

t.test('bounded maps and sets: never above the bound, the newest are kept', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.nat(9)), (most, keys) => {
      const map = new BoundedMap<number, number>(most);
      const set = new BoundedSet<number>(most);
      const model: number[] = [];
      for (const key of keys) {
        map.set(key, -key);
        set.add(key);
        if (model.includes(key)) model.splice(model.indexOf(key), 1);
        model.push(key);
        if (model.length > most) model.shift();
        if (map.size > most || set.size > most) return false;
      }
      const same = (found: Iterable<number>) => [...found].join() === model.join();
      return same(map.keys()) && same(set);
    }),
  );
});

t.test('rate limits', (t) => {
  const clock = createTestClock();
  const minute = new WindowCounter(clock, 2, 60_000);
  t.strictSame([minute.take(), minute.take(), minute.take()], [true, true, false]);
  clock.advance(60_000);
  t.equal(minute.take(), true);

  const bucket = new TokenBucket(clock, 2, 3);
  t.strictSame(
    Array.from({ length: 4 }, () => bucket.take()),
    [true, true, true, false],
  );
  clock.advance(500);
  t.strictSame([bucket.take(), bucket.take()], [true, false]);
  clock.advance(1_000_000);
  t.strictSame(
    Array.from({ length: 4 }, () => bucket.take()),
    [true, true, true, false],
  );

  t.equal(bucket.waitMs(), 500);
  t.strictSame([bucket.reserve(), bucket.reserve()], [500, 1_000], 'reservations queue');
  bucket.giveBack();
  clock.advance(500);
  t.strictSame([bucket.take(), bucket.waitMs()], [false, 500]);
  clock.advance(500);
  t.strictSame([bucket.waitMs(), bucket.take()], [0, true]);

  const window = new SlidingWindow(clock, 2, 100);
  window.record();
  clock.advance(40);
  window.record();
  t.equal(window.waitMs(), 60);
  clock.advance(60);
  t.equal(window.waitMs(), 0);
  window.record();
  t.equal(window.waitMs(), 40);
  t.end();
});

t.test(
  'a turn budget: after a long turn, further work waits until other work has had its turn',
  (t) => {
    let now = 0;
    let timers: (() => void)[] = [];
    const clock = {
      now: () => now,
      after: (_: number, fn: () => void) => {
        timers.push(fn);
        return () => {
          timers = timers.filter((timer) => timer !== fn);
        };
      },
    };
    const turns = new TurnBudget(clock, 4);
    const done: string[] = [];
    const work = (name: string, tookMs: number): (() => void) | undefined =>
      turns.run(() => {
        now += tookMs;
        done.push(name);
      });
    const nextTurn = (): void => {
      for (const timer of timers.splice(0)) timer();
    };
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) work(name, 3);
    const withdraw = work('withdrawn', 3);
    work('g', 3);
    t.strictSame(done, ['a', 'b'], 'a third one would find no time left');
    nextTurn();
    t.strictSame(done, ['a', 'b', 'c', 'd'], 'the work of one turn in the next one, in order');
    t.type(work('h', 1), 'function', 'new work waits behind older work, with time left or not');
    withdraw?.();
    nextTurn();
    t.strictSame(done.slice(4), ['e', 'f']);
    nextTurn();
    t.strictSame(done.slice(6), ['g', 'h']);
    t.type(work('i', 1), 'function', 'this turn is not over');
    nextTurn();
    nextTurn();
    nextTurn();
    t.strictSame(done.slice(8), ['i']);
    t.equal(work('j', 9), undefined, 'a new turn has begun');
    t.equal(timers.length, 1, 'one timer for one turn');
    const resolves = (name: string): void => void turns.run(() => void done.push(name), true);
    for (const name of ['k', 'l']) resolves(name);
    nextTurn();
    t.strictSame(done.slice(9), ['j', 'k'], 'work that resolves promises ends the turn');
    turns.close();
    work('m', 9);
    t.strictSame(done.slice(9), ['j', 'k', 'l', 'm'], 'work that waits is done at the end');
    t.end();
  },
);

t.test('a shared turn budget: one for a clock, until its last user has closed it', (t) => {
  const clock = createTestClock();
  const first = TurnBudget.shared(clock, 2);
  t.equal(TurnBudget.shared(clock, 2), first);
  t.not(TurnBudget.shared(clock, 3), first, 'another limit');
  t.not(TurnBudget.shared(createTestClock(), 2), first, 'another clock');
  first.run(() => {});
  first.close();
  t.equal(clock.pending, 1, 'one user is left');
  first.close();
  t.equal(clock.pending, 0);
  t.not(TurnBudget.shared(clock, 2), first);
  t.end();
});

t.test('a bucket as plain state', async (t) => {
  const bucket = { tokens: -1, filledAt: 0 };
  refill(bucket, 2, 3, 500);
  t.same(bucket, { tokens: 0, filledAt: 500 }, 'an overdraft is paid back first');
  refill(bucket, 2, 3, 10_000);
  t.same(bucket, { tokens: 3, filledAt: 10_000 }, 'no more than the burst');
});

const slicesProbe = (most = 100) => {
  const clock = createTestClock();
  const sizes: number[] = [];
  const slices = new WorkQueue({
    clock,
    unitsPerSlice: 4,
    sliceMs: 5,
    pauseMs: 10,
    most,
    onSlice: (units) => void sizes.push(units),
  });
  return { clock, sizes, slices };
};

t.test('a work queue', (t) => {
  t.test('jobs run in order, in slices of bounded size, with pauses between them', (t) => {
    const { clock, sizes, slices } = slicesProbe();
    const done: number[] = [];
    const costs = [1, 2, 2, 3, 9, 0, 0, 4, 1];
    for (const [n, units] of costs.entries()) slices.push(units, () => void done.push(n));
    t.strictSame(done, [], 'no job runs in the turn of the caller');
    clock.advance(10);
    t.strictSame(done, [0, 1]);
    clock.advance(1_000);
    t.strictSame(
      done,
      costs.map((_, n) => n),
    );
    t.strictSame(sizes, [3, 2, 3, 9, 4, 1]);
    t.equal(clock.pending, 0);
    t.end();
  });
  t.test('on a slow machine a slice ends early', (t) => {
    let now = 0;
    const timers: (() => void)[] = [];
    const sizes: number[] = [];
    const clock = {
      now: () => now,
      after: (_: number, fn: () => void) => {
        timers.push(fn);
        return () => {};
      },
    };
    const slices = new WorkQueue({
      clock,
      unitsPerSlice: 100,
      sliceMs: 5,
      pauseMs: 1,
      most: 10,
      onSlice: (units) => void sizes.push(units),
    });
    for (const tookMs of [3, 3, 3, 30, 1]) slices.push(1, () => void (now += tookMs));
    for (let timer = timers.shift(); timer; timer = timers.shift()) timer();
    t.strictSame(sizes, [2, 2, 1]);
    t.end();
  });
  t.test('a late slice yields to other work, at most five times', (t) => {
    let now = 0;
    const timers: { at: number; fn: () => void }[] = [];
    const clock = {
      now: () => now,
      after: (ms: number, fn: () => void) => {
        timers.push({ at: now + ms, fn });
        return () => {};
      },
    };
    let done = 0;
    const slices = new WorkQueue({ clock, unitsPerSlice: 1, sliceMs: 5, pauseMs: 10, most: 10 });
    /** Runs the next timer that much after its due time. */
    const fire = (lateMs: number): number => {
      const timer = timers.shift();
      if (!timer) throw new Error('no timer');
      now = timer.at + lateMs;
      timer.fn();
      return done;
    };
    slices.push(1, () => void done++);
    slices.push(1, () => void done++);
    t.strictSame([fire(3), done], [1, 1], 'a small delay is ignored');
    t.strictSame(
      Array.from({ length: 6 }, () => fire(50)),
      [1, 1, 1, 1, 1, 2],
    );
    t.equal(timers.length, 0);
    t.end();
  });
  t.test('bounded; the queue continues after a job that throws; close drops all jobs', (t) => {
    const { clock, slices } = slicesProbe(2);
    let done = 0;
    t.equal(
      slices.push(1, () => {
        throw new Error('broken');
      }),
      true,
    );
    t.equal(
      slices.push(1, () => void done++),
      true,
    );
    t.equal(
      slices.push(1, () => void done++),
      false,
    );
    t.throws(() => clock.advance(10), /broken/);
    clock.advance(10);
    t.equal(done, 1);
    slices.push(1, () => void done++);
    slices.close();
    t.equal(slices.waiting + clock.pending, 0);
    clock.advance(100);
    t.equal(done, 1);
    t.end();
  });
  t.test('for any costs, a slice above the bound holds one job', (t) => {
    fc.assert(
      fc.property(fc.array(fc.nat(6), { maxLength: 50 }), (costs) => {
        const { clock, sizes, slices } = slicesProbe();
        let done = 0;
        for (const cost of costs) slices.push(cost, () => void done++);
        clock.advance(10_000);
        const total = costs.reduce((sum, cost) => sum + cost, 0);
        return (
          done === costs.length &&
          sizes.reduce((sum, size) => sum + size, 0) === total &&
          sizes.every((size) => size <= 4 || costs.includes(size))
        );
      }),
    );
    t.end();
  });
  t.end();
});

t.test('the text of an error', async (t) => {
  const cases: readonly (readonly [unknown, string])[] = [
    [new Error('no\nroute\x1b[2J'), String.raw`no\nroute\u001b[2J`],
    [new RangeError(''), 'RangeError'],
    ['text\x07', String.raw`text\u0007`],
    [undefined, 'thrown: undefined'],
    [{ password: 'p' }, 'thrown: object'],
    [Object.create(null), 'thrown: object'],
  ];
  for (const [error, text] of cases) t.equal(errorText(error), text);
  t.equal(errorText(new Error('a'.repeat(1_000)), 20).length, 20);
});

t.test('the fields of an error in a log line', async (t) => {
  const error = Object.assign(new Error('no\nroute'), {
    code: 'EHOST',
    options: { password: 'p' },
  });
  t.same(errorFields(error), { error: 'no\\nroute', code: 'EHOST' }, 'message and code only');
  t.same(errorFields(new RangeError()), { error: 'RangeError' });
  t.same(errorFields('text\u001b'), { error: 'text\\u001b' });
});

t.test('the code of an error', async (t) => {
  const coded = Object.assign(new Error('no such file'), { code: 'ENOENT' });
  t.equal(errorCode(coded), 'ENOENT');
  t.equal(errorCode(Object.assign(new Error('exit'), { code: 7 })), '7');
  for (const error of [new Error('none'), { code: 'ENOENT' }, 'ENOENT', undefined])
    t.equal(errorCode(error), undefined);
  t.equal(errorCode(Object.assign(new Error('odd'), { code: {} })), undefined);
  t.strictSame([coded, new Error('no\nroute')].map(errorCodeOrText), ['ENOENT', 'no\\nroute']);
  t.ok(isOurs(Object.assign(new Error('no socket'), { ours: true })));
  for (const error of [new Error('refused'), { ours: true }, undefined]) t.notOk(isOurs(error));
});

t.test('a pause ends in time or with its signal, and leaves no timer', async (t) => {
  const clock = createTestClock();
  const abort = new AbortController();
  const order: string[] = [];
  const note = (text: string) => () => void order.push(text);
  const waits = [
    pause(clock, 20, abort.signal).then(note('aborted')),
    pause(clock, 10).then(note('over')),
  ];
  clock.advance(9);
  await Promise.resolve();
  t.strictSame(order, []);
  clock.advance(1);
  await waits[1];
  t.strictSame(order, ['over']);
  abort.abort();
  await Promise.all(waits);
  t.strictSame(order, ['over', 'aborted']);
  await pause(clock, 20, abort.signal);
  t.equal(clock.pending, 0, 'no timer is left');
});

t.test('objects in JSON', async (t) => {
  const object = { a: 1 };
  for (const value of [null, undefined, [], 'text', 1]) {
    t.notOk(isRecord(value));
    t.same(recordOf(value), {});
  }
  t.ok(isRecord(object));
  t.equal(recordOf(object), object);
  t.same(parseRecord('{"a":1}'), object);
  for (const text of ['', '{', '[1]', '"a"', 'null']) t.equal(parseRecord(text), undefined);
});

t.test('tables', async (t) => {
  const rows = [
    ['one', '5'],
    ['three', '1000', 'note'],
  ];
  t.strictSame(textTable([{ heading: 'name' }, { heading: 'n', numeric: true }], rows), [
    'name      n',
    'one       5',
    'three  1000  note',
  ]);
  t.strictSame(textTable([], rows), ['one    5', 'three  1000  note']);
  t.strictSame(markdownTable(['name', 'n', ''], rows), [
    '| name  | n    |      |',
    '| ----- | ---- | ---- |',
    '| one   | 5    |      |',
    '| three | 1000 | note |',
  ]);
});
