/** The door of the pages over real HTTP: no code, no page; never in a URL; `/healthz` stays open. */
import t from 'tap';
import { AdmissionEngine } from '../../src/admission/engine.js';
import { pageDoor } from '../../src/admission/page-door.js';
import { silentLog } from '../../src/channel/log.js';
import { HttpPage } from '../../src/http/page.js';
import { NO_METRICS } from '../../src/ops/no-metrics.js';
import { startStatusServer } from '../../src/ops/status-server.js';
import { askStatus } from '../../src/ops/status-client.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import { startOrderbookServer } from '../../src/web/server.js';
import { createTestClock } from '../helpers/test-clock.js';
import { createSampleBook, sampleEntries } from '../web/sample-book.js';
import { bookOf, chosenCode, madeCode, NOW } from './sample.js';

const basic = (user: string, code: string): string =>
  `Basic ${Buffer.from(`${user}:${code}`).toString('base64')}`;

t.test('the status page', async (t) => {
  const code = madeCode();
  const chosen = await chosenCode('correct horse');
  const engine = new AdmissionEngine({ backend: bookOf([code.record, chosen]) });
  const port = await freePort();
  const server = await startStatusServer({
    host: '127.0.0.1',
    port,
    health: () => ({ ok: true }),
    status: () => ({ peers: 3 }),
    metrics: NO_METRICS,
    door: pageDoor(engine, () => NOW),
    log: silentLog,
  });
  t.teardown(() => server?.close());
  const base = `http://127.0.0.1:${port}`;
  const get = (path: string, authorization?: string) =>
    fetch(`${base}${path}`, authorization === undefined ? {} : { headers: { authorization } });

  const refused = await get('/status');
  t.equal(refused.status, 401);
  t.match(refused.headers.get('www-authenticate'), /^Basic realm="onionmc status page"/);
  t.notMatch(await refused.text(), 'peers');
  for (const path of [
    `/status?code=${code.text}`,
    `/status?authorization=Bearer%20${code.text}`,
    '/metrics',
    '/',
    '/other',
  ]) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    t.equal((await get(path)).status, 401, path.slice(0, 20));
  }
  t.equal((await get('/healthz')).status, 200, 'health is open');
  t.same(await (await get('/status', `Bearer ${code.text}`)).json(), { peers: 3 });
  t.same(await (await get('/status', basic('anyone', code.text))).json(), { peers: 3 });
  t.equal((await get('/status', basic('anyone', 'correct horse'))).status, 200, 'a chosen code');
  t.equal((await get('/status', basic('anyone', 'wrong horse'))).status, 401);
  t.equal((await fetch(`${base}/status`, { method: 'HEAD' })).status, 401);
  const url = new URL(base);
  t.match(await askStatus({ base: url, path: '/status' }), { kind: 'page', code: 401 });
  t.match(await askStatus({ base: url, path: '/status', code: code.text }), {
    code: 200,
    page: { peers: 3 },
  });
});

t.test('the order book page', async (t) => {
  const code = madeCode();
  const other = madeCode({ revoked: NOW - 1 });
  const engine = new AdmissionEngine({ backend: bookOf([code.record, other.record]) });
  const clock = createTestClock();
  const server = await startOrderbookServer({
    host: '127.0.0.1',
    port: 0,
    book: createSampleBook(() => clock.now(), sampleEntries(5)),
    network: 'signet',
    health: () => ({ ok: true }),
    clock,
    log: silentLog,
    epoch: () => NOW + clock.now(),
    door: pageDoor(engine, () => NOW),
  });
  t.teardown(() => server.close());
  const base = `http://127.0.0.1:${server.port}`;
  const get = (path: string, authorization?: string) =>
    fetch(`${base}${path}`, authorization === undefined ? {} : { headers: { authorization } });

  for (const path of [
    '/',
    '/orderbook.json',
    '/orderbook.csv',
    '/events?since=0',
    '/page.js',
    '/x',
  ]) {
    // oxlint-disable no-await-in-loop -- one after the other
    const refused = await get(path);
    t.equal(refused.status, 401, path);
    t.match(refused.headers.get('www-authenticate'), /^Basic realm="onionmc /);
    t.notMatch(await refused.text(), /J5|<html/, `nothing of the book at ${path}`);
    const inUrl = `${path}${path.includes('?') ? '&' : '?'}code=${code.text}`;
    t.equal((await get(inUrl)).status, 401, 'never in a URL');
    t.equal((await get(path, `Bearer ${other.text}`)).status, 401, 'revoked');
    t.equal((await get(path, basic('anyone', 'wrong'))).status, 401);
    // oxlint-enable no-await-in-loop
  }
  t.equal((await fetch(`${base}/`, { method: 'HEAD' })).status, 401);
  t.equal((await fetch(`${base}/`, { method: 'POST' })).status, 405);
  t.equal((await get('/healthz')).status, 200, 'health is open');
  for (const authorization of [`Bearer ${code.text}`, basic('anyone', code.text)]) {
    // oxlint-disable-next-line no-await-in-loop
    const [page, json] = await Promise.all([
      get('/', authorization),
      get('/orderbook.json', authorization),
    ]);
    t.equal(page.status, 200);
    t.match(await page.text(), /<html/);
    t.match(await json.text(), /J5/);
  }
});

t.test(
  'a page without a door asks nobody; a door that fails is an error, not an open page',
  async (t) => {
    const options = {
      name: 'test page',
      host: '127.0.0.1',
      port: 0,
      hostsKey: 'none',
      routes: new Map([['/', () => ({ code: 200, type: 'text/plain', body: 'inside' })]]),
      notFound: 'none',
      maxConnections: 8,
      requestsPerConnection: 8,
      log: silentLog,
      addressError: () => new Error('address'),
    };
    const open = await HttpPage.open(options);
    const broken = await HttpPage.open({
      ...options,
      door: () => Promise.reject(new Error('broken')),
    });
    t.teardown(() => Promise.all([open.close(), broken.close()]));
    t.equal((await fetch(`http://127.0.0.1:${open.port}/`)).status, 200);
    const answer = await fetch(`http://127.0.0.1:${broken.port}/`);
    t.equal(answer.status, 500);
    t.notMatch(await answer.text(), 'inside');
  },
);
