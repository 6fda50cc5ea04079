/** The requests of an operator: which lines are one, and which are refused with which reason. */
import t from 'tap';
import { MAX_BAN_MS } from '../../src/directory/entry/bans.js';
import { parseOperatorRequest } from '../../src/roles/operator-requests.js';

const target = { by: 'nick', name: 'J5MakerOOOOOOOOO' };

t.test('requests', async (t) => {
  const rows: readonly [unknown, unknown][] = [
    [{ ask: 'list' }, { ask: 'list' }],
    [{ ask: 'bans', more: 1 }, { ask: 'bans' }],
    [
      { ask: 'kick', target },
      { ask: 'kick', target, banMs: undefined, logNames: false },
    ],
    [
      { ask: 'kick', target, banMs: MAX_BAN_MS, logNames: true },
      { ask: 'kick', target, banMs: MAX_BAN_MS, logNames: true },
    ],
    [{ ask: 'unban' }, { ask: 'unban', name: undefined, logNames: false }],
    [
      { ask: 'unban', name: 'x'.repeat(128), logNames: 1 },
      { ask: 'unban', name: 'x'.repeat(128), logNames: false },
    ],
  ];
  for (const [sent, value] of rows) {
    const line = JSON.stringify(sent);
    t.same(parseOperatorRequest(line), { ok: true, value }, line.slice(0, 80));
  }
});

t.test('lines that are no request', async (t) => {
  const rows: readonly [unknown, string][] = [
    [[], 'request'],
    [{}, 'request'],
    [{ ask: 'stop' }, 'request'],
    [{ ask: 'kick' }, 'target'],
    [{ ask: 'kick', target: { by: 'x-unknown', name: 'a' } }, 'target'],
    [{ ask: 'kick', target: { by: 'nick', name: 'x'.repeat(129) } }, 'target'],
    [{ ask: 'kick', target, banMs: 0 }, 'ban-time'],
    [{ ask: 'kick', target, banMs: -1 }, 'ban-time'],
    [{ ask: 'kick', target, banMs: MAX_BAN_MS + 1 }, 'ban-time'],
    [{ ask: 'kick', target, banMs: '60000' }, 'ban-time'],
    [{ ask: 'unban', name: 7 }, 'name'],
    [{ ask: 'unban', name: 'x'.repeat(129) }, 'name'],
  ];
  for (const [sent, reason] of rows) {
    const line = JSON.stringify(sent);
    t.match(parseOperatorRequest(line), { ok: false, reason }, line.slice(0, 80));
  }
});
