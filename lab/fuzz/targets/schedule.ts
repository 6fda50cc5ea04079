/** Schedules and the state of their runs: what is read is written and read again, a fault is one line. */
import { formatSchedule, parseSchedule, replaceSteps } from '../../../src/schedule/lines.js';
import { newRun } from '../../../src/schedule/run-state.js';
import { formatRun, parseRun } from '../../../src/schedule/state-text.js';
import { must, mustEqual, payloadOf, type Target } from '../target.js';

const ADDRESS = 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080';
const TXID = 'ab'.repeat(32);
const LINES = `#plan\n4,0,9,INTERNAL,181.25,16,${TXID}\n0,0.35,8,INTERNAL,9.88,3,1\n0,50000,8,addrask,0,16,0\n0,0,4,${ADDRESS},1e-3,16,0\n`;

function stateOfSeed(): string {
  const parsed = parseSchedule(LINES, 'regtest');
  if (!parsed.ok) throw new Error(parsed.reason);
  return formatRun(newRun({ id: '0123456789abcdef', wallet: 'main' }, parsed.steps));
}

const STATE = stateOfSeed();

export function scheduleTarget(): Target {
  return {
    name: 'schedule',
    seeds: [LINES, STATE, STATE.replace('"open"', '"begun","at":7')].map((text) =>
      Buffer.from(text),
    ),
    words: [
      ',INTERNAL,',
      ',addrask,',
      ADDRESS,
      TXID,
      ',0.5,',
      ',16,0\n',
      '"kind":"confirmed","txid":',
      '"height":9',
      '"waiting":{"step":0,"reason":"wait","until":9}',
    ],
    maxBytes: 4_000,
    *run(input) {
      const text = payloadOf(input);
      const parsed = parseSchedule(text, 'regtest');
      yield parsed.ok ? 'steps' : `line-${parsed.line === undefined ? 'none' : 'fault'}`;
      if (parsed.ok) {
        const written = formatSchedule(parsed.steps);
        mustEqual(parseSchedule(written, 'regtest'), parsed, 'steps are read again');
        mustEqual(
          parseSchedule(replaceSteps(text, parsed.steps), 'regtest'),
          parsed,
          'steps in the places of the old ones',
        );
      } else {
        must(!/\p{C}/u.test(parsed.reason), 'a reason is one printable line');
      }
      const run = parseRun(text, 'regtest');
      yield run.ok ? 'run' : `run-${run.field}`;
      if (run.ok) mustEqual(parseRun(formatRun(run.state), 'regtest'), run, 'a run is read again');
    },
  };
}
