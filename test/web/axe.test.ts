/**
 * The accessibility rules of axe-core on the pages in Debian's Chromium: light and dark, on a screen and on a phone.
 * Keyboard, contrast over images, and sizes for a finger are in the tests of the pages.
 */
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { MakerFigures } from '../../src/maker/figures.js';
import { startDirectoryNode } from '../../src/roles/directory-node.js';
import { startMakerPage } from '../../src/roles/maker-page.js';
import { startOrderbookServer } from '../../src/web/server.js';
import { joinMany } from '../directory/many.js';
import { onion } from '../directory/wire.js';
import { launchBrowser, probe, until, watchSite } from '../helpers/browser.js';
import { startDesk } from '../helpers/lethean-desk.js';
import { EMPTY_STATUS, SAMPLE_NOW, sampleStatus } from '../helpers/sample-maker.js';
import { createSampleBook, DIRECTORIES, sampleEntries } from './sample-book.js';

t.setTimeout(200_000);

const AXE = fileURLToPath(import.meta.resolve('axe-core/axe.min.js'));

let browser: Browser | undefined;
t.before(async () => {
  browser = await launchBrowser();
});
t.teardown(() => browser?.close());

interface Finding {
  readonly id: string;
  readonly help: string;
  readonly nodes: readonly {
    readonly target: readonly string[];
    readonly failureSummary: string;
  }[];
}

/** Runs all rules in the page. */
async function findings(page: Page): Promise<readonly string[]> {
  const { violations, passes } = await page.evaluate<{
    readonly violations: readonly Finding[];
    readonly passes: readonly Finding[];
  }>('axe.run(document, { resultTypes: ["violations", "passes"] })');
  if (passes.length < 10) throw new Error(`only ${passes.length} rules applied`);
  return violations.map(({ id, help, nodes }) => {
    const where = nodes.map(({ target }) => target.join(' ')).slice(0, 5);
    return `${id}: ${help} (${where.join(', ')})`;
  });
}

/** Looks at the page of a site in each combination. */
async function looksAt(
  t: Test,
  url: string,
  ready: (page: Page) => Promise<unknown>,
  unfold: (page: Page) => Promise<unknown>,
): Promise<void> {
  const { open, check, prepare } = await watchSite(t, browser, url);
  await prepare({ path: AXE });
  const page = await open();
  await ready(page);
  for (const isUnfolded of [false, true]) {
    if (isUnfolded) await unfold(page);
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const width of [1280, 375]) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 812 });
        await probe(page, 'painted()');
        const name = `${colorScheme}, ${width} px${isUnfolded ? ', unfolded' : ''}`;
        t.same(await findings(page), [], name);
      }
    }
  }
  check();
}

t.test('a rule that is broken is found', async (t) => {
  const { open, prepare } = await watchSite(t, browser, 'about:blank');
  await prepare({ path: AXE });
  const page = await open();
  await page.setContent(
    `<html lang="en"><title>x</title><main><h1>x</h1><img src="data:,"><p style="color: #eee">pale text</p>
    <button></button>${'<p>text</p>'.repeat(5)}</main></html>`,
  );
  const found = (await findings(page)).map((text) => text.split(':', 1)[0]);
  for (const id of ['image-alt', 'button-name', 'color-contrast']) t.ok(found.includes(id), id);
});

t.test('the orderbook page', async (t) => {
  const began = systemClock.now();
  const [, , withheld] = DIRECTORIES;
  const book = createSampleBook(() => systemClock.now() - began, sampleEntries(40), withheld);
  const server = await startOrderbookServer({
    host: '127.0.0.1',
    port: 0,
    book,
    network: 'signet',
    health: () => ({ ok: true }),
    clock: systemClock,
    log: silentLog,
    eventLimits: { intervalMs: 50 },
  });
  t.teardown(() => server.close());
  await looksAt(
    t,
    server.url,
    (page) => until(page, "probe.shown() === '40 offers'"),
    (page) => page.locator('tbody tr[role=row]').first().click(),
  );
});

t.test('the status page', async (t) => {
  const port = await freePort();
  const node = await startDirectoryNode({
    network: 'signet',
    overlay: createLoopbackOverlay({ host: '127.0.0.1', port: 0 }),
    status: { host: '127.0.0.1', port },
  });
  t.teardown(() => node.close());
  const peers = [
    joinMany(node.location.port, 'J5maker', undefined, { location: onion(1) }),
    joinMany(node.location.port, 'J5taker'),
    joinMany(node.location.port, 'J5wrong', undefined, { with: { network: 'mainnet' } }),
  ];
  t.teardown(() => {
    for (const { socket } of peers) socket.destroy();
  });
  await Promise.all(peers.map(({ accepted }) => accepted));
  // A Tor that starts, and a lost location, which this directory does not have.
  const daemon = { name: 'Tor', connected: true, version: '0.4.9', bootstrapPercent: 50 };
  const worse = (status: { readonly services: readonly object[] }): object => ({
    ...status,
    health: { ok: false, reason: 'not reachable' },
    services: [
      { ...status.services[0], daemon },
      { location: `${'a'.repeat(56)}.onion:5222`, kind: 'onion', state: 'lost', detail: 'closed' },
    ],
  });
  await looksAt(
    t,
    `http://127.0.0.1:${port}/`,
    (page) => page.locator('#refusals tbody tr').first().waitFor(),
    async (page) => {
      await page.route('**/status', async (route) => {
        const response = await route.fetch();
        await route.fulfill({ json: worse(JSON.parse(await response.text())) });
      });
      await page.reload();
      await until(page, "probe.text('#card-daemon .badge') === '50 %'");
    },
  );
});

t.test('the page of a maker', async (t) => {
  const port = await freePort();
  let status = sampleStatus();
  const server = await startMakerPage({
    host: '127.0.0.1',
    port,
    status: () => status,
    outside: () => ({
      reachable: true,
      tests: 1,
      failures: 0,
      testedAt: 0,
      dialMs: 9,
      answerMs: 9,
    }),
    figures: new MakerFigures(),
    clock: systemClock,
    log: silentLog,
    epoch: () => SAMPLE_NOW * 1000,
  });
  t.teardown(() => server?.close());
  await looksAt(
    t,
    `http://127.0.0.1:${port}/`,
    (page) => page.locator('#coinjoins tbody tr').first().waitFor(),
    async (page) => {
      status = { ...EMPTY_STATUS, reachable: false };
      await page.reload();
      await until(page, "probe.text('#card-outside .badge') === 'no answer'");
    },
  );
});

t.test('the page of the Lethean client', async (t) => {
  const { url, token } = await startDesk(t);
  await looksAt(
    t,
    url,
    async (page) => {
      await page.goto(`${url}#${token}`);
      await page.reload();
      await page.waitForSelector('[data-status=live]');
      await page.locator('#search').click();
      await page.locator('#look').click();
      await until(page, "!document.querySelector('#transfers').hidden");
    },
    async (page) => {
      await page.locator('#offers button').first().click();
      await until(page, "!document.querySelector('#pay').hidden");
      await page.locator('#pay').click();
      await until(page, "!document.querySelector('#sessions').hidden");
    },
  );
});
