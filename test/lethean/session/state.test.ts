/** The state machine of a session (rows C10, C24): a table of all events in all states, and its properties. */
import * as fc from 'fast-check';
import t from 'tap';
import { readFields } from '../../../src/lethean/market/fields.js';
import { resolveLink } from '../../../src/lethean/market/link.js';
import { parseVdp } from '../../../src/lethean/market/parse-vdp.js';
import { parseSession } from '../../../src/lethean/market/parse-session.js';
import type { Session } from '../../../src/lethean/model.js';
import { formatRecord, parseRecord } from '../../../src/lethean/session/record-file.js';
import {
  IDLE,
  next,
  SessionStateError,
  type Selected,
  type SessionEvent,
  type SessionState,
} from '../../../src/lethean/session/state.js';
import { orderOf } from '../../../src/lethean/session/terms.js';
import { jsonOf, OTHER_WALLET, PROVIDER_ID, session, vdp, WALLET } from '../samples.js';

const NOW = 1_800_000_000;
const END = NOW + 172_800;
const read = (more: Record<string, unknown> = {}): Session => parseSession(jsonOf(session(more)));
const UNPAID = read();
const GRANTED = read({ paid: true, activated: NOW + 60, expires: END });
const ORDER = orderOf(UNPAID, NOW + 3_600);
const RECEIPT = { order: ORDER, txids: ['ab'.repeat(32)], spent: 70_000_001n, proofs: [] };
const SELECTED: Selected = {
  providerId: PROVIDER_ID,
  gateId: `${PROVIDER_ID}.http-proxy`,
  spaceId: `${PROVIDER_ID}.1st`,
  days: 2,
  pricePerDay: 35_000_000n,
  wallet: WALLET,
  parent: undefined,
};

const DESCRIBED = resolveLink(
  { kind: 'gate', gateId: SELECTED.gateId, spaceId: SELECTED.spaceId },
  parseVdp(jsonOf(vdp())),
);

const EVENTS: Readonly<Record<string, SessionEvent>> = {
  select: { kind: 'select', selected: SELECTED },
  create: { kind: 'create', session: UNPAID, payBy: NOW + 3_600 },
  'create free': { kind: 'create', session: { ...GRANTED, price: 0n }, payBy: NOW },
  order: { kind: 'order', order: ORDER },
  paid: { kind: 'paid', receipt: RECEIPT },
  'not-paid': { kind: 'not-paid', reason: 'no funds' },
  'update unpaid': { kind: 'update', session: UNPAID },
  'update granted': { kind: 'update', session: GRANTED },
  connect: { kind: 'connect' },
  lose: { kind: 'lose' },
  refuse: { kind: 'refuse', reason: 'wrong password' },
  use: { kind: 'use', usage: { sent: 1, received: 2 }, limit: 1_000 },
  'use all': { kind: 'use', usage: { sent: 1_000, received: 0 }, limit: 1_000 },
  'tick early': { kind: 'tick', now: NOW + 1 },
  'tick late': { kind: 'tick', now: END },
  disconnect: { kind: 'disconnect' },
  resume: { kind: 'resume', now: NOW + 1 },
  replace: { kind: 'replace' },
};

function after(...names: readonly string[]): SessionState {
  return names.reduce<SessionState>((state, name) => {
    const event = EVENTS[name];
    if (event === undefined) throw new Error(`no event ${name}`);
    return next(state, event);
  }, IDLE);
}

const shown = (state: SessionState): string =>
  'cause' in state ? `${state.state} (${state.cause})` : state.state;

t.test('the arrows of section 6 and of appendix B', (t) => {
  const paid = ['select', 'create', 'order', 'paid', 'update granted'];
  const table: readonly (readonly [readonly string[], string])[] = [
    [[], 'IDLE'],
    [['select'], 'DISCOVERING'],
    [['select', 'create'], 'UNPAID'],
    [['select', 'create', 'order'], 'CONFIRMING'],
    [['select', 'create', 'order', 'paid'], 'CONFIRMING'],
    [['select', 'create', 'order', 'paid', 'update unpaid'], 'CONFIRMING'],
    [paid, 'CONNECTING'],
    [[...paid, 'connect'], 'ACTIVE'],
    [[...paid, 'connect', 'lose'], 'CONNECTING'],
    [[...paid, 'connect', 'tick late'], 'EXPIRED (time)'],
    [[...paid, 'connect', 'use all'], 'EXPIRED (data)'],
    [[...paid, 'connect', 'replace'], 'EXPIRED (renewed)'],
    [[...paid, 'connect', 'disconnect'], 'DISCONNECTED (user)'],
    [[...paid, 'connect', 'disconnect', 'resume'], 'CONNECTING'],
    [[...paid, 'connect', 'disconnect', 'tick late'], 'EXPIRED (time)'],
    [[...paid, 'refuse'], 'DISCONNECTED (refused)'],
    [['select', 'create', 'tick late'], 'EXPIRED (unpaid)'],
    [['select', 'create', 'not-paid'], 'DISCONNECTED (failed)'],
    [['select', 'create', 'order', 'not-paid'], 'DISCONNECTED (failed)'],
    [['select', 'create', 'order', 'tick late'], 'CONFIRMING'],
    [['select', 'create', 'order', 'disconnect'], 'DISCONNECTED (user)'],
    [['select', 'create', 'order', 'disconnect', 'resume'], 'CONFIRMING'],
    [['select', 'create free'], 'CONNECTING'],
  ];
  for (const [events, state] of table) {
    t.equal(shown(after(...events)), state, events.join(', '));
  }
  t.end();
});

