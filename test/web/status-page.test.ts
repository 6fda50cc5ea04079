/**
 * The status page of a running directory in Debian's Chromium. With `ONIONMC_SCREENSHOTS=DIR` in the
 * environment, the tests also make pictures of it.
 */
import { join } from 'node:path';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import t, { type Test } from 'tap';
import type { Clock } from '../../src/channel/ports.js';
import type { Cluster, ClusterState } from '../../src/cluster/api.js';
import { DEFAULT_LIMITS, LIMIT_ROWS } from '../../src/directory/limits.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { startDirectoryNode, type DirectoryNode } from '../../src/roles/directory-node.js';
import type { OpenCluster } from '../../src/roles/node-cluster.js';
import { joinMany, nickOf, type Mass } from '../directory/many.js';
import { NO_RATES, onion } from '../directory/wire.js';
import { CLUSTER_STATE, clusterOf } from '../helpers/cluster-state.js';
import { launchBrowser, probe, SCREENSHOTS, until, watchSite } from '../helpers/browser.js';

t.setTimeout(280_000);

let browser: Browser | undefined;
t.before(async () => {
  browser = await launchBrowser();
});
t.teardown(() => browser?.close());

/** With this factor, a step of the history takes a third of a second. */
const FACTOR = 30;

/** The time of the directory: runs `FACTOR` times as fast. */
function fastClock(): Clock {
  const began = systemClock.now();
  return {
    now: () => began + (systemClock.now() - began) * FACTOR,
    after: (ms, fn) => systemClock.after(ms / FACTOR, fn),
  };
}

interface Scene {
  readonly node: DirectoryNode;
  readonly close: () => Promise<void>;
  /** Resolves when the directory has lived for so many steps of its history from now on. */
  readonly steps: (count: number) => Promise<void>;
  readonly url: string;
  readonly statusPort: number;
  readonly join: (nick: string, options?: Parameters<typeof joinMany>[3]) => Mass;
  /** From now on, makers and takers send messages, and other connections are refused. */
  readonly load: (makers: number, takers: number) => Promise<readonly Mass[]>;
}

async function startNode(
  statusPort: number,
  canary: boolean,
  clock = fastClock(),
  cluster?: OpenCluster,
): Promise<DirectoryNode> {
  return startDirectoryNode({
    network: 'signet',
    overlay: createLoopbackOverlay({ host: '127.0.0.1', port: 0 }),
    limits: {
      ...DEFAULT_LIMITS,
      ...NO_RATES,
      // An hour passes in two minutes.
      handshakeTimeoutMs: Infinity,
      heartbeatIntervalMs: 0,
      writeStallTimeoutMs: Infinity,
      maxPeers: 500,
    },
    canaryIntervalMs: canary ? 60_000 : 0,
    clock,
    status: { host: '127.0.0.1', port: statusPort },
    cluster,
  });
}

async function startScene(t: Test, canary = true, cluster?: OpenCluster): Promise<Scene> {
  const statusPort = await freePort();
  const clock = fastClock();
  const node = await startNode(statusPort, canary, clock, cluster);
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= node.close());
  t.teardown(close);
  const peers: Mass[] = [];
  t.teardown(() => {
    for (const { socket } of peers) socket.destroy();
  });
  const { port } = node.location;
  function joins(nick: string, options?: Parameters<typeof joinMany>[3]): Mass {
    const peer = joinMany(port, nick, undefined, options);
    peers.push(peer);
    return peer;
  }
  async function load(makers: number, takers: number): Promise<readonly Mass[]> {
    const loaded = [
      ...Array.from({ length: makers }, (_, i) => {
        return joins(nickOf('Maker', i), { location: onion(1 + (i % 200)) });
      }),
      ...Array.from({ length: takers }, (_, i) => joins(nickOf('Taker', i))),
    ];
    await Promise.all(loaded.map(({ accepted }) => accepted));
    let turn = 0;
    const talking = setInterval(() => {
      turn += 1;
      const peer = loaded[turn % loaded.length];
      if (turn % 3 > 0) peer?.send(687, `${peer.nick}!PUBLIC!sw0absoffer 0 ${turn} 9 0 1`);
      if (turn % 10 === 0) joins(nickOf('Wrong', turn), { with: { network: 'mainnet' } });
      if (turn % 15 === 0) peer?.send(687, `${peer.nick}!${peer.nick}`);
    }, 20);
    t.teardown(() => clearInterval(talking));
    return loaded;
  }
  return {
    node,
    close,
    steps: (count) => new Promise((resolve) => void clock.after(count * 10_000, resolve)),
    url: `http://127.0.0.1:${statusPort}/`,
    statusPort,
    join: joins,
    load,
  };
}

