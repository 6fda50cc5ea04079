/** A peer dials its own onion through its own Tor, on another circuit: real Tor on a private network. */
import { randomBytes } from 'node:crypto';
import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { openMessageChannel, type OnionMessageChannel } from '../../src/channel/message-channel.js';
import type { Overlay } from '../../src/channel/ports.js';
import { keepAlive } from '../../src/kit/keep-alive.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { createNickKey } from '../../src/protocol/nick.js';
import { onionHost } from '../../src/protocol/location.js';
import { OutsideTest } from '../../src/roles/outside-test.js';
import { torOverlaysFor } from '../helpers/tor-network.js';

// The timers of the clock do not keep a process alive.
t.teardown(keepAlive());

/** A peer whose onion Tor reports as reachable. Its directory does not answer. */
async function servedPeer(t: Test, overlay: Overlay): Promise<OnionMessageChannel> {
  const dead = { kind: 'onion', host: onionHost(randomBytes(32)), port: await freePort() } as const;
  const channel = openMessageChannel({
    network: 'signet',
    directories: [dead],
    overlay,
    nickKey: createNickKey(randomBytes),
    serve: true,
    clock: systemClock,
    random: Math.random,
    log: silentLog,
  });
  t.teardown(() => channel.close());
  await new Promise<void>((resolve) => {
    channel.on('service-state', ({ state }) => {
      if (state === 'reachable') resolve();
    });
  });
  return channel;
}

t.test('the own onion answers, and that of the next identity', { timeout: 110_000 }, async (t) => {
  const overlays = await torOverlaysFor(t);
  const overlay = overlays.server();
  const told: (() => void)[] = [];
  const test = new OutsideTest({
    dialer: overlay,
    network: 'signet',
    clock: systemClock,
    random: () => 0,
    log: {
      ...silentLog,
      info: () => {
        for (const tell of told.splice(0)) tell();
      },
    },
    timings: { firstMs: 100, everyMs: 500, limitMs: 20_000, confirmMs: 100 },
  });
  t.teardown(() => test.stop());
  const nicks: string[] = [];
  const hosts: string[] = [];
  for (const identity of ['first', 'second']) {
    // oxlint-disable-next-line no-await-in-loop -- one identity after the other
    const channel = await servedPeer(t, overlay);
    const [location] = channel.locations;
    if (location === undefined) throw new Error('not served');
    nicks.push(channel.nick);
    hosts.push(location.host);
    const answered = new Promise<void>((resolve) => told.push(resolve));
    test.watch({ location, nick: channel.nick });
    t.equal(test.report.reachable, undefined, `${identity}: not known yet`);
    // oxlint-disable-next-line no-await-in-loop
    await answered;
    t.ok((test.report.dialMs ?? 0) > 0, `${identity}: dialled in ${test.report.dialMs} ms`);
    // oxlint-disable-next-line no-await-in-loop
    await new Promise<void>((resolve) => setImmediate(resolve));
    t.equal(test.report.reachable, true);
    // oxlint-disable-next-line no-await-in-loop
    await channel.close();
  }
  t.equal(new Set([...nicks, ...hosts]).size, 4, 'two nicks, two onions');
});
