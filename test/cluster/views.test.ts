/** What an operator sees of a cluster: `/status`, `/healthz`, `onionmc status`. */
import t from 'tap';
import type { ClusterState } from '../../src/cluster/api.js';
import { statusPage } from '../../src/cli/status-page.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { clusterJson, clusterRemark } from '../../src/roles/cluster-view.js';
import { startDirectoryNode } from '../../src/roles/directory-node.js';
import { CLUSTER_STATE, clusterOf } from '../helpers/cluster-state.js';

const OWN = { peers: 1300, version: '0.1.0' };
const [HEARD, LOST] = CLUSTER_STATE.nodes;
if (HEARD === undefined || LOST === undefined) throw new Error('two other nodes are expected');

const state = (change: Partial<ClusterState>): ClusterState => ({ ...CLUSTER_STATE, ...change });
const cutOff = state({ connected: false, detail: 'connect ECONNREFUSED 127.0.0.1:4222' });

t.test('the remark names the worst fault, and a whole cluster has none', (t) => {
  t.equal(clusterRemark(state({ nodes: [HEARD] })), undefined);
  t.equal(clusterRemark(CLUSTER_STATE), 'nodes of the cluster that are not heard: c');
  t.equal(clusterRemark(state({ nodes: [{ ...HEARD, inSync: false }] })), 'learns the peers of b');
  t.equal(
    clusterRemark(state({ nodes: [{ ...HEARD, isOver: true }] })),
    'drops what nodes send over the budgets of their peers: b',
  );
  t.equal(
    clusterRemark(cutOff),
    'cut off from the cluster (connect ECONNREFUSED 127.0.0.1:4222): serves its own peers only',
  );
  t.end();
});

t.test('/status has the nodes, this one first, and no control character of another node', (t) => {
  const json = clusterJson(CLUSTER_STATE, OWN);
  t.strictSame(json.nodes, [
    { name: 'a', state: 'this', inSync: true, peers: 1300, version: '0.1.0' },
    {
      name: 'b',
      state: 'alive',
      peers: 1200,
      inSync: true,
      heardSecondsAgo: 1,
      version: '0.1.0',
      clockAheadMs: -2_400,
      sameMotd: false,
    },
    {
      name: 'c',
      state: 'dead',
      peers: 0,
      inSync: false,
      heardSecondsAgo: 42,
      version: json.nodes[2]?.version,
    },
  ]);
  t.equal(json.nodes[2]?.version, String.raw`0.0.9\u001b[31m`, 'as text');
  t.match(json, { name: 'pit', node: 'a', peers: 2400, bus: { connected: true, seconds: 61 } });
  t.end();
});

t.test('onionmc status shows the cluster in 80 columns', (t) => {
  const now = {
    peers: 1300,
    health: { ok: true, remark: 'nodes of the cluster that are not heard: c' },
  };
  const shown = (cluster: ClusterState): readonly string[] =>
    statusPage({ now: { ...now, cluster: clusterJson(cluster, OWN) }, color: false }).split('\n');
  const lines = shown(CLUSTER_STATE);
  t.ok(lines.includes('health    nodes of the cluster that are not heard: c'));
  const at = lines.findIndex((line) => line.startsWith('cluster'));
  t.strictSame(lines.slice(at, at + 6), [
    'cluster   pit, 2 400 peers in all, for 00:01:01 connected',
    '          a                this node, 1 300 peers',
    '          b                alive, 1 200 peers',
    '            clock 2 s behind, another motd',
    '          c                dead, 0 peers, last heard 42 s ago',
    '          records dropped: signature 3, lost 1, not sent 2',
  ]);
  const worst = {
    ...HEARD,
    clockAheadMs: 9e12,
    sameMotd: false,
    sameLimits: false,
    isOver: true,
    reached: false,
  };
  const faulty = shown(state({ nodes: [worst] }));
  t.ok(
    faulty.includes('            clock over a day ahead, another motd, other limits, not reached'),
    faulty.join('\n'),
  );
  t.ok(faulty.includes('          b                alive, 1 200 peers, over its budgets'));
  const apart = shown(cutOff);
  t.ok(
    apart.some((line) => /^cluster   pit, .* cut off: connect ECONNREFUSED/.test(line)),
    apart.join('\n'),
  );
  t.ok(
    [...lines, ...apart, ...faulty].every((line) => line.length <= 80),
    '80 columns',
  );
  t.notOk(statusPage({ now, color: false }).includes('cluster  '), 'a directory that is alone');
  t.end();
});

t.test(
  'a node that is cut off is healthy, with a remark: it serves its own peers on',
  async (t) => {
    const port = await freePort();
    let seen: ClusterState = state({ nodes: [HEARD] });
    const node = await startDirectoryNode({
      network: 'signet',
      overlay: createLoopbackOverlay({ host: '127.0.0.1', port: 0 }),
      status: { host: '127.0.0.1', port },
      cluster: () => clusterOf(() => seen),
    });
    t.teardown(() => node.close());
    await node.reachable;
    const health = async (): Promise<unknown> => {
      const answer = await fetch(`http://127.0.0.1:${port}/healthz`);
      return [answer.status, await answer.json()];
    };
    t.strictSame(await health(), [200, { ok: true, reason: 'ok' }]);
    seen = cutOff;
    t.strictSame(await health(), [200, { ok: true, reason: clusterRemark(cutOff) }]);
    const status = await (await fetch(`http://127.0.0.1:${port}/status`)).json();
    t.match(status, {
      peers: 0,
      health: { ok: true, remark: clusterRemark(cutOff) },
      cluster: { bus: { connected: false } },
    });
  },
);
