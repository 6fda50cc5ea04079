import t from 'tap';
import { anyPort, keyOf, openProbe } from '../helpers/channel-probe.js';
import { serveDirectory } from '../helpers/directory-service.js';
import { createTestClock } from '../helpers/test-clock.js';
import { channelCompliance, LOOPBACK } from './compliance.js';

t.test('compliance over loopback sockets', (t) => channelCompliance(t, LOOPBACK));

t.test(
  'a directory restarts after a stable session: all are back within ten seconds',
  async (t) => {
    const clock = createTestClock();
    const directory = await serveDirectory(t, anyPort(), clock, 'J5directoryOOOOO');
    const peers = Array.from({ length: 20 }, (_, n) =>
      // The jitter from its least to its most.
      openProbe([directory.location], { clock, nickKey: keyOf(30 + n), random: () => n / 20 }),
    );
    t.teardown(() => Promise.all(peers.map((peer) => peer.close())));
    for (let restart = 0; restart < 3; restart++) {
      await Promise.all(peers.map((peer) => peer.next('directory-up')));
      clock.advance(60_000);
      await directory.stop();
      const downs = await Promise.all(peers.map((peer) => peer.next('directory-down')));
      const waits = downs.map(({ retryInMs = Infinity }) => retryInMs);
      t.ok(Math.max(...waits) <= 10_000, `at most ${Math.max(...waits)} ms`);
      t.ok(new Set(waits).size > 15, 'and not all at the same moment');
      directory.start();
      clock.advance(10_000);
    }
    await Promise.all(peers.map((peer) => peer.next('directory-up')));
    t.equal(directory.peerCount, peers.length);
  },
);
