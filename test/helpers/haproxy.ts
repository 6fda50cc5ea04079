/** The real haproxy, from the folder into which scripts/setup unpacked it; never installed. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';

const START_MS = 20_000;
const LOOK_MS = 10;
const MAX_LOG_CHARS = 20_000;

/** The folder of a program that scripts/setup unpacked, and the environment with its libraries. */
export function unpacked(name: string): {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
} {
  const folder = fileURLToPath(new URL(`../../.build/debian/${name}`, import.meta.url));
  const lib = join(folder, 'usr', 'lib');
  const names = existsSync(lib) ? readdirSync(lib) : [];
  const LD_LIBRARY_PATH = names.map((found) => join(lib, found)).join(':');
  return { folder, env: { ...process.env, LD_LIBRARY_PATH } };
}

/** Whether a port of this machine accepts connections. */
export async function accepts(port: number): Promise<boolean> {
  const socket = createConnection({ host: '127.0.0.1', port });
  const ok = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  });
  socket.destroy();
  return ok;
}

/** A program that serves a port, until the end of the test. */
export interface Served {
  readonly pid: number;
  readonly log: string;
  signal(signal: NodeJS.Signals): void;
  /** Ends it at once, as a crash does. */
  kill(): Promise<void>;
}

/** Starts a program and resolves when it accepts connections at its port. */
export async function serve(
  t: Test,
  port: number,
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<Served> {
  const child: ChildProcess = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  const keep = (chunk: Buffer): void => {
    log = (log + chunk.toString('latin1')).slice(-MAX_LOG_CHARS);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.once('error', () => resolve());
  });
  const over = { is: false };
  void ended.then(() => (over.is = true));
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  t.teardown(kill);
  const deadline = performance.now() + START_MS;
  while (!(await accepts(port))) {
    if (over.is || performance.now() > deadline)
      throw new Error(`${program} does not serve: ${log}`);
    await new Promise((resolve) => {
      setTimeout(resolve, LOOK_MS);
    });
  }
  return {
    pid: child.pid ?? 0,
    get log() {
      return log;
    },
    signal: (signal) => void child.kill(signal),
    kill,
  };
}

/** Runs haproxy with these lines of its configuration. */
export async function startHaproxy(t: Test, port: number, config: string): Promise<Served> {
  const folder = await mkdtemp(join(tmpdir(), 'onionmc-haproxy-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'haproxy.cfg');
  await writeFile(file, config, { mode: 0o600 });
  const { folder: root, env } = unpacked('haproxy');
  return serve(t, port, join(root, 'usr/sbin/haproxy'), ['-db', '-f', file], env);
}

/** An exit as a provider runs it: haproxy, with the credentials of one session, in front of a proxy. */
export interface GateOptions {
  readonly port: number;
  /** A second port with TLS 1.3; its PEM file has the key and the certificate. */
  readonly tls?: { readonly port: number; readonly pem: string; readonly versions?: string };
  readonly username: string;
  readonly password: string;
  readonly bearer: string;
  /** The port of the proxy behind it. */
  readonly exit: number;
}

/** The lines of its configuration. */
export function gateConfig(options: GateOptions): string {
  const { port, tls, username, password, bearer, exit } = options;
  const versions = tls?.versions ?? 'ssl-min-ver TLSv1.3';
  return `global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  timeout tunnel 60s
userlist sessions
  user ${username} insecure-password ${password}
frontend gate
  bind 127.0.0.1:${port}
${tls === undefined ? '' : `  bind 127.0.0.1:${tls.port},127.0.0.2:${tls.port} ssl crt ${tls.pem} ${versions}\n`}
  # Without it haproxy reads Authorization, and answers 401.
  option http-use-proxy-header
  acl basic http_auth(sessions)
  acl bearer http_auth_bearer(Proxy-Authorization) -m str ${bearer}
  http-request auth realm lethean unless basic or bearer
  default_backend exit
backend exit
  server exit 127.0.0.1:${exit}
`;
}

/** Waits for the exit of a child. */
export async function exitOf(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}
