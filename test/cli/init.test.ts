/** `onionmc init` with all its options, and `onionmc doctor` as a command. */
import { randomBytes } from 'node:crypto';
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import t, { type Test } from 'tap';
import { duration, estimateLine, progressLine } from '../../src/cli/vanity-progress.js';
import {
  fillUnit,
  installUnit,
  shippedUnit,
  UnitError,
  unreachableParts,
  UNIT_NAMES,
} from '../../src/ops/unit-file.js';
import { loadOrCreateOnionKey } from '../../src/tor/onion/key-folder.js';
import { onionKeyOf } from '../../src/tor/onion/onion-key.js';
import {
  createVanitySearch,
  parseVanityPrefix,
  VANITY_BATCH,
} from '../../src/tor/vanity/search.js';
import { runCli, startCli, type Ended } from '../helpers/cli.js';

const UNIT_NAME = UNIT_NAMES.directory;
const KEY_FILES = ['hostname', 'hs_ed25519_public_key', 'hs_ed25519_secret_key'];
const ROOT = process.geteuid?.() === 0;
const UNPRIVILEGED_UID = 65_534;

async function tempDir(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'onionmc-init-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

async function filesIn(dir: string): Promise<Record<string, string>> {
  const names = (await readdir(dir)).toSorted();
  const texts = await Promise.all(names.map((name) => readFile(join(dir, name), 'hex')));
  return Object.fromEntries(names.map((name, at) => [name, texts[at] ?? '']));
}

const mode = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

function refused(t: Test, { code, stdout, stderr }: Ended, reason: RegExp): void {
  t.equal(code, 2, stderr);
  t.match(stderr, reason);
  t.equal(stderr.split('\n').length, 2, 'one line');
  t.equal(stdout, '');
}

t.test('--import-key copies a key folder after checking it', async (t) => {
  const root = await tempDir(t);
  const [from, datadir] = [join(root, 'old'), join(root, 'new')];
  const { key } = await loadOrCreateOnionKey(from);
  // An imported folder may be readable by others; the copy is not.
  await chmod(from, 0o755);
  await chmod(join(from, 'hs_ed25519_secret_key'), 0o644);
  const before = await filesIn(from);
  const init = (...args: string[]) => runCli(['init', '--datadir', datadir, ...args]);

  const first = await init('--import-key', from, '--json');
  t.equal(first.code, 0, first.stderr);
  t.match(JSON.parse(first.stdout), {
    address: `${key.host}:5222`,
    key: 'imported',
    changed: true,
    createdConfig: true,
  });
  const copy = join(datadir, 'hidden_service');
  t.same(await filesIn(copy), before, 'the same files');
  t.same(await filesIn(from), before, 'copied, not moved');
  t.equal(await mode(copy), 0o700);
  for (const name of KEY_FILES) t.equal(await mode(join(copy, name)), 0o600, name);

  const second = await init('--import-key', from);
  t.equal(second.code, 0, second.stderr);
  t.match(second.stdout, /onion key .*exists, unchanged/);
  t.match(second.stdout, /nothing changed: everything exists already\n$/);

  const other = join(root, 'other');
  await loadOrCreateOnionKey(other);
  refused(
    t,
    await init('--import-key', other),
    /already holds the key of [a-z2-7]{56}\.onion, so the key of [a-z2-7]{56}\.onion was not imported; nothing was changed\. Fix: move that folder away first/,
  );
  t.same(await filesIn(copy), before, 'a key is never overwritten');
});

t.test('--import-key refuses an invalid key, and writes nothing', async (t) => {
  const root = await tempDir(t);
  const datadir = join(root, 'new');
  const cases: readonly (readonly [string, (dir: string) => Promise<unknown>, RegExp])[] = [
    ['no key', (dir) => rm(dir, { recursive: true }), /there is no hs_ed25519_secret_key in it/],
    [
      'the secret is missing',
      (dir) => rm(join(dir, 'hs_ed25519_secret_key')),
      /has a hostname but no hs_ed25519_secret_key/,
    ],
    [
      'another public key',
      (dir) =>
        writeFile(
          join(dir, 'hs_ed25519_public_key'),
          Buffer.concat([Buffer.from('== ed25519v1-public: type0 ==\0\0\0'), randomBytes(32)]),
        ),
      /hs_ed25519_public_key does not belong to hs_ed25519_secret_key/,
    ],
    [
      'another hostname',
      (dir) => writeFile(join(dir, 'hostname'), `${'a'.repeat(56)}.onion\n`),
      /hostname does not name the address of hs_ed25519_secret_key/,
    ],
    [
      'half a secret',
      (dir) => writeFile(join(dir, 'hs_ed25519_secret_key'), 'half'),
      /is not a key file of Tor/,
    ],
  ];
  for (const [name, harm, reason] of cases) {
    const from = join(root, name);
    await loadOrCreateOnionKey(from);
    await harm(from);
    refused(t, await runCli(['init', '--datadir', datadir, '--import-key', from]), reason);
  }
  t.notOk((await readdir(root)).includes('new'), 'nothing was written');
});

t.test('invalid options and combinations', async (t) => {
  const root = await tempDir(t);
  const datadir = join(root, 'dn');
  const external = join(root, 'external');
  await loadOrCreateOnionKey(join(root, 'key'));
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['--import-key', 'x', '--prefix', 'ab'], /exclude each other/],
    [['--import-key='], /--import-key is empty; give a folder/],
    [['--prefix='], /--prefix "": it is empty/],
    [
      ['--prefix', 'ab1'],
      /--prefix "ab1": an onion address has only the letters a to z and the digits 2 to 7/,
    ],
    [['--prefix', 'a'.repeat(13)], /it has more than 12 letters/],
    [['--systemd', 'remove'], /Allowed choices are print, install/],
  ];
  for (const [args, reason] of cases) {
    refused(t, await runCli(['init', '--datadir', datadir, ...args]), reason);
  }
  t.notOk((await readdir(root)).includes('dn'), 'nothing was written');
  await runCli(['init', '--datadir', external]);
  await writeFile(
    join(external, 'joinmarket.cfg'),
    '[MESSAGING:onion]\ntype = onion\ntor_mode = external\n',
  );
  refused(
    t,
    await runCli(['init', '--datadir', external, '--prefix', 'ab']),
    /tor_mode = external, so the key is Tor's own: there is no key to import or to choose/,
  );
});

