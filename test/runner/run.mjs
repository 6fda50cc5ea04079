/**
 * Runs test files, each in a process of its own, several at once:
 * `node test/runner/run.mjs [--quick] [FILE or FOLDER]...` (default: all tests). Prints a line for each
 * file that ends, then the failures and the slowest files. The whole report is `.tap/report.tap` in
 * the working directory; its end has the sum of all assertions. The exit code is 0 when all passed.
 */
import {
  createWriteStream,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { finished } from 'node:stream/promises';
import { compileAll, ROOT } from '../../scripts/compile.mjs';
import { leakReader } from './leaks.mjs';
import { oneTap } from './one-tap.mjs';
import { isQuick, tooLong } from './quick.mjs';

/** Started first, in this order: they take longest and mostly wait. Only the speed depends on the list. */
const FIRST = [
  'tor/restarts',
  'cli/coinjoin/stop',
  'cli/schedule/schedule',
  'cli/hostile-text',
  'cli/cli',
  'handover/upgrade',
  'doctor/doctor',
  'docs/docs',
  'cli/wallet/node',
  'docs/coins',
  'docs/maker',
  'docs/taker',
  'cli/coinjoin/coinjoin',
  'roles/library-coinjoin',
  'soak/coinjoins',
  'cli/wallet/create',
  'demo/demo',
  'doctor/roles',
  'scripts/scripts',
  'cli/init',
  'cli/tor',
  'cli/check',
  'negotiation/hostile',
  'negotiation/sessions',
  'audit/audit',
];
/** More than processors, because many tests wait for timers. */
const JOBS = 5;
/** For one file that sets no time-out of its own, seconds. */
const TIMEOUT_S = 300;
const SLOWEST = 20;
/** For what a test process wrote to standard error before its end. */
const LAST_WORDS_MS = 2_000;

const REGISTER = join(ROOT, 'test', 'runner', 'register.mjs');
const OUT = resolve('.tap');
const REPORT = join(OUT, 'report.tap');
const CPU_TIMES = join(OUT, 'cpu-seconds');

const rank = (file) => {
  const at = FIRST.findIndex((name) => file === `test/${name}.test.ts`);
  return at === -1 ? FIRST.length : at;
};

/** The tests that an argument means, as paths from the root. */
function filesOf(argument) {
  const path = resolve(argument);
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isFile()) return [relative(ROOT, path)];
  const names = found?.isDirectory()
    ? readdirSync(path, { recursive: true, encoding: 'utf8' })
    : [];
  const tests = names.filter((name) => name.endsWith('.test.ts'));
  if (tests.length === 0) throw new Error(`${argument} is not a test file or a folder with tests`);
  return tests.map((name) => relative(ROOT, join(path, name)));
}

/** Every failure with its explanation, as the report has it. */
function failuresIn(report) {
  const shown = [];
  let inFailure = false;
  for (const line of report.split('\n')) {
    if (/^ *not ok/.test(line)) inFailure = true;
    if (inFailure) shown.push(line);
    if (/^ *\.\.\.$/.test(line)) inFailure = false;
  }
  return shown;
}

function cpuTimes() {
  const rows = readFileSync(CPU_TIMES, 'utf8').split('\n').filter(Boolean);
  return new Map(rows.map((row) => [row.replace(/^\S+ /, ''), Number(row.split(' ', 1)[0])]));
}

function show(line) {
  process.stdout.write(`${line}\n`);
}

const args = process.argv.slice(2);
const quick = args.includes('--quick');
const named = args.filter((arg) => arg !== '--quick');
const all = [...new Set((named.length > 0 ? named : [join(ROOT, 'test')]).flatMap(filesOf))];
const files = (quick ? all.filter(isQuick) : all).toSorted(
  (a, b) => rank(a) - rank(b) || (a < b ? -1 : 1),
);

mkdirSync(OUT, { recursive: true });
writeFileSync(CPU_TIMES, '');
compileAll();

// The settings of an outer test are not for these. Skipped tests and tests to do count as failures.
for (const name of Object.keys(process.env)) if (name.startsWith('TAP')) delete process.env[name];
for (const name of ['SKIP', 'TODO', 'ONLY']) process.env[`TAP_FAIL_${name}`] = '1';
process.env['TAP_TIMEOUT'] = String(TIMEOUT_S);
const tap = oneTap();
const { default: t } = await import('tap');
const report = createWriteStream(REPORT);
t.pipe(report);
t.register();
t.setTimeout(0);
t.jobs = JOBS;
t.plan(files.length);

/** Lines about leaks by file. */
const leaks = new Map();
t.on('subtestAdd', (test) => {
  const { name } = test;
  test.on('preprocess', (options) => (options.stdio = options.stdio.with(2, 'pipe')));
  test.on('process', (child) => {
    const { stderr } = child;
    // A program that a killed test left running may hold the other end.
    child.once('exit', () => setTimeout(() => stderr.destroy(), LAST_WORDS_MS).unref());
    const read = leakReader((line) => leaks.set(name, [...(leaks.get(name) ?? []), line]));
    stderr.setEncoding('utf8').on('data', (text) => {
      process.stderr.write(text);
      read(text);
    });
  });
});

const seconds = new Map();
t.on('subtestEnd', ({ name, time, results }) => {
  seconds.set(name, time / 1000);
  const ok = results?.ok === true && results.count > 0 && !leaks.has(name);
  show(`${ok ? 'ok' : 'not ok'} - ${name} (${(time / 1000).toFixed(1)} s)`);
});
for (const name of files) {
  const run = JSON.stringify({ name, quick, cpuTimes: CPU_TIMES, tap });
  // tap names hooks of its own in NODE_OPTIONS, which cost time and are not needed.
  const env = ['-u', 'NODE_OPTIONS', `ONIONMC_TEST_RUN=${run}`];
  const node = [process.execPath, '--enable-source-maps', '--import', REGISTER, join(ROOT, name)];
  const options = { at: null, stack: '', buffered: true, timeout: TIMEOUT_S * 1000, cwd: ROOT };
  void t.spawn('env', [...env, ...node], { ...options, name, externalID: name });
}
await finished(report);

const written = readFileSync(REPORT, 'utf8');
const failures = failuresIn(written);
if (failures.length > 0) show(`\n${failures.join('\n')}\n`);
// Only tests that need a program which Debian may not have here may be skipped (bitcoin-program.ts).
const skipped = written.split('\n').filter((line) => / # SKIP\b/i.test(line));
const wrongly = skipped.filter((line) => !line.includes('# SKIP bitcoind is missing'));
for (const line of wrongly) show(`skipped without a reason that counts: ${line.trim()}`);
if (wrongly.length > 0) process.exitCode = 1;
for (const [name, lines] of leaks) for (const line of lines) show(`leak in ${name}: ${line}`);
if (leaks.size > 0) process.exitCode = 1;
const cpu = cpuTimes();
const faults = quick ? tooLong(cpu) : [];
for (const line of faults) show(line);
if (faults.length > 0) process.exitCode = 1;
show('slowest files: seconds, and seconds of CPU');
for (const [name, took] of [...seconds].toSorted(([, a], [, b]) => b - a).slice(0, SLOWEST)) {
  show(`${took.toFixed(1).padStart(7)} ${(cpu.get(name)?.toFixed(1) ?? '').padStart(7)}  ${name}`);
}
const total = [...cpu.values()].reduce((sum, each) => sum + each, 0);
show(`processor time of all ${files.length} files: ${total.toFixed(0)} s`);
