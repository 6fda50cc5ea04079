import { createServer, createConnection, type Socket } from 'node:net';
import t from 'tap';
import { listen } from '../../src/overlay/listen.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { socketConnection } from '../../src/overlay/socket-connection.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { silentLog } from '../../src/channel/log.js';
import { connectionPeer } from '../helpers/connection-peer.js';
import { createMemoryNetwork } from '../helpers/memory-overlay.js';
import { createTestClock } from '../helpers/test-clock.js';
import { overlayCompliance } from './compliance.js';

const signal = new AbortController().signal;

/** A port without a listener. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return address !== null && typeof address === 'object' ? address.port : 0;
}

/** Two ends of a TCP connection: one wrapped, one raw that does nothing by itself. */
async function wrappedAndRaw(): Promise<{ wrapped: Socket; raw: Socket; close: () => void }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const accepted = new Promise<Socket>((resolve) => {
    server.once('connection', resolve);
  });
  const wrapped = createConnection({ host: '127.0.0.1', port, allowHalfOpen: false });
  await new Promise((resolve) => wrapped.once('connect', resolve));
  const raw = await accepted;
  raw.on('error', () => {});
  return { wrapped, raw, close: () => server.close() };
}

t.test('the loopback overlay keeps the contract', async (t) => {
  const host = '127.0.0.1';
  await overlayCompliance(t, {
    server: () => createLoopbackOverlay({ host, port: 0 }),
    dialer: createLoopbackOverlay({ host, port: 0 }),
    deadLocation: { kind: 'loopback', host, port: await closedPort() },
    foreignLocation: { kind: 'onion', host: `${'a'.repeat(56)}.onion`, port: 5222 },
  });
});

t.test('the memory overlay of the tests keeps it too', async (t) => {
  const { overlay } = createMemoryNetwork();
  await overlayCompliance(t, {
    server: overlay,
    dialer: overlay(),
    deadLocation: { kind: 'loopback', host: '127.0.0.1', port: 65_535 },
    foreignLocation: { kind: 'onion', host: `${'a'.repeat(56)}.onion`, port: 5222 },
  });
});

t.test('only loopback, for listening and dialling', async (t) => {
  for (const host of ['0.0.0.0', '192.168.1.2', 'example.com', '::', '::1', '127.0.0.1.example']) {
    t.throws(
      () => createLoopbackOverlay({ host, port: 0 }),
      { code: 'location-refused', message: /onion_serving_host 127\.0\.0\.1/ },
      host,
    );
  }
  const overlay = createLoopbackOverlay({ host: 'localhost', port: 0 });
  for (const host of ['10.0.0.1', 'example.com', '0.0.0.0']) {
    await t.rejects(overlay.dial({ kind: 'loopback', host, port: 80 }, { signal }), {
      code: 'location-refused',
    });
  }
  const served = await overlay.serve(() => {}, { signal });
  t.match(
    served.locations[0],
    { kind: 'loopback', host: '127.0.0.1' },
    'localhost is not resolved',
  );
  await served.close();
  await overlay.close();
});

t.test('a port in use is one clear line', async (t) => {
  const first = createLoopbackOverlay({ host: '127.0.0.1', port: 0 });
  const served = await first.serve(() => {}, { signal });
  const { port } = served.locations[0];
  const second = createLoopbackOverlay({ host: '127.0.0.1', port });
  await t.rejects(
    second.serve(() => {}, { signal }),
    {
      code: 'listen-failed',
      message: `cannot listen on 127.0.0.1:${port}: another program uses it; stop it, or choose another port (onion_serving_host and onion_serving_port in joinmarket.cfg)`,
    },
  );
  await served.close();
  const again = await second.serve(() => {}, { signal });
  t.equal(again.locations[0].port, port, 'free again after close');
  await again.close();
});

