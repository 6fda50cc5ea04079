import { get, request, type IncomingHttpHeaders } from 'node:http';
import { connect, type Socket } from 'node:net';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { p2wsh, TEST_NETWORK } from '@scure/btc-signer';
import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { CONTENT_SECURITY_POLICY } from '../../src/http/answer.js';
import type { BookEntry } from '../../src/orderbook/book-api.js';
import { changesJson, type OrderbookJson } from '../../src/web/book-json.js';
import { orderbookCsv } from '../../src/web/csv.js';
import { startOrderbookServer, type OrderbookServerOptions } from '../../src/web/server.js';
import { startCli } from '../helpers/cli.js';
import { loopbackConfig } from '../helpers/config.js';
import { createTestClock } from '../helpers/test-clock.js';
import {
  bondOf,
  createSampleBook,
  DIRECTORIES,
  entryOf,
  SAMPLE_KEY,
  sampleEntries,
} from './sample-book.js';

t.setTimeout(120_000);

interface Reply {
  readonly code: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

function ask(
  port: number,
  path: string,
  { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const all = { host: `127.0.0.1:${port}`, ...headers };
    const sent = request({ port, host: '127.0.0.1', path, method, headers: all, agent: false });
    sent.once('error', reject);
    sent.once('response', (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.once('end', () =>
        resolve({ code: response.statusCode ?? 0, headers: response.headers, body }),
      );
    });
    sent.end();
  });
}

interface Started {
  readonly entries?: readonly BookEntry[];
  readonly options?: Partial<OrderbookServerOptions>;
}

async function started(t: Test, { entries = [], options = {} }: Started = {}) {
  const clock = createTestClock();
  const book = createSampleBook(() => clock.now(), entries);
  const server = await startOrderbookServer({
    host: '127.0.0.1',
    port: 0,
    book,
    network: 'signet',
    health: () => ({ ok: true }),
    clock,
    log: silentLog,
    epoch: () => 1_790_000_000_000 + clock.now(),
    ...options,
  });
  t.teardown(() => server.close());
  return { clock, book, server, port: server.port };
}

interface SseEvent {
  readonly event: string;
  readonly id: string;
  readonly data: unknown;
}

/** A page that listens to events: `next` resolves with each event in turn. */
function listen(t: Test, port: number, since: string, headers: Record<string, string> = {}) {
  const events: SseEvent[] = [];
  const takers: ((event: SseEvent) => void)[] = [];
  let rest = '';
  const take = (block: string): void => {
    const field = (name: string): string =>
      new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1] ?? '';
    if (!block.includes('event: ')) return;
    const event = { event: field('event'), id: field('id'), data: JSON.parse(field('data')) };
    const taker = takers.shift();
    if (taker) taker(event);
    else events.push(event);
  };
  const sent = get({
    port,
    host: '127.0.0.1',
    path: `/events?since=${since}`,
    headers,
    agent: false,
  });
  t.teardown(() => sent.destroy());
  const opened = new Promise<number>((resolve) => {
    sent.once('response', (response) => {
      resolve(response.statusCode ?? 0);
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        rest += chunk;
        const blocks = rest.split('\n\n');
        rest = blocks.pop() ?? '';
        for (const block of blocks) take(block);
      });
      response.on('error', () => {});
    });
  });
  const closed = new Promise<void>((resolve) => sent.once('close', resolve));
  sent.on('error', () => {});
  return {
    opened,
    closed,
    /** The number of events that `next` has not taken yet. */
    waiting: () => events.length,
    end: () => sent.destroy(),
    next: (): Promise<SseEvent> =>
      new Promise((resolve) => {
        const event = events.shift();
        if (event) resolve(event);
        else takers.push(resolve);
      }),
  };
}

const bookOf = async (port: number): Promise<OrderbookJson> =>
  JSON.parse((await ask(port, '/orderbook.json')).body);

