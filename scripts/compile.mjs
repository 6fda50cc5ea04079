#!/usr/bin/env node
/**
 * Compiles src, test and lab into `.build/compiled`, for the tests and for the programs of lab: esbuild
 * removes the types, and only what changed since the last time is compiled. `npm run lint` checks types.
 */
import { mkdirSync, readdirSync, renameSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDERS = ['src', 'test', 'lab'];

/** Whether a path names a TypeScript file in one of the folders; it need not exist. */
export function isSource(path) {
  if (!path.startsWith(ROOT) || !path.endsWith('.ts')) return false;
  return FOLDERS.includes(path.slice(ROOT.length).split(sep)[0] ?? '');
}

/** Where the JavaScript of a source is, whether it exists or not. */
export function compiledPath(source) {
  return join(ROOT, '.build', 'compiled', relative(ROOT, source).replace(/\.ts$/, '.js'));
}

function isCurrent(source) {
  const compiled = statSync(compiledPath(source), { throwIfNoEntry: false });
  // Equal, not later: a source that comes back from another branch may be older.
  return compiled !== undefined && Math.abs(compiled.mtimeMs - statSync(source).mtimeMs) < 1;
}

/** Compiles all sources that changed since they were compiled. Several programs may do so at once. */
export function compileAll() {
  const sources = FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(ROOT, folder, name)),
  );
  const changed = sources.filter((source) => !isCurrent(source));
  if (changed.length === 0) return;
  // Read before the sources are: one that is saved meanwhile is compiled again the next time.
  const times = changed.map((source) => statSync(source).mtime);
  // Loaded only when there is something to compile.
  const { buildSync } = createRequire(import.meta.url)('esbuild');
  const { outputFiles } = buildSync({
    entryPoints: changed.map((source) => relative(ROOT, source)),
    absWorkingDir: ROOT,
    outbase: ROOT,
    // Beside the sources, to which the source maps are relative; written elsewhere below.
    outdir: ROOT,
    write: false,
    format: 'esm',
    target: 'node20.19',
    sourcemap: 'inline',
    logLevel: 'error',
  });
  const written = new Map(outputFiles.map(({ path, contents }) => [path, contents]));
  for (const [index, source] of changed.entries()) {
    const path = compiledPath(source);
    const contents = written.get(source.replace(/\.ts$/, '.js'));
    const time = times[index];
    if (contents === undefined || time === undefined) throw new Error(`${path} was not compiled`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}.${process.pid}`, contents);
    utimesSync(`${path}.${process.pid}`, time, time);
    renameSync(`${path}.${process.pid}`, path);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) compileAll();
