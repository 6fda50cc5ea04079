/** Hooks of Node's module loader: `./x.js` finds `x.ts`, and its compiled JavaScript is loaded. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { compiledPath, isSource } from '../../scripts/compile.mjs';

/** The address of the TypeScript file that an import means; undefined when it means something else. */
function sourceOf(specifier, parent) {
  if (!/^(\.{1,2}\/|file:).*\.js$/.test(specifier)) return undefined;
  const path = fileURLToPath(new URL(specifier, parent)).replace(/\.js$/, '.ts');
  return isSource(path) && existsSync(path) ? pathToFileURL(path).href : undefined;
}

/** The JavaScript of a module of this repository; undefined for every other module. */
function javascriptOf(url) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return undefined;
  const path = fileURLToPath(url);
  return isSource(path) ? readFileSync(compiledPath(path), 'utf8') : undefined;
}

/** tap in one file, which is loaded already (one-tap.mjs); undefined outside of run.mjs. */
let tap;

/** Called once, before the other hooks. */
export function initialize(tapUrl) {
  tap = tapUrl;
}

export function resolve(specifier, context, next) {
  const url = specifier === 'tap' ? tap : sourceOf(specifier, context.parentURL);
  if (url === undefined) return next(specifier, context);
  return { url, format: 'module', shortCircuit: true };
}

export function load(url, context, next) {
  const source = javascriptOf(url);
  if (source === undefined) return next(url, context);
  return { format: 'module', source, shortCircuit: true };
}
