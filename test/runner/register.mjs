/**
 * `node --import ./test/runner/register.mjs FILE.ts` runs a TypeScript file of this repository. The
 * tests run this way: see run.mjs, and .taprc for `npx tap`.
 */
import { appendFileSync, readFileSync, writeSync } from 'node:fs';
import { ChildProcess } from 'node:child_process';
import module from 'node:module';
import { pathToFileURL } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import { compileAll } from '../../scripts/compile.mjs';
import { OPEN_FILE, watchOpenFiles } from './leaks.mjs';
import * as hooks from './hooks.mjs';

const { ONIONMC_TEST_RUN: run } = process.env;
delete process.env['ONIONMC_TEST_RUN'];

// `npx tap` makes every program that a test starts load hooks of tap; a user's programs do not load them.
globalThis[Symbol.for('process-on-spawn@*:singletonId')]?.unwrap();
delete process.env['NODE_OPTIONS'];
// run.mjs compiles before it starts the first test.
if (run === undefined && isMainThread) compileAll();
let tapUrl;
if (run !== undefined) {
  const { quick, name, cpuTimes, tap } = JSON.parse(run);
  tapUrl = pathToFileURL(tap).href;
  // Before the hooks are in force: a module that passes through them costs more.
  await import(tapUrl);
  if (quick) {
    ChildProcess.prototype.spawn = () => {
      throw new Error(
        `${name} starts a program: a quick test must not (see test/runner/quick.mjs)`,
      );
    };
  }
  const openFiles = watchOpenFiles();
  process.once('exit', () => {
    // Written at once: what a stream still holds is lost when the process ends.
    for (const stack of openFiles()) writeSync(2, `${OPEN_FILE}: ${stack}\n`);
  });
  process.once('exit', () => appendFileSync(cpuTimes, `${cpuSeconds().toFixed(1)} ${name}\n`));
}
if (module.registerHooks === undefined) {
  module.register('./hooks.mjs', import.meta.url, { data: tapUrl });
} else {
  hooks.initialize(tapUrl);
  module.registerHooks(hooks);
}

/** CPU time of this process and of its children that have ended; proc(5). */
function cpuSeconds() {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // User and system time of both, in ticks of 10 ms.
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
}
