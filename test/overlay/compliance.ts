import { randomBytes } from 'node:crypto';
import type { Test } from 'tap';
import type { Overlay, Served } from '../../src/channel/ports.js';
import { formatLocation, type Location } from '../../src/protocol/location.js';
import {
  acceptor,
  connectionPeer,
  type Acceptor,
  type ConnectionPeer,
} from '../helpers/connection-peer.js';

/** The parts that an overlay gives to the suite. */
export interface ComplianceSubject {
  /** An overlay that can serve; each call gives one with a location of its own. */
  server(): Overlay;
  /** The overlay that dials. */
  readonly dialer: Overlay;
  /** A well-formed location without a service. */
  readonly deadLocation: Location;
  /** A well-formed location that this overlay must refuse by rule. */
  readonly foreignLocation: Location;
}

interface Service {
  readonly served: Served;
  readonly acceptor: Acceptor;
}

const LARGE_BYTES = 5_000_000;
const CHUNK_BYTES = 1_000_000;
/** More than any path buffers while its reader pauses. */
const MOST_CHUNKS = 100;

/** Serves and waits until peers can reach it. */
async function serveReachable(overlay: Overlay, accept: Acceptor): Promise<Service> {
  let tell: (() => void) | undefined;
  const reachable = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const served = await overlay.serve((connection) => accept.onConnection(connection), {
    signal: new AbortController().signal,
    onState: (state) => {
      if (state.state === 'reachable') tell?.();
    },
  });
  await reachable;
  return { served, acceptor: accept };
}

/** Asserts that `closed` was called once and last at each end. */
async function bothClosed(t: Test, ...peers: readonly ConnectionPeer[]): Promise<void> {
  await Promise.all(peers.map((peer) => peer.closed));
  for (const peer of peers) {
    t.equal(peer.closeCount, 1, 'closed is called once');
    t.notOk(peer.dataAfterClose, 'closed is last');
    t.ok(peer.connection.closed);
    t.equal(peer.connection.queuedBytes, 0);
  }
}

