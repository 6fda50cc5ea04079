/**
 * The page of a maker in Debian's Chromium. With `ONIONMC_SCREENSHOTS=DIR` in the environment, the tests also
 * make pictures of it.
 */
import { join } from 'node:path';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import type { MakerStatus } from '../../src/maker/api.js';
import { MakerFigures } from '../../src/maker/figures.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { startMakerPage } from '../../src/roles/maker-page.js';
import type { OutsideReport } from '../../src/roles/outside-test.js';
import { launchBrowser, probe, SCREENSHOTS, until, watchSite } from '../helpers/browser.js';
import { EMPTY_STATUS, PLANTED, SAMPLE_NOW, sampleStatus } from '../helpers/sample-maker.js';

t.setTimeout(200_000);

let browser: Browser | undefined;
t.before(async () => {
  browser = await launchBrowser();
});
t.teardown(() => browser?.close());

interface Scene {
  status: MakerStatus;
  outside: OutsideReport;
  readonly figures: MakerFigures;
  readonly url: string;
  readonly stop: () => Promise<void>;
}

const TESTED: OutsideReport = {
  reachable: true,
  tests: 12,
  failures: 1,
  testedAt: systemClock.now(),
  dialMs: 1_520,
  answerMs: 310,
};

async function startScene(t: Test, status: MakerStatus): Promise<Scene> {
  const port = await freePort();
  const figures = new MakerFigures();
  const scene = { status, outside: TESTED };
  const server = await startMakerPage({
    host: '127.0.0.1',
    port,
    status: () => scene.status,
    outside: () => scene.outside,
    figures,
    clock: systemClock,
    log: silentLog,
    epoch: () => SAMPLE_NOW * 1000,
  });
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= server?.close() ?? Promise.resolve());
  t.teardown(stop);
  return Object.assign(scene, { figures, url: `http://127.0.0.1:${port}/`, stop });
}

interface Setting {
  readonly status?: MakerStatus;
  readonly context?: BrowserContextOptions;
  readonly expected?: RegExp;
}

function pageTest(
  name: string,
  { status = sampleStatus(), ...setting }: Setting,
  act: (t: Test, page: Page, scene: Scene) => Promise<void>,
): void {
  t.test(name, async (t) => {
    const scene = await startScene(t, status);
    const { open, check } = await watchSite(t, browser, scene.url, setting);
    const page = await open();
    await page.waitForSelector('[data-status=live]');
    await act(t, page, scene);
    check();
  });
}

const text = async (page: Page, selector: string): Promise<string> =>
  (await probe<string>(page, `text(${JSON.stringify(selector)})`)).replaceAll('\u202f', '');
const inner = async (page: Page, selector: string): Promise<string> =>
  (await page.locator(selector).innerText()).replaceAll('\u202f', '');
const asked = (page: Page): Promise<void> => page.locator('#banner button').dispatchEvent('click');

async function picture(page: Page, name: string, fullPage = true): Promise<void> {
  if (SCREENSHOTS === undefined) return;
  // Plots are drawn when the page is idle.
  await page.waitForTimeout(1_000);
  await page.screenshot({ path: join(SCREENSHOTS, name), fullPage });
}

