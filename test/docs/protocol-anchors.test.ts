/**
 * docs/protocol.md has every section and quirk that the source, the tests and the other pages cite. Each
 * section is a heading, each quirk has an anchor of its own.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { ROOT } from './steps.js';

const FOLDERS = ['src', 'test', 'lab', 'docs'];
const GENERATED = /^(?:docs\/api|docs\/images|lab\/fuzz\/corpus)\//;
const TEXT = /\.(?:ts|mjs|js|json|md|py|html|css|sh)$/;

const NUMBER = String.raw`\d+(?:\.\d+)*`;
const SECTIONS = new RegExp(
  String.raw`(?<!RFC \d+,? )\bsections? (${NUMBER}(?:(?:, | and | to |, and )${NUMBER})*)`,
  'gi',
);
const QUIRKS = /\bQ(\d{1,2})\b/g;

/** The sections (`3.4`) and quirks (`Q7`) that a text cites, also across the lines of a comment. */
function citationsIn(text: string): string[] {
  const joined = text.replace(/\n[ \t]*(?:\*|\/\/|#)?[ \t]*/g, ' ');
  const sections = [...joined.matchAll(SECTIONS)].flatMap(([, list = '']) =>
    [...list.matchAll(new RegExp(NUMBER, 'g'))].map(([number]) => number),
  );
  const quirks = [...joined.matchAll(QUIRKS)].map(([quirk]) => quirk);
  return [...sections, ...quirks];
}

/** The numbers of the headings, and the quirks that have an anchor. */
function anchorsIn(page: string): ReadonlySet<string> {
  const headings = [...page.matchAll(/^#{2,3} (\d+(?:\.\d+)*)\.? /gm)].map(([, n = '']) => n);
  const quirks = [...page.matchAll(/<a id="q(\d+)"><\/a>Q\1\b/g)].map(([, n = '']) => `Q${n}`);
  return new Set([...headings, ...quirks]);
}

function unresolved(text: string, anchors: ReadonlySet<string>): string[] {
  return citationsIn(text).filter((citation) => !anchors.has(citation));
}

async function citingFiles(): Promise<string[]> {
  const lists = await Promise.all(
    FOLDERS.map(async (folder) =>
      (await readdir(join(ROOT, folder), { recursive: true })).map((path) => join(folder, path)),
    ),
  );
  const own = 'test/docs/protocol-anchors.test.ts';
  return lists.flat().filter((path) => TEXT.test(path) && !GENERATED.test(path) && path !== own);
}

const page = await readFile(join(ROOT, 'docs/protocol.md'), 'utf8');
const anchors = anchorsIn(page);

t.test('every section and quirk that is cited exists', async (t) => {
  let citations = 0;
  const missing: string[] = [];
  for (const path of await citingFiles()) {
    // oxlint-disable-next-line no-await-in-loop -- a thousand files at once are too many
    const text = await readFile(join(ROOT, path), 'utf8');
    citations += citationsIn(text).length;
    missing.push(...unresolved(text, anchors).map((citation) => `${path}: ${citation}`));
  }
  t.same(missing, []);
  t.ok(citations > 300, `${citations} citations were found`);
});

t.test('a section or quirk that does not exist is found', async (t) => {
  t.same(unresolved('see section 3.4 and quirk Q7', anchors), []);
  t.same(unresolved('section 3.99', anchors), ['3.99']);
  t.same(unresolved('sections 3.4 and 99', anchors), ['99']);
  t.same(unresolved('sections 3.1 to 3.9', anchors), ['3.9']);
  t.same(unresolved('quirk Q99', anchors), ['Q99']);
  t.same(unresolved('/**\n * the rules of section\n * 3.77 */', anchors), ['3.77']);
  t.same(unresolved('RFC 8032, section 5.1.5', anchors), [], 'sections of RFCs do not count');
});

t.test('the quirks are numbered without a gap, and no number is given twice', async (t) => {
  const quirks = [...page.matchAll(/<a id="q(\d+)">/g)].map(([, n]) => Number(n));
  t.same(
    quirks,
    quirks.map((_, i) => i + 1),
  );
  const headings = [...page.matchAll(/^#{2,3} (\d+(?:\.\d+)*)\.? /gm)].map(([, n]) => n);
  t.equal(new Set(headings).size, headings.length);
});

t.test('the list of sections links to each of them', async (t) => {
  const slugs = [...page.matchAll(/^## (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replace(/ /g, '-'),
  );
  const links = [...page.matchAll(/\]\(#([\w-]+)\)/g)].map(([, link = '']) => link);
  t.same(links, slugs);
});
