/**
 * The page in Debian's Chromium. With `ONIONMC_SCREENSHOTS=DIR` in the environment, the tests also make the
 * pictures of docs/orderbook.md.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import type { BookEntry, BookStatistics, BondState } from '../../src/orderbook/book-api.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { OFFER_TYPES } from '../../src/protocol/commands.js';
import { startOrderbookServer } from '../../src/web/server.js';
import { launchBrowser, probe, SCREENSHOTS, until, watchSite } from '../helpers/browser.js';
import {
  asReached,
  bondOf,
  createSampleBook,
  DIRECTORIES,
  entryOf,
  sampleEntries,
  type SampleBook,
} from './sample-book.js';

t.setTimeout(280_000);

const ROWS = 'tbody tr[role=row]';

let browser: Browser | undefined;
t.before(async () => {
  browser = await launchBrowser();
});
t.teardown(() => browser?.close());

interface Site {
  readonly url: string;
  readonly book: SampleBook;
  /** Opens another page of the same site. */
  readonly another: () => Promise<Page>;
  readonly stop: () => Promise<void>;
  /** Serves again at the same address. */
  readonly restart: () => Promise<void>;
}

interface Setting {
  readonly entries?: readonly BookEntry[];
  /** The maker that a directory withholds, according to the audit. */
  readonly withheld?: string | undefined;
  /** Whether a bitcoin node answers; true by default. */
  readonly chain?: BookStatistics['chain'];
  readonly context?: BrowserContextOptions;
  /** Errors of the browser that the test expects. */
  readonly expected?: RegExp;
}

async function serve({ entries = [], withheld, chain }: Setting) {
  const began = systemClock.now();
  const book = createSampleBook(() => systemClock.now() - began, entries, withheld, chain);
  const start = (port: number) =>
    startOrderbookServer({
      host: '127.0.0.1',
      port,
      book,
      network: 'signet',
      health: () => ({ ok: true }),
      clock: systemClock,
      log: silentLog,
      eventLimits: { intervalMs: 50 },
    });
  let server = await start(0);
  return {
    book,
    url: server.url,
    stop: () => server.close(),
    restart: async () => {
      server = await start(server.port);
    },
  };
}

/**
 * A test with an open page. At its end the page has sent no request to another host, the policy was never
 * violated and no script failed.
 */
function pageTest(
  name: string,
  setting: Setting,
  act: (t: Test, page: Page, site: Site) => Promise<void>,
): void {
  t.test(name, async (t) => {
    const site = await serve(setting);
    t.teardown(() => site.stop());
    const { open: another, check } = await watchSite(t, browser, site.url, setting);
    await act(t, await another(), { ...site, another });
    check();
  });
}

const shows = (page: Page, wanted: string): Promise<unknown> =>
  until(page, `probe.shown() === ${JSON.stringify(wanted)}`);
const live = (page: Page): Promise<unknown> => page.waitForSelector('[data-status=live]');
const texts = (page: Page, column: string): Promise<string[]> =>
  page.locator(`${ROWS} td.col-${column}`).allTextContents();
const inOrder = (list: readonly (string | undefined)[]): readonly (string | undefined)[] =>
  list.toSorted((a = '', b = '') => (a < b ? -1 : 1));
const bonded = (entry: BookEntry): boolean => entry.bond !== undefined;
const header = (page: Page, name: string) => page.getByRole('columnheader', { name });

async function picture(page: Page, name: string): Promise<void> {
  if (SCREENSHOTS === undefined) return;
  // Charts are drawn when the page is idle, and changes are highlighted for three seconds.
  await page.waitForTimeout(4000);
  await page.screenshot({ path: join(SCREENSHOTS, name) });
}

const threeHundred = sampleEntries(300);

pageTest(
  'what a browser restores at a reload is not taken when it is not valid',
  { entries: sampleEntries(20) },
  async (t, page) => {
    await page.addInitScript({
      content: `document.addEventListener('readystatechange', () => {
        if (document.readyState === 'interactive') document.forms.wish.elements.amount.value = 'much';
      });`,
    });
    await page.reload();
    await live(page);
    await shows(page, '20 offers');
    t.not(await page.locator('#wish [name=amount]').inputValue(), 'much');
  },
);

