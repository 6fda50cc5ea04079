/** What `onionmc doctor` says of the nodes, from the cluster in `/status`. */
import t from 'tap';
import { nodesVerdict } from '../../src/doctor/cluster-checks.js';

const THIS = { name: 'a', state: 'this' };
const other = (name: string, more: Readonly<Record<string, unknown>> = {}) => ({
  name,
  state: 'alive',
  clockAheadMs: 20,
  sameMotd: true,
  sameLimits: true,
  reached: true,
  ...more,
});
const cluster = (...others: readonly Readonly<Record<string, unknown>>[]) => ({
  bus: { connected: true },
  nodes: [THIS, ...others],
});

const ROWS: readonly [string, Readonly<Record<string, unknown>>, string, RegExp, RegExp?][] = [
  ['all is well', cluster(other('b'), other('c')), 'ok', /^all 2 other nodes are heard$/],
  ['two nodes', cluster(other('b')), 'ok', /^the other node is heard$/],
  [
    'cut off',
    { bus: { connected: false, detail: 'connect ECONNREFUSED\u001B[31m' }, nodes: [THIS] },
    'wrong',
    /^this node is cut off from the cluster \(connect ECONNREFUSED[!-~]*\), and serves its own peers only$/,
    /check of NATS/,
  ],
  [
    'nodes that are not heard',
    cluster(other('b', { state: 'dead' }), other('c', { state: 'unknown' })),
    'wrong',
    /^not heard: b, c$/,
    /start the directory there/,
  ],
  [
    'a clock',
    cluster(other('b', { clockAheadMs: -31_000 })),
    'wrong',
    /^the clocks of this machine and of b differ by more than 30 s$/,
    /timedatectl/,
  ],
  [
    'an onion that is not reached',
    cluster(other('b', { reached: false })),
    'note',
    /^the canary of b does not reach its onion$/,
    /onionmc doctor on that machine/,
  ],
  [
    'a node over its budgets, also with other limits',
    cluster(other('b'), other('c', { overBudget: true, sameLimits: false })),
    'wrong',
    /^c: sends more than the budgets here allow, and the rest is dropped$/,
    /the same limits .*; if they are, .* has the key of that node/,
  ],
  [
    'another motd',
    cluster(other('b', { sameMotd: false })),
    'note',
    /^b: another motd than here/,
    /the same motd/,
  ],
  [
    'other limits',
    cluster(other('b', { sameLimits: false })),
    'note',
    /^b: other limits than here/,
    /the same limits/,
  ],
  [
    'an earlier list of nodes',
    { bus: { connected: true }, nodes: [THIS] },
    'note',
    /^it runs with 1 nodes/,
  ],
  ['no list', { bus: { connected: true } }, 'note', /^it runs with 0 nodes/],
  ['no cluster that can be read', {}, 'wrong', /^this node is cut off from the cluster, and/],
];

for (const [title, status, verdict, text, fix] of ROWS) {
  t.test(title, (t) => {
    const configured = title === 'all is well' ? 3 : 2;
    const found = nodesVerdict(status, configured);
    t.equal(found.status, verdict);
    t.match(found.text, text);
    if (fix !== undefined) t.match(found.fix, fix);
    t.equal(found.fix === undefined, verdict === 'ok', 'what is not well has a fix');
    t.end();
  });
}
