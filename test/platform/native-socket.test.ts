/** What this Node tells of sockets below `net`; run on each version that the upgrade supports. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, connect, Socket } from 'node:net';
import t, { type Test } from 'tap';
import {
  countersOf,
  handleOf,
  isNativeHandle,
  socketOfDescriptor,
  socketOver,
  startReading,
  stopReading,
  UPGRADE_NODE_MAJORS,
  upgradeFault,
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
  const ours = connect(port, '127.0.0.1');
  const [theirs]: unknown[] = await once(server, 'connection');
  server.close();
  if (!(theirs instanceof Socket)) throw new Error('no socket');
  t.teardown(() => {
    ours.destroy();
    theirs.destroy();
  });
  return [ours, theirs];
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

t.test('a stopped socket gets nothing, and all of it when it goes on', async (t) => {
  const [ours, theirs] = await pair(t);
  let got = '';
  theirs.on('data', (chunk: Buffer) => (got += chunk.toString('latin1')));
  theirs.resume();
  ours.write('one');
  if (got !== 'one') await once(theirs, 'data');
  stopReading(theirs);
  stopReading(theirs);
  await new Promise<void>((resolve) => ours.write('two', () => resolve()));
  // Another connection of this process is read meanwhile, and this one is not.
  const [other, third] = await pair(t);
  third.resume();
  other.write('x');
  await once(third, 'data');
  t.equal(got, 'one');
  startReading(theirs);
  if (got !== 'onetwo') await once(theirs, 'data');
  t.equal(got, 'onetwo');
  const { bytesWritten, writeQueueSize } = countersOf(ours) ?? {};
  t.same({ bytesWritten, writeQueueSize }, { bytesWritten: 6, writeQueueSize: 0 });
});

t.test('a handle makes a second socket, which is paused', async (t) => {
  const [ours, theirs] = await pair(t);
  const handle = handleOf(theirs);
  if (handle === undefined) throw new Error('no handle');
  const again = socketOver(handle);
  t.teardown(() => again.destroy());
  ours.write('hello');
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
    const [ours, theirs] = await pair(t);
    const fd = handleOf(theirs)?.fd;
    if (fd === undefined) throw new Error('no descriptor');
    const child = spawn(process.execPath, ['-e', CHILD], {
      stdio: ['ignore', 'ignore', 'inherit', fd],
    });
    theirs.destroy();
    ours.write('hello');
    const [chunk]: unknown[] = await once(ours, 'data');
    t.equal(String(chunk), 'hello closed');
    if (child.exitCode === null) await once(child, 'exit');
  },
);

t.test('a descriptor that is no socket', async (t) => {
  t.throws(() => socketOfDescriptor(1_000_000));
});

t.test('a socket that is closed has no handle, nor has another object', async (t) => {
  const [ours] = await pair(t);
  ours.destroy();
  await once(ours, 'close');
  for (const owner of [ours, {}, undefined]) {
    t.equal(handleOf(owner), undefined);
    t.doesNotThrow(() => {
      stopReading(owner);
      startReading(owner);
    });
  }
});
