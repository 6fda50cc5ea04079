/** Where names go, and what a failed look-up means: the overlay fails closed. */
import { createConnection } from 'node:net';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import type { Connection, Overlay, ServiceState } from '../../src/channel/ports.js';
import { LokinetResolver } from '../../src/lokinet/resolver.js';
import { createLokinetOverlay } from '../../src/lokinet/overlay.js';
import { createOverlaySet } from '../../src/overlay/overlay-set.js';
import { createTorOverlay } from '../../src/overlay/tor.js';
import { onionHost, type Location } from '../../src/protocol/location.js';
import { lokiHost } from '../../src/protocol/loki-address.js';
import { acceptor } from '../helpers/connection-peer.js';
import { watchLookups } from '../helpers/lokinet/lookups.js';
import { LokinetNetwork, type LokinetNode } from '../helpers/lokinet/network.js';
import { createTestClock } from '../helpers/test-clock.js';
import { createServer, type Socket } from 'node:net';

const PORT = 5222;
const { signal } = new AbortController();
const ONION: Location = { kind: 'onion', host: onionHost(new Uint8Array(32).fill(1)), port: PORT };

function networkFor(t: Test, pathMs = 200): LokinetNetwork {
  const network = new LokinetNetwork({ pathMs });
  t.teardown(() => network.close());
  return network;
}

const at = ({ host }: LokinetNode, port = PORT): Location => ({ kind: 'loki', host, port });

