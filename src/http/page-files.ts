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

async function read(path: string): Promise<Buffer> {
  return readFile(path).catch((error: unknown) => {
    throw missing(path, errorCode(error) ?? '', error);
  });
}

function pageFile(name: string, body: Buffer): readonly [string, PageFile] {
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  return [`/${name}`, { type: TYPES[extname(name)] ?? 'application/octet-stream', body, etag }];
}

function fileAnswer(file: PageFile, request: PageRequest): Answer {
  const headers = { etag: file.etag, 'cache-control': 'no-cache' };
  const same = request.headers['if-none-match'] === file.etag;
  return { code: same ? 304 : 200, type: file.type, body: same ? '' : file.body, headers };
}

/** The file for `/`: the frame that the pages share, around what is of this page alone. */
export interface FramedIndex {
  /** `frame.html`: a page with the places `{{content}}`, and `{{title}}` for a field `title`. */
  readonly frame: string;
  /** `status.html`: HTML for the place `{{content}}`. The whole page is served under this name, too. */
  readonly content: string;
  /** HTML by name of the field. Only constants of the program: it is not escaped. */
  readonly fields: Readonly<Record<string, string>>;
}

export interface PageFolder {
  /** The folder with the files of the page; undefined in a CommonJS bundle, where there is none. */
  readonly folder: URL | undefined;
  readonly index: FramedIndex;
  /** The other files. */
  readonly names: readonly string[];
  /** Files of installed packages, such as `uplot/dist/uPlot.min.css`; they are served below `/vendor/`. */
  readonly packageFiles: readonly string[];
}

/** The frame with each place filled. A field or a place without the other is a fault of the program. */
function filled(frame: string, fields: Readonly<Record<string, string>>): string {
  const left = new Set(Object.keys(fields));
  const text = frame.replace(/\{\{(\w+)\}\}/g, (place, name: string) => {
    const value = fields[name];
    if (value === undefined)
      throw new Error(`the frame of a page has ${place}, which has no field`);
    left.delete(name);
    return value;
  });
  if (left.size > 0)
    throw new Error(`the frame of a page has no place for ${[...left].join(', ')}`);
  return text;
}

/**
 * The routes of the files, `/` being the index. Rejects with a PageFileError when one of them is
 * missing.
 */
export async function loadPageFiles(page: PageFolder): Promise<Routes> {
  const { folder, names, packageFiles, index } = page;
  if (folder === undefined) throw missing('the page', 'this program is a CommonJS bundle');
  const { resolve } = createRequire(folder);
  const own = (name: string): Promise<Buffer> => read(fileURLToPath(new URL(name, folder)));
  const [frame, content] = await Promise.all([own(index.frame), own(index.content)]);
  const whole = filled(frame.toString(), { ...index.fields, content: content.toString().trim() });
  const files = await Promise.all([
    ...names.map(async (name) => pageFile(name, await own(name))),
    ...packageFiles.map(async (name) =>
      pageFile(`vendor/${basename(name)}`, await read(resolve(name))),
    ),
  ]);
  const routes = new Map<string, Route>();
  for (const [path, file] of [...files, pageFile(index.content, Buffer.from(whole))]) {
    const route: Route = (request) => fileAnswer(file, request);
    routes.set(path, route);
    if (path === `/${index.content}`) routes.set('/', route);
  }
  return routes;
}