pageTest('a filter leaves exactly its offers', { entries: threeHundred }, async (t, page) => {
  await shows(page, '300 offers');
  const amount = 10_000_000;
  const [, , third] = DIRECTORIES;
  const directory = page.getByLabel('Directory');
  const cases: readonly (readonly [() => Promise<unknown>, (e: BookEntry) => boolean])[] = [
    [() => page.getByLabel('Maker', { exact: true }).fill('5A'), (e) => /5a/i.test(e.maker)],
    [() => page.getByLabel('Type').selectOption('sw0absoffer'), (e) => e.type === 'sw0absoffer'],
    [() => page.getByLabel('signed').check(), (e) => e.verified],
    [() => page.getByLabel('with a bond').check(), bonded],
    [
      () => page.getByLabel('holds the amount').check(),
      (e) => e.minsize < amount && amount < e.maxsize,
    ],
    [() => directory.selectOption(third), (e) => e.directories.includes(third)],
    [() => directory.selectOption(`-${third}`), (e) => !e.directories.includes(third)],
  ];
  for (const [act, keeps] of cases) {
    await act();
    const left = threeHundred.filter(keeps).length;
    t.ok(left > 0 && left < 300, `${left} offers`);
    await shows(page, `${left} of 300 offers`);
    await page.getByRole('button', { name: 'Clear', exact: true }).click();
    await shows(page, '300 offers');
  }
  await page.getByLabel('Fee at most, sat').fill('100');
  await until(page, "probe.shown() !== '300 offers'");
  const fees = (await texts(page, 'cost')).map(Number);
  t.ok(fees.length > 0 && fees.every((fee) => fee <= 100));

  await page.getByLabel('Maker', { exact: true }).fill('no such maker');
  await page.getByText('No offer matches').waitFor();
  t.ok(await page.getByRole('button', { name: 'Export CSV' }).isDisabled());
  await page.getByRole('button', { name: 'Clear filters' }).click();
  await shows(page, '300 offers');

  const field = page.getByLabel('Amount, BTC');
  const fault = page.getByText('The amount is a number of BTC');
  await field.fill('a lot');
  await fault.waitFor();
  t.equal(await field.getAttribute('aria-invalid'), 'true');
  await field.fill('0,5');
  await fault.waitFor({ state: 'hidden' });
});

pageTest('exports hold the offers shown', { entries: threeHundred }, async (t, page) => {
  await shows(page, '300 offers');
  await page.getByLabel('signed').check();
  await page.getByLabel('with a bond').check();
  const left = threeHundred.filter((e) => e.verified && bonded(e));
  await shows(page, `${left.length} of 300 offers`);
  const wanted = inOrder(left.map(({ maker }) => maker));
  const saved = async (button: string): Promise<string> => {
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: button }).click(),
    ]);
    return readFile(await download.path(), 'utf8');
  };
  const csv = (await saved('Export CSV')).trimEnd().split('\r\n');
  t.match(csv[0], /^counterparty,oid,ordertype,/);
  t.same(inOrder(csv.slice(1).map((line) => line.split(',')[0])), wanted);
  const json: { offers: { counterparty: string }[] } = JSON.parse(await saved('Export JSON'));
  t.same(inOrder(json.offers.map(({ counterparty }) => counterparty)), wanted);
});

pageTest('headers sort, and state the order', { entries: threeHundred }, async (t, page) => {
  await shows(page, '300 offers');
  const bySize = threeHundred.toSorted((a, b) => b.maxsize - a.maxsize).map(({ maker }) => maker);
  const size = header(page, 'Max, BTC');
  t.equal(await size.getAttribute('aria-sort'), 'none');
  await size.getByRole('button').click();
  t.equal(await size.getAttribute('aria-sort'), 'descending');
  const top = await texts(page, 'maker');
  t.same(top, bySize.slice(0, top.length));
  await size.getByRole('button').click();
  t.equal(await size.getAttribute('aria-sort'), 'ascending');
  t.same(await texts(page, 'maker'), bySize.toReversed().slice(0, top.length));
  const others = [
    'Maker',
    'Type',
    'Fee, sat',
    'Min, BTC',
    'Bond',
    'Directories',
    'Chance',
    'Heard',
  ];
  for (const name of others) {
    await header(page, name).getByRole('button').click();
    t.match(await header(page, name).getAttribute('aria-sort'), /^(a|de)scending$/, name);
    t.equal(await page.locator('th[aria-sort$=scending]').count(), 1, 'one at a time');
  }
});

