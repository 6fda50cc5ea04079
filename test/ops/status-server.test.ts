import { request, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import t from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { JSON_TYPE } from '../../src/http/answer.js';
import type { Route } from '../../src/http/page.js';
import { createMetrics } from '../../src/ops/metrics.js';
import { startStatusServer, type StatusServerOptions } from '../../src/ops/status-server.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';

interface Reply {
  readonly code: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

function ask(
  port: number,
  path: string,
  {
    method = 'GET',
    host = `127.0.0.1:${port}`,
    more = {},
  }: { method?: string; host?: string; more?: OutgoingHttpHeaders } = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const headers = { host, ...more };
    const sent = request({ port, host: '127.0.0.1', path, method, headers, agent: false });
    sent.once('error', reject);
    sent.once('response', (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.once('end', () =>
        resolve({ code: response.statusCode ?? 0, headers: response.headers, body }),
      );
    });
    sent.end();
  });
}

async function started(overrides: Partial<StatusServerOptions> = {}) {
  const options: StatusServerOptions = {
    host: '127.0.0.1',
    port: await freePort(),
    health: () => ({ ok: true }),
    status: () => ({ peers: 0 }),
    metrics: createMetrics({ processMetrics: false }),
    log: silentLog,
    ...overrides,
  };
  const server = await startStatusServer(options);
  if (server === undefined) throw new Error('not started');
  return server;
}

t.test('health, status and metrics', async (t) => {
  let health: { ok: boolean; reason?: string } = { ok: true };
  let peers = 2;
  const metrics = createMetrics();
  metrics.gauge('peers', 'Peers that are connected', () => peers);
  const messages = metrics.counter('messages_total', 'Messages', ['type']);
  messages.add(3, { type: 'pubmsg' });
  metrics.counter('bytes_total', 'Bytes').add();
  metrics.histogram('delay_seconds', 'Delay', [0.1, 1]).observe(0.5);
  const server = await started({ health: () => health, status: () => ({ peers }), metrics });
  t.teardown(() => server.close());
  const { port } = server;

  const healthy = await ask(port, '/healthz');
  t.equal(healthy.code, 200);
  t.same(JSON.parse(healthy.body), { ok: true, reason: 'ok' });
  t.match(healthy.headers['content-type'], /^application\/json/);
  health = { ok: false, reason: 'the onion is not reachable' };
  const ill = await ask(port, '/healthz');
  t.equal(ill.code, 503);
  t.same(JSON.parse(ill.body), { ok: false, reason: 'the onion is not reachable' });

  peers = 7;
  t.same(JSON.parse((await ask(port, '/status?x=1')).body), { peers: 7 });
  health = { ok: false, reason: 'a\u202e\u009b2J' };
  const odd = await ask(port, '/healthz');
  t.same(JSON.parse(odd.body), health);
  t.match(odd.body, String.raw`a\u202e\u009b2J`, 'any terminal can print it');
  const text = await ask(port, '/metrics');
  t.match(text.headers['content-type'], /^text\/plain; version=0\.0\.4/);
  t.match(text.body, /^onionmc_peers 7$/m);
  t.match(text.body, /^onionmc_messages_total\{type="pubmsg"\} 3$/m);
  t.match(text.body, /^onionmc_bytes_total 1$/m);
  t.match(text.body, /^onionmc_delay_seconds_bucket\{le="1"\} 1$/m);
  t.match(text.body, /^process_resident_memory_bytes \d+$/m);

  const head = await ask(port, '/status', { method: 'HEAD' });
  t.same([head.code, head.body, head.headers['content-length']], [200, '', '12']);
  const post = await ask(port, '/status', { method: 'POST' });
  t.same([post.code, post.headers.allow, post.headers.connection], [405, 'GET, HEAD', 'close']);
  t.equal((await ask(port, '/')).code, 404);
  t.equal((await ask(port, '/../etc/passwd')).code, 404);
});

t.test('the page for people: for clients that ask for HTML only', async (t) => {
  const page = new Map<string, Route>([
    ['/', () => ({ code: 200, type: 'text/html; charset=utf-8', body: '<p>' })],
    ['/history', () => ({ code: 200, type: JSON_TYPE, body: '{}' })],
    ['/status', () => ({ code: 500, type: JSON_TYPE, body: '{}' })],
  ]);
  const server = await started({ page });
  t.teardown(() => server.close());
  const rows: readonly (readonly [string | undefined, number])[] = [
    ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 200],
    ['text/html', 200],
    ['application/json, TEXT/HTML;level=1;q=0.2', 200],
    ['text/html;q=0', 404],
    ['text/html; q=0.000, */*', 404],
    [undefined, 404],
    ['*/*', 404],
    ['application/json', 404],
    ['text/htmlx', 404],
    ['', 404],
  ];
  for (const [accept, code] of rows) {
    const reply = await ask(server.port, '/', accept === undefined ? {} : { more: { accept } });
    t.equal(reply.code, code, accept ?? 'none');
    t.equal(reply.headers.vary, 'accept');
    if (code === 200) continue;
    t.same(JSON.parse(reply.body), { error: 'try /healthz, /status or /metrics' });
  }
  t.equal((await ask(server.port, '/history')).code, 200);
  t.equal((await ask(server.port, '/status')).code, 200, 'no file of the page hides the JSON');
});

