/** The test runner behind scripts/test, and how it chooses the quick tests. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { MISSING } from '../helpers/bitcoin-program.js';
import { startProgram } from '../helpers/cli.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const RUNNER = join(ROOT, 'test', 'runner', 'run.mjs');
const HELPERS = new URL('../helpers', import.meta.url).href;
const QUICK: string = new URL('../runner/quick.mjs', import.meta.url).href;

/** Runs the real runner; its report goes to another folder than that of the run around this test. */
async function runTests(t: Test, files: Readonly<Record<string, string>>, args: readonly string[]) {
  // Inside the clone, so that tap is found.
  const dir = t.testdir({ ...files });
  const paths = Object.keys(files).map((name) => join(dir, name));
  const result = await startProgram(process.execPath, [RUNNER, ...args, ...paths], { cwd: dir })
    .ended;
  const report = await readFile(join(dir, '.tap', 'report.tap'), 'utf8');
  const [, total, pass, fail = '0'] =
    /^# \{ total: (\d+)(?:, pass: (\d+))?(?:, fail: (\d+))?/m.exec(report) ?? [];
  return { ...result, counts: [total, pass ?? '0', fail].map(Number) };
}

/** A test file, in JavaScript. */
const file = (body: string): string => `import t from 'tap';\n${body}`;

/** A test file with an assertion that passes and a skipped one that does not fail its file. */
const skipped = (reason: string): string =>
  file(
    `Object.assign(t.options, { failSkip: false }); t.ok(1); t.pass('a', { skip: '${reason}' });`,
  );

t.test('the runner counts assertions and explains failures', async (t) => {
  const good = {
    'nested.mjs': file("t.test('a', async (t) => { t.ok(1); t.ok(2); }); t.ok(3);"),
    'flat.mjs': file('t.ok(1);'),
  };
  const passed = await runTests(t, { ...good, 'no-node.mjs': skipped(MISSING) }, []);
  t.equal(passed.code, 0, passed.stderr);
  t.match(
    await readFile(join(t.testdirName, '.tap', 'report.tap'), 'utf8'),
    /^# \{ total: 6, pass: 5, skip: 1 \}$/m,
    'tests without a bitcoind are counted; scripts/test reads this line',
  );
  for (const name of Object.keys(good)) {
    t.match(passed.stdout, new RegExp(`^ok - \\S+/${name} \\(\\d+\\.\\d s\\)$`, 'm'));
    t.match(
      passed.stdout,
      new RegExp(`^ +\\d+\\.\\d +\\d+\\.\\d {2}\\S+/${name}$`, 'm'),
      'its times',
    );
  }
  t.notMatch(passed.stdout, 'not ok');

  // In each file one assertion passes, and there is one fault.
  const bad = {
    'wrong.mjs': file("t.ok(true); t.equal(1, 2, 'so it is');"),
    'skipped.mjs': file("t.ok(true); t.skip('later');"),
    'to-do.mjs': file("t.ok(true); t.test('b', { todo: true }, async (t) => t.ok(1));"),
    'thrown.mjs': file("t.ok(true); throw new Error('by itself');"),
    'ended.mjs': file('t.ok(true); process.exit(3);'),
  };
  const others = { 'empty.mjs': file(''), 'unexcused.mjs': skipped('it is slow') };
  const failed = await runTests(t, { ...good, ...bad, ...others }, []);
  t.equal(failed.code, 1);
  t.match(failed.stdout, /^skipped without a reason that counts: ok 2 - a # SKIP it is slow$/m);
  t.match(failed.stdout, / not ok 2 - so it is\n +---\n[^]*-2\n +\+1\n +\.\.\.\n/);
  for (const name of Object.keys(good))
    t.match(failed.stdout, new RegExp(`^ok - \\S+/${name} `, 'm'));
  for (const name of [...Object.keys(bad), 'empty.mjs']) {
    t.match(failed.stdout, new RegExp(`^not ok - \\S+/${name} `, 'm'));
  }
  t.same(failed.counts, [4 + 2 * 5 + 1 + 2, 4 + 5 + 1, 6]);
  const runner = await readFile(RUNNER, 'utf8');
  const first = /^const FIRST = \[([^\]]*)\]/m.exec(runner)?.[1]?.match(/[\w/-]+/g) ?? [];
  t.ok(first.length > 5);
  for (const name of first) t.ok(existsSync(join(ROOT, 'test', `${name}.test.ts`)), name);

  const none = await startProgram(process.execPath, [RUNNER, 'test/none']).ended;
  t.not(none.code, 0);
  t.match(none.stderr, /test\/none is not a test file or a folder with tests/);
});