t.test('--prefix finds an address that begins with it', async (t) => {
  const root = await tempDir(t);
  const datadir = join(root, 'dn');
  const init = (prefix: string) => runCli(['init', '--datadir', datadir, '--prefix', prefix]);
  const first = await init('QZ');
  t.equal(first.code, 0, first.stderr);
  t.match(first.stdout, /\naddress {9}qz[a-z2-7]{54}\.onion:5222\n/);
  const made = await filesIn(join(datadir, 'hidden_service'));
  t.same(Object.keys(made), KEY_FILES);

  const second = await init('qz');
  t.match(second.stdout, /nothing changed: everything exists already/);
  refused(
    t,
    await init('ab'),
    /already holds the key of qz[a-z2-7]{54}\.onion, which does not begin with ab/,
  );
  t.same(await filesIn(join(datadir, 'hidden_service')), made);

  await t.test('Ctrl-C leaves no file', async (t) => {
    const unmade = join(root, 'unmade');
    const cli = startCli(['init', '--datadir', unmade, '--prefix', 'abcdefghijkl']);
    const [line] = await cli.shows('stderr', /^abcdefghijkl: .*\n/);
    t.match(
      line,
      /1,152,921,504,606,84[\d,]+ keys to try on average, [\d,]+ a second here; half of such searches end within [\d,]+ years, 19 of 20 within [\d,]+ years/,
    );
    cli.child.kill('SIGINT');
    const { code, stderr, stdout } = await cli.ended;
    t.equal(code, 1);
    t.match(stderr, /onionmc: the search was stopped; nothing was written\n$/);
    t.equal(stdout, '');
    t.notOk((await readdir(root)).includes('unmade'));
  });
});

t.test('the vanity search', async (t) => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string({ unit: fc.constantFrom('a', 'b', 'z', '2', '7', 'A', 'Z', '1', '8') }),
      ),
      (text) => {
        const parsed = parseVanityPrefix(text);
        return parsed.ok === /^[a-z2-7]{1,12}$/i.test(text);
      },
    ),
  );
  for (const text of ['a', '7', '2b', 'zz', '7q7']) {
    const prefix = parseVanityPrefix(text);
    if (!prefix.ok) throw new Error(prefix.reason);
    const search = createVanitySearch(prefix.value, randomBytes);
    let expanded = search.next();
    let tried = VANITY_BATCH;
    for (; expanded === undefined && tried < 2_000_000; tried += VANITY_BATCH) {
      expanded = search.next();
    }
    const key = expanded && onionKeyOf(expanded);
    t.match(key?.host, new RegExp(`^${text}`), `${text} after at most ${tried} keys`);
  }

  await t.test('the texts of its progress', async (t) => {
    const cases: readonly (readonly [number, string])[] = [
      [0.2, 'a second'],
      [42.4, '42 s'],
      [90, '1.5 min'],
      [40 * 60, '40 min'],
      [5 * 3_600, '5.0 h'],
      [3 * 86_400, '3.0 days'],
      [1_000 * 365.25 * 86_400, '1,000 years'],
    ];
    for (const [seconds, text] of cases) t.equal(duration(seconds), text);
    const progress = {
      prefix: 'abcd',
      expectedTries: 1_048_576,
      tried: 1_048_576,
      elapsedMs: 4_000,
    };
    t.equal(
      estimateLine(progress),
      'abcd: 1,048,576 keys to try on average, 262,144 a second here; half of such searches end within 3 s, 19 of 20 within 12 s',
    );
    // 1 - 1/e of all searches have ended after the average number of tries.
    t.equal(
      progressLine(progress),
      '[############--------] 1,048,576 keys, 262,144/s; an even chance within the next 3 s',
    );
  });
});