pageTest('a maker after a year', {}, async (t, page, { figures, status }) => {
  figures.ended({ result: 'signed', txid: PLANTED.txid, pushed: true, amount: 1, earned: 1 });
  const failed = { result: 'failed', by: 'taker', step: 'auth', fault: 'silent' } as const;
  figures.ended({ ...failed, detail: PLANTED.taker });
  await asked(page);
  await until(page, "!document.querySelector('#ended').hidden");
  const earned = status.coinjoins
    .filter(({ state }) => state === 'confirmed')
    .reduce((sum, one) => sum + one.earned, 0);
  t.equal(await text(page, '#figure-earned'), String(earned));
  t.equal(await text(page, '#figure-coinjoins'), '120');
  t.equal(await text(page, '#figure-pending'), '1');
  t.equal(await text(page, '#figure-sessions'), '2');
  t.equal(await text(page, '#figure-available'), '2.50201007');
  t.match(
    await inner(page, '#card-identity'),
    /announced[^]*J5SampleMaker0000[^]*m{56}\.onion:5222/,
  );
  t.match(await inner(page, '#card-outside'), /answers[^]*Tests\n12, 1 failed[^]*took\n1\.52 s/);
  t.match(await inner(page, '#card-bond'), /announced\s*Value\n115B\nLocked until\n2028-08-27/);
  t.match(await inner(page, '#card-program'), /Version\n\d+\.\d+\.\d+[^]*block 927001/);
  t.match(
    await inner(page, '#offers'),
    /sw0 relative\s+0\.002 %\s+0\.00105000\s+2\.50123456\s+0 sat/,
  );
  t.match(await inner(page, '#coins'), /mixdepth 1\s+0\.00000000\s+0\.12000000/);
  t.match(await inner(page, '#sessions'), /the transaction\s+0\.05000000\s+42 s/);
  t.equal(await text(page, '#ended'), 'Since the start: 1 signed; ended before: silent 1.');
  const rows = page.locator('#coinjoins tbody tr');
  t.equal(await rows.count(), 25);
  t.match(await rows.first().innerText(), /not settled\s+0\.12345678\s+2\s+\(70\)/);
  t.match(await rows.nth(1).innerText(), /replaced\s+0\.12345678\s+2\s+–/);
  t.match(await text(page, '#more-coinjoins'), /^97 earlier coinjoins: onionmc maker history/);

  await until(page, 'probe.inks().length === 2');
  for (const ink of await probe<number[]>(page, 'inks()')) t.ok(ink > 5, `${ink} colours`);
  const labels = async (): Promise<readonly string[]> => {
    const all = await page.locator('.chart').all();
    return Promise.all(
      all.map(async (chart) =>
        ((await chart.getAttribute('aria-label')) ?? '').replaceAll('\u202f', ''),
      ),
    );
  };
  t.match(await labels(), [
    new RegExp(`^Earned in total\\. ${earned} sat in total, \\d+ sat of it in 30 days\\.$`),
    /^Coinjoins per day\. \d+ coinjoins in 30 days, on \d+ days\.$/,
  ]);
  await page.getByRole('button', { name: 'All' }).click();
  await until(page, "probe.text('#plot-days .sentence').startsWith('120')");
  t.match(await labels(), [/ sat in total\.$/, /^Coinjoins per day\. 120 coinjoins in all/]);
  t.equal(await page.getByRole('button', { name: 'All' }).getAttribute('aria-pressed'), 'true');

  const all = (await page.locator('html').innerText()) + (await page.content());
  for (const [what, secret] of Object.entries(PLANTED)) {
    t.notOk(all.includes(secret.slice(0, 20)), `the page has no ${what}`);
  }
  await picture(page, 'maker-light.png', false);
  await page.emulateMedia({ colorScheme: 'dark' });
  await picture(page, 'maker-dark.png');
  await page.setViewportSize({ width: 375, height: 812 });
  await picture(page, 'maker-phone.png');
});

pageTest(
  'a maker that has just begun, and what changes later',
  { status: EMPTY_STATUS },
  async (t, page, scene) => {
    t.ok(await page.locator('#unhealthy').isHidden(), 'a planned change is no fault');
    t.match(await inner(page, '#card-identity'), /changing[^]*Next change\nin 5 min/);
    t.match(await inner(page, '#card-bond'), /none/);
    t.match(
      await inner(page, '#no-offers'),
      /^No offer: no mixdepth has enough confirmed coins\.$/,
    );
    t.ok(await page.getByText('No taker is here now.').isVisible());
    t.ok(await page.getByText('None yet.').isVisible());
    await page.getByText('Nothing was earned yet.').waitFor();
    scene.status = { ...EMPTY_STATUS, nextIdentityAt: undefined };
    await asked(page);
    await until(page, "!document.querySelector('#unhealthy').hidden");
    t.match(await inner(page, '#unhealthy'), /no offer: no mixdepth has enough confirmed coins/);
    scene.status = sampleStatus({ reachable: false });
    scene.outside = { ...TESTED, failures: 4 };
    await asked(page);
    await until(page, "probe.text('#card-outside .badge') === 'no answer'");
    t.match(await inner(page, '#unhealthy'), /its onion does not answer from outside/);
    t.ok(await page.locator('#offers').isVisible());
    scene.status = sampleStatus({ reachable: undefined, bond: undefined });
    await asked(page);
    await until(page, "probe.text('#card-outside .badge') === 'not tested'");
    t.ok(await page.locator('#unhealthy').isHidden());
  },
);