t.test('every answer has the policy, and the page loads only its own files', async (t) => {
  const { port } = await started(t);
  const page = await ask(port, '/');
  t.equal(page.code, 200);
  t.equal(page.headers['content-type'], 'text/html; charset=utf-8');
  t.notMatch(page.body, /<script(?![^>]* src=)|<style|style="|\son\w+="/, 'nothing inline');
  const links = [...page.body.matchAll(/(?:src|href)="([^"#][^"]*)"/g)].map(
    ([, link = '']) => link,
  );
  t.ok(links.length >= 7);
  for (const link of links) {
    t.notMatch(link, /^(https?:)?\/\//, `${link} is local`);
    const file = await ask(port, `/${link}`);
    t.equal(file.code, 200, link);
    t.equal(file.headers['content-security-policy'], CONTENT_SECURITY_POLICY);
    t.equal(file.headers['x-content-type-options'], 'nosniff');
  }
  for (const rule of [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "frame-ancestors 'none'",
  ]) {
    t.ok(CONTENT_SECURITY_POLICY.split('; ').includes(rule), rule);
  }
  const again = await ask(port, '/style.css', {
    headers: { 'if-none-match': (await ask(port, '/style.css')).headers.etag ?? '' },
  });
  t.same([again.code, again.body], [304, '']);
});

t.test('requests that are refused', async (t) => {
  const { port } = await started(t);
  const cases: readonly (readonly [
    string,
    number,
    { method?: string; headers?: Record<string, string> },
  ])[] = [
    ['/', 421, { headers: { host: 'evil.example' } }],
    ['/orderbook.json', 421, { headers: { host: `127.0.0.1.evil.example:${port}` } }],
    ['/events', 421, { headers: { host: '10.0.0.1' } }],
    ['/', 421, { headers: { host: 'book.example.org' } }],
    ['/', 200, { headers: { host: 'localhost' } }],
    ['/', 200, { headers: { host: '[::1]:80' } }],
    ['/', 405, { method: 'POST' }],
    ['/refreshorderbook', 405, { method: 'POST' }],
    ['/orderbook.json', 405, { method: 'DELETE' }],
    ['/orderbook.json', 405, { method: 'OPTIONS' }],
    [
      '/orderbook.json',
      403,
      { headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' } },
    ],
    ['/events', 403, { headers: { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'cors' } }],
    ['/', 200, { headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' } }],
    [
      '/orderbook.json',
      200,
      { headers: { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' } },
    ],
    ['/../package.json', 404, {}],
    ['/%2e%2e/server.js', 404, {}],
    ['/__proto__', 404, {}],
    ['/vendor/', 404, {}],
  ];
  for (const [path, code, options] of cases) {
    const reply = await ask(port, path, options);
    t.equal(
      reply.code,
      code,
      `${options.method ?? 'GET'} ${path} ${JSON.stringify(options.headers ?? {})}`,
    );
    t.equal(reply.headers['content-security-policy'], CONTENT_SECURITY_POLICY);
  }
  t.equal((await ask(port, '/', { method: 'POST' })).headers.allow, 'GET, HEAD');
  const head = await ask(port, '/orderbook.json', { method: 'HEAD' });
  t.same([head.code, head.body], [200, '']);
  t.ok(Number(head.headers['content-length']) > 100);
});

t.test('malformed and oversized requests', async (t) => {
  const { port } = await started(t);
  const raw = (bytes: string): Promise<string> =>
    new Promise((resolve, reject) => {
      let reply = '';
      const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
      socket.setEncoding('latin1');
      socket.on('data', (chunk: string) => (reply += chunk));
      socket.once('error', reject);
      socket.once('close', () => resolve(reply));
    });
  t.match(await raw('\x16\x03\x01\x00\x00\r\n\r\n'), /^HTTP\/1\.1 400 /);
  const long = `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(9000)}\r\n\r\n`;
  t.match(await raw(long), /^HTTP\/1\.1 431 /);
  t.match(await raw('GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 421 /);
});

t.test('health', async (t) => {
  let health: { ok: boolean; reason?: string } = { ok: true };
  const { port } = await started(t, { options: { health: () => health } });
  t.same(JSON.parse((await ask(port, '/healthz')).body), { ok: true, reason: 'ok' });
  health = { ok: false, reason: 'no directory is up' };
  const ill = await ask(port, '/healthz');
  t.same([ill.code, JSON.parse(ill.body)], [503, { ok: false, reason: 'no directory is up' }]);
});

t.test('orderbook.json has the names of the original watcher, and further ones', async (t) => {
  const absolute = entryOf({
    maker: 'J5absolute',
    type: 'sw0absoffer',
    cjfee: '500',
    bond: bondOf(1234.5),
  });
  const relative = entryOf({
    maker: 'J5relative',
    oid: 3,
    verified: false,
    unverified: 'public-only',
    firstSeen: -60_000,
    directories: DIRECTORIES.slice(0, 1),
    bond: bondOf(undefined),
  });
  const { port, book } = await started(t, { entries: [absolute, relative] });
  const json = await bookOf(port);
  t.same(Object.keys(json.offers[0] ?? {}).slice(0, 8), [
    'counterparty',
    'oid',
    'ordertype',
    'minsize',
    'maxsize',
    'txfee',
    'cjfee',
    'fidelity_bond_value',
  ]);
  t.match(json.offers[0], {
    counterparty: 'J5absolute',
    oid: 0,
    ordertype: 'sw0absoffer',
    cjfee: 500,
    fidelity_bond_value: 1234.5,
    signed: true,
    withdrawn: [],
  });
  t.match(json.offers[1], {
    counterparty: 'J5relative',
    oid: 3,
    cjfee: '0.00002',
    fidelity_bond_value: 0,
    signed: false,
    unsigned_because: 'public-only',
    directories: [DIRECTORIES[0]],
    bond: { state: 'signed', outpoint: `${'ab'.repeat(32)}:1`, value: null },
  });
  const seen = json.offers.map((offer) => offer.first_seen);
  t.equal((seen[0] ?? 0) - (seen[1] ?? 0), 60, 'times are unix seconds');
  t.same(
    json.offers[1]?.withdrawn.map(({ directory, why }) => [directory, why]),
    DIRECTORIES.slice(1).map((directory) => [directory, 'left']),
  );
  // <lock time> CHECKLOCKTIMEVERIFY DROP <key> CHECKSIG
  const lock = Buffer.from(`0400b33f71b17521${SAMPLE_KEY}ac`, 'hex');
  t.same(json.fidelitybonds, [
    {
      counterparty: 'J5absolute',
      utxo: { txid: 'ab'.repeat(32), vout: 1 },
      bond_value: 1234.5,
      locktime: 1_900_000_000,
      amount: 100_000_000,
      address: p2wsh({ type: 'lock', script: lock }, TEST_NETWORK).address,
      utxo_confirmation_timestamp: 1_700_000_000,
      utxo_pub: SAMPLE_KEY,
      cert_expiry: 500,
    },
  ]);
  t.match(json.statistics, {
    offers: 2,
    makers: 2,
    signed_offers: 1,
    bonded_makers: 2,
    chain: 'up',
  });
  t.same(
    json.statistics.directories.map(({ location, up }) => [location, up]),
    DIRECTORIES.map((location, i) => [location, i < 2]),
  );
  t.same([json.network, json.version], ['signet', book.version]);
});

t.test('any terminal can print the answers', async (t) => {
  const odd = 'a\u202e\u009b2J';
  const { port } = await started(t, {
    entries: [entryOf({ maker: 'J5odd', bond: { ...bondOf(1), detail: odd } })],
    options: { health: () => ({ ok: false, reason: odd }) },
  });
  for (const path of ['/orderbook.json', '/healthz']) {
    t.match((await ask(port, path)).body, String.raw`a\u202e\u009b2J`, path);
  }
  t.equal((await bookOf(port)).offers[0]?.bond?.detail, odd, 'it is the same value');
});

t.test('the book is serialised at most once a second', async (t) => {
  const { port, clock, book } = await started(t);
  t.equal((await bookOf(port)).offers.length, 0);
  book.put(entryOf({ maker: 'J5new' }));
  t.equal((await bookOf(port)).offers.length, 0, 'still the same second');
  clock.advance(1000);
  t.equal((await bookOf(port)).offers.length, 1);
});

t.test('orderbook.csv: one line per offer, no formulas, no broken cells', async (t) => {
  const { port } = await started(t, {
    entries: [
      entryOf({ maker: 'J5plain' }),
      entryOf({ maker: '=HYPERLINK("x")' }),
      entryOf({ maker: 'a,"b"\r\nc' }),
    ],
  });
  const { headers, body } = await ask(port, '/orderbook.csv');
  t.match(headers['content-type'], /^text\/csv/);
  t.match(headers['content-disposition'], /filename="orderbook\.csv"/);
  const lines = body.split('\r\n');
  t.match(lines[0], /^counterparty,oid,ordertype,minsize,maxsize,txfee,cjfee,fidelity_bond_value,/);
  t.match(
    lines[1],
    /^J5plain,0,sw0reloffer,100000,500000000,0,0\.00002,0,true,jmv2\S+ satoshi2\S+ /,
  );
  t.match(lines[2], /^"'=HYPERLINK\(""x""\)",0,/);
  t.match(body, /\r\n"a,""b""\r\nc",0,/);
  t.equal(orderbookCsv([]).split('\r\n').length, 2, 'only a heading');
});

t.test('changes are merged: an offer that came and went is not sent', (t) => {
  const book = createSampleBook(() => 0, [entryOf({ maker: 'J5old' })]);
  const from = book.version;
  book.put(entryOf({ maker: 'J5gone' }));
  book.drop('J5gone/0');
  book.drop('J5old/0');
  book.put(entryOf({ maker: 'J5old', txfee: 7 }));
  const change = changesJson(book, from);
  t.same(
    change?.upserts.map(({ id, txfee }) => [id, txfee]),
    [['J5old/0', 7]],
  );
  t.same(change?.removed, ['J5gone/0']);
  t.equal(change?.version, book.version);
  t.equal(changesJson(book, book.version + 1), undefined, 'a version that does not exist');
  book.forget();
  t.equal(changesJson(book, from), undefined, 'a version that is forgotten');
  t.end();
});

t.test('events: changes at most once a second, and keep-alive events', async (t) => {
  const { port, clock, book, server } = await started(t, { entries: sampleEntries(3) });
  const { session, version } = await bookOf(port);
  const page = listen(t, port, `${session}:${version}`);
  t.equal(await page.opened, 200);
  t.equal(server.listeners, 1);

  book.put(entryOf({ maker: 'J5one' }));
  book.put(entryOf({ maker: 'J5two' }));
  book.drop('J5one/0');
  clock.advance(1000);
  const change = await page.next();
  t.equal(change.event, 'book');
  t.equal(change.id, `${session}:${book.version}`);
  t.match(change.data, {
    version: book.version,
    upserts: [{ id: 'J5two/0', counterparty: 'J5two' }],
    removed: ['J5one/0'],
  });
  t.match(await page.next(), { event: 'statistics', data: { offers: 4 } });

  clock.advance(9000);
  t.match(await page.next(), { event: 'statistics', data: { offers: 4 } }, 'a keep-alive event');
  t.equal(page.waiting(), 0, 'no other event');

  page.end();
  await page.closed;
  const back = listen(t, port, 'ignored', { 'last-event-id': `${session}:${book.version}` });
  await back.opened;
  book.put(entryOf({ maker: 'J5three' }));
  clock.advance(1000);
  t.match(await back.next(), { event: 'book', data: { upserts: [{ id: 'J5three/0' }] } });
});

t.test(
  'events: a page that is too far behind, or of another run, loads the book again',
  async (t) => {
    const { port, book } = await started(t);
    const { session, version } = await bookOf(port);
    book.put(entryOf({ maker: 'J5a' }));
    book.forget();
    const behind = [
      '',
      'nonsense',
      `${session}:99999`,
      `other:${version}`,
      `${session}:${version}`,
    ];
    for (const since of behind) {
      const page = listen(t, port, since);
      t.match(await page.next(), { event: 'reset', id: `${session}:${book.version}` }, since);
      page.end();
    }
  },
);

t.test('events: the number of pages is bounded, and a page that leaves makes room', async (t) => {
  const { port, server } = await started(t, { options: { eventLimits: { clients: 2 } } });
  const first = listen(t, port, '');
  const second = listen(t, port, '');
  await Promise.all([first.opened, second.opened]);
  const refused = await ask(port, '/events');
  t.same([refused.code, refused.headers['retry-after']], [503, '10']);
  t.equal((await ask(port, '/orderbook.json')).code, 200, 'other requests are answered');
  first.end();
  await first.closed;
  // The server learns of it when its side of the connection closes.
  while (server.listeners > 1) await ask(port, '/healthz');
  t.equal(await listen(t, port, '').opened, 200);
});

t.test('events: a page that does not read gets no more events, and is closed', async (t) => {
  const { port, clock, book, server } = await started(t, {
    options: { eventLimits: { backlogBytes: 1000, stallMs: 30_000 } },
  });
  const { session, version } = await bookOf(port);
  const socket: Socket = connect(port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  socket.pause();
  socket.write(`GET /events?since=${session}:${version} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  while (server.listeners === 0) await ask(port, '/healthz');

  // More than the socket buffers of two sides hold (some megabytes on Linux).
  const entries = sampleEntries(2000);
  for (let i = 0; i < 60 && server.listeners === 1; i += 1) {
    book.put(...entries);
    clock.advance(1000);
    await ask(port, '/healthz');
  }
  t.equal(server.listeners, 0, 'closed because it does not read');
  socket.resume();
  await closed;
});

t.test('a client that does not read the book is closed', async (t) => {
  const stalled = new Promise<string>((resolve) => {
    const log = { ...silentLog, debug: (text: string): void => resolve(text) };
    void (async () => {
      const { port } = await started(t, {
        // More than the socket buffers of two sides hold.
        entries: sampleEntries(20_000),
        options: { log, eventLimits: { stallMs: 100 } },
      });
      const socket: Socket = connect(port, '127.0.0.1');
      t.teardown(() => socket.destroy());
      socket.on('error', () => {});
      socket.pause();
      socket.write('GET /orderbook.json HTTP/1.1\r\nHost: localhost\r\n\r\n');
    })();
  });
  t.equal(await stalled, 'a reader of the orderbook page does not read');
});

t.test('closing does not wait for pages that listen', async (t) => {
  const { port, server, clock } = await started(t);
  const page = listen(t, port, '');
  await page.opened;
  await server.close();
  await page.closed;
  t.equal(clock.pending, 0, 'no timer is left');
});

t.test('an address that cannot be used gives one line', async (t) => {
  const { port, book, clock } = await started(t);
  const options = {
    book,
    network: 'signet' as const,
    health: () => ({ ok: true }),
    clock,
    log: silentLog,
  };
  await t.rejects(startOrderbookServer({ ...options, host: '127.0.0.1', port }), {
    name: 'PageAddressError',
    code: 'EADDRINUSE',
    exitCode: 2,
    message:
      /^orderbook page at 127\.0\.0\.1:\d+: another program listens there; give a free address/,
  });
  await t.rejects(startOrderbookServer({ ...options, host: '192.0.2.1', port: 0 }), {
    code: 'EADDRNOTAVAIL',
  });
});

async function datadirOf(t: Test, nodes: string, extra = ''): Promise<string> {
  const datadir = await mkdtemp(join(tmpdir(), 'onionmc-watcher-'));
  t.teardown(() => rm(datadir, { recursive: true, force: true }));
  await writeFile(join(datadir, 'joinmarket.cfg'), loopbackConfig({ nodes, extra }), {
    mode: 0o600,
  });
  return datadir;
}

t.test('onionmc ob-watcher: two makers on a directory appear on the page', async (t) => {
  const directory = startCli(['directory', '--datadir', await datadirOf(t, '')]);
  const [location = ''] = await directory.shows('stdout', /^127\.0\.0\.1:\d+/);
  const watcherDir = await datadirOf(t, location, '[OBWATCHER]\nhost = 127.0.0.1\nport = 1\n');
  const watcher = startCli(['ob-watcher', '--datadir', watcherDir, '--port', '0']);
  const [url = ''] = await watcher.shows('stdout', /http:\/\/127\.0\.0\.1:\d+\//);
  const { port } = new URL(url);
  const nicks: string[] = [];
  const makers = [];
  for (const size of ['10000000', '20000000']) {
    const maker = startCli(['maker', '--datadir', await datadirOf(t, location), '--size', size]);
    const [nick = ''] = await maker.shows('stdout', /^J5\w+/);
    nicks.push(nick);
    makers.push(maker);
  }

  let position = '';
  const known = new Set<string>();
  const page = listen(t, Number(port), position);
  while (!nicks.every((nick) => known.has(nick))) {
    const event = await page.next();
    position = event.id;
    for (const { counterparty } of (await bookOf(Number(port))).offers) known.add(counterparty);
  }
  t.match(position, /^[\w-]+:\d+$/);
  const book = await bookOf(Number(port));
  t.same(book.offers.map(({ counterparty }) => counterparty).toSorted(), nicks.toSorted());
  for (const offer of book.offers) t.same(offer.directories, [location]);
  t.match(book.statistics, { makers: 2, directories_up: 1, chain: 'none' });
  t.match(book.statistics.directories, [{ location, up: true, offers: 2, missing_count: 0 }]);
  t.equal((await ask(Number(port), '/healthz')).code, 200);

  for (const program of [...makers, watcher, directory]) {
    program.child.kill('SIGTERM');
    t.equal((await program.ended).code, 0);
  }
});

t.test('onionmc ob-watcher: a wrong command line, and a port that is taken', async (t) => {
  const { port } = await started(t);
  const datadir = await datadirOf(t, '127.0.0.1:1');
  const cases = [
    [['--port', '70000'], /a port number, at most 65535/],
    [['--host', 'a b'], /a host name or an IP address; the port goes into --port/],
    [['--port', String(port)], /another program listens there; give a free address with --host/],
  ] as const;
  for (const [args, message] of cases) {
    const { code, stderr, stdout } = await startCli(['ob-watcher', '--datadir', datadir, ...args])
      .ended;
    t.equal(code, 2, args.join(' '));
    t.match(stderr, message);
    t.equal(stdout, '');
  }
});
