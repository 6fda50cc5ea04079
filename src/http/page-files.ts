/** The files of a page, read once at the start: no part of a request is used as a path. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorCode } from '../kit/error-text.js';
import type { Answer } from './answer.js';
import type { PageRequest, Route, Routes } from './page.js';

interface PageFile {
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

/** A file of the page cannot be read. */
export class PageFileError extends Error {
  override readonly name = 'PageFileError';
}

function missing(what: string, reason: string, cause?: unknown): PageFileError {
  return new PageFileError(
    `cannot read ${what} (${reason}): a bundled program needs the package onionmc beside it; keep it external (esbuild --external:onionmc)`,
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

function fileAnswer(file: PageFile, request: PageRequest): Answer {
  const headers = { etag: file.etag, 'cache-control': 'no-cache' };
  const same = request.headers['if-none-match'] === file.etag;
  return { code: same ? 304 : 200, type: file.type, body: same ? '' : file.body, headers };
}

export interface PageFolder {
  /** The folder with the files of the page; undefined in a CommonJS bundle, where there is none. */
  readonly folder: URL | undefined;
  readonly names: readonly string[];
  /** The file for `/`; default `index.html`. */
  readonly index?: string;
  /** Files of installed packages, such as `uplot/dist/uPlot.min.css`; they are served below `/vendor/`. */
  readonly packageFiles: readonly string[];
}

/**
 * The routes of the files, `/` being the index. Rejects with a PageFileError when one of them is
 * missing.
 */
export async function loadPageFiles(page: PageFolder): Promise<Routes> {
  const { folder, names, packageFiles, index = 'index.html' } = page;
  if (folder === undefined) throw missing('the page', 'this program is a CommonJS bundle');
  const { resolve } = createRequire(folder);
  const files = await Promise.all([
    ...names.map((name) => load(name, fileURLToPath(new URL(name, folder)))),
    ...packageFiles.map((name) => load(`vendor/${basename(name)}`, resolve(name))),
  ]);
  const routes = new Map<string, Route>();
  for (const [path, file] of files) {
    const route: Route = (request) => fileAnswer(file, request);
    routes.set(path, route);
    if (path === `/${index}`) routes.set('/', route);
  }
  return routes;
}
