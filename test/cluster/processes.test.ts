/** Nodes as programs: one is killed, and the others announce its peers as gone, once. */
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { joinMany, nickOf, type Mass } from '../directory/many.js';
import { parseLine, until } from '../directory/wire.js';
import { runCli, startCli, type RunningCli } from '../helpers/cli.js';
import { loopbackConfig } from '../helpers/config.js';
import { startNatsServer } from '../helpers/nats-server.js';

const PEERS = 50;

interface NodeProcess {
  readonly cli: RunningCli;
  readonly port: number;
}

async function datadirWithKey(test: Test): Promise<{ datadir: string; key: string }> {
  const datadir = await mkdtemp(join(tmpdir(), 'onionmc-node-'));
  test.teardown(() => rm(datadir, { recursive: true, force: true }));
  const { stdout } = await runCli(['cluster', 'key', '--datadir', datadir]);
  return { datadir, key: stdout.trim() };
}

async function startNode(test: Test, datadir: string, cluster: string): Promise<NodeProcess> {
  await writeFile(
    join(datadir, 'joinmarket.cfg'),
    loopbackConfig({ extra: `getpeerlist_per_minute = 0\n[CLUSTER]\n${cluster}\n` }),
  );
  const cli = startCli(['directory', '--datadir', datadir]);
  test.teardown(async () => {
    if (cli.child.exitCode !== null || cli.child.signalCode !== null) return;
    cli.child.kill('SIGTERM');
    await once(cli.child, 'close');
  });
  const [, port = ''] = await cli.shows('stdout', /^127\.0\.0\.1:(\d+)\n/);
  return { cli, port: Number(port) };
}

void t.test('a node is killed', async (t) => {
  const server = await startNatsServer(t);
  const [a, b] = await Promise.all([datadirWithKey(t), datadirWithKey(t)]);
  const nodes = `a:${a.key},b:${b.key}`;
  const config = (node: string): string =>
    `nats = ${server.url}\nname = pit\nnode = ${node}\nnodes = ${nodes}`;
  const killed = await startNode(t, a.datadir, config('a'));
  const other = await startNode(t, b.datadir, config('b'));
  const left: string[] = [];
  let listed = 0;
  const observer = joinMany(other.port, 'J5ObserverOOOOOO', (line) => {
    const text = line.toString('latin1');
    const { type, line: payload } = parseLine(text);
    if (type !== 789) return;
    const entries = payload.split(',');
    left.push(...entries.filter((entry) => entry.endsWith(';D')));
    listed += entries.filter((entry) => !entry.endsWith(';D')).length;
  });
  t.ok(await observer.accepted);
  const peers: readonly Mass[] = Array.from({ length: PEERS }, (_, i) =>
    joinMany(killed.port, nickOf('k', i)),
  );
  t.ok((await Promise.all(peers.map(({ accepted }) => accepted))).every(Boolean));
  const ask = setInterval(() => {
    listed = 0;
    observer.send(791, '');
  }, 500);
  await until(() => listed === PEERS + 1);
  clearInterval(ask);
  const killedAt = performance.now();
  killed.cli.child.kill('SIGKILL');
  await until(() => left.length >= PEERS);
  const tookMs = performance.now() - killedAt;
  t.ok(tookMs < 10_000, `announced after ${Math.round(tookMs)} ms`);
  listed = 0;
  observer.send(791, '');
  await until(() => listed === 1);
  t.equal(new Set(left).size, PEERS);
  t.equal(left.length, PEERS, 'each once');
  observer.socket.destroy();
});