t.test('events that a state does not have', (t) => {
  const table: readonly (readonly [readonly string[], string])[] = [
    [[], 'create'],
    [['select'], 'order'],
    [['select', 'create'], 'paid'],
    [['select', 'create'], 'connect'],
    [['select', 'create', 'order'], 'connect'],
    [['select', 'create', 'order', 'paid'], 'not-paid'],
    [['select', 'create', 'order', 'paid'], 'order'],
    [['select', 'create', 'order', 'paid', 'update granted'], 'not-paid'],
    [['select', 'create', 'not-paid'], 'resume'],
    [['select', 'create', 'tick late'], 'resume'],
    [['select', 'create', 'tick late'], 'order'],
  ];
  for (const [events, event] of table) {
    t.throws(() => after(...events, event), SessionStateError, `${events.join(', ')}: ${event}`);
  }
  t.end();
});

t.test('a session is bound to its payment', (t) => {
  const unpaid = after('select', 'create');
  t.throws(
    () => next(unpaid, { kind: 'order', order: { ...ORDER, sessionId: 'other' } }),
    /belongs to another session/,
  );
  const confirming = after('select', 'create', 'order');
  const receipt = { ...RECEIPT, order: { ...ORDER, paymentId: '0'.repeat(16) } };
  t.throws(() => next(confirming, { kind: 'paid', receipt }), /belongs to another session/);
  const changes: readonly (readonly [object, RegExp])[] = [
    [{ sessionId: 'other' }, /the id of the session/],
    [{ paymentId: '0'.repeat(16) }, /the payment id/],
    [{ wallet: OTHER_WALLET }, /the wallet/],
    [{ price: 1n }, /the price/],
    [{ days: 1 }, /the days/],
    [{ gateId: `${PROVIDER_ID}.other` }, /the gate/],
    [{ spaceId: `${PROVIDER_ID}.other` }, /the space/],
  ];
  for (const [change, text] of changes) {
    const changed = { ...GRANTED, ...change };
    t.throws(() => next(confirming, { kind: 'update', session: changed }), text);
  }
  t.end();
});

/** Any events; those that a state does not have are left out. */
const walks = fc.array(fc.constantFrom(...Object.keys(EVENTS)), { maxLength: 30 }).map((names) => {
  const states: SessionState[] = [IDLE];
  const taken: string[] = [];
  for (const name of names) {
    const event = EVENTS[name];
    const state = states[states.length - 1];
    if (event === undefined || state === undefined) continue;
    try {
      states.push(next(state, event));
      taken.push(name);
    } catch (error) {
      if (!(error instanceof SessionStateError)) throw error;
    }
  }
  return { states, taken };
});

t.test('property: money and time', (t) => {
  fc.assert(
    fc.property(walks, ({ states, taken }) => {
      t.ok(taken.filter((name) => name === 'order').length <= 1, 'one order for one session');
      let wasOver = false;
      let hadPayment = false;
      for (const state of states) {
        if (wasOver) t.equal(state.state, 'EXPIRED', 'nothing follows the end');
        wasOver = state.state === 'EXPIRED';
        const receipt = 'payment' in state ? state.payment?.receipt : undefined;
        if (hadPayment) t.same(receipt, RECEIPT, 'what was paid is never forgotten');
        hadPayment = receipt !== undefined;
        if (state.state === 'ACTIVE' || state.state === 'CONNECTING') {
          t.ok(state.session.activated > 0, 'no tunnel without a grant');
        }
      }
    }),
    { numRuns: 500 },
  );
  t.end();
});

t.test('property: a state survives its file', (t) => {
  fc.assert(
    fc.property(walks, ({ states }) => {
      for (const state of states) {
        if (state.state === 'IDLE' || state.state === 'DISCOVERING') continue;
        for (const described of [DESCRIBED, undefined]) {
          const record = { state, since: NOW, described };
          t.strictSame(parseRecord(formatRecord(record)), record);
        }
      }
    }),
    { numRuns: 100 },
  );
  t.throws(() => parseRecord('{"version":3}'), /a later version of this program/);
  t.throws(() => parseRecord('{"version":1'), /not valid JSON/);
  t.throws(() => readFields('7'), /must be an object/);
  const other = { ...DESCRIBED, gate: { ...DESCRIBED.gate, gateId: `${PROVIDER_ID}.other` } };
  const state = after('select', 'create');
  if (state.state !== 'UNPAID') throw new Error('a new session is UNPAID');
  const changed = formatRecord({ state, since: NOW, described: other });
  t.throws(() => parseRecord(changed), /described\.gate: must be that of the session/);
  t.end();
});
