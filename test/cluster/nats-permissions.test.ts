/**
 * A node whose NATS user may not subscribe, and a server that is reloaded with other permissions. The client library
 * makes a denied subscription never again (findings/nats-denied-subscription.sh).
 */
import t from 'tap';
import type { BusState } from '../../src/cluster/bus.js';
import { natsBus } from '../../src/cluster/nats/nats-bus.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { until } from '../directory/wire.js';
import { startNatsServer } from '../helpers/nats-server.js';

/** A server that lets the only user publish everywhere, and subscribe to one subject. */
const allowing = (subject: string): string => `authorization { users: [
  { user: alpha, password: secret, permissions: { publish: ">", subscribe: "${subject}" } }
] }
`;

void t.test('a denied subscription is made again until the server allows it', async (t) => {
  const server = await startNatsServer(t, allowing('other'));
  const bus = natsBus({
    servers: [{ host: '127.0.0.1', port: server.port }],
    tls: false,
    name: 'onionmc a',
    credentials: { kind: 'password', user: 'alpha', password: 'secret' },
    clock: systemClock,
  });
  const states: BusState[] = [];
  const packets: string[] = [];
  await bus.open('onionmc.pit', 'a', {
    state: (state) => void states.push(state),
    packet: (bytes) => void packets.push(Buffer.from(bytes).toString()),
  });
  t.teardown(() => bus.close());
  const isUp = (): boolean => states.at(-1)?.connected === true;

  await until(() => states.length > 0);
  t.strictSame(
    states.map(({ connected }) => connected),
    [false],
    'it was never said to be connected',
  );
  t.match(states[0]?.detail, /Permissions Violation for Subscription/);
  t.notOk(bus.publish('a', Buffer.from('lost')), 'nothing is published meanwhile');

  await server.reload(allowing('onionmc.pit.>'));
  await until(isUp);
  t.ok(bus.publish(undefined, Buffer.from('to all')));
  t.ok(bus.publish('a', Buffer.from('to one')));
  await until(() => packets.length === 2);
  t.strictSame(packets, ['to all', 'to one']);

  await server.reload(allowing('onionmc.pit.all'));
  await until(() => !isUp());
  t.match(states.at(-1)?.detail, /onionmc\.pit\.to\.a/);
  await server.reload(allowing('onionmc.pit.>'));
  await until(isUp);
  t.ok(bus.publish('a', Buffer.from('again')));
  await until(() => packets.length === 3);
  t.equal(packets[2], 'again');
});
