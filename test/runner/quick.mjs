/**
 * The tests of `scripts/test --quick`: those that start no program, so no Tor, no browser, no command
 * line and no compiler. Chosen by what they import, so that a new test needs no entry anywhere. The two
 * simulations that cost most processor time are left to a whole run.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { ROOT } from '../../scripts/compile.mjs';

/** Each needs 8 seconds of processor time; a quick run has 60 seconds for all. */
export const SIMULATIONS = [
  'test/negotiation/hostile.test.ts',
  'test/audit/audit.test.ts',
  'test/lab/llarp/overlay-udp.test.ts',
  'test/llarp/attacks.test.ts',
  'test/llarp/bounds.test.ts',
  'test/llarp/churn.test.ts',
  'test/llarp/exit.test.ts',
  'test/llarp/service.test.ts',
];

/** Modules that start programs, or that are one. */
const STARTERS = new Set([
  'node:child_process',
  'playwright-core',
  'esbuild',
  'typescript',
  'src/lab/private-network/network.ts',
  'src/lab/bitcoin-node/node.ts',
  'src/lab/demo/money.ts',
  'src/lab/demo/overlays.ts',
  'src/tor/process/tor-program.ts',
]);

/** The imports of a module of test/ or lab/: names of packages, and paths from the root. */
function importsOf(path) {
  const text = readFileSync(join(ROOT, path), 'utf8');
  const named = text.matchAll(/^(?:import|export)\b(?! type\b)[^;]*?'([^']+)'/gm);
  const dynamic = text.matchAll(/\bimport\('([^']+)'\)/g);
  return [...named, ...dynamic].map(([, name = '']) =>
    name.startsWith('.') ? join(dirname(path), name).replace(/\.js$/, '.ts') : name,
  );
}

/** Whether a test, or a helper that it imports, can start a program. Paths from the root. */
export function startsPrograms(path, seen = new Set()) {
  if (seen.has(path)) return false;
  seen.add(path);
  return importsOf(path).some(
    (name) =>
      STARTERS.has(name) ||
      (/^(test|lab)\/.*\.ts$/.test(name) &&
        existsSync(join(ROOT, name)) &&
        startsPrograms(name, seen)),
  );
}

export function isQuick(file) {
  const path = relative(ROOT, join(ROOT, file));
  return !SIMULATIONS.includes(path) && !startsPrograms(path);
}
