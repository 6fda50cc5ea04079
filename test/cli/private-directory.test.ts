/**
 * A private directory with a code on its page (doors 2 and 4, with the lines of their pages), as
 * check, doctor, status and a reader of the page see it.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import { runCli, startCli } from '../helpers/cli.js';
import { stepsOf } from '../docs/steps.js';
import { loopbackConfig } from '../helpers/config.js';

t.setTimeout(120_000);

async function folderWith(t: Test, config: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'onionmc-private-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'joinmarket.cfg'), config, { mode: 0o600 });
  return folder;
}

/** The lines of docs/admission-directory.md and admission-pages.md, as one section. */
async function linesOfPage(): Promise<string> {
  const doors = [
    ...(await stepsOf('docs/admission-directory.md', 'door')),
    ...(await stepsOf('docs/admission-pages.md', 'door')),
  ];
  const lines = doors.flatMap(({ commands }) => commands.split('\n'));
  return [...new Set(lines), ''].join('\n');
}

/** The Authorization header of a browser. */
const basic = (password: string): string =>
  `Basic ${Buffer.from(`any:${password}`).toString('base64')}`;

t.test('a private directory behind codes', async (t) => {
  const statusPort = await freePort();
  const port = await freePort();
  const datadir = await folderWith(
    t,
    loopbackConfig({ port, statusPort, extra: await linesOfPage() }),
  );
  const added = await runCli(['admission', 'code', 'add', '--name', 'me', '--datadir', datadir]);
  const [code = ''] = /omc-\S+/.exec(added.stdout) ?? [];
  t.not(code, '');
  const codeFile = join(datadir, 'code');
  await writeFile(codeFile, `${code}\n`, { mode: 0o600 });
  const directory = startCli(['directory', 'private', '--datadir', datadir]);
  await directory.shows('stdout', /^127\.0\.0\.1:\d+\n/m);
  const location = `127.0.0.1:${port}`;

  const client = await folderWith(t, loopbackConfig({ nodes: location }));
  const check = (...args: readonly string[]) => runCli(['check', ...args, '--datadir', client]);
  const refused = await check(location);
  t.equal(refused.code, 1);
  t.match(refused.stdout, /this directory is private/);
  const admitted = await check('--relay', '--code-file', codeFile, location);
  t.equal(admitted.code, 0, admitted.stdout + admitted.stderr);
  t.notMatch(admitted.stdout + admitted.stderr, code, 'the code is not shown');
  const two = await check('--code-file', codeFile, location, `127.0.0.1:${await freePort()}`);
  t.equal(two.code, 2);
  t.match(two.stderr, /shows its code to one directory/);

  const member = await folderWith(
    t,
    loopbackConfig({
      nodes: location,
      extra: `[ADMISSION]\ndirectory_codes = ${location}=${code}\n`,
    }),
  );
  const configured = await runCli(['check', '--datadir', member]);
  t.equal(configured.code, 0, configured.stdout + configured.stderr);
  const peer = await runCli(['doctor', '--role', 'taker', '--datadir', member]);
  t.match(peer.stdout, /directories.*accepts us/);

  const doctor = await runCli(['doctor', '--datadir', datadir]);
  t.match(doctor.stdout, /it runs, and is well; its page needs a code/);
  t.notMatch(doctor.stdout, /another program/);
  const status = await runCli(['status', '--json', '--datadir', datadir]);
  t.equal(status.code, 2);
  t.match(status.stderr, /needs a code/);
  const shown = await runCli(['status', '--json', '--datadir', datadir, '--code-file', codeFile]);
  t.equal(shown.code, 0, shown.stderr);

  const answer = async (path: string, authorization?: string): Promise<number> => {
    const headers = authorization === undefined ? {} : { authorization };
    const { status: result, body } = await fetch(`http://127.0.0.1:${statusPort}${path}`, {
      headers,
    });
    await body?.cancel();
    return result;
  };
  for (const path of ['/status', '/metrics']) {
    // oxlint-disable no-await-in-loop -- in turn, which keeps the report in order
    t.equal(await answer(path), 401, path);
    t.equal(await answer(path, `Bearer ${code}`), 200, path);
    t.equal(await answer(path, basic(code)), 200, path);
    t.equal(await answer(path, basic('omc-00000000-wrong')), 401, path);
    t.equal(await answer(`${path}?code=${code}`), 401, 'never in a URL');
    // oxlint-enable no-await-in-loop
  }
  t.equal(await answer('/healthz'), 200, 'open');

  const id = /omc-(\w+)-/.exec(code)?.[1] ?? '';
  const revoked = await runCli(['admission', 'code', 'revoke', id, '--datadir', datadir]);
  t.equal(revoked.code, 0, revoked.stderr);
  let late = await check('--code-file', codeFile, location);
  for (let i = 0; i < 20 && late.code === 0; i++) {
    // oxlint-disable-next-line no-await-in-loop -- the directory notices the change within a second
    late = await check('--code-file', codeFile, location);
  }
  t.equal(late.code, 1);
  t.match(late.stdout, /the code was revoked/);
  directory.child.kill('SIGTERM');
  t.equal((await directory.ended).code, 0);
});

t.test('the doctor of a private directory is let in without a code of the operator', async (t) => {
  const statusPort = await freePort();
  const extra = '[ADMISSION]\nprivate = true\ntor_clients = false\n';
  const datadir = await folderWith(t, loopbackConfig({ statusPort, extra }));
  const directory = startCli(['directory', 'private', '--datadir', datadir]);
  await directory.shows('stdout', /^127\.0\.0\.1:\d+\n/m);
  const doctor = await runCli(['doctor', '--datadir', datadir]);
  t.match(doctor.stdout, /✓ onion reachable/);
  t.match(doctor.stdout, /✓ relay/);
  t.equal(doctor.code, 0, doctor.stdout);
  const status = await runCli(['status', '--datadir', datadir]);
  t.match(status.stdout, /^entry +private: peers show a code$/m);
  t.match(status.stdout, /^refused +none$/m);
  const audit = await readFile(join(datadir, 'admission', 'audit.log'), 'utf8');
  t.equal(audit, '', 'no line about a test of its own');
  directory.child.kill('SIGTERM');
  t.equal((await directory.ended).code, 0);
});
