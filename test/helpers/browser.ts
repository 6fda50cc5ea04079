/** Debian's Chromium for the tests of pages, and a page that is watched while a test uses it. */
import { fileURLToPath } from 'node:url';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import type { Test } from 'tap';

const IN_PAGE = fileURLToPath(new URL('../web/in-page.js', import.meta.url));

/** Where pictures of the pages go; undefined: no pictures are made. */
export const SCREENSHOTS = process.env['ONIONMC_SCREENSHOTS'];

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    // Its sandbox does not start as root.
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
  });
}

export interface WatchOptions {
  readonly context?: BrowserContextOptions | undefined;
  /** Errors of the browser that the test expects. */
  readonly expected?: RegExp | undefined;
}

export interface Watched {
  /** Opens a page of the site. */
  readonly open: () => Promise<Page>;
  /** Runs a script in each page that is opened from now on. */
  readonly prepare: (script: { readonly path: string }) => Promise<void>;
  /** The pages sent no request to another host, the policy was never violated and no script failed. */
  readonly check: () => void;
}

/** A browser context for the pages of one site, closed with the test. */
export async function watchSite(
  t: Test,
  browser: Browser | undefined,
  url: string,
  { context: options, expected = /^$/ }: WatchOptions = {},
): Promise<Watched> {
  const context = await browser?.newContext({
    viewport: { width: 1280, height: 900 },
    colorScheme: 'light',
    ...options,
  });
  if (context === undefined) throw new Error('no browser');
  t.teardown(() => context.close());
  const messages: string[] = [];
  const foreign: string[] = [];
  context.on('console', (line) => {
    if (line.type() === 'error' || line.type() === 'warning') messages.push(line.text());
  });
  context.on('weberror', (error) => messages.push(error.error().message));
  context.on('request', (sent) => {
    if (!sent.url().startsWith(url) && !sent.url().startsWith('blob:')) foreign.push(sent.url());
  });
  await context.addInitScript({ path: IN_PAGE });
  return {
    async open() {
      const page = await context.newPage();
      await page.goto(url);
      return page;
    },
    async prepare(script) {
      await context.addInitScript(script);
    },
    check() {
      t.same(foreign, [], 'no request to another host');
      const unexpected = messages.filter((text) => !expected.test(text));
      t.same(unexpected, [], 'no violation of the policy, no error');
    },
  };
}

/** Calls one of the functions of `in-page.js`. */
export const probe = <T = unknown>(page: Page, call: string): Promise<T> =>
  page.evaluate<T>(`probe.${call}`);

/** Resolves when a condition holds in the page. */
export const until = (page: Page, condition: string): Promise<unknown> =>
  probe(page, `until(() => ${condition})`);
