/** The pages behind a real nginx and under the names of containers, as operators run them. */
import { get, request } from 'node:http';
import type { LookupFunction } from 'node:net';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import { startCli } from '../helpers/cli.js';
import { loopbackConfig } from '../helpers/config.js';
import { startNginx } from '../helpers/nginx.js';

t.setTimeout(120_000);

interface Reply {
  readonly code: number;
  readonly body: string;
}

/** Every name resolves to this machine. */
const lookup: LookupFunction = (_name, options, found) => {
  if (options.all === true) found(null, [{ address: '127.0.0.1', family: 4 }]);
  else found(null, '127.0.0.1', 4);
};

/** Asks as a program with this name in its configuration: resolves the name and sends it in `Host`. */
function ask(url: string, accept = '*/*'): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { lookup, agent: false, headers: { accept } });
    sent.once('error', reject);
    sent.once('response', (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.once('end', () => resolve({ code: response.statusCode ?? 0, body }));
    });
    sent.end();
  });
}

/** Resolves with the text of the stream as soon as it holds this; rejects when it ends before. */
function streamUntil(t: Test, url: string, wanted: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = get(url, { lookup, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
        if (text.includes(wanted)) resolve(text);
      });
      response.on('error', () => {});
      response.once('close', () => reject(new Error(`the stream ended: ${text}`)));
    });
    t.teardown(() => sent.destroy());
    sent.on('error', reject);
  });
}

async function datadirOf(t: Test, config: string): Promise<string> {
  const datadir = await mkdtemp(join(tmpdir(), 'onionmc-proxy-'));
  t.teardown(() => rm(datadir, { recursive: true, force: true }));
  await writeFile(join(datadir, 'joinmarket.cfg'), config, { mode: 0o600 });
  return datadir;
}

const ONION = `${'a'.repeat(55)}d.onion`;

