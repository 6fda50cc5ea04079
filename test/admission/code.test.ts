/** `onionmc admission code`, over the built program: printed once, never stored in clear, on disk before it is shown. */
import { spawn } from 'node:child_process';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { addCode, changeCodeFile, readCodeFile } from '../../src/admission/code-store.js';
import { openAudit } from '../../src/admission/audit.js';
import { openUses } from '../../src/admission/uses-file.js';
import { admissionFiles } from '../../src/admission/open.js';
import { runCli, startProgram } from '../helpers/cli.js';
import { NOW } from './sample.js';

t.setTimeout(240_000);
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const TERMS = { addresses: [] };

function check(datadir: string, code: string): Promise<{ code: number | null; stdout: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [
      MAIN,
      'admission',
      'code',
      'check',
      '--json',
      '--datadir',
      datadir,
    ]);
    let stdout = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.once('close', (ended) => resolve({ code: ended, stdout }));
    child.stdin.end(`${code}\n`);
  });
}

t.test('add, list, check and revoke', async (t) => {
  const datadir = t.testdir();
  const run = (...args: readonly string[]) =>
    runCli(['admission', 'code', ...args, '--datadir', datadir]);
  const added = await run(
    'add',
    '--name',
    'maker',
    '--not-after',
    '30d',
    '--max-uses',
    '5',
    '--address',
    'J5nick',
  );
  t.match(added.stdout, /^omc-[a-z2-7]{8}-[a-z2-7]{26}\n$/);
  t.match(added.stderr, /it is shown only now/);
  const code = added.stdout.trim();
  const { codes: path } = admissionFiles(datadir);
  t.equal((await stat(path)).mode & 0o777, 0o600);
  t.notMatch(await readFile(path, 'utf8'), code.slice(13), 'not in clear');
  const list = JSON.parse((await run('list', '--json')).stdout);
  const [first] = list.codes;
  t.match(first, {
    name: 'maker',
    kind: 'made',
    state: 'valid',
    uses: 0,
    maxUses: 5,
    addresses: ['J5nick'],
  });
  t.notMatch(JSON.stringify(list), /hash|secret/);
  t.match(await check(datadir, code), { code: 1, stdout: /other-address/ });
  const other = await run('add', '--json');
  const { code: second }: { code: string } = JSON.parse(other.stdout);
  t.match(await check(datadir, second), { code: 0, stdout: /"verdict": ?"OKAY"/ });
  t.match(await check(datadir, 'nonsense'), { code: 1, stdout: /unknown-code/ });
  t.equal((await run('revoke', first.id)).code, 0);
  t.match(await check(datadir, code), { stdout: /revoked/ });
  t.match((await run('list')).stdout, /maker +made +revoked/);
  t.equal((await run('revoke', 'aaaaaaaa')).code, 2, 'an unknown id');
  t.equal((await run('add', '--not-before', '2d', '--not-after', '1d')).code, 2);
  const file = join(datadir, 'chosen');
  await writeFile(file, 'correct horse\n', { mode: 0o600 });
  const chosen = await run('add', '--chosen-file', file);
  t.match(chosen.stdout, /^[a-z2-7]{8}\n$/, 'a chosen code is not repeated');
  t.notMatch(await readFile(path, 'utf8'), 'horse');
  t.match(await check(datadir, 'correct horse'), { code: 0 });
  await writeFile(file, 'short\n', { mode: 0o600 });
  t.equal((await run('add', '--chosen-file', file)).code, 2);
});

t.test('a file that was damaged is not replaced', async (t) => {
  const datadir = t.testdir({ admission: { 'codes.json': '{"version": 1, "codes": [' } });
  const added = await runCli(['admission', 'code', 'add', '--datadir', datadir]);
  t.equal(added.code, 2);
  t.match(added.stderr, /not a file of codes/);
  t.equal(
    await readFile(join(datadir, 'admission/codes.json'), 'utf8'),
    '{"version": 1, "codes": [',
  );
});

t.test('changes of several processes do not lose one', async (t) => {
  const path = join(t.testdir(), 'codes.json');
  await Promise.all(
    Array.from({ length: 4 }, () => addCode(path, { name: '', terms: TERMS, now: NOW })),
  );
  t.equal((await readCodeFile(path))?.codes.length, 4);
});

t.test('a change that fails leaves the file, and nothing else', async (t) => {
  const dir = t.testdir();
  const path = join(dir, 'codes.json');
  await addCode(path, { name: 'one', terms: TERMS, now: NOW });
  const before = await readFile(path, 'utf8');
  await t.rejects(
    changeCodeFile(path, () => Promise.reject(new Error('killed'))),
    /killed/,
  );
  t.equal(await readFile(path, 'utf8'), before);
  t.same((await readdir(dir)).toSorted(), ['codes.json', 'codes.json.lock']);
});

t.test('kill -9 at any moment leaves a whole file', async (t) => {
  const datadir = t.testdir();
  const { codes } = admissionFiles(datadir);
  for (const ms of [40, 120, 200, 260, 320, 380]) {
    const child = startProgram(process.execPath, [
      MAIN,
      'admission',
      'code',
      'add',
      '--datadir',
      datadir,
    ]);
    const timer = setTimeout(() => child.child.kill('SIGKILL'), ms);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { stdout } = await child.ended;
    clearTimeout(timer);
    // oxlint-disable-next-line no-await-in-loop
    const content = await readCodeFile(codes);
    const id = stdout.slice(4, 12);
    if (stdout !== '')
      t.ok(
        content?.codes.some((code) => code.id === id),
        'what was printed is stored',
      );
  }
  t.equal((await runCli(['admission', 'code', 'list', '--datadir', datadir])).code, 0);
});

t.test('uses are shared by programs and survive half a line', async (t) => {
  const path = join(t.testdir(), 'uses');
  await writeFile(path, 'abcdefgh\nabcd');
  const one = openUses(path);
  const two = openUses(path);
  one.add('abcdefgh');
  t.equal(two.count('abcdefgh'), 2, 'another program sees it');
  two.add('zzzzzzzz');
  t.equal(one.count('zzzzzzzz'), 1);
  one.close();
  two.close();
});

t.test('the audit log is bounded and private', async (t) => {
  const path = join(t.testdir(), 'audit.log');
  const errors: unknown[] = [];
  const log = openAudit({ path, maxBytes: 5_000, onError: (error) => errors.push(error) });
  for (let i = 0; i < 2_000; i++) {
    log.record({
      door: 'lokinet',
      address: 'a\u001b.loki',
      now: NOW + i,
      verdict: 'REJECT',
      reason: 'unknown-code',
    });
  }
  log.record({
    door: 'lokinet',
    address: 'b',
    now: NOW + 70_000,
    verdict: 'REJECT',
    reason: 'unknown-code',
  });
  log.close();
  t.ok((await stat(path)).size <= 5_000);
  t.ok((await stat(`${path}.1`)).size <= 5_000);
  t.equal((await stat(path)).mode & 0o777, 0o600);
  const text = await readFile(path, 'utf8');
  t.match(text, /"notWritten":1880/, 'the rest is counted');
  t.notMatch(text, '\u001b');
  t.same(errors, []);
});
