/** Pages as they are served: one frame around the content of each, and every file that they name. */
import { posix } from 'node:path';
import t from 'tap';
import { loadPageFiles } from '../../src/http/page-files.js';
import type { PageRequest, Routes } from '../../src/http/page.js';
import { letheanPageFiles } from '../../src/web/lethean-page.js';
import { makerPageRoutes } from '../../src/web/maker-page.js';
import { orderbookPageFiles } from '../../src/web/orderbook-page.js';
import { statusPageRoutes } from '../../src/web/status-page.js';

const PAGES: Readonly<Record<string, () => Promise<Routes>>> = {
  Orderbook: orderbookPageFiles,
  Directory: () => statusPageRoutes({ history: () => ({}), limits: () => [] }),
  Maker: () => makerPageRoutes(() => ({})),
  'Lethean client': letheanPageFiles,
};
const REQUEST: PageRequest = { headers: {}, query: '', isHead: false };

async function textOf(routes: Routes, path: string): Promise<string> {
  const answer = await routes.get(path)?.(REQUEST);
  if (answer === undefined || 'stream' in answer) throw new Error(`${path} is not a file`);
  return answer.body.toString();
}

const found = (text: string, pattern: RegExp): readonly string[] =>
  [...text.matchAll(pattern)].map(([, name = '']) => name);

for (const [title, open] of Object.entries(PAGES)) {
  t.test(title, async (t) => {
    const routes = await open();
    const html = await textOf(routes, '/');
    t.same(found(html, /<(html|title|h1|main|footer|noscript)\b/g).toSorted(), [
      'footer',
      'h1',
      'html',
      'main',
      'noscript',
      'title',
    ]);
    t.same(found(html, /<title>(.*) · onionmc<\/title>/g), [title]);
    t.same(found(html, /<h1>(.*)<\/h1>/g), [title]);
    t.notMatch(html, /\{\{|\}\}|undefined/, 'each place is filled');
    t.notMatch(html, /<script(?![^>]* src=)|<style|\son\w+=|\sstyle=/, 'nothing is inline');
    const ids = found(html, /\sid="([^"]+)"/g);
    t.same(
      ids.filter((id, i) => ids.indexOf(id) !== i),
      [],
      'each id is there once',
    );
    for (const id of found(html, /href="#([^"]+)"/g)) t.ok(ids.includes(id), `#${id}`);

    const files = found(html, /<(?:link|script|img)\b[^>]* (?:href|src)="([^"]+)"/g);
    t.ok(files.length > 6, `${files.length} files`);
    const seen = new Set<string>();
    for (const queue = files.map((name) => `/${name}`); queue.length > 0;) {
      const path = queue.pop() ?? '';
      if (seen.has(path)) continue;
      seen.add(path);
      // oxlint-disable-next-line no-await-in-loop -- one file names the next
      const text = await textOf(routes, path);
      if (!path.endsWith('.js') || path.startsWith('/vendor/')) continue;
      const imports = found(text, /^import [^']*'(\.[^']+)';$/gm);
      queue.push(...imports.map((name) => posix.join(posix.dirname(path), name)));
    }
    const served = [...routes.keys()].filter((path) => /\.(js|css|svg)$/.test(path));
    t.same([...seen].toSorted(), served.toSorted(), 'the files that are served, all and no more');
  });
}

t.test('a frame and its fields fit each other', async (t) => {
  const dir = t.testdir({ 'frame.html': '<h1>{{title}}</h1>{{content}}', 'a.html': '{{title}}\n' });
  const load = (fields: Readonly<Record<string, string>>): Promise<Routes> =>
    loadPageFiles({
      folder: new URL(`file://${dir}/`),
      index: { frame: 'frame.html', content: 'a.html', fields },
      names: [],
      packageFiles: [],
    });
  const routes = await load({ title: '$& a' });
  t.same([...routes.keys()], ['/a.html', '/']);
  t.equal(await textOf(routes, '/'), '<h1>$& a</h1>{{title}}', 'content is not a frame');
  await t.rejects(load({}), { message: /\{\{title\}\}, which has no field/ });
  await t.rejects(load({ title: 'a', titel: 'b' }), { message: /has no place for titel/ });
});