t.test('an orderbook page and a directory behind a proxy', async (t) => {
  const statusPort = await freePort();
  const directoryConfig = loopbackConfig({
    statusPort,
    extra: 'status_hosts = directory, Metrics.Example.org',
  });
  const directory = startCli(['directory', '--datadir', await datadirOf(t, directoryConfig)]);
  const [nodes = ''] = await directory.shows('stdout', /^127\.0\.0\.1:\d+/);
  const pageConfig = loopbackConfig({
    nodes,
    extra: `[OBWATCHER]\npage_hosts = book.example.org, orderbook, ${ONION}\n`,
  });
  const watcher = startCli([
    'ob-watcher',
    '--datadir',
    await datadirOf(t, pageConfig),
    '--port',
    '0',
  ]);
  const [url = ''] = await watcher.shows('stdout', /http:\/\/127\.0\.0\.1:\d+\//);
  const page = new URL(url).port;

  const nginxPort = await freePort();
  const nginx = (name: string, path = '/'): string => `http://${name}:${nginxPort}${path}`;
  await startNginx(
    t,
    `server {
      listen 127.0.0.1:${nginxPort} default_server;
      server_name book.example.org;
      location / { proxy_pass http://127.0.0.1:${page}; proxy_set_header Host $host; }
      location /obwatch/ { proxy_pass http://127.0.0.1:${page}/; proxy_set_header Host $http_host; }
    }
    server {
      listen 127.0.0.1:${nginxPort};
      server_name plain.example.org;
      location / { proxy_pass http://127.0.0.1:${page}; }
    }
    server {
      listen 127.0.0.1:${nginxPort};
      server_name metrics.example.org;
      location / { proxy_pass http://127.0.0.1:${statusPort}; proxy_set_header Host $host; }
      location /node/ { proxy_pass http://127.0.0.1:${statusPort}/; proxy_set_header Host $host; }
    }`,
    nginxPort,
  );

  t.test('the page by its public name, at the root and below a path', async (t) => {
    for (const name of ['book.example.org', 'BOOK.example.org.', ONION, 'localhost']) {
      for (const path of ['/', '/app.js', '/orderbook.json', '/obwatch/', '/obwatch/style.css']) {
        t.equal((await ask(nginx(name, path))).code, 200, `${name}${path}`);
      }
    }
    t.match(await ask(nginx('book.example.org')), { body: /<title>.*rderbook/ });
    t.equal(
      (await ask(nginx('plain.example.org'))).code,
      200,
      'where nginx sends the address as the name',
    );
  });

  t.test('no page by any other name, through nginx or without it', async (t) => {
    for (const name of ['evil.example', 'book.example.org.evil.example', '10.0.0.1', '[fd00::1]']) {
      t.equal(await rawHost(nginxPort, name), 421, `${name} through nginx`);
      t.equal(await rawHost(Number(page), name), 421, name);
    }
  });

  t.test('events pass the proxy at once', async (t) => {
    const first = await streamUntil(t, nginx('book.example.org', '/events?since='), 'retry: ');
    const told = first.split('event: statistics').length - 1;
    t.ok(told <= 1, `${told} events in the first part: nginx does not buffer`);
    const seen = streamUntil(t, nginx('book.example.org', '/events?since='), '"counterparty":"J5');
    const maker = startCli([
      'maker',
      '--datadir',
      await datadirOf(t, loopbackConfig({ nodes })),
      '--size',
      '10000000',
    ]);
    const [nick = ''] = await maker.shows('stdout', /^J5\w+/);
    t.match(await seen, new RegExp(nick));
    maker.child.kill('SIGTERM');
    t.equal((await maker.ended).code, 0);
  });

  t.test('the page by the name of a container', async (t) => {
    t.equal((await ask(`http://orderbook:${page}/orderbook.json`)).code, 200);
    t.equal((await ask(`http://orderbook:${page}/healthz`)).code, 200);
    t.equal((await ask(`http://other:${page}/healthz`)).code, 421);
  });

  t.test(
    'health and metrics of the directory by the name of a service, as Prometheus does',
    async (t) => {
      const accept = 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5';
      const metrics = await ask(`http://directory:${statusPort}/metrics`, accept);
      t.equal(metrics.code, 200);
      t.match(metrics.body, /^onionmc_peers \d+$/m);
      t.match(await ask(`http://directory:${statusPort}/healthz`), {
        code: 200,
        body: /"ok":true/,
      });
      t.equal((await ask(nginx('metrics.example.org', '/metrics'))).code, 200);
      const refused = await ask(`http://prometheus:${statusPort}/metrics`, accept);
      t.match(refused, { code: 421, body: /status_hosts in \[DIRECTORY\]/ });
    },
  );

  t.test('the status page of the directory, whole and below a path', async (t) => {
    for (const path of ['/', '/node/']) {
      const at = (link: string): string => nginx('metrics.example.org', `${path}${link}`);
      const html = await ask(at(''), 'text/html,*/*;q=0.8');
      t.match(html, { code: 200, body: /<title>Directory/ }, path);
      const links = [...html.body.matchAll(/(?:href|src)="([^"#]+)"/g)].map(
        ([, link = '']) => link,
      );
      t.ok(links.length > 10);
      for (const link of links) {
        t.notMatch(link, /^\/|:/, `${link} is relative`);
        t.equal((await ask(at(link))).code, 200, `${path}${link}`);
      }
      t.match(await ask(at('')), { code: 404, body: /try .healthz/ }, 'a program gets what it got');
    }
  });

  t.test('both programs end as usual', async (t) => {
    for (const program of [watcher, directory]) {
      program.child.kill('SIGTERM');
      t.equal((await program.ended).code, 0);
    }
  });
});

/** The code of the answer to a request whose `Host` is this text. */
function rawHost(port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', headers: { host }, agent: false });
    sent.once('error', reject);
    sent.once('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.end();
  });
}