pageTest('the book changes under the reader', {}, async (t, page, { book }) => {
  await page.getByText('No offers yet').waitFor();
  await live(page);
  book.put(entryOf({ maker: 'J5first', cjfee: '0.0001' }), entryOf({ maker: 'J5second' }));
  await shows(page, '2 offers');
  t.same(await texts(page, 'maker'), ['J5second', 'J5first'], 'cheapest first');
  book.put(entryOf({ maker: 'J5first', cjfee: '0.000001' }));
  await until(page, "probe.rows()[0]?.maker === 'J5first'");
  t.same(await texts(page, 'cost'), ['10', '200'], 'the fee for 0.1 BTC');
  book.drop('J5second/0');
  await shows(page, '1 offer');
  await until(page, "probe.text('#figure-makers') === '1'");
  t.same(await texts(page, 'maker'), ['J5first']);
});

/** The page also tries again by itself, and may have hidden the button by then. */
const tryNow = (page: Page): Promise<void> => page.locator('#banner button').dispatchEvent('click');

pageTest(
  'the watcher stops and starts again; a malformed answer is an error, not a crash',
  {
    entries: [entryOf({ maker: 'J5stays' })],
    expected: /Failed to load resource|ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED/,
  },
  async (t, page, { book, stop, restart, another }) => {
    const word = page.locator('#connection .word');
    await live(page);
    await shows(page, '1 offer');
    await stop();
    await page.getByText(/The connection to the watcher is lost|does not answer/).waitFor();
    t.match(
      await page.locator('#banner').textContent(),
      /The page shows the book of \d+:\d\d:\d\d/,
    );
    t.notMatch(await page.getByRole('alert').first().textContent(), /again/, 'no spoken countdown');
    t.ok(await page.getByRole('button', { name: 'Try now' }).isVisible());
    t.equal(await word.textContent(), 'disconnected');
    t.same(await texts(page, 'maker'), ['J5stays'], 'known offers stay');
    await picture(page, 'orderbook-disconnected.png');
    await restart();
    book.put(entryOf({ maker: 'J5late' }));
    await tryNow(page);
    await live(page);
    await shows(page, '2 offers');
    t.ok(await page.locator('#banner').isHidden());

    const broken = await another();
    await broken.route('**/orderbook.json', (route) => route.fulfill({ body: '{"offers": 7}' }));
    await broken.reload();
    await broken.getByText("The watcher's answer cannot be read").waitFor();
    t.equal(await broken.locator('#connection .word').textContent(), 'error');
    await broken.unroute('**/orderbook.json');
    await tryNow(broken);
    await shows(broken, '2 offers');

    await broken.route('**/events*', (route) => route.fulfill({ status: 503, body: '{}' }));
    await broken.reload();
    await broken.getByText('The watcher serves no more pages').waitFor();
    await shows(broken, '2 offers');
  },
);

const HOSTILE = [
  '<img src=x onerror=alert(1)>',
  '"><script>alert(2)</script>',
  'J5\u202eevil\u0001',
  'J5'.repeat(2000),
  '{{7*7}}',
];
pageTest(
  'untrusted text is shown as text',
  {
    entries: HOSTILE.map((maker, oid) =>
      entryOf({ maker, oid, directories: DIRECTORIES.slice(0, 1), bond: bondOf(1000 + oid) }),
    ),
    withheld: HOSTILE[0],
  },
  async (t, page) => {
    page.on('dialog', () => t.fail('an untrusted script ran'));
    await shows(page, '5 offers');
    t.same(inOrder(await texts(page, 'maker')), inOrder(HOSTILE));
    t.equal(await page.locator('main img, main script').count(), 0);
    const nick = page.locator(ROWS).filter({ hasText: 'J5J5J5' });
    await nick.click();
    await page.getByRole('dialog').waitFor();
    t.equal(await page.locator('dialog img, dialog script').count(), 0);
    t.equal(await probe(page, 'width()'), 1280, 'the longest nick fits');
    await page.keyboard.press('Escape');
    await page.getByText('seems to withhold <img').first().waitFor();
  },
);

