/** Nodes of a cluster as programs, over a nats-server of the test. */
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { freePorts } from '../../src/lab/private-network/free-ports.js';
import { loadOrCreateClusterKey } from '../../src/ops/cluster-key.js';
import { startCli } from '../helpers/cli.js';
import { loopbackConfig } from '../helpers/config.js';
import { processFigures, type ProcessFigures } from '../helpers/directory-process.js';
import { startNatsServer } from '../helpers/nats-server.js';

export interface NodeProgram extends ProcessFigures {
  readonly name: string;
  readonly port: number;
  /** Ends it at once, as a crash does. */
  kill(): Promise<void>;
  /** A value of its `/metrics`, without the prefix; labels as the page writes them. */
  metric(name: string): Promise<number>;
}

/**
 * Resolves when all are connected and know each other; the end of the test stops them.
 * @param extra further lines of `[DIRECTORY]`
 */
export async function startNodes(
  test: Test,
  names: readonly string[],
  extra: string,
): Promise<readonly NodeProgram[]> {
  const server = await startNatsServer(test);
  const ports = await freePorts(names.length);
  const folders = await Promise.all(
    names.map(async (name, i) => {
      const datadir = await mkdtemp(join(tmpdir(), 'onionmc-node-'));
      test.teardown(() => rm(datadir, { recursive: true, force: true }));
      const { key } = await loadOrCreateClusterKey(datadir);
      return { name, datadir, key: key.publicKey, statusPort: ports[i] ?? 0 };
    }),
  );
  const nodes = folders.map(({ name, key }) => `${name}:${key}`).join(',');
  const started = await Promise.all(
    folders.map(({ name, datadir, statusPort }) => {
      const cluster = `[CLUSTER]\nnats = ${server.url}\nname = pit\nnode = ${name}\nnodes = ${nodes}`;
      return startNode(test, name, datadir, statusPort, `${extra}\n${cluster}\n`);
    }),
  );
  for (const node of started) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other is enough
    while ((await node.metric('cluster_nodes{state="alive"}')) < names.length - 1);
  }
  return started;
}

async function startNode(
  test: Test,
  name: string,
  datadir: string,
  statusPort: number,
  extra: string,
): Promise<NodeProgram> {
  await writeFile(join(datadir, 'joinmarket.cfg'), loopbackConfig({ statusPort, extra }));
  const cli = startCli(['directory', '--datadir', datadir]);
  const { child } = cli;
  const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, 'close');
    child.kill(signal);
    await closed;
  };
  test.teardown(() => end('SIGTERM'));
  const [, port = ''] = await cli.shows('stdout', /^127\.0\.0\.1:(\d+)\n/);
  const { pid } = child;
  if (pid === undefined) throw new Error(`node ${name} did not start`);
  return {
    ...processFigures(pid),
    name,
    port: Number(port),
    kill: () => end('SIGKILL'),
    async metric(metric) {
      const page = await (await fetch(`http://127.0.0.1:${statusPort}/metrics`)).text();
      const line = page.split('\n').find((each) => each.startsWith(`onionmc_${metric} `));
      if (line === undefined) throw new Error(`no metric ${metric}`);
      return Number(line.slice(line.lastIndexOf(' ') + 1));
    },
  };
}