/** A SOCKS port that notes what it is asked and answers nothing. */
async function socksStub(t: Test): Promise<{ readonly port: number; readonly asked: Buffer[] }> {
  const asked: Buffer[] = [];
  const server = createServer((socket: Socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write(Buffer.from([5, 0]));
      socket.on('data', (bytes: Buffer) => {
        asked.push(bytes);
        socket.destroy();
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const address = server.address();
  return { asked, port: address !== null && typeof address === 'object' ? address.port : 0 };
}

t.test('a name goes to its own network or nowhere', async (t) => {
  const network = networkFor(t);
  const [client, service] = [await network.node(), await network.node()];
  const lookedUp = watchLookups(t);
  const socks = await socksStub(t);
  const tor = createTorOverlay({ socks: { kind: 'tcp', host: '127.0.0.1', port: socks.port } });
  const lokinet = createLokinetOverlay({ dns: client.dns, virtualPort: undefined });
  const both = createOverlaySet([tor, lokinet]);

  await t.rejects(both.dial(at(service), { signal }), { code: 'dial-failed' }, 'nothing listens');
  t.same(client.asked, [`${service.host} A`]);
  t.same(socks.asked, [], 'Tor was not asked for it');
  client.asked.length = 0;
  await t.rejects(both.dial(ONION, { signal }));
  t.same(client.asked, [], 'Lokinet was not asked for the onion');
  t.equal(socks.asked.length, 1);
  t.ok(socks.asked[0]?.includes(ONION.host));

  const strays: readonly Location[] = [
    { ...at(service), kind: 'onion' },
    { ...ONION, kind: 'loki' },
    { kind: 'loki', host: 'example.com', port: PORT },
    { kind: 'loki', host: `${service.host}.`, port: PORT },
    { kind: 'loki', host: 'localhost.loki', port: PORT },
    { kind: 'loki', host: service.host.replace('.loki', '.snode'), port: PORT },
    { kind: 'loki', host: '127.0.0.1', port: PORT },
  ];
  socks.asked.length = 0;
  for (const stray of strays) {
    // oxlint-disable-next-line no-await-in-loop
    await t.rejects(both.dial(stray, { signal }), JSON.stringify(stray));
    const alone = stray.kind === 'loki' ? lokinet : tor;
    // oxlint-disable-next-line no-await-in-loop
    await t.rejects(alone.dial(stray, { signal }));
  }
  await t.rejects(tor.dial(at(service), { signal }), 'Tor refuses a name of Lokinet');
  await t.rejects(lokinet.dial(ONION, { signal }), { code: 'location-refused' });
  t.same(client.asked, []);
  t.same(socks.asked, []);
  t.same(lookedUp, [], 'the system was asked for no name');

  createConnection({ host: 'localhost', port: 1 }).on('error', () => {});
  t.same(lookedUp, ['localhost'], 'the watch sees one that the system is asked for');
});

t.test('each failure of a look-up has its own words', async (t) => {
  const network = networkFor(t);
  const [client, dead] = [await network.node(), await network.node()];
  dead.isReachable = false;
  const overlay = createLokinetOverlay({ dns: client.dns, virtualPort: undefined });
  await t.rejects(overlay.dial(at(dead), { signal }), {
    code: 'dial-failed',
    ours: false,
    message: `cannot connect to ${dead.host}:5222: Lokinet found no path to it in its time: the service may be down`,
  });
  const name: Location = { kind: 'loki', host: 'nobody.loki', port: PORT };
  await t.rejects(overlay.dial(name, { signal }), {
    code: 'dial-failed',
    ours: false,
    message: /nobody\.loki:5222: Lokinet knows no such name: it is mistyped or not registered/,
  });
  await client.stop();
  await t.rejects(overlay.dial(name, { signal }), {
    code: 'carrier-unreachable',
    ours: true,
    message: new RegExp(
      `resolver does not answer \\(E.*start Lokinet.*or correct dns.*127\\.0\\.0\\.1:${client.dns.port}`,
    ),
  });
  await t.rejects(
    overlay.serve(() => {}, { signal }),
    { code: 'not-serving' },
  );
});

t.test('a resolver that is not Lokinet’s is not believed', async (t) => {
  const network = networkFor(t);
  const [client, service] = [await network.node(), await network.node()];
  client.mapsTo = '198.51.100.7';
  const overlay = createLokinetOverlay({ dns: client.dns, virtualPort: undefined });
  await t.rejects(overlay.dial(at(service), { signal }), {
    code: 'carrier-unreachable',
    ours: true,
    message: /is not Lokinet's, since it maps the name to a public address/,
  });
});

t.test('a look-up for each dial; it can be aborted, and has an end', async (t) => {
  const network = networkFor(t, 600_000);
  const [client, dead] = [await network.node(), await network.node()];
  dead.isReachable = false;
  const clock = createTestClock();
  const overlay = createLokinetOverlay({ dns: client.dns, virtualPort: undefined, clock });
  const abort = new AbortController();
  const aborted = overlay.dial(at(dead), { signal: abort.signal });
  while (client.asked.length < 1) await new Promise((resolve) => setImmediate(resolve));
  abort.abort();
  await t.rejects(aborted, { message: `dial of ${dead.host}:5222 aborted` });
  const late = overlay.dial(at(dead), { signal });
  while (client.asked.length < 2) await new Promise((resolve) => setImmediate(resolve));
  clock.advance(120_000);
  await t.rejects(late, { code: 'dial-failed', message: /no answer in 120 s/ });
  t.equal(client.asked.length, 2, 'no answer is kept');
  t.equal(clock.pending, 0);
});

async function servedBy(
  overlay: Overlay,
  states: ServiceState[] = [],
  onConnection: (connection: Connection) => void = (connection) => connection.destroy(),
) {
  return overlay.serve(onConnection, { signal, onState: (state) => states.push(state) });
}

t.test('the port of a directory is read from its SRV record', async (t) => {
  const network = networkFor(t);
  const [client, service] = [await network.node(), await network.node()];
  const accept = acceptor();
  const served = await servedBy(
    createLokinetOverlay({ dns: service.dns, virtualPort: 5333 }),
    [],
    (connection) => accept.onConnection(connection),
  );
  t.teardown(() => served.close());
  const overlay = createLokinetOverlay({
    dns: client.dns,
    virtualPort: undefined,
    portFromSrv: new Set([service.host]),
  });
  await t.rejects(overlay.dial(at(service), { signal }), 'without a record the usual port');
  const record = { priority: 10, weight: 0, port: 5333, target: 'localhost.loki' };
  for (const [given, reached] of [
    [{ ...record, target: 'elsewhere.loki' }, false],
    [{ ...record, port: 5334 }, false],
    [record, true],
    [{ ...record, target: service.host }, true],
  ] as const) {
    service.records.set('_joinmarket._tcp', given);
    const dialling = overlay.dial(at(service), { signal });
    // oxlint-disable-next-line no-await-in-loop
    const connection = await dialling.catch(() => undefined);
    t.equal(connection !== undefined, reached, JSON.stringify(given));
    connection?.destroy();
  }
});

t.test('the peer of a connection is known by its PTR, or null', async (t) => {
  const network = networkFor(t);
  const [client, service] = [await network.node(), await network.node()];
  const connections: Connection[] = [];
  const accept = acceptor();
  const served = await servedBy(
    createLokinetOverlay({ dns: service.dns, virtualPort: PORT }),
    [],
    (connection) => {
      connections.push(connection);
      accept.onConnection(connection);
    },
  );
  t.teardown(() => served.close());
  t.same(served.locations, [at(service)]);
  t.equal(served.listensOn, `${service.address}:5222`);
  const overlay = createLokinetOverlay({ dns: client.dns, virtualPort: undefined });
  const dialled = async (text: string): Promise<void> => {
    const connection = await overlay.dial(at(service), { signal });
    t.teardown(() => connection.destroy());
    connection.write(Buffer.from(text));
  };
  await dialled('x');
  t.equal((await (await accept.next()).read(1)).toString(), 'x');
  t.equal(connections[0]?.peerHost, client.host);

  client.claimedHost = 'x.snode';
  await dialled('y');
  await (await accept.next()).read(1);
  t.equal(connections[1]?.peerHost, null, 'not the address of a service');

  const local = createConnection({ host: service.address, port: PORT });
  await once(local, 'connect');
  local.write('z');
  await (await accept.next()).read(1);
  t.equal(connections[2]?.peerHost, null, 'a program of this machine');
  local.destroy();
});

t.test('a service finds its name, and watches it', async (t) => {
  const network = networkFor(t);
  const node = await network.node();
  const clock = createTestClock();
  const states: ServiceState[] = [];
  const lines: string[] = [];
  const log = {
    error: () => {},
    warn: (text: string) => void lines.push(text),
    info: (text: string) => void lines.push(text),
    debug: () => {},
  };
  const overlay = createLokinetOverlay({ dns: node.dns, virtualPort: PORT, clock, log });
  const served = await servedBy(overlay, states);
  t.teardown(() => served.close());
  t.match(states, [
    { state: 'starting', detail: /asking Lokinet's resolver at/ },
    { state: 'reachable' },
  ]);
  while (lines.length === 0) await new Promise((resolve) => setImmediate(resolve));
  t.match(lines, [/add srv=_joinmarket\._tcp 10 0 5222 to its section \[network\]/]);

  async function afterLook(): Promise<ServiceState | undefined> {
    const before = states.length;
    while (clock.pending === 0) await new Promise((resolve) => setImmediate(resolve));
    clock.advance(30_000);
    while (states.length === before) await new Promise((resolve) => setImmediate(resolve));
    return states.at(-1);
  }
  await node.stop();
  t.match(await afterLook(), { state: 'lost', detail: /resolver does not answer/ });
  await node.start();
  t.same(await afterLook(), { state: 'reachable' });
  node.claimedHost = lokiHost(new Uint8Array(32).fill(7));
  t.match(await afterLook(), { state: 'lost', detail: /another address now; set keyfile/ });
});

t.test('without Lokinet a service does not start', async (t) => {
  const network = networkFor(t);
  const node = await network.node();
  await node.stop();
  const overlay = createLokinetOverlay({ dns: node.dns, virtualPort: PORT });
  await t.rejects(servedBy(overlay), {
    code: 'carrier-unreachable',
    message: /cannot serve on Lokinet: Lokinet's resolver does not answer.*start Lokinet/,
  });
  const resolver = new LokinetResolver(node.dns);
  await t.rejects(resolver.addressOf('example.com', signal), { name: 'RangeError' });
});
