/** The wait for offers that come late. */
import t from 'tap';
import { enoughMakers } from '../../src/taker/enough-makers.js';
import { createTestClock } from '../helpers/test-clock.js';

/** A book whose makers come one by one. */
class Book {
  readonly listeners = new Set<(change: never) => void>();
  makers = 0;

  on(_: 'change', listener: (change: never) => void): void {
    this.listeners.add(listener);
  }

  off(_: 'change', listener: (change: never) => void): void {
    this.listeners.delete(listener);
  }

  /** Another maker. */
  add(): void {
    this.makers += 1;
    for (const listener of this.listeners) Reflect.apply(listener, undefined, []);
  }
}

function waiting(before = 0) {
  const book = new Book();
  book.makers = before;
  const clock = createTestClock();
  const stop = new AbortController();
  const state = { isOver: false };
  const wait = enoughMakers(book, { least: 2, ms: 30_000, clock, signal: stop.signal });
  void wait.then(() => (state.isOver = true));
  return { book, clock, stop, state };
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

t.test('it ends with the offer of the last maker that is needed', async (t) => {
  const { book, clock, state } = waiting();
  book.add();
  await nextTurn();
  t.notOk(state.isOver, 'one is too few');
  book.add();
  await nextTurn();
  t.ok(state.isOver);
  t.equal(book.listeners.size + clock.pending, 0, 'nothing is left');
});

t.test('it does not wait where enough are there', async (t) => {
  const { book, clock, state } = waiting(2);
  await nextTurn();
  t.ok(state.isOver);
  t.equal(book.listeners.size + clock.pending, 0);
});

t.test('it ends with the time, and with the signal', async (t) => {
  const late = waiting(1);
  late.clock.advance(29_999);
  await nextTurn();
  t.notOk(late.state.isOver);
  late.clock.advance(1);
  await nextTurn();
  t.ok(late.state.isOver);
  const stopped = waiting();
  stopped.stop.abort();
  await nextTurn();
  t.ok(stopped.state.isOver);
  t.equal(stopped.book.listeners.size + stopped.clock.pending, 0);
});
