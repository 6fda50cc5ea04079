/** The proxy in front of a tunnel: SOCKS5 and HTTP CONNECT, what is refused, bounds, and its end. */
import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';
import { PassThrough, type Duplex } from 'node:stream';
import * as fc from 'fast-check';
import t, { type Test } from 'tap';
import type { Tunnel } from '../../src/lethean/ports.js';
import { ByteReader } from '../../src/lethean/transport/byte-reader.js';
import { connectTarget } from '../../src/lethean/transport/local-http.js';
import {
  MAX_LOCAL_CONNECTIONS,
  startLocalProxy,
  type LocalProxy,
  type LocalProxyOptions,
} from '../../src/lethean/transport/local-proxy.js';
import { randomLogin } from '../../src/lethean/transport/local-request.js';
import {
  addressLength,
  addressText,
  encodeAddress,
} from '../../src/lethean/transport/socks-codec.js';
import { socksConnect } from '../../src/lethean/transport/socks-connect.js';
import { httpConnect } from '../../src/lethean/transport/http-connect.js';
import {
  TransportError,
  type TransportFault,
} from '../../src/lethean/transport/transport-error.js';
import { echoed, faultOf } from '../helpers/lethean-exit.js';

/** A tunnel in memory: it remembers destinations and sends bytes back. */
class EchoTunnel implements Tunnel {
  readonly kind = 'http-proxy';
  readonly asked: string[] = [];
  readonly ended = new Promise<never>(() => {});
  fails: TransportFault | undefined;

  connect(host: string, port: number): Promise<Duplex> {
    this.asked.push(`${host} ${port}`);
    return this.fails === undefined
      ? Promise.resolve(new PassThrough())
      : Promise.reject(new TransportError(this.fails, 'a test'));
  }

