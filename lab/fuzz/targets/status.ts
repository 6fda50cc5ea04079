/**
 * The status page of a directory: the host of a request, and the history that another process hands over and that
 * `/history` then shows.
 */
import { createTestClock } from '../../../test/helpers/test-clock.js';
import { canonicalHost, isExpectedHost } from '../../../src/kit/host-name.js';
import { parseRecord } from '../../../src/kit/json-record.js';
import { json } from '../../../src/http/answer.js';
import { historyIn } from '../../../src/roles/directory-history.js';
import { COLUMN_NAMES, SERIES_LENGTH, StatusHistory } from '../../../src/roles/status-history.js';
import { must, mustEqual, type Target } from '../target.js';

const SAMPLE = '{"ageMs": 10000, "figures": {"serving": 3, "messagesIn": 1.5, "loopMs": 0.25}}';
const SEEDS = [
  `{"hour": [${SAMPLE}, ${SAMPLE}], "day": [${SAMPLE}]}`,
  '{"hour": [], "day": []}',
  '{"hour": [{"ageMs": -1, "figures": {}}, {"ageMs": 0}, 7, null], "day": {"0": {}}}',
  '{"hour": [{"ageMs": 1e308, "figures": {"serving": 1e308, "__proto__": 3, "flushMs": "9"}}]}',
  `{"hour": [${Array.from({ length: 400 }, (_, n) => `{"ageMs": ${n}}`).join(', ')}]}`,
  '127.0.0.1:62600',
  '[::1]:62600',
  'localhost',
  'directory.example.org:80',
  '0x7f.1',
];

/** The names under which a page is asked for; its own name is the first. */
const RULE = { configured: '192.0.2.1', allowed: ['directory.example.org'] };
const WILDCARD = { configured: '0.0.0.0', allowed: [] };
const OWN: ReadonlySet<string | undefined> = new Set(['192.0.2.1', 'directory.example.org']);
const LOOPBACK = /^(127\.[\d.]+|localhost|::1)$/;

function* host(text: string): Iterable<string> {
  const name = canonicalHost(text);
  if (name !== undefined) mustEqual(canonicalHost(name), name, 'a canonical host stays the same');
  const asked = canonicalHost(text.replace(/:\d{0,5}$/, '')) ?? '';
  if (isExpectedHost(text, RULE)) {
    must(OWN.has(asked) || LOOPBACK.test(asked), 'only its own names and this machine');
    yield LOOPBACK.test(asked) ? 'host-loopback' : 'host-named';
  } else yield 'host-refused';
  if (isExpectedHost(text, WILDCARD)) {
    must(/^[\d.:a-f]+$/.test(asked) || LOOPBACK.test(asked), 'only addresses, never a name');
    yield 'host-any-address';
  }
}

function* history(text: string): Iterable<string> {
  const value = parseRecord(text);
  if (value === undefined) {
    yield 'no-record';
    return;
  }
  const past = historyIn(new Map([['history', { key: 'history', value }]]));
  must(past !== undefined, 'any record is a history');
  const clock = createTestClock();
  let read = 0;
  const series = new StatusHistory({
    clock,
    epoch: () => 1_700_000_000_000,
    past,
    read: () => ({ serving: ++read }),
  });
  series.start();
  clock.advance(25_000);
  series.stop();
  must(clock.pending === 0, 'no timer is left');
  const shown = series.json();
  for (const { at, columns } of [shown.hour, shown.day]) {
    must(at.length <= SERIES_LENGTH, 'a series is bounded');
    for (const name of COLUMN_NAMES) {
      must(columns[name].length === at.length, 'all columns have the same length');
      for (const figure of columns[name]) {
        must(figure === null || Number.isFinite(figure), 'a figure is a number or absent');
      }
    }
  }
  must(shown.hour.columns.serving.at(-1) === 3, 'new samples come last');
  mustEqual(JSON.parse(String(json(200, shown).body)), shown, 'JSON keeps all of it');
  const again = historyIn(
    new Map([['history', { key: 'history', value: JSON.parse(JSON.stringify(series.past())) }]]),
  );
  mustEqual(again, series.past(), 'decode(encode(x)) = x');
  yield shown.hour.at.length > 2 ? 'restored-hour' : 'new-hour';
  yield shown.day.at.length > 0 ? 'restored-day' : 'new-day';
  if (shown.hour.at.length === SERIES_LENGTH) yield 'full-hour';
}

export function statusTarget(): Target {
  return {
    name: 'status',
    seeds: SEEDS.map((text) => Buffer.from(text)),
    words: [
      '"hour": [',
      '"day": [',
      '"ageMs": ',
      '"figures": {',
      '"serving": ',
      SAMPLE,
      '127.0.0.1',
    ],
    maxBytes: 60_000,
    *run(input) {
      const text = Buffer.from(input).toString('utf8');
      yield* host(text);
      yield* history(text);
    },
  };
}