/** The contract of `channel/ports`, run against a real overlay. */
export async function overlayCompliance(t: Test, subject: ComplianceSubject): Promise<void> {
  const { dialer } = subject;
  const signal = new AbortController().signal;
  const service = await serveReachable(subject.server(), acceptor());

  async function pair(): Promise<{ client: ConnectionPeer; server: ConnectionPeer }> {
    const client = connectionPeer(await dialer.dial(service.served.locations[0], { signal }));
    return { client, server: await service.acceptor.next() };
  }
  await t.test('it reaches its own locations and refuses others', async (t) => {
    for (const { kind } of service.served.locations) t.ok(dialer.reachable.has(kind));
    t.notOk(dialer.reachable.has(subject.foreignLocation.kind));
    await t.rejects(dialer.dial(subject.foreignLocation, { signal }), {
      code: 'location-refused',
      message: formatLocation(subject.foreignLocation),
    });
  });

  await t.test('exchange both ways, in order', async (t) => {
    const { client, server } = await pair();
    for (const text of ['one ', 'two ', 'three']) client.connection.write(Buffer.from(text));
    t.equal((await server.read(13)).toString(), 'one two three');
    for (const text of ['four ', 'five']) server.connection.write(Buffer.from(text));
    t.equal((await client.read(9)).toString(), 'four five');
    const numbers = Array.from({ length: 2_000 }, (_, index) => `${index}\n`);
    for (const number of numbers) client.connection.write(Buffer.from(number));
    const expected = numbers.join('');
    t.equal((await server.read(expected.length)).toString(), expected);
    client.connection.end();
    await bothClosed(t, client, server);
  });

  await t.test('5 MB both ways at once arrive intact', async (t) => {
    const { client, server } = await pair();
    const there = randomBytes(LARGE_BYTES);
    const back = randomBytes(LARGE_BYTES);
    client.connection.write(there);
    server.connection.write(back);
    const [gotThere, gotBack] = await Promise.all([
      server.read(LARGE_BYTES),
      client.read(LARGE_BYTES),
    ]);
    t.ok(gotThere.equals(there));
    t.ok(gotBack.equals(back));
    server.connection.end();
    await bothClosed(t, client, server);
  });

  await t.test('a reader that pauses shows in queuedBytes of the writer', async (t) => {
    const client = connectionPeer(await dialer.dial(service.served.locations[0], { signal }));
    const reader = await service.acceptor.next();
    reader.connection.pause();
    // The network and the kernels hold a bounded amount, so this ends.
    const chunk = randomBytes(CHUNK_BYTES);
    let written = 0;
    while (client.connection.queuedBytes === 0 && written < MOST_CHUNKS * CHUNK_BYTES) {
      client.connection.write(chunk);
      written += CHUNK_BYTES;
      await new Promise((resolve) => setImmediate(resolve));
    }
    t.ok(client.connection.queuedBytes > 0, `shown after ${written} bytes`);
    const done = new Promise<void>((resolve) => {
      client.connection.write(chunk, resolve);
    });
    written += CHUNK_BYTES;
    const queued = client.connection.queuedBytes;
    // After a round trip on another connection, the reader's process has had its turn.
    const other = await pair();
    other.client.connection.write(Buffer.from('ping'));
    await other.server.read(4);
    other.client.connection.end();
    await bothClosed(t, other.client, other.server);
    t.equal(reader.received, 0, 'nothing is delivered while paused');
    const samples: number[] = [];
    const received = reader.read(written);
    reader.connection.resume();
    while (reader.received < written) {
      samples.push(client.connection.queuedBytes);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await done;
    t.ok(
      (await received).equals(
        Buffer.concat(Array.from({ length: written / CHUNK_BYTES }, () => chunk)),
      ),
    );
    t.ok(
      samples.every((sample, index) => sample <= (samples[index - 1] ?? queued)),
      'it only falls while the reader drains',
    );
    t.equal(client.connection.queuedBytes, 0);
    client.connection.destroy();
    await bothClosed(t, client, reader);
  });

  await t.test('end first sends the queued bytes', async (t) => {
    const { client, server } = await pair();
    const bytes = randomBytes(1_000_000);
    client.connection.write(bytes);
    client.connection.end(60_000);
    client.connection.write(Buffer.from('after the end'));
    await bothClosed(t, client, server);
    t.ok(server.rest().equals(bytes), 'all bytes written before the end, and no later ones');
  });

  await t.test('destroy is seen by the other side, and writes after it do nothing', async (t) => {
    const { client, server } = await pair();
    server.connection.write(Buffer.from('hello'));
    await client.read(5);
    client.connection.destroy();
    t.ok(client.connection.closed);
    client.connection.write(Buffer.from('too late'), () => t.fail('done after destroy'));
    client.connection.end();
    client.connection.destroy();
    await bothClosed(t, client, server);
    t.equal(server.rest().length, 0);
  });

  await t.test('bytes sent before the dialler attaches wait for it', async (t) => {
    const dialling = dialer.dial(service.served.locations[0], { signal });
    const server = await service.acceptor.next();
    await new Promise<void>((resolve) => {
      server.connection.write(Buffer.from('early '), resolve);
    });
    const connection = await dialling;
    await new Promise<void>((resolve) => {
      server.connection.write(Buffer.from('and '), resolve);
    });
    server.connection.write(Buffer.from('late'));
    const client = connectionPeer(connection);
    t.equal((await client.read(14)).toString(), 'early and late');
    server.connection.end();
    await bothClosed(t, client, server);
  });

  await t.test('a dial to a location without a service rejects and names it', async (t) => {
    await t.rejects(dialer.dial(subject.deadLocation, { signal }), {
      message: formatLocation(subject.deadLocation),
    });
  });

  await t.test('a dial can be aborted, before its start and later', async (t) => {
    const message = /abort/;
    await t.rejects(
      dialer.dial(service.served.locations[0], { signal: AbortSignal.abort() }),
      { message },
      'before',
    );
    const abort = new AbortController();
    const dialling = dialer.dial(subject.deadLocation, { signal: abort.signal });
    abort.abort();
    await t.rejects(dialling, { message }, 'during the dial');
  });

  await t.test('two services do not mix', async (t) => {
    const second = await serveReachable(
      subject.server(),
      acceptor((peer) => peer.connection.write(Buffer.from('second'))),
    );
    t.not(formatLocation(second.served.locations[0]), formatLocation(service.served.locations[0]));
    const { client, server } = await pair();
    const other = connectionPeer(await dialer.dial(second.served.locations[0], { signal }));
    t.equal((await other.read(6)).toString(), 'second');
    t.equal(client.received, 0);
    const otherServer = await second.acceptor.next();
    other.connection.end();
    client.connection.end();
    await bothClosed(t, client, server, other, otherServer);
    await second.served.close();
    t.equal(second.acceptor.accepted, 1);
  });

  await t.test('after close connections stay open, and no new one is accepted', async (t) => {
    const { client, server } = await pair();
    await service.served.close();
    server.connection.write(Buffer.from('still here'));
    t.equal((await client.read(10)).toString(), 'still here');
    const { accepted } = service.acceptor;
    await t.rejects(dialer.dial(service.served.locations[0], { signal }));
    t.equal(service.acceptor.accepted, accepted);
    client.connection.end();
    await bothClosed(t, client, server);
  });
}