const EVIL = '<img src=x onerror=alert(1)><script>alert(2)</script>\u202e';

pageTest(
  'hostile text is shown as text',
  {
    status: sampleStatus({
      network: EVIL,
      nick: EVIL,
      location: EVIL,
      noOffer: EVIL,
      offers: [],
      nextIdentityAt: undefined,
      // Words that a later version may use.
      sessions: [{ taker: 'x', step: 'tx', amount: 1, since: SAMPLE_NOW }],
    }),
  },
  async (t, page) => {
    await page.route('**/status', async (route) => {
      const response = await route.fetch();
      const answer: { coinjoins: { state: string }[]; sessions: { step: string }[] } = JSON.parse(
        await response.text(),
      );
      for (const one of answer.coinjoins.slice(0, 3)) one.state = EVIL;
      for (const one of answer.sessions) one.step = EVIL;
      await route.fulfill({ json: answer });
    });
    await asked(page);
    await until(page, "probe.text('#sessions').includes('<img')");
    t.equal(await page.locator('img').count(), 1, 'the image of the header only');
    t.equal(await page.locator('body script').count(), 0);
    t.match(await text(page, '#coinjoins'), /<script>alert/);
    t.match(await text(page, '#network'), /<img/);
    t.match(await text(page, '#unhealthy'), /<img/);
  },
);

pageTest(
  'a maker that stops, and an answer that cannot be read',
  { expected: /Failed to load resource|ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE/ },
  async (t, page, scene) => {
    await page.route('**/status', (route) => route.fulfill({ json: { health: null } }));
    await asked(page);
    await page.getByText("The maker's answer cannot be read").waitFor();
    t.equal(await page.locator('#connection').getAttribute('data-status'), 'broken');
    await page.unroute('**/status');
    await scene.stop();
    await asked(page);
    await page.getByText('The maker does not answer.').waitFor();
    t.equal(await page.locator('#connection').getAttribute('data-status'), 'away');
    t.match(await inner(page, '#banner'), /The page shows the state of/);
  },
);

pageTest('keyboard, contrast, and a phone', {}, async (t, page) => {
  await page.keyboard.press('Tab');
  t.equal(await probe(page, 'focusedText()'), 'Skip to the state');
  await page.keyboard.press('Enter');
  t.equal(await probe(page, 'focused()'), 'SECTION state');
  const seen: string[] = [];
  for (let i = 0; i < 12; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one key after the other
    await page.keyboard.press('Tab');
    // oxlint-disable-next-line no-await-in-loop
    const focused = await probe<string>(page, 'focusedText()');
    // oxlint-disable-next-line no-await-in-loop
    if (seen.length < 3) t.not(await probe(page, 'outline()'), 'none', `${focused}: an outline`);
    seen.push(focused);
  }
  t.match(seen.join(','), /30 days,1 year,All/);
  for (const colorScheme of ['light', 'dark'] as const) {
    // oxlint-disable-next-line no-await-in-loop
    await page.emulateMedia({ colorScheme });
    // oxlint-disable-next-line no-await-in-loop
    const worst = await probe<{ ratio: number; where: string }>(page, 'leastContrast()');
    t.ok(worst.ratio >= 4.5, `${colorScheme}: ${worst.where} ${worst.ratio}`);
  }
  for (const width of [1280, 768, 375, 320]) {
    // oxlint-disable-next-line no-await-in-loop
    await page.setViewportSize({ width, height: 812 });
    // oxlint-disable-next-line no-await-in-loop
    await probe(page, 'painted()');
    // oxlint-disable-next-line no-await-in-loop
    t.equal(await probe(page, 'width()'), width, `${width}: nothing sticks out`);
    // oxlint-disable-next-line no-await-in-loop
    t.same(await probe(page, 'cut()'), [], `${width}: nothing is cut`);
    // oxlint-disable-next-line no-await-in-loop
    t.same(await probe(page, 'smallControls()'), []);
  }
});
