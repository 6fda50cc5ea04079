/** The memory of makers that failed: who is remembered, for how long, how many, and the file. */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import t from 'tap';
import type { LegFault, MakerReport } from '../../src/negotiation/taker/api.js';
import {
  failedLately,
  FORGET_AFTER,
  MOST_FAILED_MAKERS,
  remember,
  type FailedMakers,
} from '../../src/taker/failed-makers.js';
import {
  formatFailedMakers,
  parseFailedMakers,
  readFailedMakers,
  writeFailedMakers,
} from '../../src/taker/failed-makers-file.js';

const NOW = 1_800_000_000;
const HOUR = 3_600;
const DAY = 24 * HOUR;

type Report = Pick<MakerReport, 'nick' | 'step' | 'failure'>;

const failed = (nick: string, fault: LegFault): Report => ({
  nick,
  step: 'failed',
  failure: { step: 'pubkey', fault, detail: 'x' },
});
const signed = (nick: string): Report => ({ nick, step: 'signed', failure: undefined });
const noBond = (): undefined => undefined;

function after(fault: LegFault, times = 1): FailedMakers {
  let memory: FailedMakers = new Map();
  for (let n = 0; n < times; n++) memory = remember(memory, [failed('a', fault)], noBond, NOW);
  return memory;
}

t.test('how long a maker is asked later', (t) => {
  const rows: readonly (readonly [LegFault, number, number])[] = [
    ['silent', 1, HOUR],
    ['silent', 2, 2 * HOUR],
    ['silent', 5, 16 * HOUR],
    ['refused', 1, HOUR],
    // A directory can make it of a message that the maker signed for another purpose.
    ['bad-key', 1, HOUR],
    ['bad-signature', 1, DAY],
    ['coin-missing', 3, 4 * DAY],
    ['coin-missing', 40, 14 * DAY],
  ];
  for (const [fault, times, lasts] of rows) {
    const memory = after(fault, times);
    const label = `${fault}, ${times} times`;
    t.equal(failedLately(memory, 'a', undefined, NOW), true, label);
    t.equal(failedLately(memory, 'a', undefined, NOW + lasts - 1), true, label);
    t.equal(failedLately(memory, 'a', undefined, NOW + lasts), false, label);
    t.equal(failedLately(memory, 'b', undefined, NOW), false, 'another maker');
  }
  for (const fault of ['unused', 'shared', 'amount-range', 'fee-limit', 'many-coins'] as const) {
    t.equal(after(fault).size, 0, `${fault} is not the fault of the maker`);
  }
  t.end();
});

t.test('a maker with a bond is known under its next nick', (t) => {
  const memory = remember(new Map(), [failed('old', 'silent')], () => 'aa:0/02/5', NOW);
  t.equal(failedLately(memory, 'new', 'aa:0/02/5', NOW), true);
  t.equal(failedLately(memory, 'new', 'bb:0/02/5', NOW), false);
  const good = remember(memory, [signed('new')], () => 'aa:0/02/5', NOW);
  t.equal(failedLately(good, 'newer', 'aa:0/02/5', NOW), false, 'it signed since');
  t.equal(failedLately(good, 'old', undefined, NOW), true, 'the nick alone is still remembered');
  t.end();
});

t.test('it forgets, and it is bounded', (t) => {
  const old = after('silent');
  t.equal(remember(old, [], noBond, NOW + FORGET_AFTER - 1).size, 1);
  t.equal(remember(old, [], noBond, NOW + FORGET_AFTER).size, 0);
  let memory: FailedMakers = new Map();
  const many = Array.from({ length: 2 * MOST_FAILED_MAKERS }, (_, n) => `m${n}`);
  for (const [n, nick] of many.entries()) {
    if (n % 500 === 0)
      memory = remember(
        memory,
        many.slice(n, n + 500).map((one) => failed(one, 'silent')),
        noBond,
        NOW + n,
      );
    if (n === many.length - 1) {
      t.equal(memory.size, MOST_FAILED_MAKERS);
      t.ok(failedLately(memory, nick, undefined, NOW + n), 'the newest stay');
      t.notOk(failedLately(memory, 'm0', undefined, NOW + n));
    }
  }
  t.end();
});

const record = fc.record({
  failures: fc.integer({ min: 1, max: 1_000 }),
  at: fc.integer({ min: NOW - FORGET_AFTER + 1, max: NOW }),
  fault: fc.constantFrom('silent', 'bad-signature'),
});

t.test('the file: read what was written; anything else is refused without an error', (t) => {
  const key = fc
    .tuple(fc.constantFrom('nick', 'bond'), fc.stringMatching(/^[!-~]{1,100}$/))
    .map((parts) => parts.join(' '));
  fc.assert(
    fc.property(fc.dictionary(key, record, { maxKeys: 20 }), (entries) => {
      const memory = remember(new Map(Object.entries(entries)), [], noBond, NOW);
      const read = parseFailedMakers(formatFailedMakers(memory), NOW);
      return read !== undefined && formatFailedMakers(read) === formatFailedMakers(memory);
    }),
  );
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      parseFailedMakers(text, NOW);
      return true;
    }),
  );
  const one = { key: 'nick a', failures: 1, at: NOW, fault: 'silent' };
  const rows: readonly (readonly [string, unknown, number | undefined])[] = [
    ['valid', { version: 1, makers: [one] }, 1],
    ['one bad entry is left out', { version: 1, makers: [one, { ...one, key: 'x' }, 5, null] }, 1],
    ['a count of 0', { version: 1, makers: [{ ...one, failures: 0 }] }, 0],
    ['a fault with a control character', { version: 1, makers: [{ ...one, fault: '\u001b' }] }, 0],
    ['a time in the future', { version: 1, makers: [{ ...one, at: NOW + 900 * DAY }] }, 1],
    ['another version', { version: 2, makers: [one] }, undefined],
    ['no list', { version: 1 }, undefined],
    ['an array', [], undefined],
  ];
  for (const [name, value, expected] of rows) {
    t.equal(parseFailedMakers(JSON.stringify(value), NOW)?.size, expected, name);
  }
  t.end();
});

t.test('the file on disk', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'failed-makers-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const path = join(folder, 'data', 'failed-makers.json');
  t.equal((await readFailedMakers(path, NOW)).size, 0, 'there is none yet');
  await writeFailedMakers(path, after('silent'));
  t.equal((await stat(path)).mode & 0o777, 0o600);
  t.equal((await readFailedMakers(path, NOW)).get('nick a')?.failures, 1);
  t.match(await readFile(path, 'utf8'), /"key": "nick a"/);
  await writeFile(path, 'torn {');
  t.equal((await readFailedMakers(path, NOW)).size, 0, 'a damaged one counts as empty');
  await writeFile(path, ' '.repeat(1_100_000));
  t.equal((await readFailedMakers(path, NOW)).size, 0, 'and one that is too large');
});
