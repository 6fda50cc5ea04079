/** The map of the pages has every page, and every page begins with its purpose and its readers. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { ROOT } from './steps.js';

const MAP = 'README.md';
const pages = (await readdir(join(ROOT, 'docs'))).filter((name) => name.endsWith('.md'));
const textOf = (page: string): Promise<string> => readFile(join(ROOT, 'docs', page), 'utf8');

t.test('the map has a row for each page, with its purpose and its readers', async (t) => {
  const rows = [
    ...(await textOf(MAP)).matchAll(/^\| \[([\w-]+\.md)\]\(\1\) *\| (.+?) *\| (.+?) *\|$/gm),
  ];
  t.same(
    rows.map(([, page = '']) => page).toSorted(),
    pages.filter((page) => page !== MAP).toSorted(),
  );
  for (const [, page = '', purpose = '', readers = ''] of rows) {
    t.ok(purpose.length > 10 && readers.length > 4, page);
  }
});

t.test('each page begins with its purpose and its readers', async (t) => {
  for (const page of pages) {
    // oxlint-disable-next-line no-await-in-loop -- in turn, which keeps the report in order
    const [title = '', first = ''] = (await textOf(page)).split(/\n\n/, 2);
    t.match(title, /^# \S/, page);
    t.match(
      first.replaceAll('\n', ' '),
      /\b[Ff]or (?:\w+ ){0,4}(?:operators|developers|authors|people|users|anybody|everybody)|who reads it/,
      page,
    );
  }
});
