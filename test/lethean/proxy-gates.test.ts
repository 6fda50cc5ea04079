/** Gates that are proxies, behind a real haproxy: credentials, TLS 1.3, faults, bytes, and the end of the gate. */
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { freePorts } from '../../src/lab/private-network/free-ports.js';
import type { Session } from '../../src/lethean/model.js';
import { ProxyTransport } from '../../src/lethean/transport/proxy-transport.js';
import { TransportError } from '../../src/lethean/transport/transport-error.js';
import { makeAuthority } from '../helpers/certificates.js';
import { gateConfig, startHaproxy } from '../helpers/haproxy.js';
import {
  echoed,
  faultOf,
  startEcho,
  startExitProxy,
  tunnelTarget,
} from '../helpers/lethean-exit.js';
import { startSocksServer } from '../helpers/socks-server.js';

const { signal } = new AbortController();
const PASSWORD = { username: 's-1', password: 'p:1' };
const BEARER = { bearer: 'dG9rZW4.a-b_c~1' };

async function folderFor(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'onionmc-gate-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

t.test('HTTP CONNECT through haproxy', async (t) => {
  const folder = await folderFor(t);
  const [authority, other] = await Promise.all([
    makeAuthority(folder, 'ca'),
    makeAuthority(folder, 'other'),
  ]);
  const pem = await authority.server('gate', 'DNS:localhost,IP:127.0.0.1');
  const [echo, exit] = await Promise.all([startEcho(t), startExitProxy(t)]);
  const [port = 0, tlsPort = 0] = await freePorts(2);
  const tls = { port: tlsPort, pem };
  const config = gateConfig({ port, tls, ...PASSWORD, ...BEARER, exit: exit.port });
  const gate = await startHaproxy(t, port, config);
  const ca = [authority.pem];

  for (const [name, at, session] of [
    ['user name and password', { port }, PASSWORD],
    ['bearer', { port }, BEARER],
    ['TLS 1.3 and a password', { port: tlsPort, tls: true }, PASSWORD],
    ['TLS 1.3 by name and a bearer', { port: tlsPort, tls: true, host: 'localhost' }, BEARER],
  ] as const) {
    await t.test(name, async (t) => {
      const target = tunnelTarget('http-proxy', at, session, { ca });
      const tunnel = await new ProxyTransport().open(target, signal);
      const payload = Buffer.alloc(300_000, name);
      // Only the exit can know the name.
      const stream = await tunnel.connect('exit-only.test', echo, signal);
      t.ok((await echoed(stream, payload)).equals(payload), 'all bytes come back');
      t.same(tunnel.bytes(), { sent: payload.length, received: payload.length });
      t.equal(exit.asked.at(-1), `exit-only.test:${echo}`);
      const open = await tunnel.connect('exit-only.test', echo, signal);
      const closed = once(open, 'close');
      await tunnel.close();
      await closed;
      t.same(await tunnel.ended, { kind: 'closed' });
      t.equal(await tunnel.connect('exit-only.test', echo, signal).catch(faultOf), 'ended');
    });
  }

  for (const [name, session] of [
    ['a wrong password', { username: 's-1', password: 'wrong' }],
    ['a wrong bearer', { bearer: 'wrong' }],
    ['no credentials', {}],
  ] as const) {
    await t.test(`${name} ends the tunnel as refused`, async (t) => {
      const target = tunnelTarget('http-proxy', { port }, session);
      const tunnel = await new ProxyTransport().open(target, signal);
      t.equal(await tunnel.connect('exit-only.test', echo, signal).catch(faultOf), 'credentials');
      t.match(await tunnel.ended, { kind: 'refused', reason: /refuses the session \(HTTP 407\)/ });
    });
  }

  await t.test('a destination that the exit does not reach leaves the tunnel open', async (t) => {
    const target = tunnelTarget('http-proxy', { port }, PASSWORD);
    const tunnel = await new ProxyTransport().open(target, signal);
    t.teardown(() => tunnel.close());
    t.equal(await tunnel.connect('nowhere.test', 1, signal).catch(faultOf), 'destination');
    t.equal(await tunnel.connect('bad host\r\nX: y', 1, signal).catch(faultOf), 'destination');
    const stream = await tunnel.connect('exit-only.test', echo, signal);
    t.equal((await echoed(stream, Buffer.from('hello'))).toString(), 'hello');
  });

  for (const [name, at, authorities, expected] of [
    ['a certificate of another authority', { port: tlsPort, tls: true }, [other.pem], 'identity'],
    [
      'a certificate with another address',
      { port: tlsPort, tls: true, host: '127.0.0.2' },
      ca,
      'identity',
    ],
    ['no authority', { port: tlsPort, tls: true }, [], 'unsupported'],
    ['a gate without TLS', { port, tls: true }, ca, 'protocol'],
  ] as const) {
    await t.test(`${name} opens no tunnel`, async (t) => {
      const target = tunnelTarget('http-proxy', at, PASSWORD, { ca: authorities });
      t.equal(await new ProxyTransport().open(target, signal).catch(faultOf), expected);
    });
  }

  await t.test('a gate that stopped answering and came back', async (t) => {
    const options = { timeoutMs: 400, watchMs: 60_000 };
    const target = tunnelTarget('http-proxy', { port }, PASSWORD);
    const tunnel = await new ProxyTransport(options).open(target, signal);
    t.teardown(() => tunnel.close());
    gate.signal('SIGSTOP');
    const failed = await tunnel.connect('exit-only.test', echo, signal).catch(faultOf);
    gate.signal('SIGCONT');
    t.equal(failed, 'timeout', 'a half-open connection times out');
    const again = await tunnel.connect('exit-only.test', echo, signal);
    t.equal((await echoed(again, Buffer.from('back'))).toString(), 'back');
  });

  await t.test('the end of the gate ends its connections, and the tunnel as lost', async (t) => {
    const target = tunnelTarget('http-proxy', { port }, PASSWORD);
    const tunnel = await new ProxyTransport().open(target, signal);
    const stream = await tunnel.connect('exit-only.test', echo, signal);
    const ended = once(stream.resume(), 'close');
    stream.once('end', () => stream.end());
    await gate.kill();
    await ended;
    t.equal(await tunnel.connect('exit-only.test', echo, signal).catch(faultOf), 'unreachable');
    t.match(await tunnel.ended, { kind: 'lost', reason: /ECONNREFUSED/ });
  });
});

t.test('a gate with TLS 1.2 only, and one that asks for a client certificate', async (t) => {
  const folder = await folderFor(t);
  const authority = await makeAuthority(folder, 'ca');
  const [pem, client] = await Promise.all([
    authority.server('gate', 'IP:127.0.0.1'),
    authority.server('session', 'DNS:session.test'),
  ]);
  const [echo, exit] = await Promise.all([startEcho(t), startExitProxy(t)]);
  const [one = 0, old = 0, two = 0, asking = 0] = await freePorts(4);
  const options = { ...PASSWORD, ...BEARER, exit: exit.port };
  const only12 = { port: old, pem, versions: 'ssl-max-ver TLSv1.2' };
  const verify = `verify required ca-file ${join(folder, 'ca.crt')} ssl-min-ver TLSv1.3`;
  await startHaproxy(t, one, gateConfig({ ...options, port: one, tls: only12 }));
  const asks = { port: asking, pem, versions: verify };
  await startHaproxy(t, two, gateConfig({ ...options, port: two, tls: asks }));
  const ca = [authority.pem];
  const open = (port: number, session: Partial<Session>) =>
    new ProxyTransport().open(
      tunnelTarget('http-proxy', { port, tls: true }, session, { ca }),
      signal,
    );
  t.equal(await open(old, PASSWORD).catch(faultOf), 'protocol', 'TLS 1.2 is refused');

  const both = await readFile(client, 'utf8');
  const certificate = { key: both, certificate: both.slice(both.indexOf('-----BEGIN CERT')) };
  const tunnel = await open(asking, { ...PASSWORD, proxy: certificate });
  const stream = await tunnel.connect('exit-only.test', echo, signal);
  t.equal((await echoed(stream, Buffer.from('mutual'))).toString(), 'mutual');
  await tunnel.close();

  // In TLS 1.3 the server judges the client's certificate after the handshake of the client.
  const without = await open(asking, PASSWORD);
  await t.rejects(without.connect('exit-only.test', echo, signal), TransportError);
  await without.close();
});

t.test('a SOCKS gate behind haproxy', async (t) => {
  const folder = await folderFor(t);
  const authority = await makeAuthority(folder, 'ca');
  const pem = await authority.server('gate', 'IP:127.0.0.1');
  const echo = await startEcho(t);
  const server = await startSocksServer({
    reply: Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
    forward: () => echo,
  });
  t.teardown(() => server.close());
  const behind = server.endpoint.kind === 'tcp' ? server.endpoint.port : 0;
  const [port = 0] = await freePorts(1);
  await startHaproxy(
    t,
    port,
    `defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen socks
  bind 127.0.0.1:${port} ssl crt ${pem} ssl-min-ver TLSv1.3
  server socks 127.0.0.1:${behind}
`,
  );
  const tunnel = await new ProxyTransport().open(
    tunnelTarget('socks-proxy', { port, tls: true }, PASSWORD, { ca: [authority.pem] }),
    signal,
  );
  for (const [host, addressType] of [
    ['exit-only.test', 3],
    ['192.0.2.7', 1],
    ['2001:db8::7', 4],
  ] as const) {
    const stream = await tunnel.connect(host, 80, signal);
    stream.resume().write('hello');
    t.equal(String((await once(stream, 'data'))[0]), 'hello', host);
    stream.destroy();
    t.match(server.requests.at(-1), { addressType, port: 80, ...PASSWORD });
  }
  t.equal(server.requests[0]?.host, 'exit-only.test', 'a name is sent as a name');

  server.script = { reply: Buffer.from([5, 4, 0, 1]), split: 'every-byte' };
  await t.rejects(tunnel.connect('192.0.2.8', 80, signal), /host unreachable/);
  t.same(tunnel.bytes(), { sent: 15, received: 15 }, 'handshakes and refusals are no payload');
  server.script = { auth: Buffer.from([1, 1]) };
  t.equal(await tunnel.connect('exit-only.test', 80, signal).catch(faultOf), 'credentials');
  t.match(await tunnel.ended, { kind: 'refused' });
});

t.test('a gate that answers with something else', async (t) => {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end('SSH-2.0-OpenSSH_9.2\r\n\r\n'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => void server.close());
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  for (const type of ['http-proxy', 'socks-proxy'] as const) {
    const tunnel = await new ProxyTransport().open(tunnelTarget(type, { port }), signal);
    t.equal(await tunnel.connect('exit-only.test', 80, signal).catch(faultOf), 'protocol', type);
    await tunnel.close();
  }
});

t.test('a gate to a daemon leads to its daemon only', async (t) => {
  const port = await startEcho(t);
  const target = tunnelTarget('daemon-rpc-proxy', { port });
  const tunnel = await new ProxyTransport().open(target, signal);
  const stream = await tunnel.connect('127.0.0.1', port, signal);
  t.equal((await echoed(stream, Buffer.from('get_info'))).toString(), 'get_info');
  t.equal(await tunnel.connect('exit-only.test', port, signal).catch(faultOf), 'destination');
  await tunnel.close();
});
