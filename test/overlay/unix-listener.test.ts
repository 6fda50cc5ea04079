/** The unix socket of a listener: what a killed process left there, files of others, and its group. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  writeFile,
} from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { listen, type Listening } from '../../src/overlay/listen.js';
import { systemClock } from '../../src/overlay/system-clock.js';

const { signal } = new AbortController();

async function folder(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'omcu-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

const listenAt = (path: string, group?: number): Promise<Listening> =>
  listen({
    address: { host: '127.0.0.1', port: 0 },
    socket: { path, circuits: false, group },
    via: 'onion',
    onConnection: (connection) => connection.destroy(),
    signal,
    clock: systemClock,
    log: silentLog,
  });

/** A process that listens there and is killed. */
async function leaveSocket(path: string): Promise<void> {
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  await once(execFile(process.execPath, ['-e', script]), 'exit');
}

async function connects(path: string): Promise<void> {
  const socket = createConnection({ path });
  await once(socket, 'connect');
  socket.destroy();
}

t.test('a process was killed while it opened the socket, and one while it listened', async (t) => {
  const dir = await folder(t);
  const path = join(dir, 'onion.sock');
  for (const left of [path, `${path}~`]) {
    await leaveSocket(left);
    t.ok((await lstat(left)).isSocket(), `${left} is left`);
    const listening = await listenAt(path);
    await connects(path);
    listening.close();
  }
  t.strictSame(await readdir(dir), ['onion.sock'], 'nothing else is left');
});

t.test('a file that is not a socket stays as it is', async (t) => {
  const dir = await folder(t);
  const path = join(dir, 'wallet');
  await writeFile(path, 'precious');
  await t.rejects(listenAt(path), { code: 'listen-failed', message: /not a socket/ });
  t.equal(await readFile(path, 'utf8'), 'precious');
  t.strictSame(await readdir(dir), ['wallet']);
  await mkdir(join(dir, 'sub'));
  await t.rejects(listenAt(join(dir, 'sub')), { code: 'listen-failed', message: /not a socket/ });
});

t.test('a folder that does not take it', async (t) => {
  const dir = await folder(t);
  await t.rejects(listenAt(join(dir, 'missing', 'onion.sock')), {
    code: 'listen-failed',
    message: /unix:.*: (ENOENT|EACCES)/,
  });
});

t.test('a group of which this user is not a member', async (t) => {
  const dir = await folder(t);
  const foreign = 54_321;
  if (process.geteuid?.() === 0) {
    // Root may give a file to every group.
    const path = join(dir, 'onion.sock');
    const listening = await listenAt(path, foreign);
    const { gid, mode } = await lstat(path);
    t.strictSame([gid, mode & 0o777], [foreign, 0o660]);
    listening.close();
    await chown(dir, 65_534, 65_534);
    await chmod(dir, 0o700);
    process.seteuid?.(65_534);
    t.teardown(() => process.seteuid?.(0));
  }
  const other = join(dir, 'other.sock');
  await t.rejects(listenAt(other, foreign), {
    code: 'listen-failed',
    message: /to group 54321: EPERM; run as a member of that group .*setgid/,
  });
  t.notOk(
    (await readdir(dir)).some((name) => name.startsWith('other')),
    'nothing is left open',
  );
});