interface Setting {
  readonly canary?: boolean;
  readonly cluster?: OpenCluster;
  readonly context?: BrowserContextOptions;
  readonly expected?: RegExp;
}

/** A test with an open page of a directory. */
function pageTest(
  name: string,
  { canary, cluster, ...setting }: Setting,
  act: (t: Test, open: () => Promise<Page>, scene: Scene) => Promise<void>,
): void {
  t.test(name, async (t) => {
    const site = await startScene(t, canary, cluster);
    const { open, check } = await watchSite(t, browser, site.url, setting);
    await act(t, open, site);
    check();
  });
}

const live = (page: Page): Promise<unknown> => page.waitForSelector('[data-status=live]');
const text = (page: Page, selector: string): Promise<string> =>
  probe(page, `text(${JSON.stringify(selector)})`);
const shows = (page: Page, selector: string, wanted: string): Promise<unknown> =>
  until(page, `probe.text(${JSON.stringify(selector)}) === ${JSON.stringify(wanted)}`);

/** The page also tries again by itself, and may have hidden the button by then. */
const tryNow = (page: Page): Promise<void> => page.locator('#banner button').dispatchEvent('click');

async function picture(page: Page, name: string, fullPage = true): Promise<void> {
  if (SCREENSHOTS === undefined) return;
  // Plots are drawn when the page is idle.
  await page.waitForTimeout(1_000);
  await page.screenshot({ path: join(SCREENSHOTS, name), fullPage });
}

let clusterSeen: ClusterState = CLUSTER_STATE;
const cluster = (): Cluster => clusterOf(() => clusterSeen);

pageTest('a node of a cluster shows the other nodes', { cluster }, async (t, open) => {
  const page = await open();
  await live(page);
  await shows(page, '#card-cluster .badge', 'connected');
  const card = page.locator('#card-cluster');
  const nodes = card.getByRole('list', { name: 'Nodes of the cluster' }).getByRole('listitem');
  t.match(await nodes.allInnerTexts(), [
    /^a\s*this node\s*0 peers$/,
    /^b\s*alive\s*1.200 peers, clock 2 s behind, another motd$/,
    /^c\s*dead\s*0 peers, heard 42 s ago/,
  ]);
  t.match(await card.innerText(), /Peers of all nodes\n2.400[^]*Records dropped\n3/);
  await picture(page, 'status-cluster.png');
  clusterSeen = { ...CLUSTER_STATE, connected: false, detail: 'connect ECONNREFUSED' };
  await shows(page, '#card-cluster .badge', 'cut off');
  t.match(await card.innerText(), /connect ECONNREFUSED/);
});

