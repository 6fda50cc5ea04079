/** An exit of the lab with the world behind it: UDP to this machine, never further, and codes of the admission engine. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { AdmissionEngine } from '../../../src/admission/engine.js';
import type { AuditEntry } from '../../../src/admission/api.js';
import { accessByCode } from '../../../src/lab/llarp/exit-access.js';
import { LoopbackTarget, MAX_FLOWS_OF_ONE } from '../../../src/lab/llarp/exit-target.js';
import { newSigningKeys } from '../../../src/llarp/crypto.js';
import { readIpPacket, TCP, udpPayload } from '../../../src/llarp/exit/ip-packet.js';
import { lokiHost } from '../../../src/protocol/loki-address.js';
import { bookOf, madeCode, NOW } from '../../admission/sample.js';
import { createTestClock } from '../../helpers/test-clock.js';
import { address, CLIENT, ExitScene, udp, type SeenClient } from '../../llarp/exit-scene.js';
import { seeded } from '../../llarp/lab.js';

/** Answers each datagram with the same text in capitals. */
async function echo(t: Test): Promise<{ readonly port: number; readonly socket: Socket }> {
  const socket = createSocket('udp4');
  socket.on('message', (text, { address: host, port }) => {
    socket.send(text.toString().toUpperCase(), port, host);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.teardown(() => socket.close());
  return { port: socket.address().port, socket };
}

function textOf(packet: Uint8Array): string {
  const read = readIpPacket(packet);
  if (!read.ok) throw new Error(read.reason);
  return Buffer.from(udpPayload(read.value) ?? []).toString();
}

/** Lets the sockets and the lab work until a client has so many packets. */
async function packetsOf(
  scene: ExitScene,
  { packets }: SeenClient,
  count: number,
): Promise<string[]> {
  for (let i = 0; i < 10_000 && packets.length < count; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one turn after the other
    await turn();
    scene.pass(10);
  }
  return packets.map(textOf).toSorted();
}

function world(t: Test): { readonly target: LoopbackTarget; readonly scene: ExitScene } {
  const target = new LoopbackTarget(createTestClock());
  t.teardown(() => target.close());
  return { target, scene: new ExitScene({ target }) };
}

t.test(
  'UDP of two clients reaches a service on this machine, and its answers come back',
  async (t) => {
    const { target, scene } = world(t);
    const { port } = await echo(t);
    const server = { address: address(127, 0, 0, 1), port };
    const alice = scene.client();
    const bob = scene.client({}, { creator: 4, hops: [5, 6, 3] });
    scene.pass();
    alice.exit.send(udp('from alice', server), udp('again', server));
    bob.exit.send(udp('from bob', server));
    t.same(await packetsOf(scene, alice, 2), ['AGAIN', 'FROM ALICE']);
    t.same(await packetsOf(scene, bob, 1), ['FROM BOB']);
    t.equal(target.flows, 2);
    const read = readIpPacket(alice.packets[0] ?? new Uint8Array(0));
    t.match(read, {
      value: { source: server.address, sourcePort: port, destinationPort: CLIENT.port },
    });
    bob.exit.close();
    scene.pass();
    t.equal(target.flows, 1, 'the flows of a closed exit are closed');
  },
);

t.test('nothing leaves this machine: other destinations and TCP are dropped', async (t) => {
  const { target, scene } = world(t);
  const alice = scene.client();
  scene.pass();
  const port = 9;
  for (const host of [
    address(10, 0, 0, 1),
    address(8, 8, 8, 8),
    address(255, 255, 255, 255),
    address(224, 0, 0, 1),
    address(0, 0, 0, 0),
  ]) {
    t.ok(alice.exit.send(udp('out', { address: host, port })));
  }
  const tcp = udp('tcp', { address: address(127, 0, 0, 1), port });
  tcp[9] = TCP;
  // The sum of the header with this protocol.
  const sum = ((tcp[10] ?? 0) << 8) + (tcp[11] ?? 0) + (17 - TCP);
  tcp.set([sum >> 8, sum & 255], 10);
  alice.exit.send(tcp);
  alice.exit.send(udp('no port', { address: address(127, 0, 0, 1), port: 0 }));
  scene.pass();
  await turn();
  t.same(target.dropped, { destination: 5, protocol: 2, flows: 0, socket: 0 });
  t.equal(target.flows, 0);
});

t.test('answers of another port, and datagrams of strangers, are dropped', async (t) => {
  const { target, scene } = world(t);
  const { port, socket } = await echo(t);
  const other = await echo(t);
  socket.removeAllListeners('message');
  const alice = scene.client();
  scene.pass();
  const arrived = new Promise<number>((resolve) => {
    socket.once('message', (_, from) => resolve(from.port));
  });
  alice.exit.send(udp('question', { address: address(127, 0, 0, 1), port }));
  scene.pass();
  const flowPort = await arrived;
  other.socket.send('not asked for', flowPort, '127.0.0.1');
  for (let i = 0; i < 10_000 && target.dropped.socket === 0; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one turn after the other
    await turn();
  }
  t.equal(target.dropped.socket, 1);
  socket.send('answer', flowPort, '127.0.0.1');
  t.same(await packetsOf(scene, alice, 1), ['answer']);
});

t.test('the flows of one client are bounded, and idle ones are closed', async (t) => {
  const clock = createTestClock();
  const target = new LoopbackTarget(clock);
  t.teardown(() => target.close());
  const scene = new ExitScene({ target });
  const { exit, seen } = scene.client();
  scene.pass();
  const { port } = await echo(t);
  const server = { address: address(127, 0, 0, 1), port };
  for (let i = 0; i <= MAX_FLOWS_OF_ONE; i++) {
    exit.send(udp('x', server, { ...CLIENT, port: 1_000 + i }));
  }
  scene.pass();
  t.equal(target.flows, MAX_FLOWS_OF_ONE);
  t.equal(target.dropped.flows, 1);
  t.equal(
    seen.messages.filter(({ kind }) => kind === 'discarded').length,
    1,
    'and the client is told',
  );
  clock.advance(60_000);
  t.equal(target.flows, 0);
  t.equal(clock.pending, 0);
});

const code = (text: string) => ({ code: Uint8Array.from(Buffer.from(text)) });

t.test('codes of the admission engine: valid, bound to a key, revoked, unknown', async (t) => {
  const random = seeded('codes');
  const keys = newSigningKeys(random);
  const any = madeCode();
  const bound = madeCode({ addresses: [lokiHost(keys.publicKey)] });
  const revoked = madeCode({ revoked: NOW - 1 });
  const audit: AuditEntry[] = [];
  const engine = new AdmissionEngine({
    backend: bookOf([any.record, bound.record, revoked.record]),
    onDecision: (entry) => audit.push(entry),
  });
  const scene = new ExitScene({ admits: accessByCode(engine, () => NOW) });
  const cases = [
    { name: 'valid', request: code(any.text), event: 'open', reason: 'admitted' },
    {
      name: 'of its key',
      request: { ...code(bound.text), keys },
      event: 'open',
      reason: 'admitted',
    },
    {
      name: 'of another key',
      request: code(bound.text),
      event: 'rejected',
      reason: 'other-address',
    },
    { name: 'revoked', request: code(revoked.text), event: 'rejected', reason: 'revoked' },
    { name: 'unknown', request: code('a'.repeat(40)), event: 'rejected', reason: 'unknown-code' },
  ] as const;
  for (const [i, { name, request, event, reason }] of cases.entries()) {
    const client = scene.client(request, { creator: [0, 4, 5, 6, 7][i] ?? 0 });
    for (let round = 0; round < 20; round++) {
      scene.pass(50);
      // oxlint-disable-next-line no-await-in-loop -- one turn after the other
      await turn();
    }
    t.same(client.events, [event], name);
    t.match(audit.at(-1), { reason, address: lokiHost(client.exit.key) }, name);
  }
});
