/** `onionmc init --role maker`: the unit of a maker with a wallet, and the commands that are left. */
import { spawnSync } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { fillUnit, shippedUnit, UnitError, type UnitProgram } from '../../src/ops/unit-file.js';
import { runCli } from '../helpers/cli.js';

const IS_ROOT = process.geteuid?.() === 0;
const UNPRIVILEGED_UID = 65_534;
const UNIT = 'onionmc-maker@.service';

async function tempDir(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'onionmc-init-maker-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** A data directory of a user who is not root, with a configuration. */
async function dataOfUser(t: Test): Promise<string> {
  const root = await tempDir(t);
  await chmod(root, 0o755);
  const datadir = join(root, 'data');
  await mkdir(datadir, { mode: 0o700 });
  const config = join(datadir, 'joinmarket.cfg');
  await writeFile(config, '[BLOCKCHAIN]\nnetwork = signet\n[MESSAGING:onion]\ntype = onion\n');
  if (IS_ROOT) {
    for (const path of [datadir, config]) {
      // oxlint-disable-next-line no-await-in-loop -- two paths
      await chown(path, UNPRIVILEGED_UID, UNPRIVILEGED_UID);
    }
  }
  return datadir;
}

/** The settings of a unit, in order; comments are not settings. */
const settingsOf = (unit: string): readonly string[] =>
  unit.split('\n').filter((line) => /^[A-Z]\w+=/.test(line));
const confinement = (unit: string): readonly string[] =>
  settingsOf(unit.slice(unit.indexOf('\nNoNewPrivileges='), unit.indexOf('\n[Install]')));

t.test(
  'a filled unit has each setting of the shipped unit, except those of its place',
  async (t) => {
    const root = '/usr/lib/node_modules/onionmc';
    const place = { root, node: '/usr/local/bin/node', user: 'joe' };
    const cases: readonly (readonly [UnitProgram, string, readonly RegExp[]])[] = [
      ['directory', '/var/lib/dn', [/^(ExecStart|Documentation|User|StateDirectory)=/]],
      ['maker', '/var/lib/onionmc', [/^(ExecStart|Documentation|User)=/]],
      [
        'maker',
        '/srv/maker',
        [/^(ExecStart|Documentation|User|StateDirectory|StateDirectoryMode|ReadWritePaths)=/],
      ],
    ];
    for (const [program, datadir, [own = /^$/]] of cases) {
      // oxlint-disable-next-line no-await-in-loop -- three files
      const shipped = await shippedUnit(program);
      const filled = fillUnit(shipped, { ...place, program, datadir });
      const rest = (unit: string) => settingsOf(unit).filter((line) => !own.test(line));
      t.same(rest(filled), rest(shipped), `${program} in ${datadir}`);
      t.same(filled.includes('/opt/onionmc'), false, 'no path of another installation');
    }
    const [directory, maker] = await Promise.all([shippedUnit('directory'), shippedUnit('maker')]);
    t.ok(confinement(directory).length > 20);
    t.same(confinement(maker), [...confinement(directory), 'LimitCORE=0'], 'one sandbox for both');
  },
);

t.test('the unit of a maker', async (t) => {
  const shipped = await shippedUnit('maker');
  const usual = { program: 'maker', root: '/opt/onionmc', node: '/usr/bin/node' } as const;
  t.equal(
    fillUnit(shipped, { ...usual, datadir: '/var/lib/onionmc', user: 'onionmc' }),
    shipped.replace('ExecStart=node', 'ExecStart=/usr/bin/node'),
    'the places of docs/maker.md need no other change',
  );
  const home = fillUnit(shipped, {
    program: 'maker',
    root: '/home/joe/100% onionmc',
    node: '/usr/bin/node',
    datadir: '/home/joe/.joinmarket',
    user: 'joe',
  });
  t.match(
    home,
    /^ExecStart=\/usr\/bin\/node "\/home\/joe\/100%% onionmc\/dist\/cli\/main\.js" maker --wallet %i --datadir \/home\/joe\/\.joinmarket$/m,
    'the name of the wallet remains that of the instance',
  );
  t.match(home, /^User=joe$/m);
  t.match(home, /^ProtectHome=read-only$/m);
  t.match(home, /^ReadWritePaths=\/home\/joe\/\.joinmarket$/m);
  t.notMatch(home, /^(DynamicUser|StateDirectory|Group)=/m);
  for (const user of ['root', undefined]) {
    t.throws(
      () => fillUnit(shipped, { ...usual, datadir: '/var/lib/onionmc', user }),
      new UnitError(
        'the data directory /var/lib/onionmc belongs to root, and a maker should not run as root: make a user for it first (docs/maker.md): sudo adduser --system --group --home /var/lib/onionmc onionmc, and use --datadir /var/lib/onionmc; or hand the folder to a user: sudo chown -R USER "/var/lib/onionmc"',
      ),
      `user ${user ?? 'unknown'}`,
    );
  }
});

t.test('init --role maker prints and installs the unit, and says what is left', async (t) => {
  const datadir = await dataOfUser(t);
  const units = await tempDir(t);
  const init = (...args: string[]) =>
    runCli(['init', '--role', 'maker', '--datadir', datadir, '--unit-dir', units, ...args]);

  const printed = await init('--systemd');
  t.equal(printed.code, 0, printed.stderr);
  t.ok(printed.stdout.startsWith('# '), 'standard output holds only the unit');
  t.match(printed.stdout, `ExecStart=${process.execPath} `);
  t.match(printed.stdout, ` maker --wallet %i --datadir ${datadir}\n`);
  t.match(printed.stderr, /\n {2}1\. a wallet; NAME is the one you choose:\n.*wallet create NAME /);
  t.match(
    printed.stderr,
    `sudo onionmc init --role maker --wallet NAME --datadir ${datadir} --systemd install`,
  );

  const done = await init('--wallet', 'savings', '--systemd', 'install');
  t.equal(done.code, 0, done.stderr);
  t.match(done.stdout, `systemd unit    ${units}/${UNIT} (new)\n`);
  const commands = done.stdout.slice(done.stdout.indexOf('\nnext\n'));
  t.match(
    commands,
    /onionmc wallet create savings --datadir [^]*sudo install -d -m 0700 \/etc\/credstore\.encrypted\n/,
  );
  for (const secret of ['password', 'passphrase']) {
    t.match(
      printed.stdout,
      `LoadCredentialEncrypted=wallet-${secret}:onionmc-maker-%i.${secret}\n`,
    );
    t.match(
      commands,
      `--name=wallet-${secret} - /etc/credstore.encrypted/onionmc-maker-savings.${secret}\n`,
      'the credential has the name that the unit loads',
    );
  }
  t.ok(
    commands.endsWith(
      'sudo systemctl daemon-reload && sudo systemctl enable --now onionmc-maker@savings\n',
    ),
  );
  t.notMatch(commands, /mainnet/);
  t.equal(await readFile(join(units, UNIT), 'utf8'), printed.stdout);
  t.equal((await stat(join(units, UNIT))).mode & 0o777, 0o644);

  await mkdir(join(datadir, 'wallets', 'savings'), { recursive: true });
  const again = await init('--wallet', 'savings', '--systemd', 'install', '--json');
  t.match(JSON.parse(again.stdout), { changed: false, unitInstalled: false, network: 'signet' });
  t.notMatch(again.stdout, /wallet create/, 'the wallet is there');
  await writeFile(join(units, UNIT), 'mine');
  const refused = await init('--systemd', 'install');
  t.equal(refused.code, 2);
  t.match(
    refused.stderr,
    /differs, .*systemctl edit onionmc-maker@NAME.* init --role maker --syst/,
  );
  t.equal(await readFile(join(units, UNIT), 'utf8'), 'mine');

  await t.test('systemd accepts the unit', async (t) => {
    if (spawnSync('systemd-analyze', ['--version']).status !== 0) {
      t.comment('systemd-analyze is not installed');
      return;
    }
    const unit = join(await tempDir(t), 'onionmc-maker@savings.service');
    // systemd warns of services that run as nobody, the owner of the data directory of this test.
    await writeFile(unit, printed.stdout.replace(/^User=nobody$/m, 'User=onionmc'));
    const verified = spawnSync('systemd-analyze', ['verify', unit], { encoding: 'utf8' });
    t.same([verified.status, verified.stderr], [0, '']);
  });

  await t.test('on mainnet, the drop-in has the command of this unit', async (t) => {
    const config = join(datadir, 'joinmarket.cfg');
    await writeFile(config, '[MESSAGING:onion]\ntype = onion\n');
    const { code, stderr, stdout } = await init('--wallet', 'savings', '--systemd', 'print');
    t.equal(code, 0, stderr);
    const [start = ''] = /^ExecStart=.*$/m.exec(stdout) ?? [];
    t.match(stderr, `     [Service]\n     ExecStart=\n     ${start} --mainnet-i-accept-the-risk\n`);
  });
});

t.test('init --role maker without a unit, and what it refuses', async (t) => {
  const datadir = join(await tempDir(t), 'new');
  const init = (...args: string[]) => runCli(['init', '--datadir', datadir, ...args]);
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['--wallet', 'savings'], /--wallet is for makers: give --role maker/],
    [['--role', 'maker', '--prefix', 'ab'], /--prefix is for directories/],
    [['--role', 'maker', '--import-key', 'x'], /--import-key is for directories/],
    [['--role', 'maker', '--wallet', '../x'], /a name of letters, digits/],
    [['--role', 'taker'], /Allowed choices are directory, maker/],
  ];
  for (const [args, reason] of cases) {
    // oxlint-disable-next-line no-await-in-loop -- one program at a time
    const { code, stderr, stdout } = await init(...args);
    t.equal(code, 2, stderr);
    t.match(stderr, reason);
    t.equal(stdout, '');
  }
  if (IS_ROOT) {
    const { code, stderr } = await init('--role', 'maker', '--systemd');
    t.equal(code, 2);
    t.match(stderr, /a maker should not run as root: make a user for it first/);
  }
  await t.rejects(stat(datadir), { code: 'ENOENT' }, 'nothing was written');

  const { code, stderr, stdout } = await init('--role', 'maker', '--wallet', 'savings');
  t.equal(code, 0, stderr);
  t.match(stdout, /^configuration {3}.*joinmarket\.cfg \(new\)$/m);
  t.match(stdout, /\nnext\n {2}1\. a wallet:\n {5}onionmc wallet create savings --datadir /);
  t.match(stdout, / {2}2\. start:\n {5}onionmc maker --wallet savings --datadir .*\n$/);
  t.notMatch(stdout, /onion key|address/, 'a maker has no lasting onion');
});
