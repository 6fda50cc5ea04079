/**
 * The tests of `scripts/test --quick`, by two rules. They start no program, so no Tor, no browser, no command line
 * and no compiler: chosen by what they import, so that a new test needs no entry anywhere. And each takes at most
 * QUICK_SECONDS of processor time: `LONG` has those that take more, and a quick run with another one fails.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { ROOT } from '../../scripts/compile.mjs';

/** Processor time of a quick test on an idle machine, seconds. The run has about 100 for some two hundred of them. */
export const QUICK_SECONDS = 2.5;
/** A busy machine, where a process loses its caches to others, takes up to twice the time. */
const BUSY_FACTOR = 2;

/** Tests that start no program and take longer: simulations, real cost of passwords, searches of a whole wallet. */
export const LONG = [
  'test/admission/engine.test.ts',
  'test/audit/audit.test.ts',
  'test/cluster/caps.test.ts',
  'test/fuzz/corpus.test.ts',
  'test/lab/llarp/overlay-udp.test.ts',
  'test/llarp/attacks.test.ts',
  'test/llarp/bounds.test.ts',
  'test/llarp/churn.test.ts',
  'test/llarp/congestion.test.ts',
  'test/llarp/exit.test.ts',
  'test/llarp/iwp.test.ts',
  'test/llarp/router.test.ts',
  'test/llarp/service.test.ts',
  'test/llarp/stream-service.test.ts',
  'test/negotiation/hostile.test.ts',
  'test/negotiation/sessions.test.ts',
  'test/taker/run.test.ts',
  'test/wallet/crash/crash.test.ts',
  'test/wallet/import/jmdat.test.ts',
  'test/wallet/wallet.test.ts',
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
  return !LONG.includes(path) && !startsPrograms(path);
}

/** What is wrong with the times of a quick run, a line for each test. @param times seconds by file */
export function tooLong(times) {
  return [...times]
    .filter(([, seconds]) => seconds > QUICK_SECONDS * BUSY_FACTOR)
    .map(
      ([file, seconds]) =>
        `${file} took ${seconds.toFixed(1)} s of processor time, and a quick test may take ${QUICK_SECONDS} s: ` +
        'make it cheaper, or add it to LONG in test/runner/quick.mjs',
    );
}
