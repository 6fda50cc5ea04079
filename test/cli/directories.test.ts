/** `onionmc directories`: a list made by three people in steps, verified, shown, and announced to. */
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parseRecord } from '../../src/kit/json-record.js';
import { runCli, type Ended } from '../helpers/cli.js';

const dir = t.testdir();
const at = (name: string): string => join(dir, name);
const run = (...args: string[]): Promise<Ended> =>
  runCli(['directories', ...args], { detached: true });

/** Runs a command that must succeed; its standard output. */
async function good(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  if (code !== 0) throw new Error(`${args.join(' ')}: ${code ?? 'signal'} ${stderr}`);
  return stdout.trim();
}

/** Runs a command that must fail with this exit code; what it says. */
async function bad(code: number, ...args: string[]): Promise<string> {
  const ended = await run(...args);
  if (ended.code !== code) throw new Error(`${args.join(' ')}: ${ended.code ?? 'signal'}`);
  return ended.stderr + ended.stdout;
}

t.test('a list is made in steps, then changed, then its keys are rotated', async (t) => {
  writeFileSync(at('password'), 'correct horse\n', { mode: 0o600 });
  const alice = await good('key', at('alice'), '--password-file', at('password'));
  const [bob, carol, dave] = await Promise.all(
    ['bob', 'carol', 'dave'].map((n) => good('key', at(n))),
  );
  t.equal(statSync(at('bob')).mode & 0o777, 0o600);
  t.match(parseRecord(readFileSync(at('alice'), 'utf8')), { public: alice, seed: undefined });
  t.match(await bad(2, 'key', at('bob')), /name a new file/);

  const datadir = at('directory');
  mkdirSync(datadir);
  const cfg = '[BLOCKCHAIN]\nnetwork = signet\n[MESSAGING:onion]\ntype = onion\n';
  writeFileSync(join(datadir, 'joinmarket.cfg'), cfg);
  t.match(await bad(2, 'announce', '--datadir', datadir), /onionmc init/);
  const init = await runCli(['init', '--datadir', datadir, '--json']);
  t.equal(init.code, 0);
  await good('announce', '--datadir', datadir, '--note', 'hello', '--out', at('a.json'));

  const keys = ['--keys', [alice, bob, carol].join(','), '--needed', '2'];
  const first = ['--network', 'signet', '--announcement', at('a.json')];
  t.match(await bad(2, 'draft', at('1.draft'), ...first), /needs --keys/);
  t.match(
    await bad(
      2,
      'draft',
      at('1.draft'),
      ...keys,
      '--network',
      'mainnet',
      '--announcement',
      at('a.json'),
    ),
    /of signet, not mainnet/,
  );
  t.match(await good('draft', at('1.draft'), ...keys, ...first), /hello/);
  t.match(
    await bad(2, 'sign', at('1.draft'), at('x'), '--key', at('dave'), '--yes'),
    /in no key set/,
  );
  t.match(await bad(2, 'sign', at('1.draft'), at('x'), '--key', at('bob')), /no terminal/);
  const password = ['--password-file', at('password')];
  await good('sign', at('1.draft'), at('1.alice'), '--key', at('alice'), ...password, '--yes');
  t.match(await bad(2, 'combine', at('1.json'), at('1.alice')), /1 of 2 signatures/);
  await good('sign', at('1.draft'), at('1.bob'), '--key', at('bob'), '--yes');
  await good('combine', at('1.json'), at('1.alice'), at('1.bob'));

  const shown = parseRecord(await good('show', at('1.json'), '--json'));
  t.match(shown, { sequence: 1, missing: [], signed_by: { length: 2 } });
  const [, pin = ''] = /list_keys = ([0-9a-f]{64})/.exec(await good('show', at('1.json'))) ?? [];
  const trust = ['--network', 'signet', '--list-keys', pin];
  t.match(await good('verify', at('1.json'), ...trust), /^valid: list 1 of signet, 1 directories$/);
  t.match(await bad(1, 'verify', at('1.alice'), ...trust), /refused \(below-threshold\)/);
  t.match(
    await bad(1, 'verify', at('1.json'), '--network', 'mainnet', '--list-keys', pin),
    /other-network/,
  );
  t.match(
    parseRecord(
      await bad(1, 'verify', at('1.json'), ...trust.slice(0, 3), 'ab'.repeat(32), '--json'),
    ),
    { valid: false, reason: 'unknown-keys' },
  );

  t.test('the next list: every signer sees what changed', async (t) => {
    const onion = parseRecord(await good('announce', '--datadir', datadir));
    t.match(onion, { format: 'joinmarket-directory-announcement' });
    const [location = ''] = /[a-z2-7]{56}\.onion:5222/.exec(JSON.stringify(onion)) ?? [];
    t.match(
      await bad(2, 'draft', at('2.draft'), '--before', at('1.json'), '--remove', 'x.onion:5222'),
      /no such directory/,
    );
    const draft = await good(
      'draft',
      at('2.draft'),
      '--before',
      at('1.json'),
      '--remove',
      location,
    );
    t.match(draft, new RegExp(`^- ${location}`, 'm'));
    t.match(await bad(2, 'sign', at('2.draft'), at('x'), '--key', at('bob'), '--yes'), /--before/);
    const signed = await run(
      'sign',
      at('2.draft'),
      at('2.bob'),
      '--key',
      at('bob'),
      '--before',
      at('1.json'),
      '--yes',
    );
    t.match(signed.stderr, /list 1 -> 2/);
    await good(
      'sign',
      at('2.bob'),
      at('2.both'),
      '--key',
      at('carol'),
      '--before',
      at('1.json'),
      '--yes',
    );
    await good('combine', at('2.json'), at('2.both'));
    t.match(
      await bad(1, 'verify', at('1.json'), ...trust, '--before', at('2.json')),
      /rolled-back/,
    );
  });

  t.test('alice lost her key: bob and carol replace it by that of dave', async (t) => {
    const anew = ['--keys', [bob, carol, dave].join(','), '--needed', '2'];
    const text = await good('draft', at('3.draft'), '--before', at('2.json'), ...anew);
    t.match(text, new RegExp(`^\\+ key ${dave ?? ''}$`, 'm'));
    t.match(text, new RegExp(`^- key ${alice}$`, 'm'));
    const before = ['--before', at('2.json'), '--yes'];
    await good('sign', at('3.draft'), at('3.bob'), '--key', at('bob'), ...before);
    await good('sign', at('3.draft'), at('3.dave'), '--key', at('dave'), ...before);
    t.match(
      await bad(2, 'combine', at('3.json'), at('3.bob'), at('3.dave')),
      /the rotation has 1 of 2 signatures/,
    );
    await good('sign', at('3.draft'), at('3.carol'), '--key', at('carol'), ...before);
    await good('combine', at('3.json'), at('3.bob'), at('3.carol'));
    t.match(await good('verify', at('3.json'), ...trust), /^valid: list 3/, 'with the old pin');
  });
});

t.test('files that are no lists', async (t) => {
  writeFileSync(at('text'), 'hello');
  t.match(await bad(2, 'show', at('text')), /is no list of directories: it is not JSON/);
  t.match(await bad(2, 'show', at('nothing')), /does not exist/);
  t.match(await bad(2, 'verify', at('text'), '--datadir', at('empty')), /no key set is trusted/);
});
