/** Peers that are gone leave no state, and an unfinished line costs little memory. */
import { readdirSync } from 'node:fs';
import { createConnection } from 'node:net';
import t from 'tap';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import { startDirectoryProcess } from '../helpers/directory-process.js';
import { createTestClock } from '../helpers/test-clock.js';
import { joinMany, nickOf, NO_RATES_CONFIG } from './many.js';
import { CLUSTER_TIMERS, oneProcess, runDirectory, turn, until } from './wire.js';

const AT_ONCE = 50;
const ENDLESS_BYTES = 1_900_000;
const MEGABYTE = 1_000_000;

/** Connects this many peers under fresh nicks, a few at once; each one handshakes and leaves. */
async function comeAndGo(
  directory: { readonly port: number },
  name: string,
  count: number,
): Promise<void> {
  for (let first = 0; first < count; first += AT_ONCE) {
    const wave = Array.from({ length: AT_ONCE }, (_, n) =>
      joinMany(directory.port, nickOf(name, first + n)),
    );
    const accepted = await Promise.all(wave.map((peer) => peer.accepted));
    if (accepted.includes(false)) throw new Error('a peer was not accepted');
    for (const { socket } of wave) socket.destroy();
    await Promise.all(wave.map((peer) => peer.closed));
  }
}

/** Sends bytes without the end of a line until the connection is closed. */
async function pushEndless(port: number): Promise<void> {
  const socket = createConnection({ host: '127.0.0.1', port });
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.resume();
  socket.write(Buffer.alloc(ENDLESS_BYTES, 'x'));
  await closed;
}

void t.test('peers that came and went leave no record, timer or descriptor', async (t) => {
  const clock = createTestClock();
  const running = await runDirectory({ clock });
  const { directory, stop } = running;
  await comeAndGo(running, 'w', AT_ONCE);
  await until(() => directory.connectionCount === 0);
  const descriptors = readdirSync('/proc/self/fd').length;

  await comeAndGo(running, 'c', 10 * AT_ONCE);
  await until(() => directory.connectionCount === 0);
  const { handshakesAccepted, leavesAnnounced, logBytes, unhandshaked } = directory.stats();
  t.equal(handshakesAccepted, 11 * AT_ONCE);
  t.equal(leavesAnnounced, 11 * AT_ONCE, 'each leave was sent once');
  t.equal(directory.peerCount, 0);
  t.equal(unhandshaked, 0);
  t.equal(clock.pending, CLUSTER_TIMERS, 'no timer');
  t.ok(logBytes <= 262_144, 'no more of the log than the piece being written');
  t.equal(readdirSync('/proc/self/fd').length, descriptors, 'no descriptor at either end');
  await stop();
});

const OF_PROGRAM = oneProcess('memory and descriptors of one program; processes.test.ts has three');

void t.test('a process with peers that came and went, and endless lines', OF_PROGRAM, async (t) => {
  const statusPort = await freePort();
  const directory = await startDirectoryProcess(t, statusPort, NO_RATES_CONFIG);

  async function untilEmpty(): Promise<void> {
    while ((await directory.status())['peers'] !== 0) await turn();
  }
  await comeAndGo(directory, 'w', 40 * AT_ONCE);
  await untilEmpty();
  const before = await directory.rss();
  const descriptors = await directory.descriptors();
  await comeAndGo(directory, 'c', 20 * AT_ONCE);
  await untilEmpty();
  const after = await directory.rss();
  t.ok(after < before * 1.1, `from ${before} to ${after} bytes in ${20 * AT_ONCE} cycles`);
  await t.resolves(directory.untilDescriptors(descriptors), 'descriptors are back');

  await Promise.all(Array.from({ length: 100 }, () => pushEndless(directory.port)));
  t.pass('all of them were closed');
  const grown = (await directory.rss()) - after;
  t.ok(grown < 20 * MEGABYTE, `${grown} bytes more after 100 endless lines`);
  t.equal((await directory.status())['peers'], 0);
});