pageTest('the whole page with the keyboard', { entries: threeHundred }, async (t, page) => {
  await shows(page, '300 offers');
  await page.keyboard.press('Tab');
  t.equal(await probe(page, 'focusedText()'), 'Skip to the offers');
  const skip = await page.locator('.skip').boundingBox();
  t.ok(skip !== null && skip.y >= 0, 'the link is visible');
  await page.keyboard.press('Enter');
  let stops = 0;
  while ((await probe(page, 'focused()')) !== 'TABLE table' && stops < 30) {
    stops += 1;
    await page.keyboard.press('Tab');
    const where = await probe<string>(page, 'focused()');
    if (where !== 'TABLE table') {
      t.not(await probe(page, 'outline()'), 'none', `${where} shows that it has the focus`);
    }
  }
  t.ok(stops > 8 && stops < 20, `the table is one stop, after ${stops - 1} others`);

  const active = (): Promise<string | null> => probe(page, 'activeRow()');
  t.equal(await active(), '2', 'the first offer');
  const moves = [
    ['ArrowDown', '3'],
    ['End', '301'],
    ['ArrowDown', '301'],
    ['ArrowUp', '300'],
    ['Home', '2'],
  ] as const;
  for (const [key, row] of moves) {
    await page.keyboard.press(key);
    t.equal(await active(), row, key);
    t.ok(await probe(page, 'activeRowInSight()'), `${key}: the row is in sight`);
  }
  await page.keyboard.press('PageDown');
  const far = await active();
  t.ok(Number(far) > 5, 'a page further');
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  const nick = await page.locator('tr.active td.col-maker').textContent();
  t.equal(await dialog.getByRole('heading').textContent(), nick);
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  t.equal(await probe(page, 'focused()'), 'TABLE table', 'back in the table');
  t.equal(await active(), far);

  await page.keyboard.press('Tab');
  t.equal(await probe(page, 'focusedText()'), 'Maker', 'then the headers');
  await page.keyboard.press('Enter');
  t.equal(await header(page, 'Maker').getAttribute('aria-sort'), 'ascending');
});

interface Contrast {
  readonly ratio: number;
  readonly where: string;
}

pageTest(
  'light and dark, by the system or by choice, and readable',
  { entries: threeHundred, withheld: threeHundred[3]?.maker },
  async (t, page) => {
    await shows(page, '300 offers');
    const ground = (): Promise<string> => probe(page, 'ground()');
    const choose = (name: string) => page.getByRole('button', { name, exact: true });
    const light = await ground();
    await page.emulateMedia({ colorScheme: 'dark' });
    const dark = await ground();
    t.not(dark, light, 'follows the system');
    await page.locator('details.estimate summary').click();
    for (const colorScheme of ['dark', 'light'] as const) {
      await page.emulateMedia({ colorScheme });
      const { ratio, where } = await probe<Contrast>(page, 'leastContrast()');
      t.ok(ratio >= 4.5, `${colorScheme}: at least ${ratio.toFixed(2)} to 1 (${where})`);
    }
    await choose('Dark').click();
    t.equal(await ground(), dark, 'dark although the system is light');
    await page.reload();
    t.equal(await ground(), dark, 'remembered');
    t.equal(await choose('Dark').getAttribute('aria-pressed'), 'true');
    await choose('Auto').click();
    t.equal(await ground(), light);
  },
);