t.test('the systemd unit', async (t) => {
  const shipped = await shippedUnit('directory');
  const place = {
    program: 'directory',
    root: '/opt/onionmc',
    node: '/usr/bin/node',
    user: 'joe',
  } as const;
  const usual = fillUnit(shipped, { ...place, datadir: '/var/lib/onionmc-directory' });
  t.equal(
    usual,
    shipped.replace('ExecStart=node', 'ExecStart=/usr/bin/node'),
    'the usual places need no other change',
  );
  const named = fillUnit(shipped, { ...place, datadir: '/var/lib/dn-2' });
  t.match(named, /^User=dn-2$/m);
  t.match(named, /^StateDirectory=dn-2$/m);
  t.match(named, /^DynamicUser=yes$/m);

  const home = fillUnit(shipped, {
    program: 'directory',
    root: '/home/joe/my $ 100% onionmc',
    node: '/home/joe/.nvm/bin/node',
    datadir: '/home/joe/.joinmarket',
    user: 'joe',
  });
  t.match(
    home,
    /^ExecStart=\/home\/joe\/\.nvm\/bin\/node "\/home\/joe\/my \$\$ 100%% onionmc\/dist\/cli\/main\.js" directory --datadir \/home\/joe\/\.joinmarket$/m,
  );
  t.match(home, /^User=joe$/m);
  t.match(home, /^ProtectHome=read-only$/m);
  t.match(home, /^ReadWritePaths=\/home\/joe\/\.joinmarket$/m);
  t.notMatch(home, /^(DynamicUser|StateDirectory|StateDirectoryMode)=/m);
  t.notMatch(home, /\/opt\/onionmc/);

  t.throws(() => fillUnit(shipped, { ...place, datadir: '/srv/dn', user: 'root' }), UnitError);
  t.throws(() => fillUnit(shipped, { ...place, datadir: '/srv/a\nUser=root' }), UnitError);
  t.throws(() => fillUnit('[Service]\n', { ...place, datadir: '/srv/dn' }), UnitError);

  await t.test('is installed once and never overwritten', async (t) => {
    const dir = await tempDir(t);
    t.equal(await installUnit(usual, dir, 'directory'), true);
    t.equal(await mode(join(dir, UNIT_NAME)), 0o644);
    t.equal(await installUnit(usual, dir, 'directory'), false, 'a second time changes nothing');
    await t.rejects(
      installUnit(named, dir, 'directory'),
      /is there and differs, so it was left as it is/,
    );
    t.equal(await readFile(join(dir, UNIT_NAME), 'utf8'), usual);
    await t.rejects(
      installUnit(usual, join(dir, 'nowhere'), 'directory'),
      /cannot write .* \(ENOENT\): .*as root/,
    );
  });

  await t.test('parts that its user cannot read are named', async (t) => {
    const root = await tempDir(t);
    await chmod(root, 0o755);
    const program = join(root, 'onionmc');
    await mkdir(join(program, 'dist', 'cli'), { recursive: true });
    await mkdir(join(program, 'node_modules', 'commander'), { recursive: true });
    await writeFile(join(program, 'node_modules', 'commander', 'index.js'), '');
    const [main, node] = [join(program, 'dist', 'cli', 'main.js'), join(root, 'node')];
    await writeFile(main, '');
    await writeFile(node, '', { mode: 0o755 });
    const closable = { program: 'directory', root: program, node } as const;
    const state = { ...closable, datadir: '/var/lib/onionmc-directory', user: undefined };
    t.same(await unreachableParts(state), []);

    await chmod(program, 0o750);
    const closed = await unreachableParts(state);
    t.equal(closed.length, 2, 'the program and its packages');
    t.match(closed[0], `${program} has mode 0750 and cannot be entered`);
    t.match(closed[0], `sudo chmod o+x "${program}"`);
    const datadir = join(root, 'dn');
    await mkdir(datadir, { mode: 0o700 });
    const uid = String(process.geteuid?.() === 0 ? UNPRIVILEGED_UID : process.geteuid?.());
    if (ROOT) {
      await chown(datadir, UNPRIVILEGED_UID, UNPRIVILEGED_UID);
      await chown(program, UNPRIVILEGED_UID, UNPRIVILEGED_UID);
    }
    const own = { ...closable, datadir, user: uid };
    t.same(await unreachableParts(own), [], 'the owner can read them');

    await chmod(program, 0o755);
    await chmod(main, 0o600);
    await chmod(node, 0o700);
    t.match(await unreachableParts(state), [
      /^Node\.js .* 0700 .*chmod o\+rx/,
      /^the program .*o\+r "/,
    ]);
  });

  await t.test('--systemd prints and installs it', async (t) => {
    const root = await tempDir(t);
    const [datadir, units] = [join(root, 'dn'), join(root, 'units')];
    await mkdir(units);
    if (ROOT)
      refused(
        t,
        await runCli(['init', '--datadir', datadir, '--systemd']),
        /should not run as root/,
      );
    t.equal((await runCli(['init', '--datadir', datadir])).code, 0);
    if (ROOT) {
      const key = join(datadir, 'hidden_service');
      const owned = [datadir, join(datadir, 'joinmarket.cfg'), key];
      owned.push(...KEY_FILES.map((name) => join(key, name)));
      await Promise.all(owned.map((path) => chown(path, UNPRIVILEGED_UID, UNPRIVILEGED_UID)));
    }
    const init = (...args: string[]) => runCli(['init', '--datadir', datadir, ...args]);
    const printed = await init('--systemd');
    t.equal(printed.code, 0, printed.stderr);
    t.ok(printed.stdout.startsWith('# '), 'standard output holds only the unit');
    t.match(printed.stdout, `ExecStart=${process.execPath} `);
    t.match(printed.stdout, `--datadir ${datadir}\n`);
    t.match(printed.stderr, /nothing changed: everything exists already/);
    if (ROOT) {
      t.match(printed.stderr, `the data directory (${datadir}) is closed to user`);
      t.match(printed.stderr, `${root} has mode 0700 and cannot be entered`);
      await chmod(root, 0o755);
      t.notMatch((await init('--systemd')).stderr, `${root} has mode`, 'the fix works');
    }

    const installed = await init('--systemd', 'install', '--unit-dir', units);
    t.match(installed.stdout, `systemd unit    ${units}/${UNIT_NAME} (new)`);
    t.match(
      installed.stdout,
      /systemctl daemon-reload && systemctl enable --now onionmc-directory/,
    );
    t.equal(await readFile(join(units, UNIT_NAME), 'utf8'), printed.stdout);
    const again = await init('--systemd', 'install', '--unit-dir', units, '--json');
    t.match(JSON.parse(again.stdout), { changed: false, unitInstalled: false, key: 'unchanged' });
    await writeFile(join(units, UNIT_NAME), 'mine');
    refused(t, await init('--systemd', 'install', '--unit-dir', units), /is there and differs/);
    t.equal(await readFile(join(units, UNIT_NAME), 'utf8'), 'mine');
  });
});

