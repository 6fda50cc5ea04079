/**
 * The real sshd, from the folder into which scripts/setup unpacked it. As root it needs a user `sshd`, an account for
 * the login and /run/sshd: it gets them in a mount namespace of its own, so that the machine is not changed. As
 * another user it serves that user.
 */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import { serve, unpacked, type Served } from './haproxy.js';

const run = promisify(execFile);
const { folder: ROOT, env: ENV } = unpacked('sshd');

/** A program of OpenSSH: that of the system, else the unpacked one. */
export function sshProgram(name: string): string {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  return found ?? join(ROOT, 'usr/bin', name);
}

/** Makes a key pair; returns the path of the private key. */
export async function makeKey(folder: string, name: string, type = 'ed25519'): Promise<string> {
  const path = join(folder, name);
  await run(sshProgram('ssh-keygen'), ['-q', '-t', type, '-N', '', '-C', '', '-f', path]);
  return path;
}

/** Signs a public key: `-h -n NAME` for a host, `-n USER` for a user. Returns the path of the certificate. */
export async function certify(
  authority: string,
  key: string,
  ...options: readonly string[]
): Promise<string> {
  const args = ['-q', '-s', authority, '-I', 'test', ...options, `${key}.pub`];
  await run(sshProgram('ssh-keygen'), args);
  return `${key}-cert.pub`;
}

/** Processes that descend from one. */
function descendants(pid: number): readonly number[] {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
        return [
          [Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])] as const,
        ];
      } catch {
        return [];
      }
    });
  const found = [pid];
  for (const parent of found) {
    found.push(...parents.filter(([, of]) => of === parent).map(([child]) => child));
  }
  return found.slice(1);
}

export interface Sshd extends Served {
  readonly user: string;
  /** Sends a signal to it and to the processes of its sessions. */
  signalAll(signal: NodeJS.Signals): void;
}

/** Starts it with these lines of its configuration, beside host key, port and the paths of the test. */
export async function startSshd(
  t: Test,
  port: number,
  hostKey: string,
  lines: readonly string[],
): Promise<Sshd> {
  const folder = await mkdtemp(join(tmpdir(), 'onionmc-sshd-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o755);
  const config = join(folder, 'sshd_config');
  const own = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${hostKey}`,
    'UsePAM no',
    'StrictModes no',
    'PidFile none',
    'PasswordAuthentication no',
    'LogLevel VERBOSE',
  ];
  await writeFile(config, `${[...own, ...lines].join('\n')}\n`);
  const sshd = join(ROOT, 'usr/sbin/sshd');
  const isRoot = process.geteuid?.() === 0;
  const passwd = join(folder, 'passwd');
  if (isRoot) {
    const users = (await readFile('/etc/passwd', 'utf8')).replaceAll(/^(?:sshd|tunnel):.*\n/gm, '');
    const added = ['sshd', 'tunnel'].map(
      (name, index) => `${name}:*:${6_500 + index}:65534::${folder}:/usr/sbin/nologin\n`,
    );
    await writeFile(passwd, users + added.join(''));
  }
  const script = `mount --bind ${passwd} /etc/passwd && mount -t tmpfs none /run && mkdir -m 755 /run/sshd && exec ${sshd} -D -e -f ${config}`;
  const served = isRoot
    ? await serve(
        t,
        port,
        'unshare',
        ['--mount', '--propagation', 'private', 'sh', '-c', script],
        ENV,
      )
    : await serve(t, port, sshd, ['-D', '-e', '-f', config], ENV);
  const signalAll = (signal: NodeJS.Signals): void => {
    const told = new Set<number>();
    // A session may fork meanwhile.
    for (;;) {
      const fresh = [served.pid, ...descendants(served.pid)].filter((pid) => !told.has(pid));
      if (fresh.length === 0) return;
      for (const pid of fresh) {
        told.add(pid);
        try {
          process.kill(pid, signal);
        } catch {
          // It has ended.
        }
      }
    }
  };
  // Before the teardown of `serve`: sessions outlive the sshd that started them, and hold its output.
  t.teardown(() => signalAll('SIGKILL'));
  return {
    ...served,
    get log() {
      return served.log;
    },
    user: isRoot ? 'tunnel' : userInfo().username,
    signalAll,
  };
}