pageTest(
  'on a phone',
  {
    entries: asReached(threeHundred),
    withheld: threeHundred[3]?.maker,
    chain: 'none',
    context: { viewport: { width: 375, height: 812 }, hasTouch: true },
  },
  async (t, page) => {
    await shows(page, '300 offers');
    t.equal(await probe(page, 'width()'), 375, 'no overflow');
    for (const width of [320, 721, 1000, 375]) {
      await page.setViewportSize({ width, height: 812 });
      t.equal(await probe(page, 'width()'), width, `no overflow at ${width}`);
    }
    const row = page.locator(ROWS).first();
    for (const column of ['maker', 'max', 'cost', 'chance', 'directories', 'age']) {
      const box = await row.locator(`.col-${column}`).boundingBox();
      t.ok(box !== null && box.x >= 0 && box.x + box.width <= 375 && box.width > 10, column);
    }
    t.same(await probe(page, 'smallControls()'), [], 'all controls are large enough for a finger');
    await page.getByLabel('Sort by').selectOption('max descending');
    const largest = threeHundred.reduce((a, b) => (b.maxsize > a.maxsize ? b : a));
    t.equal((await texts(page, 'maker'))[0], largest.maker);
    await row.tap();
    await page.getByRole('dialog').waitFor();
    t.equal(await probe(page, 'width()'), 375);
    await picture(page, 'orderbook-phone-offer.png');
    await page.keyboard.press('Escape');
    await page.evaluate("document.querySelector('.table-panel').scrollIntoView()");
    await picture(page, 'orderbook-phone.png');
  },
);

const BOND_STATES: readonly BondState[] = [
  'waiting',
  'invalid',
  'expired',
  'claimed',
  'signed',
  'asking',
  'unfunded',
  'valued',
];
const everyCell = BOND_STATES.map((state, i) =>
  entryOf({
    ...threeHundred[i],
    maker: threeHundred[i]?.maker ?? 'J5',
    type: OFFER_TYPES[i % OFFER_TYPES.length] ?? 'sw0reloffer',
    maxsize: 123_456_789_012,
    minsize: 12_345_678_901,
    cjfee: i % 2 === 0 ? '0.00000156' : '12345',
    verified: i % 2 === 0,
    bond: { ...bondOf(state === 'valued' ? 114_557_102_085 : undefined, 1_919_999_999), state },
  }),
);
pageTest('no column is cut or outside the window', { entries: everyCell }, async (t, page) => {
  await shows(page, '8 offers');
  const bonds = await texts(page, 'bond');
  t.ok(bonds.includes('until 2030-11'), `bonds in full: ${bonds.join(', ')}`);
  const columns = await page.locator('thead th').count();
  for (const width of [1920, 1440, 1321, 1320, 1280, 1141, 1140, 1024, 820, 768, 761]) {
    await page.setViewportSize({ width, height: 900 });
    await probe(page, 'painted()');
    t.same(await probe(page, 'cutCells()'), [], `no cell is cut at ${width}`);
    t.equal(await probe(page, 'cellsInSight()'), columns * 8, `every column at ${width}`);
    t.equal(await probe(page, 'width()'), width, `no overflow at ${width}`);
  }
});

const healthy = asReached(sampleEntries(57));
pageTest(
  'a maker heard through one directory is no alarm when all directories list it',
  { entries: healthy, chain: 'none' },
  async (t, page, { book }) => {
    await shows(page, '57 offers');
    const amber = page.locator(`${ROWS}.partial`);
    const rows = await page.locator(ROWS).count();
    const unlisted = await probe<string[]>(page, 'coloured(".col-directories", "--warn")');
    const expected = healthy.filter(({ listedBy = [] }) => listedBy.length < 2);
    t.ok(expected.length > 0 && expected.length < 5);
    const sought = (await texts(page, 'maker')).filter((nick) =>
      expected.some(({ maker }) => maker === nick),
    );
    t.same(unlisted, sought, 'only makers that a directory does not list are coloured');
    t.equal(await amber.count(), sought.length);
    t.ok(rows > 10);
    const counts = new Set(await texts(page, 'directories'));
    t.same([...counts].toSorted(), sought.length > 0 ? ['1 of 3', '2 of 3'] : ['2 of 3']);
    await picture(page, 'orderbook-light.png');
    await page.emulateMedia({ colorScheme: 'dark' });
    await picture(page, 'orderbook-dark.png');
    await page.evaluate("document.querySelector('#charts-title').scrollIntoView()");
    await picture(page, 'orderbook-charts-dark.png');
    await page.emulateMedia({ colorScheme: 'light' });
    await page.evaluate("document.querySelector('#directories-title').scrollIntoView()");
    await picture(page, 'orderbook-directories.png');
    book.put(...healthy.map((entry) => ({ ...entry, listedBy: DIRECTORIES.slice(0, 2) })));
    await until(page, "document.querySelectorAll('tr.partial').length === 0");
  },
);

