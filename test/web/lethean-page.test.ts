/**
 * The page of the Lethean client in Debian's Chromium: the five steps, the four views, and who may act. With
 * `ONIONMC_SCREENSHOTS=DIR` in the environment, the tests also make pictures of it.
 */
import { join } from 'node:path';
import { request as sendRequest } from 'node:http';
import type { Browser, Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { launchBrowser, probe, SCREENSHOTS, until, watchSite } from '../helpers/browser.js';
import {
  EVIL,
  KEY,
  recordOf,
  PROVIDER_ADDRESS,
  SECRETS,
  startDesk,
  type DeskScene,
} from '../helpers/lethean-desk.js';

t.setTimeout(200_000);

let browser: Browser | undefined;
t.before(async () => {
  browser = await launchBrowser();
});
t.teardown(() => browser?.close());

function pageTest(
  name: string,
  act: (t: Test, page: Page, scene: DeskScene) => Promise<void>,
  { withToken = true, expected = /^$/ } = {},
): void {
  t.test(name, async (t) => {
    const scene = await startDesk(t);
    const { open, check } = await watchSite(t, browser, scene.url, { expected });
    const page = await open();
    if (withToken) {
      // Only the part behind the `#` is new: the page is not loaded again.
      await page.goto(`${scene.url}#${scene.token}`);
    }
    await page.waitForSelector('[data-status=live]');
    await act(t, page, scene);
    check();
  });
}

const inner = (page: Page, selector: string): Promise<string> => page.locator(selector).innerText();
const step = (page: Page): Promise<string> => inner(page, '#steps [aria-current=step]');
const press = (page: Page, id: string): Promise<void> => page.locator(id).click();

async function picture(page: Page, name: string): Promise<void> {
  if (SCREENSHOTS !== undefined) {
    await page.screenshot({ path: join(SCREENSHOTS, name), fullPage: true });
  }
}

pageTest('browse, select, pay, connect, use', async (t, page, { client, token }) => {
  t.notOk(page.url().includes(token), 'the token does not stay in the address');
  t.equal(await step(page), 'Browse');
  t.match(await inner(page, '#no-offers'), /No offers are known/);
  await page.locator('#country').fill('au');
  await page.locator('#cost').fill('0.5');
  await page.locator('#speed').fill('10mbps');
  await page.locator('#type').selectOption('proxy');
  await press(page, '#search');
  await until(page, "!document.querySelector('#offers').hidden");
  t.match(client.filters, [
    {
      type: 'proxy',
      country: 'au',
      maxPricePerDay: 50_000_000n,
      minKbps: 10_000,
      keepUnknown: true,
    },
  ]);
  t.match(await inner(page, '#offers'), /Provider One: Gate\s+proxy\s+–\s+0.25\s+Select/);
  t.match(await inner(page, '#left-out'), /^2 more do not name/);
  const buttons = page.locator('#offers button');
  t.ok(await buttons.nth(1).isDisabled(), 'an old service cannot be connected to');

  await page.locator('#days').fill('3');
  await buttons.first().click();
  await until(page, "probe.text('#card-attempt .badge') === 'pay?'");
  t.equal(await step(page), 'Pay');
  t.equal(client.paid, undefined, 'nothing is paid before the decision');
  t.equal(client.days, 3);
  t.match(
    await inner(page, '#card-attempt'),
    new RegExp(`0.75 LTHN for 3 days, and the fee[^]*0.75 LTHN to ${PROVIDER_ADDRESS}`),
  );
  t.ok(await buttons.first().isDisabled(), 'one attempt at a time');
  await picture(page, 'lethean-pay.png');
  await press(page, '#pay');
  await until(page, "probe.text('#steps [aria-current=step]') === 'Connect'");
  t.equal(client.paid, true);
  client.tunnel.resolve();
  await press(page, '#look');
  await until(page, "probe.text('#steps [aria-current=step]') === 'Use'");
  t.match(await inner(page, '#card-attempt'), /connected[^]*socks5h:\/\/127.0.0.1:8180/);
  t.match(await inner(page, '#card-wallet'), /open[^]*12.5 LTHN[^]*10 LTHN[^]*7 blocks/);
  t.match(await inner(page, '#transfers'), /out\s+0.5\s+3/);
  t.match(await inner(page, '#sessions'), /ACTIVE[^]*0.75[^]*Disconnect/);
  t.match(await inner(page, '#settings'), /wallet-rpc-password\s+set\s+file/);
  await picture(page, 'lethean-use.png');
  await page.locator('#sessions button').click();
  await until(page, "probe.text('#sessions').includes('DISCONNECTED')");
  t.same(client.disconnected, [KEY]);
  t.equal(await step(page), 'Browse');
  const all = (await page.locator('html').innerText()) + (await page.content());
  for (const secret of SECRETS) t.notOk(all.includes(secret), `the page has no ${secret}`);
});

pageTest('a payment that is refused, and a cancelled attempt', async (t, page, { client }) => {
  await press(page, '#kept');
  await page.locator('#offers button').first().click();
  await until(page, "!document.querySelector('#no-pay').hidden");
  await press(page, '#no-pay');
  await until(page, "probe.text('#card-attempt .badge') === 'failed'");
  t.match(await inner(page, '#card-attempt .reason'), /nothing was paid/);
  t.equal(client.paid, false);
});

pageTest(
  'faults of fields, of the search and of the wallet are told',
  async (t, page, scene) => {
    for (const [field, text, message] of [
      ['#country', 'Q1', /two letters/],
      ['#cost', 'much', /decimal number of LTHN/],
      ['#speed', '10', /has a unit/],
    ] as const) {
      await page.locator(field).fill(text);
      await press(page, '#search');
      await until(page, "!document.querySelector('#fault').hidden");
      t.match(await inner(page, '#fault'), message);
      await page.locator(field).fill('');
      await press(page, '#kept');
      await until(page, "document.querySelector('#fault').hidden");
    }
    scene.client.searchFault = new Error(`no answer ${EVIL}`);
    await press(page, '#search');
    await until(page, "probe.text('#fault').includes('no answer')");
    t.match(await inner(page, '#fault'), /<img/, 'hostile text is shown as text');
    scene.wallet = () => Promise.reject(new Error('the wallet RPC cannot be used: start it'));
    await press(page, '#look');
    await until(page, "probe.text('#card-wallet .badge') === 'no answer'");
    t.match(await inner(page, '#card-wallet'), /start it/);
    t.equal(await page.locator('img').count(), 1, 'the image of the header only');
    await page.locator('#days').fill('0');
    await page.locator('#offers button').first().click();
    await until(page, "probe.text('#fault').includes('days are a whole number')");
  },
  { expected: /Failed to load resource/ },
);

pageTest(
  'a button keeps the focus when its row changes, and Enter searches',
  async (t, page, scene) => {
    const { client } = scene;
    client.sessions.set(KEY, recordOf('ACTIVE', 1_800_000_000));
    await page.locator('#kept').click();
    await until(page, "!document.querySelector('#sessions').hidden");
    await page.locator('#sessions button').focus();
    // Traffic flows: the next answer has other numbers.
    client.sessions.set(KEY, recordOf('ACTIVE', 1_800_000_000, { sent: 5_000_000, received: 1 }));
    await until(page, "probe.text('#sessions').includes('5 MB')");
    t.equal(await page.evaluate('document.activeElement.textContent'), 'Disconnect');
    await page.keyboard.press('Enter');
    await until(page, "probe.text('#sessions').includes('DISCONNECTED')");
    t.same(client.disconnected, [KEY]);
    await page.locator('#country').fill('au');
    await page.keyboard.press('Enter');
    await until(page, "!document.querySelector('#offers').hidden");
    t.match(client.filters, [{ country: 'au' }]);
  },
);

pageTest('an answer from before an action is not shown after it', async (t, page) => {
  let held: { readonly body: string; readonly send: () => Promise<void> } | undefined;
  await page.route('**/status', async (route) => {
    const response = await route.fetch();
    const body = await response.text();
    if (held === undefined) held = { body, send: () => route.fulfill({ response, body }) };
    else await route.fulfill({ response, body });
  });
  const asked = page.waitForRequest('**/status');
  await asked;
  await page.locator('#kept').click();
  await until(page, "!document.querySelector('#offers').hidden");
  t.notMatch(held?.body, /Provider One/, 'the state before');
  const answered = page.waitForResponse('**/status');
  await held?.send();
  await (await answered).finished();
  t.match(await inner(page, '#offers'), /Provider One/);
  await page.waitForRequest('**/status');
  t.match(await inner(page, '#offers'), /Provider One/);
  await page.unrouteAll({ behavior: 'ignoreErrors' });
});

pageTest(
  'without the token the page only reads',
  async (t, page) => {
    t.match(await inner(page, '#read-only'), /^Read only/);
    for (const id of ['#search', '#kept', '#look']) t.ok(await page.locator(id).isDisabled());
  },
  { withToken: false },
);

interface Asked {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

function statusOf(
  url: string,
  { path = '/wallet', method = 'POST', headers = {}, body = '{}' }: Asked,
) {
  return new Promise<number>((resolve, reject) => {
    const sent = sendRequest(new URL(path, url), { method, headers }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

t.test('who may act', async (t) => {
  const { url, token } = await startDesk(t);
  const good = { 'x-onionmc-token': token, 'content-type': 'application/json' };
  for (const [name, asked, code] of [
    ['the person with the token', { headers: good }, 200],
    ['no token', { headers: { 'content-type': 'application/json' } }, 401],
    ['another token', { headers: { ...good, 'x-onionmc-token': 'x'.repeat(32) } }, 401],
    ['another site', { headers: { ...good, origin: 'https://evil.example' } }, 403],
    [
      'another site, as the browser says',
      { headers: { ...good, 'sec-fetch-site': 'cross-site' } },
      403,
    ],
    ['a page of this site', { headers: { ...good, origin: url.slice(0, -1) } }, 200],
    ['another Host', { headers: { ...good, host: 'evil.example' } }, 421],
    ['a form', { headers: { ...good, 'content-type': 'text/plain' } }, 415],
    ['no object', { headers: good, body: '[1]' }, 400],
    ['too much', { headers: good, body: `{"a":"${'x'.repeat(20_000)}"}` }, 413],
    ['a path that is only read', { headers: good, path: '/status' }, 405],
    ['another method', { headers: good, method: 'DELETE' }, 405],
    ['reading an action', { headers: good, method: 'GET', body: '' }, 404],
    ['a decision when none is asked', { headers: good, path: '/pay', body: '{"pay":true}' }, 409],
    ['nothing to cancel', { headers: good, path: '/cancel' }, 409],
    ['a missing field', { headers: good, path: '/select' }, 400],
  ] as const) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    t.equal(await statusOf(url, asked), code, name);
  }
});

pageTest('keyboard, contrast, and a phone', async (t, page) => {
  await press(page, '#search');
  await until(page, "!document.querySelector('#offers').hidden");
  await page.locator('body').press('Tab');
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    const worst = await probe<{ ratio: number; where: string }>(page, 'leastContrast()');
    t.ok(worst.ratio >= 4.5, `${colorScheme}: ${worst.where} ${worst.ratio}`);
  }
  for (const width of [1280, 768, 375, 320]) {
    await page.setViewportSize({ width, height: 812 });
    await probe(page, 'painted()');
    t.equal(await probe(page, 'width()'), width, `${width}: nothing sticks out`);
    t.same(await probe(page, 'smallControls()'), [], `${width}: controls are large enough`);
  }
  await picture(page, 'lethean-phone.png');
});