pageTest('a directory under load', {}, async (t, open, scene) => {
  const loaded = await scene.load(40, 23);
  await scene.steps(SCREENSHOTS === undefined ? 10 : 120);
  const page = await open();
  await live(page);
  await shows(page, '#figure-peers', '63');
  t.equal(await page.locator('#card-cluster').isVisible(), false, 'it is on one machine');
  t.equal(await text(page, '#figure-serving'), '40');
  t.equal(await text(page, '#figure-not-serving'), '23');
  t.equal(await text(page, '#network'), 'signet');
  t.match(await text(page, '#figure-uptime'), /^\d+ (s|min|h)$/);
  t.match(
    await page.locator('#card-service').innerText(),
    /reachable[^]*Reachable for\n\d+ (s|min)/,
  );
  await shows(page, '#card-canary .badge', 'reachable');
  t.match(await page.locator('#card-canary').innerText(), /Probes\n\d+, \d+ failed/);
  t.match(await page.locator('#card-load').innerText(), /Connections\n\d+[^]*Bans in force\n0/);
  t.match(await page.locator('#card-program').innerText(), /Version\n\d+\.\d+\.\d+/);

  await until(page, 'probe.inks().length === 6');
  for (const ink of await probe<number[]>(page, 'inks()')) t.ok(ink > 5, `${ink} colours`);
  const labels = [];
  for (const chart of await page.locator('.chart').all()) {
    labels.push((await chart.getAttribute('aria-label'))?.replaceAll('\u202f', ''));
  }
  t.match(labels, [
    /^Peers\. 40 serving and 23 not serving\.$/,
    /^Deliveries per second\. [\d.]+ per second, for [\d.]+ received\.$/,
    /^Queue of the slowest peer\. \d+ peers? behind, the slowest by \d+.* waiting for the budget\.$/,
    /^Latency in the program\. The slowest flush took [\d.]+ m?s; the event loop was late by up to/,
    /^Latency through Tor\. Of the canary: handshake [\d.]+ m?s, message [\d.]+ m?s\.$/,
    /^Refused per minute\. [\d.]+ per minute: handshakes, lines and connections\.$/,
  ]);
  const refusals = page.getByRole('table', { name: 'Last refusals' });
  t.match(await refusals.innerText(), /network\s*handshake refused/);
  t.match(await refusals.innerText(), /route\s*line dropped/);
  const row = refusals.getByRole('row').filter({ hasText: 'network' });
  t.match(await row.innerText(), /\d+\s+\d+\s+\d+ (s|min) ago/);

  const limits = page.locator('#limits > div');
  t.equal(await limits.count(), LIMIT_ROWS.length, 'each limit');
  const maxPeers = limits.filter({ hasText: 'max_peers' });
  t.match((await maxPeers.innerText()).replaceAll('\u202f', ''), /500\s*default 10000/);
  t.match(await maxPeers.innerText(), LIMIT_ROWS[0]?.meaning);
  t.match(await limits.filter({ hasText: 'junk_per_minute' }).innerText(), /no limit/);

  const all = (await page.locator('html').innerText()) + (await page.content());
  for (const { nick } of loaded.slice(0, 3))
    t.notOk(all.includes(nick), 'the page contains no nick');
  t.notOk(all.includes(onion(1).slice(0, 20)));
  await picture(page, 'directory-light.png', false);
  await page.emulateMedia({ colorScheme: 'dark' });
  await picture(page, 'directory-dark.png');
  await page.setViewportSize({ width: 375, height: 812 });
  await picture(page, 'directory-phone.png');

  await page.getByRole('button', { name: '24 hours' }).click();
  t.equal(
    await page.getByRole('button', { name: '24 hours' }).getAttribute('aria-pressed'),
    'true',
  );
  t.equal(await page.getByRole('button', { name: '1 hour' }).getAttribute('aria-pressed'), 'false');
  await page.locator('#plot-peers .sentence').waitFor();
});

pageTest('the page follows the directory', { canary: false }, async (t, open, scene) => {
  const page = await open();
  await live(page);
  t.equal(await text(page, '#figure-peers'), '0');
  t.ok(await page.locator('#unhealthy').isHidden());
  t.ok(await page.locator('#refusals').isHidden());
  t.ok(await page.getByText('Nothing was refused since the start.').isVisible());
  t.equal(await text(page, '#card-canary .badge'), 'off');
  await page.getByText('The canary has measured nothing in this time.').waitFor();
  t.ok(await scene.join('J5first', { location: onion(1) }).accepted);
  await shows(page, '#figure-peers', '1');
  await shows(page, '#figure-serving', '1');
  const limits = { ...DEFAULT_LIMITS, ...NO_RATES, maxPeers: 1 };
  scene.node.reload({ limits });
  t.notOk(await scene.join('J5second').accepted);
  await page.reload();
  await live(page);
  t.match(await page.locator('#limits > div').first().innerText(), /max_peers\s*1\s*default/);
  t.match(await page.locator('#refusals').innerText(), /full\s*handshake refused/);
});

pageTest(
  'a directory that stops and starts again, and invalid answers',
  { canary: false, expected: /Failed to load resource|ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE/ },
  async (t, open, scene) => {
    const page = await open();
    await live(page);
    await scene.close();
    await page.getByText('The directory does not answer.').waitFor();
    t.match(
      await page.locator('#banner').textContent(),
      /The page shows the state of \d+:\d\d:\d\d/,
    );
    t.equal(await text(page, '#connection .word'), 'disconnected');
    t.ok(await page.getByRole('button', { name: 'Try now' }).isVisible());
    t.equal(await text(page, '#figure-peers'), '0', 'the last state stays');
    const next = await startNode(scene.statusPort, false);
    t.teardown(() => next.close());
    await tryNow(page);
    await live(page);
    t.ok(await page.locator('#banner').isHidden());

    await page.route('**/history', (route) => route.fulfill({ body: '{"hour": 7}' }));
    await page.reload();
    await page.getByText("The directory's answer cannot be read").waitFor();
    t.equal(await text(page, '#connection .word'), 'error');
    await page.unroute('**/history');
    await tryNow(page);
    await live(page);

    const sick = { health: { ok: false, reason: 'not reachable: <img src=x onerror=alert(1)>' } };
    const answer: object = Object(await (await fetch(`${scene.url}status`)).json());
    const body = JSON.stringify({ ...answer, ...sick, state: 'lost' });
    page.on('dialog', () => t.fail('a script ran'));
    await page.route('**/status', (route) => route.fulfill({ body }));
    await page.reload();
    await page.getByText('Peers cannot use it: not reachable: <img').waitFor();
    t.equal(await page.locator('main img').count(), 0);
    t.equal(await text(page, '#card-service .badge'), 'lost');
  },
);

