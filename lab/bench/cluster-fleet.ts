/** A cluster and its load generators, each in a process of its own, and a real nats-server between them. */
import { spawn, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { clusterKeyHex } from '../../src/cluster/packet.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import type { ClientReport } from './client-process.js';
import type { NodeReport } from './cluster-node.js';
import { sleep } from './fleet.js';
import { startChild, type Child } from './process.js';

const NATS_SERVER = fileURLToPath(
  new URL('../../../../.build/debian/nats/usr/sbin/nats-server', import.meta.url),
);
/** Nicks of one generator. */
const NICKS = 1_000_000;
/** Ticks of the processor times in /proc, per second; the same on every Linux. */
const TICKS_PER_SECOND = 100;
const LOOK_MS = 20;

export interface BenchNode {
  readonly relay: Child;
  readonly peers: Child;
  isKilled: boolean;
}

class NatsProcess {
  #child: ChildProcess | undefined;

  constructor(readonly port: number) {}

  async start(): Promise<void> {
    const child = spawn(NATS_SERVER, ['-a', '127.0.0.1', '-p', String(this.port)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child = child;
    await new Promise<void>((resolve, reject) => {
      child.once('exit', () => reject(new Error('nats-server ended: run scripts/setup')));
      child.once('error', reject);
      child.stderr.on('data', (text: Buffer) => {
        if (text.includes('Server is ready')) resolve();
      });
    });
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  async cpuMicros(): Promise<number> {
    const text = await readFile(`/proc/${this.#child?.pid ?? 0}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return ((Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND) * 1e6;
  }
}

export class ClusterFleet {
  readonly nodes: readonly BenchNode[];
  readonly nats: NatsProcess;

  private constructor(nats: NatsProcess, nodes: readonly BenchNode[]) {
    this.nats = nats;
    this.nodes = nodes;
  }

  static async start(count: number): Promise<ClusterFleet> {
    const nats = new NatsProcess(await freePort());
    await nats.start();
    const members = Array.from({ length: count }, (_, n) => {
      const { privateKey } = generateKeyPairSync('ed25519');
      return { name: `n${n}`, privateKey, hex: clusterKeyHex(privateKey) };
    });
    const list = members.map(({ name, hex }) => `${name}:${hex}`).join(',');
    const nodes: BenchNode[] = [];
    for (const [n, { name, privateKey }] of members.entries()) {
      const key = privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64');
      const relay = startChild('cluster-node.js', [name, nats.port, key, list]);
      const port = Number(await relay.ask('port'));
      const peers = startChild('client-process.js', [port, (n + 1) * NICKS]);
      nodes.push({ relay, peers, isKilled: false });
    }
    const fleet = new ClusterFleet(nats, nodes);
    await fleet.untilWhole();
    return fleet;
  }

  get #alive(): readonly BenchNode[] {
    return this.nodes.filter(({ isKilled }) => !isKilled);
  }

  reports(): Promise<readonly NodeReport[]> {
    return Promise.all(
      this.#alive.map(async ({ relay }): Promise<NodeReport> =>
        JSON.parse(await relay.ask('report')),
      ),
    );
  }

  clientReports(): Promise<readonly ClientReport[]> {
    return Promise.all(
      this.#alive.map(async ({ peers }): Promise<ClientReport> =>
        JSON.parse(await peers.ask('report')),
      ),
    );
  }

  /** Milliseconds until the condition holds for all living nodes; rejects after a minute. */
  async until(holds: (report: NodeReport) => boolean): Promise<number> {
    const began = performance.now();
    while (!(await this.reports()).every(holds)) {
      if (performance.now() - began > 60_000) throw new Error('the cluster does not converge');
      await sleep(LOOK_MS);
    }
    return performance.now() - began;
  }

  untilWhole(): Promise<number> {
    const others = this.#alive.length - 1;
    return this.until(({ connected, inSync }) => connected && inSync === others);
  }

  /** Peers that join at once, the same number at each node; resolves when every node knows all. */
  async join(total: number): Promise<number> {
    const began = performance.now();
    const each = Math.floor(total / this.nodes.length);
    await Promise.all(this.nodes.map(({ peers }) => peers.ask('join', each)));
    const sum = each * this.nodes.length;
    await this.until(({ clusterPeers }) => clusterPeers === sum);
    return performance.now() - began;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#alive.flatMap(({ relay, peers }) => [relay.stop(), peers.stop()]));
    await this.nats.kill();
  }
}
