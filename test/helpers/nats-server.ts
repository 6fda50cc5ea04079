/** A nats-server on a loopback port, which a test can kill and start again; and a proxy that cuts connections. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { freePorts } from '../../src/lab/private-network/free-ports.js';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');
const UNPACKED = join(ROOT, '.build/debian/nats/usr/sbin/nats-server');
/** The unpacked program, else the one on the PATH. */
export const NATS_PROGRAM = existsSync(UNPACKED) ? UNPACKED : 'nats-server';
const START_MS = 20_000;
const MAX_LOG_CHARS = 100_000;
const LOOK_MS = 20;

export interface NatsServer {
  readonly port: number;
  /** `nats://127.0.0.1:PORT` */
  readonly url: string;
  /** What it has written to its log. */
  readonly log: string;
  /** Ends it at once, as a crash does. */
  kill(): Promise<void>;
  /** Starts it again on the same port. */
  start(): Promise<void>;
  /** Gives it other lines of configuration while it runs; resolves when it has taken them. */
  reload(config: string): Promise<void>;
}

async function answers(port: number): Promise<boolean> {
  const socket = createConnection({ host: '127.0.0.1', port });
  const ok = await new Promise<boolean>((resolve) => {
    socket.once('data', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
  socket.destroy();
  return ok;
}

/**
 * Resolves when it answers; the end of the test ends it.
 * @param config lines of its configuration
 * @param scheme of its address
 */
export async function startNatsServer(
  test: Test,
  config = '',
  scheme: 'nats' | 'tls' = 'nats',
): Promise<NatsServer> {
  const folder = await mkdtemp(join(tmpdir(), 'onionmc-nats-'));
  test.teardown(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'nats.conf');
  await writeFile(file, config);
  let log = '';
  const [port = 0] = await freePorts(1);
  let child: ChildProcess | undefined;

  async function kill(): Promise<void> {
    const running = child;
    child = undefined;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    running.kill('SIGKILL');
    await once(running, 'exit');
  }

  async function start(): Promise<void> {
    child = spawn(NATS_PROGRAM, ['-c', file, '-a', '127.0.0.1', '-p', String(port)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString('latin1')).slice(-MAX_LOG_CHARS);
    });
    const deadline = performance.now() + START_MS;
    while (!(await answers(port))) {
      if (performance.now() > deadline) throw new Error('nats-server does not answer');
      await new Promise((resolve) => {
        setTimeout(resolve, LOOK_MS);
      });
    }
  }

  const reloads = (): number => log.split('Reloaded server configuration').length;

  async function reload(lines: string): Promise<void> {
    await writeFile(file, lines);
    const before = reloads();
    child?.kill('SIGHUP');
    const deadline = performance.now() + START_MS;
    while (reloads() === before) {
      if (performance.now() > deadline) throw new Error('nats-server does not reload');
      await new Promise((resolve) => {
        setTimeout(resolve, LOOK_MS);
      });
    }
  }

  test.teardown(kill);
  await start();
  return {
    port,
    url: `${scheme}://127.0.0.1:${port}`,
    get log() {
      return log;
    },
    kill,
    start,
    reload,
  };
}

export interface CuttingProxy {
  readonly port: number;
  /**
   * - `cut`: nothing passes, and nobody is told
   * - `stall`: nothing from the server is read
   * - `open`: everything passes, on new connections
   */
  set(state: 'open' | 'cut' | 'stall'): void;
}

/** A proxy in front of a port; the end of the test closes it. */
export async function startCuttingProxy(test: Test, target: number): Promise<CuttingProxy> {
  const sockets = new Set<Socket>();
  const upstreams = new Set<Socket>();
  let state: 'open' | 'cut' | 'stall' = 'open';
  const server: Server = createServer((client) => {
    const upstream = createConnection({ host: '127.0.0.1', port: target });
    upstreams.add(upstream);
    upstream.on('close', () => upstreams.delete(upstream));
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      from.on('data', (chunk) => {
        if (state !== 'cut') to.write(chunk);
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  test.teardown(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    port,
    set(next) {
      if (next === 'stall') for (const socket of upstreams) socket.pause();
      if (next === 'open') for (const socket of sockets) socket.destroy();
      state = next;
    },
  };
}
