/** The files of the page, read once at the start: no part of a request is used as a path. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorCode } from '../kit/error-text.js';

export interface PageFile {
  /** `content-type`. */
  readonly type: string;
  readonly body: Buffer;
  readonly etag: string;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

const OWN_FILES = [
  'index.html',
  'style.css',
  'icon.svg',
  'app.js',
  'book-store.js',
  'chance.js',
  'charts.js',
  'details.js',
  'directories.js',
  'exports.js',
  'format.js',
  'offer-table.js',
  'selection.js',
  'summaries.js',
  'theme.js',
];
const UPLOT_FILES = ['uPlot.esm.js', 'uPlot.min.css'];

/** A file of the page cannot be read. */
export class PageFileError extends Error {
  override readonly name = 'PageFileError';
}

/** The folder beside this module, in `src` and in `dist`. */
function ownFolder(): URL {
  // Empty in a CommonJS bundle.
  const here: string | undefined = import.meta.url;
  if (here === undefined) throw missing('the page', 'this program is a CommonJS bundle');
  return new URL('public/', here);
}

function missing(what: string, why: string, cause?: unknown): PageFileError {
  return new PageFileError(
    `cannot read ${what} (${why}): a bundled program needs the package onionmc beside it; keep it external (esbuild --external:onionmc)`,
    { cause },
  );
}

async function load(name: string, path: string): Promise<readonly [string, PageFile]> {
  const body = await readFile(path).catch((error: unknown) => {
    throw missing(path, errorCode(error) ?? '', error);
  });
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  return [`/${name}`, { type: TYPES[extname(name)] ?? 'application/octet-stream', body, etag }];
}

/**
 * By the path of the request: the page's own files, and uPlot from the installed package under
 * `/vendor/`. Rejects with a PageFileError when one of them is missing.
 */
export async function loadPageFiles(): Promise<ReadonlyMap<string, PageFile>> {
  const folder = ownFolder();
  const { resolve } = createRequire(folder);
  const files = new Map(
    await Promise.all([
      ...OWN_FILES.map((name) => load(name, fileURLToPath(new URL(name, folder)))),
      ...UPLOT_FILES.map((name) => load(`vendor/${name}`, resolve(`uplot/dist/${name}`))),
    ]),
  );
  const index = files.get('/index.html');
  if (index !== undefined) files.set('/', index);
  return files;
}