interface Contrast {
  readonly ratio: number;
  readonly where: string;
}

pageTest('light and dark, by the system or by choice, and readable', {}, async (t, open, scene) => {
  await scene.load(3, 2);
  const page = await open();
  await live(page);
  await page.locator('#refusals tbody tr').first().waitFor();
  const ground = (): Promise<string> => probe(page, 'ground()');
  const light = await ground();
  for (const colorScheme of ['dark', 'light'] as const) {
    await page.emulateMedia({ colorScheme });
    const { ratio, where } = await probe<Contrast>(page, 'leastContrast()');
    t.ok(ratio >= 4.5, `${colorScheme}: at least ${ratio.toFixed(2)} to 1 (${where})`);
  }
  await page.getByRole('button', { name: 'Dark', exact: true }).click();
  t.not(await ground(), light, 'dark although the system is light');
  await page.reload();
  t.not(await ground(), light, 'remembered');
});

pageTest(
  'from a phone to a wide screen',
  { context: { hasTouch: true } },
  async (t, open, scene) => {
    await scene.load(3, 2);
    const page = await open();
    await live(page);
    await page.locator('#refusals tbody tr').first().waitFor();
    for (const width of [320, 375, 600, 760, 761, 1000, 1140, 1280, 1920]) {
      await page.setViewportSize({ width, height: 812 });
      await probe(page, 'painted()');
      t.equal(await probe(page, 'width()'), width, `nothing overflows at ${width}`);
      t.same(await probe(page, 'cut()'), [], `all text in full at ${width}`);
      t.same(
        await probe(page, 'smallControls()'),
        [],
        'all controls are large enough for a finger',
      );
    }
  },
);

pageTest('all controls with the keyboard', { canary: false }, async (t, open) => {
  const page = await open();
  await live(page);
  await page.keyboard.press('Tab');
  t.equal(await probe(page, 'focusedText()'), 'Skip to the state');
  const skip = await page.locator('.skip').boundingBox();
  t.ok(skip !== null && skip.y >= 0, 'the link is visible');
  const stops: string[] = [];
  for (let i = 0; i < 20 && stops.at(-1) !== 'metrics'; i++) {
    await page.keyboard.press('Tab');
    stops.push(await probe<string>(page, 'focusedText()'));
    t.not(await probe(page, 'outline()'), 'none', `${stops.at(-1)} shows that it has the focus`);
  }
  const buttons = ['Auto', 'Light', 'Dark', '1 hour', '24 hours'];
  t.same(stops, [...buttons, 'status', 'history', 'limits', 'healthz', 'metrics']);
  await page.getByRole('button', { name: '24 hours' }).focus();
  await page.keyboard.press('Enter');
  await page.getByText('The first values are there after 8 min.').first().waitFor();
});

t.test(
  'the page for a browser, JSON for a program, and no step without a status page',
  async (t) => {
    const { url } = await startScene(t, false);
    const page = await fetch(url, { headers: { accept: 'text/html' } });
    t.equal(page.status, 200);
    t.match(page.headers.get('content-security-policy'), /default-src 'none'.*script-src 'self'/);
    t.notMatch(
      await page.text(),
      /<style|<script>|style=|onclick=|https?:/,
      'nothing inline or foreign',
    );
    const program = await fetch(url, { headers: { accept: '*/*' } });
    t.equal(program.status, 404);
    t.same(await program.json(), { error: 'try /healthz, /status or /metrics' });
    const { limits } = Object(await (await fetch(`${url}limits`)).json());
    t.match(limits[0], { key: 'max_peers', value: 500, unit: 'count', fallback: 10_000 });
  },
);
