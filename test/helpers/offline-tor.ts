/**
 * A real tor without a network (`DisableNetwork 1`), up in some 50 ms, for tests of the control port.
 * It ends with the test process, however that ends.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';

export interface OfflineTor {
  /** Bytes of the first TCP control listener, if there is one. */
  readonly port: number;
  /** The control connection that owns the process, authenticated. */
  readonly owner: Duplex;
  /** Sends SIGKILL; resolves when the process has ended. */
  kill(): Promise<void>;
}

/** A private folder (0700) and its removal. */
export async function temporaryFolder(): Promise<{
  dir: string;
  remove: () => Promise<void>;
}> {
  const dir = await mkdtemp(join(tmpdir(), 'omc-'));
  return { dir, remove: () => rm(dir, { recursive: true, force: true }) };
}

/** Starts tor with these torrc lines; rejects with its output when it does not come up. */
export async function startOfflineTor(
  dataDir: string,
  torrc: readonly string[],
): Promise<OfflineTor> {
  const empty = join(dataDir, 'empty');
  const file = join(dataDir, 'torrc');
  await writeFile(empty, '');
  const lines = [
    `DataDirectory ${dataDir}`,
    'DisableNetwork 1',
    'SocksPort 0',
    '__OwningControllerFD 3',
    `GeoIPFile ${empty}`,
    `GeoIPv6File ${empty}`,
    'Log notice stdout',
    ...torrc,
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  const child = spawn('tor', ['--defaults-torrc', empty, '-f', file], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const owner = child.stdio[3];
  if (!(owner instanceof Duplex)) throw new Error('no control connection to tor');
  const listeners = new Promise<string>((resolve) => {
    let answer = '';
    const hear = (chunk: Buffer) => {
      answer += chunk.toString();
      if (!answer.includes('250 OK\r\n')) return;
      owner.removeListener('data', hear);
      resolve(answer);
    };
    owner.on('data', hear);
  });
  owner.on('error', () => {});
  owner.write('GETINFO net/listeners/control\r\n');
  const answer = await Promise.race([
    listeners,
    exited.then(() => {
      throw new Error(`tor did not start:\n${output}`);
    }),
  ]);
  return {
    port: Number(/"[\d.]+:(\d+)"/.exec(answer)?.[1] ?? 0),
    owner,
    async kill() {
      child.kill('SIGKILL');
      await exited;
      owner.destroy();
    },
  };
}
