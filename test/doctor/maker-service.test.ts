/** `onionmc doctor --role maker` about a maker with a wallet: its wallets, its node, its unit and its page. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { makerRefusal } from '../../src/cli/doctor.js';
import type { Machine } from '../../src/doctor/check.js';
import { serviceVerdict } from '../../src/doctor/maker-service-checks.js';
import { runChecks, type Finding } from '../../src/doctor/run-checks.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { loopbackConfig } from '../helpers/config.js';
import { loadChecks, noNode } from '../helpers/doctor-checks.js';

const CHECKS = await loadChecks('maker');

interface Site {
  readonly datadir: string;
  readonly network?: string;
  readonly extra?: string;
}

async function look({ datadir, network = 'signet', extra = '' }: Site, ...ids: readonly string[]) {
  const blockchain = `network = ${network}`;
  const text = loopbackConfig({ blockchain, nodes: '127.0.0.1:1', extra });
  await writeFile(join(datadir, 'joinmarket.cfg'), text, { mode: 0o600 });
  const machine: Machine = {
    role: 'maker',
    datadir,
    nodeVersion: '20.19.0',
    uid: process.geteuid?.(),
    openFiles: () => Promise.resolve(65_536),
    space: () => Promise.resolve({ bytes: 1e9, files: 1e6 }),
    torProgram: 'tor',
    today: Date.now,
    openChain: noNode,
    clock: systemClock,
    randomBytes,
    signal: new AbortController().signal,
    refusal: makerRefusal,
  };
  const wanted = new Set(['datadir', 'config', ...ids]);
  const findings = await runChecks(
    CHECKS.filter(({ id }) => wanted.has(id)),
    machine,
  );
  const byId = (id: string): Finding | undefined => findings.find((finding) => finding.id === id);
  return byId;
}

async function makeWallet(datadir: string): Promise<void> {
  const folder = join(datadir, 'wallets', 'savings');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(join(folder, 'wallet'), 'x', { mode: 0o600 });
}

t.test('a wallet changes what a maker needs', async (t) => {
  const datadir = t.testdir();
  const ids = ['wallets', 'bond', 'bitcoin-node', 'service', 'maker-page'];
  const without = await look({ datadir }, ...ids);
  t.match(without('wallets'), { status: 'ok', text: /refuses each coinjoin$/ });
  t.match(without('bond'), { status: 'note', text: /^no bond/ });
  t.match(without('bitcoin-node'), { status: 'note', text: /goes on without it/ });
  t.match(without('service'), { status: 'ok', text: /^no wallet/ });
  t.match(without('maker-page'), { status: 'ok', text: /^off; status_port in / });

  await makeWallet(datadir);
  const made = await look({ datadir }, ...ids);
  t.match(made('wallets'), { status: 'ok', text: '1 wallet: savings' });
  t.match(made('bond'), { status: 'ok', text: /^the most valuable one of the wallet/ });
  t.match(made('bitcoin-node'), { status: 'wrong', text: /^no bitcoin node answers/ });
});

t.test('mainnet is refused only without a wallet', async (t) => {
  const datadir = t.testdir();
  const refused = (await look({ datadir, network: 'mainnet' }))('config');
  t.match(refused, { status: 'wrong', text: /^network is mainnet, and this maker has no wallet/ });
  await makeWallet(datadir);
  t.match((await look({ datadir, network: 'mainnet' }))('config'), { status: 'ok' });
});

t.test('the unit, its wallet and its password', async (t) => {
  const dir = t.testdir({ wanted: {}, credentials: {}, units: {} });
  const folders = {
    wanted: join(dir, 'wanted'),
    credentials: join(dir, 'credentials'),
    units: join(dir, 'units'),
  };
  const verdict = (...wallets: readonly string[]) => serviceVerdict(wallets, folders);
  t.match(await verdict('savings'), {
    status: 'note',
    fix: /sudo systemctl enable --now onionmc-maker@savings$/,
  });
  await writeFile(join(folders.wanted, 'onionmc-maker@savings.service'), '');
  t.match(await verdict('other'), {
    status: 'wrong',
    text: 'the unit onionmc-maker@savings is enabled, and there is no wallet of this name',
  });
  t.match(await verdict('savings'), {
    status: 'wrong',
    text: /credentials\/onionmc-maker-savings\.password is missing/,
    fix: /^systemd-ask-password -n \| sudo systemd-creds encrypt --name=wallet-password - "\//,
  });
  // The unit may have its password from elsewhere.
  await mkdir(join(folders.units, 'onionmc-maker@savings.service.d'));
  t.match(await verdict('savings'), { status: 'ok' });
  await rm(join(folders.units, 'onionmc-maker@savings.service.d'), { recursive: true });
  await writeFile(join(folders.credentials, 'onionmc-maker-savings.password'), 'x');
  t.match(await verdict('savings'), { status: 'ok', text: 'enabled: onionmc-maker@savings' });
});

/** A page with these answers by path; a path without one needs a code. */
async function serve(t: Test, port: number, pages: Readonly<Record<string, unknown>>) {
  const server = createServer(({ url = '' }, response) => {
    response.statusCode = pages[url] === undefined ? 401 : 200;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(pages[url] ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const close = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
  t.teardown(close);
  return close;
}

t.test('the page', async (t) => {
  const datadir = t.testdir();
  const port = await freePort();
  const extra = `[YIELDGENERATOR]\nstatus_port = ${port}`;
  const page = async () => (await look({ datadir, extra }, 'maker-page'))('maker-page');
  t.match(await page(), { status: 'ok', text: `127.0.0.1:${port} is free` });

  const role = { role: 'maker' };
  let close = await serve(t, port, { '/status': role, '/healthz': { ok: true } });
  t.match(await page(), { status: 'ok', text: `the maker shows it at http://127.0.0.1:${port}/` });
  await close();
  close = await serve(t, port, { '/status': role, '/healthz': { ok: false, reason: 'no offer' } });
  t.match(await page(), { status: 'note', text: /takers cannot use the maker: no offer$/ });
  await close();
  close = await serve(t, port, { '/healthz': { ok: true } });
  t.match(await page(), { status: 'ok', text: /the maker shows it at .* to those with a code$/ });
  await close();
  close = await serve(t, port, {});
  t.match(await page(), { status: 'wrong', text: /is taken by another program/ }, 'all is closed');
  await close();
  await serve(t, port, { '/status': { peers: 1 }, '/healthz': { ok: true } });
  t.match(await page(), { status: 'wrong', text: /is taken by another program: a start fails$/ });
});
