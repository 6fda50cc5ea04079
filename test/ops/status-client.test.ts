/** The client of a status page, against any server that may listen at its address. */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { Clock } from '../../src/kit/clock.js';
import { deferred } from '../../src/kit/deferred.js';
import { readStatus } from '../../src/cli/status.js';
import {
  askStatus,
  MAX_STATUS_BYTES,
  statusBase,
  type StatusAnswer,
  type StatusQuestion,
} from '../../src/ops/status-client.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import { createTestClock } from '../helpers/test-clock.js';

interface OtherProgram {
  readonly base: URL;
  /** Bytes that its peer took before it cut the connection. */
  readonly sent: () => number;
  /** Connections that came. */
  readonly came: () => number;
  /** Resolves when a request arrived and the start of the reply was sent. */
  readonly began: Promise<void>;
}

/** Sends `head`, and then `rest` again and again until the connection is closed. */
async function otherProgram(t: Test, head: string, rest = ''): Promise<OtherProgram> {
  let sent = 0;
  let came = 0;
  const open = new Set<Socket>();
  const began = deferred<void>();
  const server: Server = createServer((socket) => {
    came += 1;
    open.add(socket);
    const more = (): void => {
      while (!socket.destroyed && socket.write(rest)) sent += rest.length;
    };
    socket.on('error', () => {}).on('close', () => open.delete(socket));
    socket.once('data', () => {
      if (rest === '') return void socket.write(head, () => began.resolve());
      socket.write(head);
      socket.on('drain', more).once('drain', () => began.resolve());
      more();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(async () => {
    for (const socket of open) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no TCP address');
  const base = new URL(`http://127.0.0.1:${address.port}`);
  return { base, sent: () => sent, came: () => came, began: began.promise };
}

function timersOf(clock: Clock): Pick<StatusQuestion, 'after'> {
  return { after: (ms, fn) => clock.after(ms, fn) };
}

/** Asks, and lets the time-out pass once the start of the reply has been read. */
async function askUntilTimeout(
  { base, began }: OtherProgram,
  timeoutMs: number,
): Promise<StatusAnswer> {
  const clock = createTestClock();
  const { after } = timersOf(clock);
  const answer = askStatus({ base, path: '/status', timeoutMs, after });
  await began;
  // What was written to a socket of this machine is read in the next turn of the loop.
  await nextTurn();
  await nextTurn();
  clock.advance(timeoutMs - 1);
  t.equal(clock.pending, 1, 'not before the time-out');
  clock.advance(1);
  return answer;
}

const OK = 'HTTP/1.1 200 OK\r\n';
const closing = (body: string, status = OK, headers = ''): string =>
  `${status}${headers}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
/** The bytes that the system buffers between the two ends of a connection. */
const BUFFERS = 8_000_000;

t.test('a page', async (t) => {
  const { base } = await otherProgram(t, closing('{"peers":3}'));
  t.same(await askStatus({ base, path: '/status' }), {
    kind: 'page',
    code: 200,
    page: { peers: 3 },
  });
  const unwell = await otherProgram(t, closing('{"ok":false}', 'HTTP/1.1 503 Unwell\r\n'));
  t.match(await askStatus({ base: unwell.base, path: '/healthz' }), { kind: 'page', code: 503 });
  const port = await freePort();
  t.match(await askStatus({ base: new URL(`http://127.0.0.1:${port}`), path: '/status' }), {
    kind: 'not-listening',
    reason: 'ECONNREFUSED',
  });
});

t.test('answers that are not a page', async (t) => {
  const cases: readonly (readonly [what: string, head: string, reason: RegExp])[] = [
    ['not JSON', closing('hello'), /^answered with 200, not as/],
    ['a list', closing('[]'), /^answered with 200, not as/],
    ['not HTTP', 'SSH-2.0 x\r\n\r\n', /^HPE_/],
  ];
  const { after } = timersOf(createTestClock());
  for (const [what, head, reason] of cases) {
    const { base } = await otherProgram(t, head);
    const answer = await askStatus({ base, path: '/status', after });
    t.match(answer, { kind: 'other-program', reason }, what);
  }
  const reason = /^not all of an answer within 0\.3 s$/;
  const unfinished = [
    ['half a body', `${OK}content-length: 50\r\n\r\n{`],
    ['half a header', 'HTTP/1.1 200'],
    ['a switch of protocols', 'HTTP/1.1 101 x\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'],
  ] as const;
  for (const [what, head] of unfinished) {
    const answer = await askUntilTimeout(await otherProgram(t, head), 300);
    t.match(answer, { kind: 'other-program', reason }, what);
  }
  const answer = await askUntilTimeout(await otherProgram(t, ''), 300);
  t.same(answer, { kind: 'silent', reason: 'no answer within 0.3 s' });
});

t.test('no redirect is followed', async (t) => {
  const other = await otherProgram(t, closing('{"peers":1}'));
  const found = `HTTP/1.1 302 Found\r\n`;
  const { base } = await otherProgram(
    t,
    closing('', found, `location: ${other.base.href}status\r\n`),
  );
  t.match(await askStatus({ base, path: '/status' }), { kind: 'other-program', reason: /302/ });
  t.equal(other.came(), 0);
});

t.test('answers without an end', async (t) => {
  const bounded: readonly (readonly [what: string, head: string, rest: string, reason: RegExp])[] =
    [
      ['a body', `${OK}\r\n`, 'x'.repeat(65_536), /^more than 262144 bytes$/],
      [
        'chunks',
        `${OK}transfer-encoding: chunked\r\n\r\n`,
        `1000\r\n${'x'.repeat(4096)}\r\n`,
        /bytes/,
      ],
      ['headers', OK, `x: ${'y'.repeat(1_000)}\r\n`, /^HPE_HEADER_OVERFLOW$/],
    ];
  // Only its size ends such an answer.
  const { after } = timersOf(createTestClock());
  for (const [what, head, rest, reason] of bounded) {
    const { base, sent } = await otherProgram(t, head, rest);
    const answer = await askStatus({ base, path: '/status', after });
    t.match(answer, { kind: 'other-program', reason }, what);
    t.ok(sent() < MAX_STATUS_BYTES + BUFFERS, `${what}: ${sent()} bytes were taken`);
  }
  const interim = await otherProgram(t, '', 'HTTP/1.1 100 Continue\r\n\r\n');
  const answer = await askUntilTimeout(interim, 2_000);
  t.match(
    answer,
    { kind: 'other-program', reason: /^not all of an answer/ },
    'answers before the answer',
  );
});

t.test('the bound of a body, to the byte', async (t) => {
  for (const [bytes, kind] of [
    [MAX_STATUS_BYTES, 'page'],
    [MAX_STATUS_BYTES + 1, 'other-program'],
  ] as const) {
    const page = JSON.stringify({ peers: 'x'.repeat(bytes - '{"peers":""}'.length) });
    const { base } = await otherProgram(t, closing(page));
    t.match(await askStatus({ base, path: '/status' }), { kind }, `${bytes} bytes`);
  }
});

t.test('a request that is stopped', async (t) => {
  const { base, came } = await otherProgram(t, '');
  const stopped = { kind: 'other-program', reason: 'stopped' };
  const signal = AbortSignal.abort();
  t.same(await askStatus({ base, path: '/status', signal }), stopped, 'before it is sent');
  t.equal(came(), 0, 'no request was sent');
  const later = new AbortController();
  const answer = askStatus({ base, path: '/status', signal: later.signal });
  later.abort();
  t.same(await answer, stopped, 'while it waits for the answer');
});

t.test('the address of the page of a status_host, seen from this machine', async (t) => {
  const rows = [
    ['127.0.0.1', 'http://127.0.0.1:62600/'],
    ['0.0.0.0', 'http://127.0.0.1:62600/'],
    ['::', 'http://[::1]:62600/'],
    ['[::]', 'http://[::1]:62600/'],
    ['::1', 'http://[::1]:62600/'],
    ['directory', 'http://directory:62600/'],
  ] as const;
  for (const [host, url] of rows) t.equal(statusBase(host, 62_600).href, url, host);
});

t.test('onionmc status uses this client', async (t) => {
  const endless = await otherProgram(t, `${OK}\r\n`, 'x'.repeat(65_536));
  await t.rejects(readStatus(endless.base), {
    exitCode: 3,
    message: /^no directory answers at \S+ \(more than 262144 bytes\)/,
  });
});
