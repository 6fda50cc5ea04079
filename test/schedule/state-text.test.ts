/** The state of a run on the disk: any state is read again, and no other text is taken for one. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import t from 'tap';
import { changedStep, restarted, withSteps } from '../../src/schedule/outcome.js';
import {
  newRun,
  withRecord,
  type RunState,
  type StepProgress,
  type StepRecord,
} from '../../src/schedule/run-state.js';
import { formatRun, parseRun } from '../../src/schedule/state-text.js';
import { anyStep, payTo, step } from '../helpers/schedules.js';

const TXID = 'cd'.repeat(32);
const whole = fc.nat({ max: 2 ** 40 });
const txid = fc.stringMatching(/^[0-9a-f]{64}$/);
const line = fc.stringMatching(/^[ -~]{0,80}$/);
const record = { noNullPrototype: true } as const;

const anyProgress: fc.Arbitrary<StepProgress> = fc.oneof(
  fc.constant({ kind: 'open' } as const),
  fc.constant({ kind: 'done' } as const),
  fc.record({ kind: fc.constant('begun' as const), at: whole }, record),
  fc.record(
    { kind: fc.constant('sent' as const), txid: fc.option(txid, { nil: undefined }), at: whole },
    record,
  ),
  fc.record({ kind: fc.constant('confirmed' as const), txid, height: whole, at: whole }, record),
  fc.record({ kind: fc.constant('skipped' as const), reason: line }, record),
);

const anyRecord: fc.Arbitrary<StepRecord> = fc.record(
  {
    progress: anyProgress,
    failures: whole,
    fault: fc.option(line, { nil: undefined }),
    retryAt: whole,
    paid: fc.option(
      fc.record({ amount: whole, makerFees: fc.integer(), minerFee: whole }, record),
      { nil: undefined },
    ),
  },
  record,
);

const anyRun: fc.Arbitrary<RunState> = fc
  .array(fc.tuple(anyStep(), anyRecord), { minLength: 1, maxLength: 8 })
  .chain((steps) =>
    fc.record(
      {
        id: fc.stringMatching(/^[0-9a-f]{16}$/),
        wallet: fc.constantFrom('main', 'Wallet 2'),
        steps: fc.constant(steps.map(([one]) => one)),
        records: fc.constant(steps.map(([, one]) => one)),
        waiting: fc.option(
          fc.record(
            {
              step: fc.nat({ max: steps.length - 1 }),
              reason: fc.constantFrom(
                'wait',
                'confirmation',
                'confirmations',
                'young',
                'coins',
                'retry',
              ),
              until: fc.option(whole, { nil: undefined }),
            },
            record,
          ),
          { nil: undefined },
        ),
      },
      record,
    ),
  );

t.test('any state is read again as it was', (t) => {
  fc.assert(
    fc.property(anyRun, (state) => {
      assert.deepEqual(parseRun(formatRun(state), 'regtest'), { ok: true, state });
    }),
  );
  t.end();
});

t.test('a text with any change is another valid state or refused, and never throws', (t) => {
  fc.assert(
    fc.property(anyRun, fc.nat(), fc.string({ maxLength: 5 }), (state, at, part) => {
      const text = formatRun(state);
      const place = at % text.length;
      const changed = text.slice(0, place) + part + text.slice(place + part.length);
      const parsed = parseRun(changed, 'regtest');
      if (parsed.ok) assert.deepEqual(parseRun(formatRun(parsed.state), 'regtest'), parsed);
      else assert.match(parsed.field, /^[\w ]{2,20}$/);
    }),
  );
  fc.assert(
    fc.property(fc.json(), (text) => {
      assert.equal(parseRun(text, 'regtest').ok, false);
    }),
  );
  t.match(
    parseRun(
      formatRun(newRun({ id: '0'.repeat(16), wallet: 'w' }, [step({ destination: payTo(1) })])),
      'mainnet',
    ),
    { ok: false, field: 'line' },
    'addresses are checked for the network',
  );
  t.end();
});

t.test('a schedule that a person changed', (t) => {
  const steps = [step(), step({ mixdepth: 1 }), step({ mixdepth: 2 })];
  const fresh = newRun({ id: '0'.repeat(16), wallet: 'main' }, steps);
  const sent = withRecord(fresh, 0, { progress: { kind: 'sent', txid: TXID, at: 5 } });
  t.same(sent.steps[0]?.completed, { kind: 'sent', txid: TXID });

  t.equal(
    changedStep(sent, steps),
    undefined,
    'the mark of a step may be missing: a crash came before it',
  );
  t.same(withSteps(sent, steps).steps, sent.steps, 'it is written again');
  t.equal(
    changedStep(sent, [step({ makers: 5 }), ...steps.slice(1)]),
    0,
    'a step that began is another one',
  );
  t.equal(changedStep(sent, []), 0, 'or is gone');
  const longer = [
    ...sent.steps.slice(0, 1),
    step({ makers: 9 }),
    step({ mixdepth: 3 }),
    step(),
    step(),
  ];
  t.equal(changedStep(sent, longer), undefined, 'open steps may be changed and added');
  const merged = withSteps(sent, longer);
  t.same([merged.steps, merged.records.length], [longer, 5]);

  const byHand = withSteps(
    sent,
    steps.with(1, { ...step({ mixdepth: 1 }), completed: { kind: 'done' } }),
  );
  t.same(byHand.records[1]?.progress, { kind: 'done' }, 'a person may mark a step as done');
  const failed = withRecord(sent, 2, { failures: 7, retryAt: 99, fault: 'none came' });
  t.match(restarted(failed).records[2], { failures: 0, retryAt: 0, fault: 'none came' });
  t.end();
});