t.test('listening: an address that is not ours, and an abort', async (t) => {
  const options = {
    via: 'loopback' as const,
    onConnection: () => {},
    clock: systemClock,
    log: silentLog,
  };
  await t.rejects(listen({ ...options, signal, address: { host: '192.0.2.1', port: 0 } }), {
    code: 'listen-failed',
    message: /no interface of this machine/,
  });
  await t.rejects(
    listen({
      ...options,
      signal: AbortSignal.abort(new Error('stopped')),
      address: { host: '127.0.0.1', port: 0 },
    }),
    { message: 'stopped' },
  );
});

t.test('end cuts off a peer that does not read', async (t) => {
  const { wrapped, raw, close } = await wrappedAndRaw();
  const clock = createTestClock();
  const peer = connectionPeer(socketConnection(wrapped, { via: 'loopback', remote: 'raw', clock }));
  let done = false;
  peer.connection.write(Buffer.alloc(30_000_000), () => {
    done = true;
  });
  peer.connection.end(2_000);
  clock.advance(1_999);
  t.notOk(peer.connection.closed);
  t.ok(peer.connection.queuedBytes > 0);
  clock.advance(1);
  await peer.closed;
  t.notOk(done, 'done is not called for bytes that were dropped');
  t.equal(peer.connection.queuedBytes, 0);
  t.equal(clock.pending, 0);
  raw.destroy();
  close();
});

t.test('end waits for a peer that reads but does not close, then stops waiting', async (t) => {
  const { wrapped, raw, close } = await wrappedAndRaw();
  const clock = createTestClock();
  const peer = connectionPeer(socketConnection(wrapped, { via: 'loopback', remote: 'raw', clock }));
  peer.connection.write(Buffer.from('bye'));
  peer.connection.end();
  raw.write('bytes without a reader');
  const ended = new Promise((resolve) => raw.once('end', resolve));
  const chunks: Buffer[] = [];
  raw.on('data', (chunk: Buffer) => chunks.push(chunk)).resume();
  await ended;
  t.equal(Buffer.concat(chunks).toString(), 'bye');
  clock.advance(5_000);
  await peer.closed;
  t.equal(peer.received, 0, 'no data after end');
  raw.destroy();
  close();
});

t.test('a reset is the cause of the close', async (t) => {
  const { wrapped, raw, close } = await wrappedAndRaw();
  const peer = connectionPeer(
    socketConnection(wrapped, { via: 'loopback', remote: 'raw', clock: systemClock }),
  );
  raw.resetAndDestroy();
  t.match(await peer.closed, { code: 'ECONNRESET' });
  close();
});

t.test(
  'a connection that broke before attach reports it after attach, never inside it',
  async (t) => {
    const { wrapped, raw, close } = await wrappedAndRaw();
    const connection = socketConnection(wrapped, {
      via: 'loopback',
      remote: 'raw',
      clock: systemClock,
    });
    const broken = new Promise((resolve) => wrapped.once('close', resolve));
    raw.resetAndDestroy();
    wrapped.destroy();
    await broken;
    t.ok(connection.closed);
    const peer = connectionPeer(connection);
    t.equal(peer.closeCount, 0);
    await peer.closed;
    t.equal(peer.closeCount, 1);
    t.throws(() => connection.attach({ data() {}, closed() {} }), /already has a handler/);
    close();
  },
);

t.test('queuedBytes falls inside one big write', async (t) => {
  const { wrapped, raw, close } = await wrappedAndRaw();
  const peer = connectionPeer(
    socketConnection(wrapped, { via: 'loopback', remote: 'raw', clock: systemClock }),
  );
  const total = 30_000_000;
  peer.connection.write(Buffer.alloc(total));
  const queued = peer.connection.queuedBytes;
  t.ok(queued > 0 && queued <= total);
  let seen = 0;
  const lower = new Promise<number>((resolve) => {
    raw.on('data', (chunk: Buffer) => {
      seen += chunk.length;
      const now = peer.connection.queuedBytes;
      if (now > 0 && now < queued) resolve(now);
    });
  });
  raw.resume();
  t.ok((await lower) < queued, 'while the write is still under way');
  t.ok(seen < total);
  peer.connection.write(Buffer.alloc(1_000));
  peer.connection.destroy();
  raw.destroy();
  await peer.closed;
  close();
});