t.test('a file fails when its process, or a program that it starts, leaks', async (t) => {
  const OPEN = `import { open } from 'node:fs/promises'; const file = await open('/dev/null');`;
  const LISTENERS = 'for (let i = 0; i < 11; i++) process.on("x", () => {});';
  const bad = {
    'open-file.mjs': file(`${OPEN} t.equal(typeof file.fd, 'number');`),
    'listeners.mjs': file(`${LISTENERS} t.ok(1);`),
    'program.mjs': file(
      `import { startProgram } from '${HELPERS}/cli.js';
      const program = startProgram(process.execPath, ['-e', '${LISTENERS}']);
      t.equal((await program.ended).code, 0);`,
    ),
    'collected.mjs': file(
      `import { spawnSync } from 'node:child_process';
      const code = \`import { open } from 'node:fs/promises';
        process.once('warning', () => process.exit());
        await open('/dev/null'); for (;;) { gc(); await new Promise((r) => setImmediate(r)); }\`;
      const args = ['--expose-gc', '--input-type=module', '-e', code];
      t.equal(spawnSync(process.execPath, args, { stdio: 'inherit' }).status, 0);`,
    ),
  };
  const good = {
    'closed.mjs': file(`${OPEN} await file.close(); t.equal(file.fd, -1);`),
    'other-words.mjs': file(`console.error('a FileHandle, MaxListenersExceededWarning'); t.ok(1);`),
  };
  const dir = t.testdir({ ...good, ...bad });
  const paths = Object.keys({ ...good, ...bad }).map((name) => join(dir, name));
  // Not with startProgram: it would show the warnings to the run around this test.
  const { status, stdout } = await new Promise<{ status: unknown; stdout: string }>((resolve) => {
    execFile(process.execPath, [RUNNER, ...paths], { cwd: dir }, (error, output) =>
      resolve({ status: error?.code ?? 0, stdout: output }),
    );
  });
  t.equal(status, 1, stdout);
  for (const name of Object.keys(good)) t.match(stdout, new RegExp(`^ok - \\S+/${name} `, 'm'));
  const found = (name: keyof typeof bad, what: string): void => {
    t.match(stdout, new RegExp(`^not ok - \\S+/${name} `, 'm'));
    t.match(stdout, new RegExp(`^leak in \\S+/${name}: .*${what}`, 'm'));
  };
  found('open-file.mjs', '/dev/null was opened');
  found('listeners.mjs', '11 x listeners added to \\[process\\]');
  found('program.mjs', '11 x listeners added to \\[process\\]');
  found('collected.mjs', 'Closing file descriptor \\d+ on garbage collection');
});

t.test('quick tests start no program', async (t) => {
  const { isQuick, startsPrograms, LONG } = await import(QUICK);
  const tests = (await readdir(join(ROOT, 'test'), { recursive: true }))
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join('test', name));
  t.same(
    LONG.filter((name: string) => !tests.includes(name) || startsPrograms(name)),
    [],
    'each that is left out for its time exists, and would be quick otherwise',
  );
  const quick = new Set(tests.filter((name) => isQuick(name)));
  for (const folder of ['protocol', 'kit', 'negotiation', 'directory', 'channel']) {
    const inFolder = [...quick].filter((name) => dirname(name) === `test/${folder}`);
    t.ok(inFolder.length >= 2, `${folder}: ${inFolder.length} files`);
  }
  // A subfolder, such as test/cli/wallet, may have tests of pure parts.
  const starting = tests.filter((name) => /^test\/(cli|demo|soak|scripts|docs)\/[^/]+$/.test(name));
  t.same(
    starting.filter((name) => quick.has(name)),
    [],
  );
  const pure = quick.size + LONG.length;
  t.ok(pure > tests.length / 2, `${pure} of ${tests.length} files`);

  // The hidden import is only found when the test runs.
  const hidden = file("process.getBuiltinModule('child_process').spawn('true');");
  const result = await runTests(t, { 'a.mjs': hidden }, ['--quick']);
  t.equal(result.code, 1);
  t.match(result.stderr, /a\.mjs starts a program: a quick test must not/);
});

t.test('quick tests take little processor time', async (t) => {
  const { tooLong, QUICK_SECONDS } = await import(QUICK);
  t.same(tooLong(new Map([['test/a.test.ts', 2 * QUICK_SECONDS]])), [], 'on a busy machine');
  t.match(tooLong(new Map([['test/a.test.ts', 2 * QUICK_SECONDS + 0.1]])), [
    /^test\/a\.test\.ts took 5\.1 s of processor time, .* make it cheaper, or add it to LONG/,
  ]);

  // Writes the time that it would have needed to where the runner reads it.
  const times = join(t.testdirName, '.tap', 'cpu-seconds');
  const slow = file(
    `import { appendFileSync, readFileSync } from 'node:fs';
    process.once('exit', () => {
      const [, name] = readFileSync('${times}', 'utf8').trim().split(' ');
      appendFileSync('${times}', \`99.0 \${name}\\n\`);
    });
    t.ok(1);`,
  );
  const quick = await runTests(t, { 'slow.mjs': slow }, ['--quick']);
  t.equal(quick.code, 1, quick.stderr);
  t.match(quick.stdout, /^\S+slow\.mjs took 99\.0 s of processor time/m);
  t.same(quick.counts, [1, 1, 0], 'each assertion passed');
  const whole = await runTests(t, { 'slow.mjs': slow }, []);
  t.equal(whole.code, 0, whole.stderr);
  t.match(whole.stdout, /^processor time of all 1 files: 99 s$/m);
});