interface TraceEvent {
  readonly name: string;
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  /** Microseconds of the thread's processor time, of complete events. */
  readonly tdur?: number;
  readonly args?: { readonly name?: string };
}

/**
 * Processor time of each task of the page's main thread, in milliseconds, the longest first. Unlike
 * the length of frames it hardly depends on other load of the machine.
 */
function taskTimes(trace: Buffer): readonly number[] {
  const { traceEvents }: { traceEvents: readonly TraceEvent[] } = JSON.parse(String(trace));
  const mains = new Set(
    traceEvents
      .filter(({ name, args }) => name === 'thread_name' && args?.name === 'CrRendererMain')
      .map(({ pid, tid }) => `${pid} ${tid}`),
  );
  return traceEvents
    .filter(({ name, ph }) => ph === 'X' && name.endsWith('RunTask'))
    .filter(({ pid, tid }) => mains.has(`${pid} ${tid}`))
    .map(({ tdur = 0 }) => tdur / 1000)
    .toSorted((a, b) => b - a);
}

const twoThousand = sampleEntries(2000);
pageTest(
  'two thousand offers',
  { entries: twoThousand, withheld: twoThousand[5]?.maker },
  async (t, page, { book }) => {
    await shows(page, '2000 offers');
    t.equal(await page.locator('#table').getAttribute('aria-rowcount'), '2001');
    const rows = (): Promise<number> => page.locator(ROWS).count();
    t.ok((await rows()) < 60, 'only rows near the ones in sight exist');
    const height = "document.querySelector('#scroller').scrollHeight";
    t.ok((await page.evaluate<number>(height)) > 2000 * 40, 'the table has the height of all rows');

    await browser?.startTracing(page, { categories: ['toplevel', '__metadata'] });
    for (const name of ['Max, BTC', 'Maker', 'Bond', 'Chance', 'Fee, sat']) {
      await header(page, name).getByRole('button').click();
      await probe(page, 'painted()');
    }
    await page.getByLabel('signed').check();
    await shows(page, `${twoThousand.filter((e) => e.verified).length} of 2000 offers`);
    await page.getByLabel('signed').uncheck();
    await shows(page, '2000 offers');
    for (let i = 1; i <= 20; i += 1) {
      await probe(page, `scroll('#scroller', ${i * 3900})`);
      await probe(page, 'painted()');
      t.ok((await rows()) < 60);
    }
    const seen = await page.locator(ROWS).first().getAttribute('aria-rowindex');
    t.ok(Number(seen) > 1500, 'scrolled to the end');
    book.put(...sampleEntries(200, 11));
    await shows(page, '2200 offers');
    await probe(page, 'painted()');
    const trace = await browser?.stopTracing();
    const times = trace === undefined ? [] : taskTimes(trace);
    const longest = times.slice(0, 5).map((ms) => ms.toFixed(0));
    t.ok(times.length > 50, 'tasks were counted');
    t.comment(
      `${times.length} tasks of the page; the longest took ${longest.join(', ')} ms of CPU`,
    );
  },
);

pageTest(
  'charts are drawn, and a text says what they show',
  { entries: sampleEntries(100).map((e) => ({ ...e, minsize: 100_000, maxsize: 500_000_000 })) },
  async (t, page) => {
    await until(page, 'probe.inks().length === 4');
    const labels = [];
    for (const chart of await page.locator('.chart').all()) {
      labels.push(await chart.getAttribute('aria-label'));
    }
    t.match(labels, [
      /^Depth: makers by amount\. 100 makers can join 0\.1 BTC\.$/,
      /^Fees for the amount, sat\. Half of 100 offers ask \d+ sat or less\.$/,
      /^Largest sizes, BTC\. Half of the offers reach 5 BTC\.$/,
      /^Fidelity bonds\. Bonds of \d+ makers, by value\.$/,
    ]);
    for (const ink of await probe<number[]>(page, 'inks()')) t.ok(ink > 5, `${ink} colours`);
  },
);

