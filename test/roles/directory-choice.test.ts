/** What worked is tried first, the dark last, and new ones within a day: on a test clock. */
import t from 'tap';
import { ContactHistory, parseContacts } from '../../src/roles/directories/contact-history.js';
import { ranked, toExplore } from '../../src/roles/directories/ranking.js';
import { formatLocation, type Location } from '../../src/protocol/location.js';
import { onionNumber } from '../directory-lists/sample-lists.js';

const DAY = 86_400;
const START = 1_800_000_000;
const half = (): number => 0.5;

/** Names of directories: their numbers. */
function numbered(count: number): {
  readonly all: readonly Location[];
  readonly names: (locations: readonly Location[]) => readonly number[];
} {
  const all = Array.from({ length: count }, (_, i) => onionNumber(i));
  const keys = all.map(formatLocation);
  return { all, names: (locations) => locations.map((each) => keys.indexOf(formatLocation(each))) };
}

t.test('the order: worked, new, failed, dark for a week', async (t) => {
  const { all, names } = numbered(5);
  const [works, unsteady, fresh, failed, dark] = all;
  if (!works || !unsteady || !fresh || !failed || !dark) throw new Error('five');
  const history = new ContactHistory();
  for (const location of all) history.learn(location, START);
  history.failed(dark, START);
  for (let day = 0; day < 7; day++) {
    history.worked(works, START + day * DAY);
    history[day % 3 === 0 ? 'worked' : 'failed'](unsteady, START + day * DAY);
  }
  history.failed(failed, START + 6 * DAY);
  const before = ranked(all, history, START + 7 * DAY - 1, half);
  t.same(names(before).slice(0, 3), [0, 1, 2]);
  t.same(names(ranked(all.toReversed(), history, START + 7 * DAY, half)), [0, 1, 2, 3, 4]);
  t.test('a dark one that works again is one of those that work', async (t) => {
    history.worked(dark, START + 8 * DAY);
    t.ok(names(ranked(all, history, START + 8 * DAY, half)).indexOf(4) < 3, 'before new ones');
  });
});

t.test('every new directory of a list of 500 is tried within a day', async (t) => {
  const { all, names } = numbered(500);
  const history = new ContactHistory();
  const [first] = all;
  if (!first) throw new Error('one');
  history.worked(first, START);
  const tried = new Set<number>();
  for (let hour = 1; hour <= 24; hour++) {
    const now = START + hour * 3_600;
    const round = toExplore(all.slice(1), history, now, half);
    t.ok(round.length <= 64, 'a bounded number at once');
    for (const location of round) history[hour % 2 === 0 ? 'worked' : 'failed'](location, now);
    for (const name of names(round)) tried.add(name);
  }
  t.equal(tried.size, 499);
  t.test('and later the one that was not tried for longest', async (t) => {
    const now = START + 26 * 3_600;
    const [next, ...more] = toExplore(all.slice(1), history, now, half);
    t.same(more, []);
    t.equal(next && history.of(next)?.tried, START + 3_600);
  });
});

t.test('the history is bounded, and is read back', async (t) => {
  const { all } = numbered(2_100);
  const history = new ContactHistory();
  for (const [i, location] of all.entries()) history.failed(location, START + i);
  t.equal(history.size, 2_000);
  const [oldest] = all;
  t.equal(oldest && history.of(oldest), undefined, 'the oldest is forgotten');
  const read = new ContactHistory(parseContacts(history.format()));
  t.equal(read.size, 2_000);
  t.ok(read.format() === history.format());
  t.ok(history.format().length < 512 * 1_024);
  for (const text of ['', '{', '[]', '{"version":1}', '{"version":1,"directories":{"x":{}}}']) {
    t.equal(parseContacts(text).size, 0, text);
  }
});
