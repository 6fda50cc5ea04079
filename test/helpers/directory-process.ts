/** `onionmc directory` in a process of its own, on loopback, with figures of its cost. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { freePorts } from '../../src/lab/private-network/free-ports.js';
import { WITH_THREE_NODES } from '../directory/three-nodes.js';
import { runCli, startCli } from './cli.js';
import { loopbackConfig } from './config.js';
import { openDescriptors } from './descriptors.js';
import { startNatsServer } from './nats-server.js';

/** Ticks of the processor times in /proc, per second; the same on every Linux. */
const TICKS_PER_SECOND = 100;
/** Time between two looks at nodes that do not know each other yet. */
const LOOK_MS = 50;

export interface DirectoryProcess {
  readonly port: number;
  /** Resident memory, bytes. */
  rss(): Promise<number>;
  /** Processor time so far, seconds, to a hundredth. */
  cpuSeconds(): Promise<number>;
  /** Open descriptors, without those of the readers of its status page. */
  descriptors(): Promise<number>;
  /** Resolves when that many are open; rejects with the open ones after half a minute. */
  untilDescriptors(count: number): Promise<void>;
  /** The object of `/status`. */
  status(): Promise<Readonly<Record<string, unknown>>>;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

async function newDatadir(t: Test): Promise<string> {
  const datadir = await mkdtemp(join(tmpdir(), 'onionmc-directory-'));
  t.teardown(() => rm(datadir, { recursive: true, force: true }));
  return datadir;
}

/**
 * Resolves when it listens; the end of the test stops it. With `ONIONMC_DIRECTORY_NODES=3` in the environment it is
 * three processes and a nats-server.
 * @param statusPort a free port of 127.0.0.1
 * @param extra further lines of `[DIRECTORY]`
 */
export async function startDirectoryProcess(
  t: Test,
  statusPort: number,
  extra: string,
): Promise<DirectoryProcess> {
  if (WITH_THREE_NODES) return startThree(t, extra);
  return startOne(t, await newDatadir(t), statusPort, extra);
}

async function startOne(
  t: Test,
  datadir: string,
  statusPort: number,
  extra: string,
): Promise<DirectoryProcess> {
  await writeFile(join(datadir, 'joinmarket.cfg'), loopbackConfig({ statusPort, extra }));
  const cli = startCli(['directory', '--datadir', datadir]);
  const { child } = cli;
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'close');
    }
  });
  const [, port = ''] = await cli.shows('stdout', /^127\.0\.0\.1:(\d+)\n/);
  const { pid } = child;
  if (pid === undefined) throw new Error('the directory did not start');
  const proc = `/proc/${pid}`;

  return {
    port: Number(port),
    async rss() {
      const text = await readFile(`${proc}/status`, 'latin1');
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1]) * 1024;
    },
    async cpuSeconds() {
      const text = await readFile(`${proc}/stat`, 'latin1');
      // After the program's name, which may contain blanks: fields 14 and 15 of proc(5).
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
      return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
    },
    descriptors: async () => (await openDescriptors(pid, statusPort)).length,
    async untilDescriptors(count) {
      const deadline = performance.now() + 90_000;
      for (;;) {
        const open = await openDescriptors(pid, statusPort);
        if (open.length === count) return;
        if (performance.now() > deadline) {
          throw new Error(`${open.length} descriptors, not ${count}: ${open.join(', ')}`);
        }
      }
    },
    async status() {
      const response = await fetch(`http://127.0.0.1:${statusPort}/status`);
      const body: unknown = await response.json();
      if (!isRecord(body)) throw new Error('/status is not an object');
      return body;
    },
  };
}

/** Whether the nodes of a cluster have found each other, as one of them shows it. */
function isWhole({ cluster }: Readonly<Record<string, unknown>>): boolean {
  if (!isRecord(cluster) || !Array.isArray(cluster['nodes'])) return false;
  const nodes: readonly unknown[] = cluster['nodes'];
  return nodes.every(
    (node) =>
      isRecord(node) &&
      node['state'] !== 'dead' &&
      node['state'] !== 'unknown' &&
      node['inSync'] === true,
  );
}

/** The numbers of several statuses added up, also those one level below. */
function together(parts: readonly unknown[]): unknown {
  const [first] = parts;
  if (typeof first === 'number') return parts.reduce<number>((sum, part) => sum + Number(part), 0);
  if (!isRecord(first)) return first;
  const records = parts.filter(isRecord);
  return Object.fromEntries(
    Object.keys(first).map((key) => [key, together(records.map((record) => record[key]))]),
  );
}

const sumOf = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);

/** Three nodes; `port` is that of a random one, another one each time. Costs and counts are sums. */
async function startThree(t: Test, extra: string): Promise<DirectoryProcess> {
  const server = await startNatsServer(t);
  const names = ['a', 'b', 'c'];
  const datadirs = await Promise.all(names.map(() => newDatadir(t)));
  const keys = await Promise.all(
    datadirs.map(async (datadir) => {
      const { stdout } = await runCli(['cluster', 'key', '--datadir', datadir]);
      return stdout.trim();
    }),
  );
  const nodes = names.map((name, i) => `${name}:${keys[i]}`).join(',');
  const ports = await freePorts(names.length);
  const all = await Promise.all(
    names.map((name, i) => {
      const cluster = `[CLUSTER]\nnats = ${server.url}\nname = pit\nnode = ${name}\nnodes = ${nodes}\n`;
      return startOne(t, datadirs[i] ?? '', ports[i] ?? 0, `${extra}\n${cluster}`);
    }),
  );
  const statuses = (): Promise<readonly Readonly<Record<string, unknown>>[]> =>
    Promise.all(all.map((node) => node.status()));
  while (!(await statuses()).every(isWhole)) {
    // oxlint-disable-next-line no-await-in-loop -- until they have found each other
    await new Promise((resolve) => void setTimeout(resolve, LOOK_MS));
  }
  let open: readonly number[] = [];
  return {
    get port() {
      return all[randomInt(all.length)]?.port ?? 0;
    },
    // Of the largest one.
    rss: async () => Math.max(...(await Promise.all(all.map((node) => node.rss())))),
    cpuSeconds: async () => sumOf(await Promise.all(all.map((node) => node.cpuSeconds()))),
    async descriptors() {
      open = await Promise.all(all.map((node) => node.descriptors()));
      return sumOf(open);
    },
    async untilDescriptors() {
      await Promise.all(all.map((node, i) => node.untilDescriptors(open[i] ?? 0)));
    },
    async status() {
      const sums = together(await statuses());
      if (!isRecord(sums)) throw new Error('/status is not an object');
      return sums;
    },
  };
}