t.test('doctor as a command', async (t) => {
  const root = await tempDir(t);
  const missing = join(root, 'missing');
  const bad = await runCli(['doctor', '--datadir', missing]);
  t.equal(bad.code, 1, bad.stderr);
  t.match(
    bad.stdout,
    `✗ data directory     ${missing} does not exist. Fix: onionmc init --datadir "${missing}"\n`,
  );
  t.match(bad.stdout, /\n2 things are wrong; \d+ not checked\n$/);
  t.notOk((await readdir(root)).includes('missing'), 'the doctor creates nothing');

  const datadir = join(root, 'dn');
  await runCli(['init', '--datadir', datadir]);
  const config =
    '[MESSAGING:onion]\ntype = onion\ntor_mode = managed\n[DIRECTORY]\nstatus_port = 0\nmax_peers = 100\n';
  await writeFile(join(datadir, 'joinmarket.cfg'), config, { mode: 0o600 });
  const good = await runCli(['doctor', '--json', '--datadir', datadir]);
  t.equal(good.code, 0, good.stdout);
  const { ok, checks }: { ok: boolean; checks: readonly Record<string, unknown>[] } = JSON.parse(
    good.stdout,
  );
  t.equal(ok, true);
  t.equal(checks.length, 16);
  for (const check of checks) {
    t.match(check, { id: String, title: String, status: /^(ok|note|skipped)$/, text: String });
  }
});