  bytes(): { readonly sent: number; readonly received: number } {
    return { sent: 0, received: 0 };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

async function proxyFor(
  t: Test,
  options: Partial<LocalProxyOptions> = {},
): Promise<{ readonly proxy: LocalProxy; readonly tunnel: EchoTunnel }> {
  const tunnel = new EchoTunnel();
  const proxy = await startLocalProxy({ port: 0, tunnel: () => tunnel, ...options });
  t.teardown(() => proxy.close());
  return { proxy, tunnel };
}

async function dial(t: Test, proxy: LocalProxy): Promise<Socket> {
  const socket = createConnection({ host: proxy.host, port: proxy.port, allowHalfOpen: true });
  socket.on('error', () => {});
  t.teardown(() => void socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** Sends bytes, and returns everything until the proxy ends. */
async function talk(t: Test, proxy: LocalProxy, ...parts: readonly Buffer[]): Promise<string> {
  const socket = await dial(t, proxy);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  for (const part of parts) socket.write(part);
  await Promise.race([once(socket, 'end'), once(socket, 'close')]);
  return Buffer.concat(chunks).toString('latin1');
}

const basic = (name: string, secret: string): string =>
  `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`;

t.test('both protocols on one port; names and addresses arrive as they are', async (t) => {
  const { proxy, tunnel } = await proxyFor(t);
  for (const [host, port] of [
    ['exit-only.test', 443],
    ['192.0.2.1', 1],
    ['2001:db8::1', 65_535],
  ] as const) {
    const socks = await dial(t, proxy);
    await socksConnect(socks, host, port, undefined);
    t.equal((await echoed(socks, Buffer.from('by socks'))).toString(), 'by socks');
    const http = await dial(t, proxy);
    await httpConnect(http, host, port, undefined);
    t.equal((await echoed(http, Buffer.from('by http'))).toString(), 'by http');
    t.same(tunnel.asked.splice(0), [`${host} ${port}`, `${host} ${port}`]);
  }
});

t.test('with a login, only clients that know it', async (t) => {
  const login = randomLogin();
  const { proxy, tunnel } = await proxyFor(t, { login });
  const socks = await dial(t, proxy);
  await socksConnect(socks, 'exit-only.test', 80, login);
  t.equal((await echoed(socks, Buffer.from('in'))).toString(), 'in');
  const http = await dial(t, proxy);
  await httpConnect(http, 'exit-only.test', 80, basic(login.username, login.password));
  t.equal((await echoed(http, Buffer.from('in'))).toString(), 'in');
  tunnel.asked.length = 0;

  const wrong = { ...login, password: 'wrong' };
  const attempt = async (action: (socket: Socket) => Promise<unknown>) =>
    action(await dial(t, proxy)).catch(faultOf);
  t.equal(await attempt((socket) => socksConnect(socket, 'a.test', 80, wrong)), 'credentials');
  t.equal(await attempt((socket) => socksConnect(socket, 'a.test', 80, undefined)), 'credentials');
  for (const header of [undefined, basic(login.username, 'wrong'), 'Basic', 'Bearer x']) {
    const result = await attempt((socket) => httpConnect(socket, 'a.test', 80, header));
    t.equal(result, 'credentials', header ?? 'no header');
  }
  t.same(tunnel.asked, [], 'the tunnel hears nothing of them');
});

t.test('without a tunnel, and with one that fails, nothing gets through', async (t) => {
  const { proxy, tunnel } = await proxyFor(t);
  const none = await proxyFor(t, { tunnel: () => undefined });
  const connect = (to: LocalProxy): Promise<string> =>
    talk(t, to, Buffer.from('CONNECT a.test:80 HTTP/1.1\r\n\r\n'));
  const socks = (to: LocalProxy): Promise<string> =>
    talk(t, to, Buffer.from([5, 1, 0, 5, 1, 0, 1, 192, 0, 2, 1, 0, 80]));
  t.match(await connect(none.proxy), /^HTTP\/1\.1 503 /);
  t.equal((await socks(none.proxy)).charCodeAt(3), 1);
  for (const [fault, status, reply] of [
    ['destination', 502, 4],
    ['timeout', 504, 4],
    ['credentials', 502, 2],
    ['ended', 503, 1],
  ] as const) {
    tunnel.fails = fault;
    t.match(await connect(proxy), new RegExp(`^HTTP/1\\.1 ${status} `), fault);
    t.equal((await socks(proxy)).charCodeAt(3), reply, fault);
  }
});

t.test('requests that are refused, and never reach the tunnel', async (t) => {
  const { proxy, tunnel } = await proxyFor(t, { requestTimeoutMs: 300 });
  for (const [name, request, start] of [
    [
      'GET of an absolute address',
      'GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n',
      'HTTP/1.1 405 ',
    ],
    ['POST of a web page', 'POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc', 'HTTP/1.1 405 '],
    ['CONNECT without a port', 'CONNECT a.test HTTP/1.1\r\n\r\n', 'HTTP/1.1 400 '],
    ['CONNECT to port 0', 'CONNECT a.test:0 HTTP/1.1\r\n\r\n', 'HTTP/1.1 400 '],
    ['another version', 'CONNECT a.test:1 HTTP/2.0\r\n\r\n', 'HTTP/1.1 400 '],
    ['SOCKS4', '\x04\x01\x00\x50\x01\x02\x03\x04\x00', ''],
    ['TLS', '\x16\x03\x01\x02\x00', ''],
    ['SOCKS5 without a method', '\x05\x00', '\x05\xff'],
    ['BIND', '\x05\x01\x00\x05\x02\x00\x01\x01\x02\x03\x04\x00\x50', '\x05\x00\x05\x07'],
    ['UDP ASSOCIATE', '\x05\x01\x00\x05\x03\x00\x01\x01\x02\x03\x04\x00\x50', '\x05\x00\x05\x07'],
    ['another address type', '\x05\x01\x00\x05\x01\x00\x02\x01', '\x05\x00\x05\x08'],
    ['a name that is not valid', '\x05\x01\x00\x05\x01\x00\x03\x03a b\x00\x50', '\x05\x00\x05\x01'],
    ['half a request', 'CONNECT a.test:80 HTTP/1.1\r\n', ''],
    ['a head of 9 kB', `CONNECT a.test:80 HTTP/1.1\r\nX: ${'y'.repeat(9_000)}`, ''],
  ] as const) {
    const answer = await talk(t, proxy, Buffer.from(request, 'latin1'));
    t.equal(answer.slice(0, start === '' ? undefined : start.length), start, name);
  }
  t.same(tunnel.asked, []);
});

t.test('bounds: the address, the number of clients, and the end', async (t) => {
  await t.rejects(startLocalProxy({ host: '0.0.0.0', port: 0, tunnel: () => undefined }), {
    name: 'TransportError',
    message: /loopback only/,
  });
  const { proxy } = await proxyFor(t);
  const clients = await Promise.all(
    Array.from({ length: MAX_LOCAL_CONNECTIONS + 1 }, () => dial(t, proxy)),
  );
  const refused = await Promise.race(
    clients.map((client) => once(client.resume(), 'end').then(() => client)),
  );
  t.ok(refused, 'one connection too many is closed');
  t.equal(proxy.connections, MAX_LOCAL_CONNECTIONS);
  const open = clients.filter((client) => client !== refused);
  const closed = Promise.all(open.map((client) => once(client, 'close')));
  for (const client of open) client.once('end', () => client.end());
  const { port } = proxy;
  await proxy.close();
  await closed;
  t.equal(proxy.connections, 0);
  const again = createServer().listen(port, proxy.host);
  await once(again, 'listening');
  again.close();
});

const hosts = fc.oneof(
  fc.ipV4(),
  fc.ipV6().map((host) => host.toLowerCase()),
  fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?\.test$/),
);

t.test('an address of SOCKS5 is read as it was written', (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(hosts, fc.integer({ min: 1, max: 65_535 }), (host, port) => {
        const bytes = encodeAddress(host, port);
        if (bytes === undefined) return false;
        const type = bytes[0] ?? 0;
        const from = type === 3 ? 2 : 1;
        const length = addressLength(type, bytes[1] ?? 0) ?? 0;
        const text = addressText(type, bytes.subarray(from, from + length)) ?? '';
        const again = encodeAddress(text, port);
        return bytes.length === from + length + 2 && again !== undefined && again.equals(bytes);
      }),
    ),
  );
  t.end();
});

t.test(
  'any text is a target or is refused, and any division into chunks is read alike',
  async (t) => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), (text) => {
        const target = connectTarget(text);
        return target === undefined || (target.port >= 1 && target.port <= 65_535);
      }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 40 }),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 10 }),
        fc.integer({ min: 0, max: 40 }),
        async (bytes, sizes, count) => {
          const wanted = Math.min(count, bytes.length);
          const stream = new PassThrough();
          const reader = new ByteReader(stream, 64);
          const read = reader.exactly(wanted);
          let from = 0;
          for (let index = 0; from < bytes.length; index += 1) {
            const size = sizes[index % sizes.length] ?? 1;
            stream.write(bytes.subarray(from, from + size));
            from += size;
          }
          stream.end();
          const head = await read;
          reader.release();
          const rest: Buffer[] = [];
          stream.on('data', (chunk: Buffer) => rest.push(chunk)).resume();
          if (!stream.readableEnded) await once(stream, 'end');
          return (
            Buffer.concat([head, ...rest]).equals(Buffer.from(bytes)) && head.length === wanted
          );
        },
      ),
      { numRuns: 200 },
    );
    t.pass('no counterexample');
  },
);
