/** The line format of schedules; the vectors have the forms that the original reads and writes. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import t from 'tap';
import { NETWORKS } from '../../src/protocol/constants.js';
import { formatSchedule, parseSchedule, replaceSteps, stepLine } from '../../src/schedule/lines.js';
import { addressNumber, anyStep, fraction, payTo, satoshi, step } from '../helpers/schedules.js';

const TXID = 'ab'.repeat(32);
const { address } = addressNumber(7);

t.test('what a line means', (t) => {
  const table = [
    ['0,0,9,INTERNAL,181.25,16,0', step({ makers: 9, waitMinutes: 181.25 })],
    [
      '1, 110000000, 3, INTERNAL, 0, 16, 1', // blanks after the commas
      step({ mixdepth: 1, amount: satoshi(110_000_000), makers: 3, completed: { kind: 'done' } }),
    ],
    [
      `4,0.3517049113,8,${address},9.88,3,${TXID}`,
      step({
        mixdepth: 4,
        amount: fraction(0.351_704_911_3),
        makers: 8,
        destination: payTo(7),
        waitMinutes: 9.88,
        rounding: 3,
        completed: { kind: 'sent', txid: TXID },
      }),
    ],
    [
      '2,.5,4,addrask,0.0,2,0',
      step({ mixdepth: 2, amount: fraction(0.5), destination: { kind: 'ask' }, rounding: 2 }),
    ],
    [
      '2,1.5e-05,4,INTERNAL,1e-3,16,0',
      step({ mixdepth: 2, amount: fraction(0.000_015), waitMinutes: 0.001 }),
    ],
  ] as const;
  for (const [line, expected] of table) {
    t.same(parseSchedule(line, 'regtest'), { ok: true, steps: [expected] }, line);
  }
  const text = '#sample\r\n0,0,4,INTERNAL,0,16,0\r\n\r\n#more\n1,0,4,INTERNAL,0,16,0';
  t.same(
    parseSchedule(text, 'regtest'),
    { ok: true, steps: [step(), step({ mixdepth: 1 })] },
    'comments, empty lines, and a last line without an end',
  );
  t.end();
});

t.test('the first line that is wrong is named, with what is allowed', (t) => {
  const table = [
    ['', undefined, 'it has no step; a step is one line: mixdepth,amount,makers,'],
    ['#only a comment\n', undefined, 'it has no step'],
    ['0,0,4,INTERNAL,0,16', 1, '6 fields with commas between, not the 7 of a step'],
    ['0,0,4,INTERNAL,0,16,0,', 1, '8 fields'],
    ['x', 1, '1 field with'],
    [
      '#c\n0,0,4,INTERNAL,0,16,0\n-1,0,4,INTERNAL,0,16,0',
      3,
      'mixdepth "-1": a whole number from 0 to 999',
    ],
    ['0,-5,4,INTERNAL,0,16,0', 1, 'amount "-5": a whole number from 0 to 2100000000000000'],
    ['0,2100000000000001,4,INTERNAL,0,16,0', 1, 'amount "2100000000000001"'],
    ['0,notinteger,4,INTERNAL,0,16,0', 1, 'amount "notinteger"'],
    ['0,1e-05,4,INTERNAL,0,16,0', 1, 'amount "1e-05": a whole number'],
    [
      '0,0.0,4,INTERNAL,0,16,0',
      1,
      'amount "0.0": a number with a point is a fraction of the mixdepth',
    ],
    ['0,1.0,4,INTERNAL,0,16,0', 1, 'write 0 for all of it'],
    ['0,nan.,4,INTERNAL,0,16,0', 1, 'amount "nan."'],
    ['0,0.00000099,4,INTERNAL,0,16,0', 1, 'from 0.000001'],
    ['0,0,0,INTERNAL,0,16,0', 1, 'makers "0": a whole number from 1 to 99'],
    [
      '0,0,4,internal,0,16,0',
      1,
      'destination "internal": is not a bitcoin address; give an address of regtest, INTERNAL or addrask',
    ],
    ['0,0,4,bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4,0,16,0', 1, 'is an address of mainnet'],
    ['0,0,4,bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt082,0,16,0', 1, 'has a wrong checksum'],
    ['0,0,4,INTERNAL,-1,16,0', 1, 'wait "-1": minutes, from 0 to 525600'],
    ['0,0,4,INTERNAL,inf,16,0', 1, 'wait "inf"'],
    ['0,0,4,INTERNAL,525601,16,0', 1, 'wait "525601"'],
    ['0,0,4,INTERNAL,0,0,0', 1, 'rounding "0": a whole number from 1 to 16'],
    ['0,0,4,INTERNAL,0,17,0', 1, 'rounding "17"'],
    [
      '0,0,4,INTERNAL,0,16,2',
      1,
      'completed "2": 0 for an open step, 1 for one that was done, or its txid',
    ],
    [`0,0,4,INTERNAL,0,16,${'g'.repeat(64)}`, 1, 'completed'],
    ['0,0,4,INTERNAL,0,16,0\n'.repeat(1_001), 1_001, 'more than 1000 steps'],
    ['#'.repeat(1_048_577), undefined, 'longer than 1 MiB'],
    ['\u001b[31m,0,4,INTERNAL,0,16,0', 1, String.raw`mixdepth "\u001b[31m"`],
  ] as const;
  for (const [text, line, reason] of table) {
    const parsed = parseSchedule(text, 'regtest');
    t.match(parsed, { ok: false, line }, text.slice(0, 60));
    if (!parsed.ok) t.ok(parsed.reason.includes(reason), `${parsed.reason}: has ${reason}`);
  }
  t.end();
});

t.test('any steps are read again as they were written', (t) => {
  const schedule = fc.constantFrom(...NETWORKS).chain((network) =>
    fc.record({
      network: fc.constant(network),
      steps: fc.array(anyStep(network), { minLength: 1, maxLength: 20 }),
    }),
  );
  fc.assert(
    fc.property(schedule, ({ network, steps }) => {
      const text = formatSchedule(steps);
      assert.deepEqual(parseSchedule(text, network), { ok: true, steps });
      // Numbers in the forms of the original: a fraction has a point, and nothing else has one but a wait.
      for (const line of text.trimEnd().split('\n')) {
        if (!/^\d+,(?:\d+|0\.\d+),\d+,\w+,[\d.e+-]+,\d+,(?:[01]|[0-9a-f]{64})$/.test(line)) {
          throw new Error(line);
        }
      }
    }),
  );
  t.end();
});

t.test('any text is read or refused in one line, and never throws', (t) => {
  const field = fc.oneof(
    fc.string({ maxLength: 10 }),
    fc.constantFrom('0', '1', '0.5', 'INTERNAL', 'addrask', '16', address, TXID, ' ', '\u0000'),
  );
  const line = fc.array(field, { minLength: 1, maxLength: 9 }).map((fields) => fields.join(','));
  const anyText = fc.oneof(
    fc.string(),
    fc.array(line).map((lines) => lines.join('\n')),
  );
  fc.assert(
    fc.property(anyText, (text) => {
      const parsed = parseSchedule(text, 'regtest');
      if (parsed.ok) {
        assert.deepEqual(parseSchedule(formatSchedule(parsed.steps), 'regtest'), parsed);
        return;
      }
      if (/\p{C}/u.test(parsed.reason) || parsed.reason.length > 400)
        throw new Error(parsed.reason);
    }),
  );
  t.end();
});

t.test('new steps take the places of the old ones; comments stay', (t) => {
  const text = '#head\n0,0,4,INTERNAL,0,16,0\n\n#between\n1,0,4,INTERNAL,0,16,0\n#end';
  const done = step({ completed: { kind: 'sent', txid: TXID } });
  t.equal(
    replaceSteps(text, [done, step({ mixdepth: 1, makers: 3 })]),
    `#head\n${stepLine(done)}\n#between\n1,0,3,INTERNAL,0,16,0\n#end\n`,
  );
  const kept = fc.array(anyStep(), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(kept, (steps) => {
      assert.equal(replaceSteps(formatSchedule(steps), steps), formatSchedule(steps));
    }),
  );
  t.end();
});
