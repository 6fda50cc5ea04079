/** The handles of sockets in this Node.js; run on each version that the upgrade supports. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, connect, Socket } from 'node:net';
import t, { type Test } from 'tap';
import {
  handleOf,
  isNativeHandle,
  socketOfDescriptor,
  socketOver,
  startReading,
  stopReading,
  UPGRADE_NODE_MAJORS,
  upgradeFault,
  writeNow,
} from '../../src/platform/native-socket.js';

/** Both ends of a connection; the second is paused and unread. */
async function pair(t: Test): Promise<readonly [Socket, Socket]> {
  const server = createServer({ pauseOnConnect: true });
  t.ok(handleOf(server) === undefined, 'a listener that does not listen has no handle');
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.ok(isNativeHandle(handleOf(server)), 'a listener has a handle');
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const local = connect(port, '127.0.0.1');
  const [remote]: unknown[] = await once(server, 'connection');
  server.close();
  if (!(remote instanceof Socket)) throw new Error('no socket');
  t.teardown(() => {
    local.destroy();
    remote.destroy();
  });
  return [local, remote];
}

t.test('the versions on which an upgrade works', async (t) => {
  t.equal(upgradeFault(process.versions.node), undefined, 'this one is among them');
  for (const major of UPGRADE_NODE_MAJORS) t.equal(upgradeFault(`${major}.3.1`), undefined);
  for (const version of ['18.20.8', '21.7.3', '23.0.0', '28.0.0', 'unknown']) {
    t.match(
      upgradeFault(version),
      /^an upgrade without a disconnect works on Node\.js 20, 22, 24, 26; this is .*: restart instead$/,
      version,
    );
  }
  const page = await readFile(new URL('../../docs/upgrade.md', import.meta.url), 'utf8');
  t.match(page, `Node.js ${UPGRADE_NODE_MAJORS.join(', ')}`, 'the page names the same ones');
});

t.test(
  'a stopped socket receives nothing until it is started again, and loses nothing',
  async (t) => {
    const [local, remote] = await pair(t);
    let got = '';
    remote.on('data', (chunk: Buffer) => (got += chunk.toString('latin1')));
    remote.resume();
    local.write('one');
    if (got !== 'one') await once(remote, 'data');
    stopReading(remote);
    stopReading(remote);
    await new Promise<void>((resolve) => local.write('two', () => resolve()));
    // Meanwhile another connection of this process is read.
    const [other, third] = await pair(t);
    third.resume();
    other.write('x');
    await once(third, 'data');
    t.equal(got, 'one');
    startReading(remote);
    if (got !== 'onetwo') await once(remote, 'data');
    t.equal(got, 'onetwo');
    const { bytesWritten, writeQueueSize } = handleOf(local) ?? {};
    t.same({ bytesWritten, writeQueueSize }, { bytesWritten: 6, writeQueueSize: 0 });
  },
);

t.test('the kernel takes bytes past the stream until its buffer is full', async (t) => {
  const [local, remote] = await pair(t);
  const handle = handleOf(local);
  if (handle === undefined) throw new Error('no handle');
  t.equal(writeNow(handle, Buffer.alloc(0)), 0, 'nothing');
  const block = Buffer.alloc(65_536);
  let taken = 0;
  let last = block.length;
  while (last === block.length) {
    last = writeNow(handle, block.fill(taken % 251));
    taken += last;
  }
  t.ok(taken > 0, `${taken} bytes`);
  t.equal(writeNow(handle, block), 0, 'full: nothing is taken, and nothing is thrown');
  t.equal(handle.writeQueueSize, 0, 'libuv has nothing pending');
  // The stream continues where the kernel stopped.
  local.end('the end');
  let received = 0;
  let tail = '';
  for await (const chunk of remote) {
    if (!Buffer.isBuffer(chunk)) throw new Error('no bytes');
    received += chunk.length;
    tail = (tail + chunk.subarray(-7).toString('latin1')).slice(-7);
  }
  t.equal(received, taken + 7);
  t.equal(tail, 'the end');
  local.destroy();
  t.equal(writeNow(handle, block), 0, 'a closed socket');
});

t.test('a handle makes a second socket, which is paused', async (t) => {
  const [local, remote] = await pair(t);
  const handle = handleOf(remote);
  if (handle === undefined) throw new Error('no handle');
  const again = socketOver(handle);
  t.teardown(() => again.destroy());
  local.write('hello');
  t.equal(again.readableFlowing, false);
  again.resume();
  const [chunk]: unknown[] = await once(again, 'data');
  t.equal(String(chunk), 'hello');
});

/** A child process with a connection as its descriptor 3. */
const CHILD = `
const { Socket } = require('node:net');
const { spawnSync } = require('node:child_process');
const socket = new Socket({ fd: 3, pauseOnCreate: true, readable: true, writable: true });
const { status } = spawnSync('readlink', ['/proc/self/fd/3']);
socket.once('data', (chunk) => socket.end(chunk + ' ' + (status === 0 ? 'leaked' : 'closed')));
socket.resume();`;

t.test(
  'a descriptor makes a socket in a child; programs started by the child do not get it',
  async (t) => {
    const [local, remote] = await pair(t);
    const fd = handleOf(remote)?.fd;
    if (fd === undefined) throw new Error('no descriptor');
    const child = spawn(process.execPath, ['-e', CHILD], {
      stdio: ['ignore', 'ignore', 'inherit', fd],
    });
    remote.destroy();
    local.write('hello');
    const [chunk]: unknown[] = await once(local, 'data');
    t.equal(String(chunk), 'hello closed');
    if (child.exitCode === null) await once(child, 'exit');
  },
);

t.test('a descriptor that is not a socket', async (t) => {
  t.throws(() => socketOfDescriptor(1_000_000));
});

t.test('a closed socket and other objects have no handle', async (t) => {
  const [local] = await pair(t);
  local.destroy();
  await once(local, 'close');
  for (const owner of [local, {}, undefined]) {
    t.equal(handleOf(owner), undefined);
    t.doesNotThrow(() => {
      stopReading(owner);
      startReading(owner);
    });
  }
});