t.test('requests with the name of another server are refused', async (t) => {
  const cases = [
    ['127.0.0.1', 'localhost', 200],
    ['127.0.0.1', 'LOCALHOST:1234', 200],
    ['127.0.0.1', '[::1]:80', 200],
    ['127.0.0.1', 'evil.example', 421],
    ['127.0.0.1', '127.0.0.1.evil.example', 421],
    ['127.0.0.1', '10.0.0.1', 421],
    ['0.0.0.0', '10.0.0.1:62600', 200],
    ['0.0.0.0', 'evil.example', 421],
    ['localhost', 'localhost', 200],
  ] as const;
  for (const [listen, host, code] of cases) {
    const server = await started({ host: listen });
    t.equal((await ask(server.port, '/status', { host })).code, code, `${listen} asked as ${host}`);
    await server.close();
  }
});

t.test('the names of status_hosts, as Prometheus and containers use them', async (t) => {
  const server = await started({ hosts: ['directory', 'metrics.example.org'] });
  t.teardown(() => server.close());
  const rows = [
    ['directory:62600', 200],
    ['directory', 200],
    ['Metrics.Example.ORG.:80', 200],
    ['127.0.0.1', 200],
    ['other:62600', 421],
    ['directory.evil.example', 421],
    ['10.0.0.1', 421],
  ] as const;
  for (const [host, code] of rows) {
    for (const path of ['/healthz', '/metrics', '/status']) {
      t.equal((await ask(server.port, path, { host })).code, code, `${path} as ${host}`);
    }
  }
  t.match(JSON.parse((await ask(server.port, '/metrics', { host: 'other' })).body), {
    error: /status_hosts in \[DIRECTORY\]/,
  });
});

t.test('a status that fails answers 500 and the server continues', async (t) => {
  let broken = true;
  const server = await started({
    status() {
      if (broken) throw new Error('boom');
      return { peers: 1 };
    },
  });
  t.teardown(() => server.close());
  t.equal((await ask(server.port, '/status')).code, 500);
  broken = false;
  t.equal((await ask(server.port, '/status')).code, 200);
});

t.test('oversized and malformed requests', async (t) => {
  const server = await started();
  t.teardown(() => server.close());
  const raw = (bytes: string): Promise<string> =>
    new Promise((resolve, reject) => {
      let reply = '';
      const socket = connect(server.port, '127.0.0.1', () => socket.write(bytes));
      socket.setEncoding('latin1');
      socket.on('data', (chunk: string) => {
        reply += chunk;
      });
      socket.once('error', reject);
      socket.once('close', () => resolve(reply));
    });
  t.match(await raw('\x16\x03\x01\x00\x00\r\n\r\n'), /^HTTP\/1\.1 400 /, 'TLS');
  const long = `GET /status HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(9000)}\r\n\r\n`;
  t.match(await raw(long), /^HTTP\/1\.1 431 /, 'headers over 8 KiB');
  t.match(
    await raw('GET /status HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n'),
    /^HTTP\/1\.1 421 /,
    'empty Host',
  );
});

t.test('pages of other sites can neither read nor frame it', async (t) => {
  const server = await started();
  t.teardown(() => server.close());
  const rows: readonly (readonly [OutgoingHttpHeaders, number])[] = [
    [{ 'sec-fetch-site': 'cross-site' }, 403],
    [{ 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'cors' }, 403],
    [{ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }, 200],
    [{ 'sec-fetch-site': 'same-origin' }, 200],
    [{ 'sec-fetch-site': 'none' }, 200],
  ];
  for (const [more, code] of rows) {
    const reply = await ask(server.port, '/status', { more });
    t.equal(reply.code, code, JSON.stringify(more));
    t.match(reply.headers, {
      'content-security-policy': /default-src 'none'.*frame-ancestors 'none'/,
      'cross-origin-resource-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
    });
  }
});

t.test('port 0 means off, and a taken port gives one line', async (t) => {
  const server = await started();
  t.teardown(() => server.close());
  const options = {
    host: '127.0.0.1',
    health: () => ({ ok: true }),
    status: () => ({}),
    metrics: createMetrics({ processMetrics: false }),
    log: silentLog,
  };
  t.equal(await startStatusServer({ ...options, port: 0 }), undefined);
  await t.rejects(startStatusServer({ ...options, port: server.port }), {
    name: 'StatusAddressError',
    code: 'EADDRINUSE',
    exitCode: 2,
    message: /^status page at 127\.0\.0\.1:\d+: another program listens there; set status_host and/,
  });
  await t.rejects(startStatusServer({ ...options, port: server.port, host: '192.0.2.1' }), {
    name: 'StatusAddressError',
    code: 'EADDRNOTAVAIL',
  });
});

t.test('closing does not wait for a client that keeps its connection', async (t) => {
  const server = await started();
  const socket = connect(server.port, '127.0.0.1');
  await new Promise((resolve) => {
    socket.once('connect', resolve);
  });
  const closed = new Promise((resolve) => {
    socket.once('close', resolve);
  });
  // The client may see a reset, since it is closed within a request.
  socket.on('error', () => {});
  socket.resume();
  socket.write('GET /sta');
  await server.close();
  await closed;
  t.pass('closed');
});
