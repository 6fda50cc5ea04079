/**
 * The state of a real Tor on the status page of a directory in two overlays: a private Tor network, and Chromium.
 */
import t from 'tap';
import type { Browser } from 'playwright-core';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { createOverlaySet } from '../../src/overlay/overlay-set.js';
import { createTorOverlay } from '../../src/overlay/tor.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { formatLocation } from '../../src/protocol/location.js';
import { startDirectoryNode } from '../../src/roles/directory-node.js';
import { connectControl } from '../../src/tor/control/client.js';
import { launchBrowser, probe, until, watchSite } from '../helpers/browser.js';
import { torNetworkFor } from '../helpers/tor-network.js';

t.setTimeout(200_000);

let browser: Browser | undefined;
t.before(async () => {
  browser = await launchBrowser();
});
t.teardown(() => browser?.close());

/** The state of Tor is asked for every 30 s; here every 1.5 s. */
const FACTOR = 20;
const clock = {
  now: () => systemClock.now() * FACTOR,
  after: (ms: number, fn: () => void) => systemClock.after(ms / FACTOR, fn),
};

interface StatusJson {
  readonly state: string;
  readonly services: readonly {
    readonly kind: string;
    readonly location: string;
    readonly state: string;
    readonly daemon?: Readonly<Record<string, unknown>>;
  }[];
}

t.test('version, bootstrap, circuits and control connection of a real Tor', async (t) => {
  const network = await torNetworkFor(t);
  const tor = await network.startTor({ name: 'service', controlPort: true });
  const { controlEndpoint: endpoint } = tor;
  if (endpoint === undefined) throw new Error('this tor has no control port');
  const statusPort = await freePort();
  const node = await startDirectoryNode({
    network: 'signet',
    overlay: createOverlaySet([
      createTorOverlay({
        socks: { kind: 'tcp', ...tor.socks },
        clock,
        serving: {
          kind: 'control',
          identity: { kind: 'ephemeral' },
          listen: { host: '127.0.0.1', port: 0 },
          connectControl: (signal) => connectControl({ endpoint, signal }),
        },
      }),
      createLoopbackOverlay({ host: '127.0.0.1', port: 0 }),
    ]),
    clock,
    status: { host: '127.0.0.1', port: statusPort },
  });
  t.teardown(() => node.close());
  await node.reachable;
  const url = `http://127.0.0.1:${statusPort}/`;
  const status = async (): Promise<StatusJson> =>
    JSON.parse(await (await fetch(`${url}status`)).text());
  const { open, check } = await watchSite(t, browser, url);
  const page = await open();
  await page.waitForSelector('[data-status=live]');
  await until(page, "probe.text('#card-daemon .badge') === 'ready'");

  const reply = await tor.control.command('GETINFO version');
  const version = /^version=(.*)$/.exec(reply.lines[0]?.text ?? '')?.[1] ?? '';
  t.match(version, /^0\.4\.\d/);
  const card = await page.locator('#card-daemon').innerText();
  t.equal(await probe(page, "text('#card-daemon h3')"), 'Tor');
  t.ok(card.includes(`Version\n${version}`), card);
  t.match(card, /Control connection\nup\nStart\n100 % Done\nCircuits\nyes\nNetwork\nlive/);
  t.match(card, /Last answer\n\d+ (s|min) ago/);

  const { services } = await status();
  t.match(services, [
    {
      kind: 'onion',
      location: formatLocation(node.location),
      state: 'reachable',
      daemon: { name: 'Tor', connected: true, version, bootstrapPercent: 100, circuits: true },
    },
    { kind: 'loopback', state: 'reachable' },
  ]);
  t.notOk(services[1]?.daemon, 'sockets of this machine have no program');
  const locations = await page.locator('#card-locations').innerText();
  for (const { location } of services) t.ok(locations.includes(location), location);
  t.equal(await page.locator('#card-locations .badge').count(), 2);

  const metrics = async (): Promise<string> => (await fetch(`${url}metrics`)).text();
  const well = await metrics();
  for (const row of [
    'location_reachable{kind="onion"} 1',
    'location_reachable{kind="loopback"} 1',
    'daemon_connected{kind="onion"} 1',
    'daemon_bootstrap_percent{kind="onion"} 100',
    'daemon_circuits{kind="onion"} 1',
    'daemon_network_live{kind="onion"} 1',
  ]) {
    t.ok(well.includes(`onionmc_${row}\n`), row);
  }
  t.notMatch(well, /daemon_\w+\{kind="loopback"\}/);

  for (const width of [320, 375, 760, 1280, 1920]) {
    await page.setViewportSize({ width, height: 812 });
    t.equal(await probe(page, 'width()'), width, `nothing sticks out at ${width}`);
    t.same(await probe(page, 'cut()'), [], `all text in full at ${width}`);
  }
  for (const colorScheme of ['dark', 'light'] as const) {
    await page.emulateMedia({ colorScheme });
    const { ratio, where } = await probe<{ ratio: number; where: string }>(page, 'leastContrast()');
    t.ok(ratio >= 4.5, `${colorScheme}: at least ${ratio.toFixed(2)} to 1 (${where})`);
  }

  await tor.kill();
  await until(page, "probe.text('#card-daemon .badge') === 'no answer'");
  const down = await page.locator('#card-daemon').innerText();
  t.match(down, /Control connection\ndown/);
  t.notMatch(down, /Circuits|Start\n/, 'nothing that is not known any more');
  t.match(await metrics(), /daemon_connected\{kind="onion"\} 0/);
  t.match((await status()).services, [{ state: 'lost' }, { state: 'reachable' }]);
  await until(page, "probe.text('#card-locations li:first-child .badge') === 'lost'");

  await tor.restart();
  await until(page, "probe.text('#card-daemon .badge') === 'ready'");
  check();
});