pageTest('the axes of a chart follow the book', {}, async (t, page, { book }) => {
  const sentence = page.locator('#chart-sizes .sentence');
  const drawn = "document.querySelector('#chart-sizes canvas')?.toDataURL()";
  await live(page);
  book.put(entryOf({ maker: 'J5one', maxsize: 500_000_000, cjfee: '0.001' }));
  await sentence.getByText('reach 5 BTC').waitFor();
  await probe(page, 'painted()');
  await page.evaluate(`globalThis.before = ${drawn}`);
  // One bar as before; only the number below it changes.
  book.put(entryOf({ maker: 'J5one', maxsize: 900_000_000, cjfee: '0.001' }));
  await sentence.getByText('reach 9 BTC').waitFor();
  await until(page, `${drawn} !== globalThis.before`);
  book.put(entryOf({ maker: 'J5two', maxsize: 200_000_000, cjfee: '0.002' }));
  await page.getByText('Half of 2 offers ask 10\u202f000 sat or less.').waitFor();
  t.match(await sentence.textContent(), 'reach 9 BTC', 'one of two');
});

interface Chances {
  readonly sum: number;
  readonly error: number;
  readonly alike: readonly number[];
  readonly enough: readonly number[];
  readonly huge: readonly number[];
}

pageTest(
  'the chance to be picked',
  {
    entries: [
      entryOf({ maker: 'J5bond', bond: bondOf(300) }),
      entryOf({ maker: 'J5small', bond: bondOf(100) }),
      entryOf({ maker: 'J5none' }),
      entryOf({ maker: 'J5none', oid: 1, cjfee: '0.01' }),
      entryOf({ maker: 'J5edge', maxsize: 10_000_000 }),
      entryOf({ maker: 'J5kind', type: 'swreloffer' }),
    ],
  },
  async (t, page) => {
    await shows(page, '6 offers');
    await page.getByLabel('Makers wanted').fill('1');
    await until(page, "!probe.rows().some(({ chance }) => chance === '100.0 %')");
    const rows = await probe<Record<string, string>[]>(page, 'rows()');
    // b = 1/8: 1/24 + 7/8 * v / 400
    t.same(
      Object.fromEntries(rows.map((row) => [`${row['maker']} ${row['fee']}`, row['chance']])),
      {
        'J5bond 0.002 %': '69.8 %',
        'J5small 0.002 %': '26.0 %',
        'J5none 0.002 %': '4.2 %',
        'J5none 1 %': '–',
        'J5edge 0.002 %': '–',
        'J5kind 0.002 %': '–',
      },
    );
    await page.locator('details.estimate summary').click();
    await page.getByLabel('Fee limit, sat').fill('100');
    await page.getByText('0 makers in question').waitFor();

    await page.getByText('fewer than wanted').waitFor({ state: 'hidden' });
    await page.getByLabel('Fee limit, sat').fill('');
    await page.getByLabel('Makers wanted').fill('9');
    await page.getByText('fewer than wanted').waitFor();

    // Bonds of all kinds of books: flat, a few alike, some that outweigh all others.
    const books: readonly (readonly [string, readonly number[]])[] = [
      ['cubes', Array.from({ length: 60 }, (_, i) => (i % 3 === 0 ? 0 : (i + 1) ** 3))],
      ['each four times the next', Array.from({ length: 24 }, (_, i) => 4 ** i)],
      ['one above all', [1e12, ...Array.from({ length: 30 }, (_, i) => i % 2)]],
      ['nine alike', Array.from({ length: 60 }, (_, i) => (i < 9 ? 1 : 0))],
      ['none', Array.from({ length: 12 }, () => 0)],
    ];
    for (const [name, weights] of books) {
      const given = JSON.stringify(weights);
      const picks = await probe<Chances>(page, `chances(${given}, 9, 0.125, 20000)`);
      t.ok(Math.abs(picks.sum - 9) < 1e-6, `${name}: nine are picked in total`);
      t.ok(picks.error < 0.02, `${name}: a simulation agrees (${picks.error.toFixed(4)})`);
      for (const chance of picks.alike)
        t.ok(Math.abs(chance - 0.5) < 1e-6, 'without bonds all are equal');
      t.same(picks.enough, [1, 1], 'fewer makers than wanted');
      t.ok((picks.huge[0] ?? 0) > 0.999, 'numbers may be large');
    }
  },
);
