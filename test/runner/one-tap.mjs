/**
 * tap in one file. The package has more than a hundred modules; to find and read them costs each test process more
 * processor time than most tests take. The file is made again when the installed packages change.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { ROOT } from '../../scripts/compile.mjs';

/** CommonJS modules in the file call `require`. */
const REQUIRE = `import { createRequire as newRequire } from 'node:module'; const require = newRequire(import.meta.url);`;
/** tap tries to load it, for tests of React components. */
const OPTIONAL = ['react-element-to-jsx-string'];

/** The path of the file; makes it first when there is none. Several runs may do so at once. */
export function oneTap() {
  const installed = readFileSync(join(ROOT, 'node_modules', '.package-lock.json'));
  const version = createHash('sha256').update(installed).digest('hex').slice(0, 16);
  const folder = join(ROOT, '.build', 'one-tap');
  // tap leaves the frames below `node_modules/@tapjs` out of the stacks that it shows.
  const path = join(folder, version, 'node_modules', '@tapjs', 'tap.mjs');
  if (existsSync(path)) return path;
  mkdirSync(dirname(path), { recursive: true });
  for (const old of readdirSync(folder)) {
    if (old !== version) rmSync(join(folder, old), { recursive: true, force: true });
  }
  const made = `${path}.${process.pid}`;
  createRequire(import.meta.url)('esbuild').buildSync({
    stdin: { contents: `export * from 'tap'; export { default } from 'tap';`, resolveDir: ROOT },
    outfile: made,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    banner: { js: REQUIRE },
    external: OPTIONAL,
    logLevel: 'error',
  });
  renameSync(made, path);
  return path;
}
