import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Result> {
  return new Promise((resolve) => {
    execFile(
      program,
      [...args],
      { cwd: '/', env: { ...process.env, ...env } },
      (error, stdout, stderr) => {
        const code = typeof error?.code === 'number' ? error.code : error === null ? 0 : -1;
        resolve({ code, stdout, stderr });
      },
    );
  });
}

/** Writes programs that stand in for the real ones; returns the folder for PATH. */
async function programs(dir: string, scripts: Readonly<Record<string, string>>): Promise<string> {
  const bin = join(dir, 'bin');
  await mkdir(bin, { recursive: true });
  for (const [name, body] of Object.entries(scripts)) {
    await writeFile(join(bin, name), `#!/bin/bash\n${body}\n`, { mode: 0o755 });
  }
  return bin;
}

const SOURCES = [
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'src/a.ts',
];

/** Stands in for the runner of the tests: a report and an exit code of the test's choice. */
const FAKE_RUNNER = `
import { appendFileSync, writeFileSync } from 'node:fs';
const { TAP_OUTPUT, TAP_EXIT, CALLS } = process.env;
if (TAP_OUTPUT !== undefined) writeFileSync('.tap/report.tap', TAP_OUTPUT.replaceAll('NUL', '\\u0000'));
if (CALLS !== undefined) appendFileSync(CALLS, 'run ' + process.argv.slice(2).join(' ') + '\\n');
process.exitCode = Number(TAP_EXIT ?? 0);
`;

/**
 * A clone with only the files that the scripts read, and stand-ins for npm, tor, chromium, nft and apt-get
 * that record their calls.
 */
async function fakeClone(dir: string) {
  const root = join(dir, 'a clone');
  await mkdir(join(root, 'src'), { recursive: true });
  await cp(join(ROOT, 'scripts'), join(root, 'scripts'), { recursive: true });
  await mkdir(join(root, 'test', 'runner'), { recursive: true });
  await writeFile(join(root, 'test', 'runner', 'run.mjs'), FAKE_RUNNER);
  for (const name of SOURCES) await writeFile(join(root, name), '{}');
  const calls = join(dir, 'calls');
  await writeFile(calls, '');
  await writeFile(
    join(root, 'scripts', 'unpack-debian'),
    `#!/bin/bash\n[[ $1 != --check ]] || exec test -e ".build/unpacked-$(basename "$2")"\n` +
      `echo "unpack-debian $*" >>'${calls}'\n` +
      `[[ $1 != --suite ]] || { [[ -z $NO_SUITE ]] || exit 1; shift 2; }\n` +
      `touch ".build/unpacked-$(basename "$1")"\n`,
  );
  const bin = await programs(dir, {
    npm:
      `echo "npm $*" >>'${calls}'; echo "npm speaks"\n` +
      `case $1 in\n` +
      `ci) rm -rf node_modules; mkdir -p node_modules/.bin; cp '${dir}/tap' node_modules/.bin/tap;;\n` +
      `prune) rm node_modules/.bin/tap;;\n` +
      `run) if [[ $* == *lint* || $* == *types* ]]; then exit "\${LINT:-0}"; fi\n` +
      `     if [[ $* == *build* ]]; then [[ -z $BROKEN ]] || exit 1; fi\n` +
      `     mkdir -p dist/cli; echo 'console.log(JSON.stringify([process.cwd(), ...process.argv.slice(2)]))' >dist/cli/main.js;;\n` +
      `esac`,
    tor: 'exit 0',
    chromium: 'exit 0',
    nft: 'exit 0',
    'apt-get': `echo "apt-get $*" >>'${calls}'`,
    id: 'echo 0',
  });
  await writeFile(
    join(dir, 'tap'),
    '#!/bin/bash\nprintf "%b" "$TAP_OUTPUT"\nexit "${TAP_EXIT:-0}"\n',
    {
      mode: 0o755,
    },
  );
  const env = { PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}` };
  return {
    root,
    bin,
    env,
    script: (name: string, args: readonly string[] = [], more: NodeJS.ProcessEnv = {}) =>
      run(join(root, 'scripts', name), args, { ...env, ...more }),
    /** The file with the calls. */
    log: calls,
    /** The calls since the last time. */
    calls: async (): Promise<readonly string[]> => {
      const lines = (await readFile(calls, 'utf8')).split('\n').filter((line) => line !== '');
      await writeFile(calls, '');
      return lines;
    },
  };
}

/**
 * A network namespace whose processes end with the command. Root makes it directly; other users first become
 * root in a user namespace.
 */
const NEW_NETWORK = [
  ...(process.geteuid?.() === 0 ? [] : ['--map-root-user']),
  '--net',
  '--pid',
  '--fork',
  '--kill-child',
];
/** The architecture of Debian on this machine. */
async function architecture(): Promise<string> {
  return (await run('dpkg', ['--print-architecture'])).stdout.trim();
}

const NPM_CI = 'npm ci --ignore-scripts --no-audit --no-fund';
const BUILD = 'npm run --silent build';
const LINT = 'npm run --silent lint';
const TYPES = 'npm run --silent types';
const PRUNE = 'npm prune --omit=dev --ignore-scripts --no-audit --no-fund';
/** The steps after any change in a clone for running only. */
const PRODUCTION = [NPM_CI, BUILD, PRUNE];
const UNPACK_BITCOIN = 'unpack-debian --suite sid .build/debian/bitcoin bitcoin-knots';
/** A bitcoind of this machine is taken. */
const hasBitcoind = (process.env['PATH'] ?? '')
  .split(delimiter)
  .some((folder) => existsSync(join(folder, 'bitcoind')));
const UNPACK_ALWAYS = [
  'unpack-debian .build/debian/nginx nginx',
  'unpack-debian .build/debian/nats nats-server',
  'unpack-debian .build/debian/onionbalance onionbalance',
  'unpack-debian .build/debian/zmq python3-zmq',
  'unpack-debian .build/debian/monero monero',
  'unpack-debian .build/debian/haproxy haproxy',
  'unpack-debian .build/debian/sshd openssh-server',
  'unpack-debian .build/debian/wireguard wireguard-go wireguard-tools',
];
const UNPACK = [...UNPACK_ALWAYS, ...(hasBitcoind ? [] : [UNPACK_BITCOIN])];

t.test('setup does exactly the missing steps', async (t) => {
  const clone = await fakeClone(t.testdir());
  const first = await clone.script('setup');
  t.equal(first.code, 0, first.stderr);
  t.equal(first.stdout, '', 'it writes to standard error only');
  t.same(await clone.calls(), [...UNPACK, NPM_CI, BUILD]);

  t.equal((await clone.script('setup')).code, 0);
  t.same(await clone.calls(), [], 'a second run has nothing to do');

  const later = new Date(Date.now() + 60_000);
  await utimes(join(clone.root, 'src', 'a.ts'), later, later);
  t.equal((await clone.script('setup')).code, 0);
  t.same(await clone.calls(), [BUILD], 'a changed source is built');

  await writeFile(join(clone.root, 'package-lock.json'), 'changed');
  await clone.script('setup');
  t.match(await clone.calls(), [NPM_CI], 'a changed lock file is installed');

  const odd = await clone.script('setup', ['--everything']);
  t.same(
    [odd.code, odd.stderr],
    [1, 'setup: unknown option --everything (allowed: --runtime, --no-tor)\n'],
  );
});

t.test(
  'setup without a bitcoind: the one on the PATH is taken, and a failure is no obstacle',
  async (t) => {
    const clone = await fakeClone(t.testdir());
    if (!hasBitcoind) {
      const failed = await clone.script('setup', [], { NO_SUITE: '1' });
      t.equal(failed.code, 0, failed.stderr);
      t.match(failed.stderr, /^setup: no bitcoind: .* its tests are skipped$/m);
      const calls = await clone.calls();
      t.same(calls.filter((call) => call === UNPACK_BITCOIN).length, 2, 'again with fresh lists');
      t.match(calls, [...UNPACK_ALWAYS, UNPACK_BITCOIN, /^apt-get .*update$/]);
      const quiet = await clone.script('setup', [], { NO_SUITE: '1' });
      t.same([quiet.code, quiet.stderr], [0, ''], 'not again within the hour');
      t.same(await clone.calls(), []);
      const longAgo = new Date(Date.now() - 3_700_000);
      await utimes(join(clone.root, '.build', 'no-bitcoind'), longAgo, longAgo);
      await clone.script('setup', ['--runtime'], { NO_SUITE: '1' });
      t.notOk((await clone.calls()).includes(UNPACK_BITCOIN), 'not for running');
      await clone.script('setup');
      t.same(await clone.calls(), [UNPACK_BITCOIN]);
      await rm(join(clone.root, '.build', 'unpacked-bitcoin'));
      await rm(join(clone.root, '.build', 'no-bitcoind'));
    }
    await writeFile(join(clone.bin, 'bitcoind'), '#!/bin/sh\n', { mode: 0o755 });
    t.equal((await clone.script('setup')).code, 0);
    t.notOk((await clone.calls()).includes(UNPACK_BITCOIN));
  },
);

t.test('setup for running leaves only the npm packages of production', async (t) => {
  const clone = await fakeClone(t.testdir());
  const tap = join(clone.root, 'node_modules/.bin/tap');
  const later = async (name: string, seconds: number): Promise<void> => {
    const time = new Date(Date.now() + seconds * 1000);
    await utimes(join(clone.root, name), time, time);
  };
  for (const purpose of ['--runtime', '--no-tor']) {
    const result = await clone.script('setup', [purpose]);
    t.equal(result.code, 0, result.stderr);
    t.same(await clone.calls(), purpose === '--runtime' ? PRODUCTION : [], purpose);
    t.notOk(existsSync(tap), 'without the packages of the tests');
    t.notOk(existsSync(join(clone.root, '.build/builder')), 'the temporary folder is gone');
  }

  // After a pull.
  const started = (): Promise<Result> => clone.script('start-dn', ['x']);
  const main = join(clone.root, 'dist/cli/main.js');
  await writeFile(join(clone.root, 'dist/removed.js'), '');
  await later('src/a.ts', 60);
  const broken = await clone.script('start-dn', ['x'], { BROKEN: '1' });
  t.equal(broken.code, 1);
  t.match(broken.stderr, /the build failed/);
  t.ok(existsSync(main) && existsSync(join(clone.root, 'node_modules')), 'the old build stays');
  await clone.calls();
  t.equal((await started()).code, 0);
  t.same(await clone.calls(), PRODUCTION);
  t.notOk(existsSync(join(clone.root, 'dist/removed.js')), 'nothing of the old build is left');
  await later('src/a.ts', 0);
  await writeFile(join(clone.root, 'package-lock.json'), 'changed');
  t.equal((await started()).code, 0);
  t.same(await clone.calls(), PRODUCTION);

  // A clone that is set up for the tests keeps its packages.
  t.equal((await clone.script('setup')).code, 0);
  t.same(await clone.calls(), [...UNPACK, NPM_CI]);
  t.ok(existsSync(tap));
  t.equal((await started()).code, 0);
  t.same(await clone.calls(), []);
  await writeFile(join(clone.root, 'package-lock.json'), 'changed again');
  await later('package-lock.json', 60);
  t.equal((await started()).code, 0);
  t.same(await clone.calls(), [NPM_CI, BUILD]);
  t.ok(existsSync(tap), 'start-dn removes no package');
});

t.test('packages that npm installed by hand are kept, too', async (t) => {
  const byHand: readonly [string, string, string][] = [
    ['the compiler', 'node_modules/typescript/package.json', '{}'],
    ['an entry of npm', 'node_modules/.package-lock.json', '{ "dev": true }'],
  ];
  for (const [name, file, content] of byHand) {
    for (const purpose of ['--runtime', '--no-tor']) {
      const clone = await fakeClone(t.testdir());
      await mkdir(dirname(join(clone.root, file)), { recursive: true });
      await writeFile(join(clone.root, file), content);
      const result = await clone.script('setup', [purpose]);
      t.equal(result.code, 0, result.stderr);
      t.same(await clone.calls(), [NPM_CI, BUILD], `${name}, ${purpose}: nothing is pruned`);
      t.ok(existsSync(join(clone.root, 'node_modules/.bin/tap')));
    }
  }
});

t.test('an interrupted installation leaves the packages that were there', async (t) => {
  const clone = await fakeClone(t.testdir());
  await clone.script('setup');
  const tap = join(clone.root, 'node_modules/.bin/tap');
  await writeFile(join(clone.root, 'package-lock.json'), 'changed');
  const npm = join(clone.bin, 'npm');
  const works = await readFile(npm, 'utf8');
  // Removes all packages first, as npm does, and is ended then.
  await writeFile(npm, '#!/bin/bash\nrm -rf node_modules; mkdir node_modules; kill "$PPID"\n');
  t.not((await clone.script('setup')).code, 0);
  t.ok(existsSync(tap), 'all packages are still there');
  await writeFile(npm, works);
  await clone.calls();
  t.equal((await clone.script('setup')).code, 0);
  t.same(await clone.calls(), [NPM_CI, BUILD]);
  t.ok(existsSync(tap));
  t.notOk(existsSync(join(clone.root, '.build/builder')), 'the temporary folder is gone');
});

t.test('benches, soak and fuzzing ask for the full set-up', async (t) => {
  for (const name of ['bench', 'soak', 'fuzz']) {
    const clone = await fakeClone(t.testdir());
    // The stand-in has no compiler; the set-up has run before the script fails.
    await clone.script(name, []);
    t.same(await clone.calls(), [...UNPACK, NPM_CI, BUILD], name);
  }
});

t.test('setup as root leaves the clone of another user to that user', async (t) => {
  // A folder that every user can enter.
  const dir = await mkdtemp(join(tmpdir(), 'onionmc-scripts-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  await chmod(dir, 0o755);
  const clone = await fakeClone(dir);
  await rm(join(clone.bin, 'id'));
  const uid = process.geteuid?.() === 0 ? 65_534 : (process.geteuid?.() ?? 0);
  // Files that an earlier program made as root are given to the user as well.
  await mkdir(join(clone.root, 'node_modules', '.bin'), { recursive: true });
  // Only its owner can remove a folder that is not empty.
  await writeFile(join(clone.root, 'node_modules', '.bin', 'old'), '');
  await mkdir(join(clone.root, '.build'));
  for (const path of ['a clone', 'calls']) {
    if (uid === 65_534) await run('chown', ['-R', `${uid}:${uid}`, join(dir, path)]);
  }
  if (uid === 65_534) await run('chown', ['-R', '0:0', join(clone.root, 'node_modules')]);

  const first = await clone.script('setup');
  t.equal(first.code, 0, first.stderr);
  t.same(await clone.calls(), [...UNPACK, NPM_CI, BUILD]);
  const { stdout } = await run('find', [clone.root, '!', '-uid', String(uid)]);
  t.equal(stdout, '', 'no file belongs to another user');

  // The user continues without root.
  const later = new Date(Date.now() + 60_000);
  await utimes(join(clone.root, 'src', 'a.ts'), later, later);
  const user = await run(
    'setpriv',
    uid === 65_534
      ? ['--reuid', String(uid), '--clear-groups', join(clone.root, 'scripts', 'setup')]
      : [join(clone.root, 'scripts', 'setup')],
    { PATH: clone.env.PATH },
  );
  t.equal(user.code, 0, user.stderr);
  t.same(await clone.calls(), [BUILD]);
});

t.test('the demo over loopback sockets asks for no tor', async (t) => {
  const dir = t.testdir();
  const clone = await fakeClone(dir);
  // The script looks into the system's folders too, where this machine may have a tor.
  const setup = join(clone.root, 'scripts', 'setup');
  const text = await readFile(setup, 'utf8');
  await writeFile(setup, text.replace('PATH=$PATH:/usr/sbin:/sbin', ''));
  const env = await bareEnv(dir, { 'apt-get': `echo "apt-get $*" >>'${join(dir, 'calls')}'` });
  for (const [args, wants] of [
    [['--loopback', '--seconds', '1'], false],
    [['--seconds', '1'], true],
  ] as const) {
    const demo = await clone.script('demo', args, env);
    t.equal(demo.code, 0, demo.stderr);
    const calls = await clone.calls();
    t.equal(
      calls.some((call) => call.includes('install -y --no-install-recommends tor')),
      wants,
      args.join(' '),
    );
  }
});

t.test('setup names the fault', async (t) => {
  const cases = [
    ['v18', { node: 'echo 18.20.4' }, /Node\.js 20\.19 or later is needed, .*node is 18\.20\.4/],
    ['v20.18', { node: 'echo 20.18.1' }, /20\.19 or later is needed/],
    ['broken', { node: 'exit 127' }, /node does not run/],
  ] as const;
  for (const [name, fakes, message] of cases) {
    const dir = t.testdir();
    const clone = await fakeClone(dir);
    await programs(dir, fakes);
    const result = await clone.script('setup');
    t.equal(result.code, 1, name);
    t.match(result.stderr, message);
    t.same(await clone.calls(), [], `${name}: no step was done`);
  }
});

/** A PATH with stand-ins but without tor, chromium and nft: besides only what the script needs. */
async function bareEnv(dir: string, fakes: Readonly<Record<string, string>>) {
  const bin = await programs(dir, fakes);
  for (const name of ['tor', 'chromium', 'nft']) await rm(join(bin, name));
  const tools = join(dir, 'tools');
  await mkdir(tools);
  const needed =
    'bash env dirname readlink chmod cmp cp mkdir mv find stat touch flock rm node printf cat';
  for (const name of needed.split(' ')) {
    const { stdout } = await run('/bin/sh', ['-c', `command -v ${name}`]);
    if (stdout.startsWith('/')) await symlink(stdout.trim(), join(tools, name));
  }
  return { PATH: `${bin}${delimiter}${tools}` };
}

/** Whether a program is in a system folder of Debian, where the script looks too. */
function isInSbin(name: string): boolean {
  return ['/usr/sbin', '/sbin'].some((folder) => existsSync(join(folder, name)));
}

/** The packages that the script must find missing. */
function missingPackages(): string {
  const tor = isInSbin('tor') ? [] : ['tor'];
  const nftables = isInSbin('nft') ? [] : ['nftables'];
  return [...tor, 'chromium', ...nftables].join(' ');
}

t.test('setup installs Debian packages that are missing', async (t) => {
  t.test('as root, reading the package lists only when needed', async (t) => {
    const dir = t.testdir();
    const clone = await fakeClone(dir);
    const calls = join(dir, 'calls');
    const env = await bareEnv(dir, {
      'apt-get': `echo "apt-get $*" >>'${calls}'; [[ $2 != install || -e '${dir}/updated' ]] && exit 0; touch '${dir}/updated'; exit 100`,
    });
    const packages = missingPackages();
    const result = await clone.script('setup', [], env);
    t.equal(result.code, 0, result.stderr);
    t.same((await clone.calls()).slice(0, 3), [
      `apt-get -q install -y --no-install-recommends ${packages}`,
      'apt-get -q update',
      `apt-get -q install -y --no-install-recommends ${packages}`,
    ]);
  });

  t.test('neither root nor sudo', async (t) => {
    const dir = t.testdir();
    const clone = await fakeClone(dir);
    const env = await bareEnv(dir, { id: 'echo 1000' });
    const result = await clone.script('setup', [], env);
    t.equal(result.code, 1);
    t.match(
      result.stderr,
      /neither root nor sudo\); as root on Debian: apt-get install .*chromium/,
    );
    const runtime = await clone.script('setup', ['--runtime'], env);
    t.equal(runtime.code, 0, 'to run, a Tor on another machine is enough');
  });
});

t.test('packages that Debian would start are unpacked, and no script of them runs', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'onionmc-unpack-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const service = 'onionmc-test-service';
  const marker = join(dir, 'installed');
  const repository = join(dir, 'repository');
  await mkdir(repository);
  const index: string[] = [];
  /** A package in a local repository, with the files and maintainer scripts given. */
  async function publish(name: string, depends: string, files: Readonly<Record<string, string>>) {
    const root = join(dir, name);
    const control = `Package: ${name}\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody\n${depends}Description: a test\n`;
    for (const [path, text] of Object.entries({ 'DEBIAN/control': control, ...files })) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), text, { mode: 0o755 });
    }
    const deb = join(repository, `${name}.deb`);
    const built = await run('dpkg-deb', ['--root-owner-group', '-b', root, deb]);
    t.equal(built.code, 0, built.stderr);
    const bytes = await readFile(deb);
    const sum = createHash('sha256').update(bytes).digest('hex');
    index.push(`${control}Filename: ./${name}.deb\nSize: ${bytes.length}\nSHA256: ${sum}\n`);
  }
  const listen = `require("net").createServer().listen(0, "127.0.0.1")`;
  await publish(service, `Depends: ${service}-library\n`, {
    [`usr/sbin/${service}`]: '#!/bin/sh\necho here\n',
    [`lib/systemd/system/${service}.service`]: '[Install]\nWantedBy=multi-user.target\n',
    'DEBIAN/postinst': `#!/bin/sh\ntouch '${marker}'\nnode -e '${listen}' >/dev/null 2>&1 &\n`,
  });
  await publish(`${service}-library`, '', { [`usr/lib/${service}.so`]: 'library' });
  await writeFile(join(repository, 'Packages'), index.join('\n'));

  // An apt that knows that repository only, and a machine without packages.
  for (const path of ['lists/partial', 'cache/archives/partial']) {
    await mkdir(join(dir, path), { recursive: true });
  }
  await writeFile(join(dir, 'status'), '');
  await writeFile(join(dir, 'sources.list'), `deb [trusted=yes] file:${repository} ./\n`);
  await writeFile(
    join(dir, 'apt.conf'),
    `Dir::Etc::sourcelist "${dir}/sources.list";\nDir::Etc::sourceparts "-";\n` +
      `Dir::State::lists "${dir}/lists";\nDir::State::status "${dir}/status";\n` +
      `Dir::Cache "${dir}/cache";\nAPT::Sandbox::User "";\n`,
  );
  const env = { APT_CONFIG: join(dir, 'apt.conf') };
  const folder = join(dir, 'private', 'program');
  const unpack = join(ROOT, 'scripts', 'unpack-debian');
  const units = async (): Promise<readonly string[]> =>
    (await run('find', ['/etc/systemd', '/etc/init.d', '/lib/systemd', '-type', 'l,f'])).stdout
      .split('\n')
      .toSorted();
  /** In a network of its own, so that every listener in it comes from the command. */
  const listenersAfter = async (command: string): Promise<number> => {
    const shown = `{ ${command}; } >&2 && cat /proc/net/tcp /proc/net/tcp6`;
    const result = await run('unshare', [...NEW_NETWORK, 'bash', '-c', shown], env);
    t.equal(result.code, 0, result.stderr);
    // State 0A is LISTEN.
    return result.stdout.split('\n').filter((line) => / 0A [0-9A-F]{8}:/.test(line)).length;
  };

  t.equal((await run(unpack, ['--check', folder, service], env)).code, 1);
  t.equal((await run(unpack, [folder, service], env)).code, 1, 'no package lists yet');
  const update = await run('apt-get', ['-q', 'update'], env);
  t.equal(update.code, 0, update.stderr);
  const before = await units();
  t.equal(await listenersAfter(`'${unpack}' '${folder}' ${service}`), 0, 'no new listener');
  t.same(await units(), before, 'no new unit');
  t.notOk(existsSync(marker), 'no script of a package has run');
  t.equal((await run(join(folder, 'usr', 'sbin', service), [])).stdout, 'here\n');
  t.ok(existsSync(join(folder, 'usr', 'lib', `${service}.so`)), 'with its dependencies');
  t.same(await readdir(join(dir, 'private')), ['program'], 'no other file is left');

  await rm(repository, { recursive: true });
  t.equal((await run(unpack, [folder, service], env)).code, 0, 'a second run does not call apt');
  t.equal((await run(unpack, ['--check', folder, service], env)).code, 0);
  t.equal((await run(unpack, ['--check', folder, service, 'more'], env)).code, 1);

  const postinst = join(dir, service, 'DEBIAN', 'postinst');
  t.equal(
    await listenersAfter(`'${postinst}'; until grep -q ' 0A ' /proc/net/tcp; do sleep 0.02; done`),
    1,
  );
  t.ok(existsSync(marker), 'an installation would have left both');
});

t.test('packages of another suite are unpacked with all their libraries', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'onionmc-suite-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const archive = join(dir, 'archive');
  /** A package of one suite, and nothing else in it but its library. */
  const publish = async (suite: string, names: readonly string[]): Promise<void> => {
    const list = join(archive, 'dists', suite, 'main', `binary-${await architecture()}`);
    await mkdir(list, { recursive: true });
    const index: string[] = [];
    for (const name of names) {
      const root = join(dir, `${suite}-${name}`);
      const depends = name === 'program' ? 'Depends: program-library\n' : '';
      const control = `Package: ${name}\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody\n${depends}Description: a test\n`;
      await mkdir(join(root, 'DEBIAN'), { recursive: true });
      await mkdir(join(root, 'usr', 'lib', 'here'), { recursive: true });
      await writeFile(join(root, 'DEBIAN', 'control'), control);
      await writeFile(join(root, 'usr', 'lib', 'here', `${name}.txt`), suite);
      await writeFile(join(root, 'usr', 'lib', 'here', 'ld-linux-test.so.2'), '');
      const deb = join(archive, `${suite}-${name}.deb`);
      await run('dpkg-deb', ['--root-owner-group', '-b', root, deb]);
      const bytes = await readFile(deb);
      const sum = createHash('sha256').update(bytes).digest('hex');
      index.push(
        `${control}Filename: ./${suite}-${name}.deb\nSize: ${bytes.length}\nSHA256: ${sum}\n`,
      );
    }
    const packages = index.join('\n');
    await writeFile(join(list, 'Packages'), packages);
    const sum = createHash('sha256').update(packages).digest('hex');
    const path = `main/binary-${await architecture()}/Packages`;
    await writeFile(
      join(archive, 'dists', suite, 'Release'),
      `Origin: Debian\nLabel: Debian\nSuite: ${suite}\nCodename: ${suite}\nComponents: main\nArchitectures: ${await architecture()}\nSHA256:\n ${sum} ${packages.length} ${path}\n`,
    );
  };
  await publish('stable', ['other']);
  await publish('sid', ['program', 'program-library']);
  for (const path of ['lists/partial', 'cache/archives/partial']) {
    await mkdir(join(dir, path), { recursive: true });
  }
  await writeFile(join(dir, 'status'), '');
  await writeFile(join(dir, 'sources.list'), `deb [trusted=yes] file:${archive} stable main\n`);
  await writeFile(
    join(dir, 'apt.conf'),
    `Dir::Etc::sourcelist "${dir}/sources.list";\nDir::Etc::sourceparts "-";\n` +
      `Dir::State::lists "${dir}/lists";\nDir::State::status "${dir}/status";\n` +
      `Dir::Cache "${dir}/cache";\nAPT::Sandbox::User "";\n` +
      // The archive of the test has no signature.
      `Acquire::AllowInsecureRepositories "true";\nAPT::Get::AllowUnauthenticated "true";\n`,
  );
  const env = { APT_CONFIG: join(dir, 'apt.conf') };
  const unpack = join(ROOT, 'scripts', 'unpack-debian');
  const folder = join(dir, 'private', 'program');
  const withoutLists = await run(unpack, ['--suite', 'sid', folder, 'program'], env);
  t.equal(withoutLists.code, 1);
  t.match(withoutLists.stderr, /this machine has no package lists of Debian/);
  await run('apt-get', ['-q', 'update'], env);
  const lists = await readdir(join(dir, 'lists'));
  const result = await run(unpack, ['--suite', 'sid', folder, 'program'], env);
  t.equal(result.code, 0, result.stderr);
  for (const name of ['program', 'program-library']) {
    const text = await readFile(join(folder, 'usr', 'lib', 'here', `${name}.txt`), 'utf8');
    t.equal(text, 'sid', name);
  }
  t.equal(
    await readFile(join(folder, '.loader'), 'utf8'),
    './usr/lib/here/ld-linux-test.so.2\n',
    'the loader for the libraries',
  );
  t.same(await readdir(join(dir, 'lists')), lists, 'the apt of the machine learns nothing');
  t.same(await readdir(join(dir, 'private')), ['program'], 'no other file is left');
  t.equal((await run(unpack, ['--check', folder, 'program'], env)).code, 0);
  const gone = await run(unpack, ['--suite', 'sid', join(dir, 'more'), 'missing'], env);
  t.match([gone.code, gone.stderr], [1, /unpack: apt knows no way to install missing/]);
  const odd = await run(unpack, ['--suite', '../x', folder, 'program'], env);
  t.equal(odd.code, 2, 'a suite is a word');
});

t.test('test ends with the count, and its exit code says whether all passed', async (t) => {
  const clone = await fakeClone(t.testdir());
  const good = 'TAP version 14\nok 1 - a.test.ts\n1..1\n# { total: 7, pass: 7 }\n# time=1ms\n';
  const bad = 'not ok 1 - a\n  ---\n  why: here\n  ...\n1..1\n# { total: 7, pass: 5, fail: 2 }\n';
  const cases: readonly (readonly [string, NodeJS.ProcessEnv, string, number])[] = [
    ['all passed', { TAP_OUTPUT: good }, '7 passed, 0 failed', 0],
    ['a title has a zero byte', { TAP_OUTPUT: `ok 1 - NUL\n${good}` }, '7 passed, 0 failed', 0],
    [
      'no bitcoind',
      { TAP_OUTPUT: '# { total: 9, pass: 7, skip: 2 }\n' },
      '7 passed, 0 failed, 2 skipped',
      0,
    ],
    [
      'no bitcoind, and one failed',
      { TAP_OUTPUT: '# { total: 9, pass: 6, fail: 1, skip: 2 }\n', TAP_EXIT: '1' },
      '6 passed, 1 failed, 2 skipped',
      1,
    ],
    [
      'skipped for another reason',
      { TAP_OUTPUT: '# { total: 9, pass: 7, skip: 2 }\n', TAP_EXIT: '1' },
      '7 passed, 1 failed, 2 skipped',
      1,
    ],
    [
      'all skipped',
      { TAP_OUTPUT: '# { total: 2, skip: 2 }\n' },
      '0 passed, 0 failed, 2 skipped',
      1,
    ],
    ['two failed', { TAP_OUTPUT: bad, TAP_EXIT: '1' }, '5 passed, 2 failed', 1],
    ['the sources are not clean', { TAP_OUTPUT: good, LINT: '1' }, '7 passed, 1 failed', 1],
    ['tap failed otherwise', { TAP_OUTPUT: good, TAP_EXIT: '1' }, '7 passed, 1 failed', 1],
    ['nothing ran', { TAP_OUTPUT: '' }, '0 passed, 0 failed', 1],
    ['no report', { TAP_EXIT: '1' }, '0 passed, 1 failed', 1],
    ['half a report', { TAP_OUTPUT: 'junk', TAP_EXIT: '1' }, '0 passed, 1 failed', 1],
  ];
  for (const [name, env, last, code] of cases) {
    const result = await clone.script('test', ['test/a', 'test/b'], { ...env, CALLS: clone.log });
    t.equal(result.stdout.trimEnd().split('\n').at(-1), last, name);
    t.equal(result.code, code, `${name}: exit code`);
    t.same((await clone.calls()).slice(-2).toSorted(), [LINT, 'run test/a test/b'], name);
  }
  const unclean = await clone.script('test', [], { TAP_OUTPUT: good, LINT: '1' });
  t.match(unclean.stdout, /^npm speaks\ntest: the sources do not pass/m, 'and what is wrong');
});

t.test(
  'test --quick checks the types only, and sets up only when packages are missing',
  async (t) => {
    const clone = await fakeClone(t.testdir());
    const env = { TAP_OUTPUT: '# { total: 7, pass: 7 }\n', CALLS: clone.log };
    const first = await clone.script('test', ['--quick', 'test/a'], env);
    t.equal(first.code, 0, first.stderr);
    t.match(first.stdout, /\n?7 passed, 0 failed\n$/);
    const calls = await clone.calls();
    t.same(calls.slice(0, -2), [...UNPACK, NPM_CI, BUILD]);
    t.same(calls.slice(-2).toSorted(), [TYPES, 'run --quick test/a']);

    const later = new Date(Date.now() + 60_000);
    await utimes(join(clone.root, 'src', 'a.ts'), later, later);
    t.equal((await clone.script('test', ['--quick'], env)).code, 0);
    t.same(
      (await clone.calls()).toSorted(),
      [TYPES, 'run --quick'],
      'a changed source is not built',
    );
    await writeFile(join(clone.root, 'package-lock.json'), 'changed');
    t.equal((await clone.script('test', ['--quick'], env)).code, 0);
    t.match(await clone.calls(), [NPM_CI, BUILD], 'a changed lock file is installed');

    const wrong = await clone.script('test', ['--quick'], { ...env, LINT: '1' });
    t.match(wrong.stdout, /\n7 passed, 1 failed\n$/, 'wrong types');
    t.equal(wrong.code, 1);
  },
);

t.test('start-dn and demo pass their arguments on', async (t) => {
  const dir = t.testdir();
  const clone = await fakeClone(dir);
  const started = await clone.script('start-dn', ['Hello  world', '--datadir=D']);
  t.equal(started.code, 0, started.stderr);
  t.same(JSON.parse(started.stdout), ['/', 'directory', 'Hello  world', '--datadir=D']);
  t.match(started.stderr, /npm speaks/, 'the set-up writes to standard error');
  const demo = await clone.script('demo', ['--seconds', '5']);
  t.same(JSON.parse(demo.stdout), ['/', 'demo', '--seconds', '5']);

  const link = join(dir, 'bin', 'linked');
  await symlink(join(clone.root, 'scripts', 'start-dn'), link);
  const linked = await run(link, ['x'], { PATH: `${clone.bin}${delimiter}${process.env['PATH']}` });
  t.same(JSON.parse(linked.stdout), ['/', 'directory', 'x'], 'through a link too');
});

t.test('the packed package is installed on a server', async (t) => {
  const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
  t.match(readme, /^\.\/scripts\/setup --runtime && npm pack$/m, 'README says how to pack');
  t.match(readme, /^npm install --global \.\/onionmc-[\d.]+\.tgz$/m, 'and how to install');
  // A path without links: the program names its own.
  const dir = await realpath(await mkdtemp(join(tmpdir(), 'onionmc-pack-')));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  // Without tap's loader, which it hands on in NODE_OPTIONS.
  const plain = (folder: string, ...command: readonly string[]): Promise<Result> =>
    run('env', ['-u', 'NODE_OPTIONS', '-C', folder, ...command]);
  const packed = await plain(ROOT, 'npm', 'pack', '--silent', '--pack-destination', dir);
  t.equal(packed.code, 0, packed.stderr);
  const file = packed.stdout.trim();
  t.ok(readme.includes(`./${file}`), 'README names this version');
  const listed = (await run('tar', ['-tzf', join(dir, file)])).stdout.split('\n');
  t.ok(listed.includes('package/dist/cli/main.js'));
  const unwanted = /^package\/(?:test|lab|src|findings|\.|scripts\/(?!start-dn$))/;
  t.same(
    listed.filter((name) => unwanted.test(name)),
    [],
    'nothing that only developers use',
  );

  const prefix = join(dir, 'prefix');
  const installed = await plain(
    dir,
    'npm',
    'install',
    `--prefix=${prefix}`,
    '--global',
    '--offline',
    `--cache=${join(dir, 'no-cache')}`,
    '--no-audit',
    '--no-fund',
    `./${file}`,
  );
  t.equal(installed.code, 0, installed.stderr);
  const root = join(prefix, 'lib/node_modules/onionmc');
  const locked: {
    readonly packages: Readonly<Record<string, { readonly dev?: true; readonly version: string }>>;
  } = JSON.parse(await readFile(join(ROOT, 'package-lock.json'), 'utf8'));
  const packages = Object.entries(locked.packages).filter(([place]) => place !== '');
  t.ok(packages.length > 50);
  for (const [place, { dev, version: wanted }] of packages) {
    const manifest = join(root, place, 'package.json');
    if (dev) t.notOk(existsSync(manifest), `${place} is for development only`);
    else t.equal(JSON.parse(await readFile(manifest, 'utf8')).version, wanted, place);
  }

  const onionmc = join(prefix, 'bin/onionmc');
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
  t.equal((await plain(dir, onionmc, '--version')).stdout.trim(), version);
  const init = await plain(dir, onionmc, 'init', '--datadir', join(dir, 'data'));
  t.match(init.stdout, /^address +[a-z2-7]{56}\.onion:5222$/m, init.stderr);
});

t.test('the units are sound and confined', async (t) => {
  const units = (await readdir(join(ROOT, 'systemd'))).filter((name) => name.endsWith('.service'));
  t.same(units.toSorted(), [
    'onionmc-directory.service',
    'onionmc-maker.service',
    'onionmc-maker@.service',
    'onionmc-ob-watcher.service',
  ]);
  const hasAnalyze = (await run('systemd-analyze', ['--version'])).code === 0;
  for (const unit of units) {
    const text = await readFile(join(ROOT, 'systemd', unit), 'utf8');
    // A wallet is used by hand, too, so its user exists while the service does not run.
    const hasWallet = text.includes(' --wallet ');
    for (const line of [
      hasWallet ? 'User=onionmc' : 'DynamicUser=yes',
      'LimitNOFILE=65536',
      'Restart=always',
      'NotifyAccess=all',
    ]) {
      t.ok(text.includes(`\n${line}\n`), `${unit}: ${line}`);
    }
    if (!hasAnalyze) continue;
    // verify looks for the program; Node may be anywhere on the machine of the test.
    const copy = join(t.testdir(), unit.replace('@.', '@savings.'));
    await writeFile(copy, text.replace('ExecStart=node ', `ExecStart=${process.execPath} `));
    const verified = await run('systemd-analyze', ['verify', copy]);
    t.same([verified.code, verified.stderr], [0, ''], `${unit}: verified`);
    const security = await run('systemd-analyze', [
      'security',
      '--offline=true',
      '--threshold=20',
      copy,
    ]);
    t.equal(
      security.code,
      0,
      `${unit}: exposure below 2.0\n${security.stdout.split('\n').at(-2) ?? ''}`,
    );
  }
});

t.test('every folder of src has an import rule, and a row in CONTRIBUTING', async (t) => {
  const files = await readdir(join(ROOT, 'src'), { recursive: true });
  const modules = files.filter((file) => file.endsWith('.ts') && file.includes('/'));
  const folders = [...new Set(modules.map((file) => dirname(file)))];
  t.ok(['protocol', 'cli', 'tor/control', 'lab/demo'].every((name) => folders.includes(name)));
  // Outside the clone, where no file is ignored.
  const dir = await mkdtemp(join(tmpdir(), 'onionmc-lint-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  await cp(join(ROOT, '.oxlintrc.json'), join(dir, '.oxlintrc.json'));
  const breaks = async (folder: string, name: string, target: string): Promise<void> => {
    await mkdir(join(dir, 'src', folder), { recursive: true });
    await writeFile(join(dir, 'src', folder, name), `export { x } from '${target}';\n`);
  };
  for (const folder of folders) {
    const target = folder === 'cli' ? 'index.js' : 'cli/x.js';
    await breaks(folder, 'outward.ts', `${relative(folder, '')}/${target}`);
  }
  for (const other of folders) {
    const name = `${other.replaceAll('/', '-')}.ts`;
    await breaks('kit', name, `../${other}/x.js`);
    if (other !== 'kit') await breaks('protocol', name, `../${other}/x.js`);
  }
  const wings = [
    ['tor/control', '../onion/x.js'],
    ['negotiation/maker', '../taker/x.js'],
    ['directory/fanout', '../relay/x.js'],
    ['channel/link', '../messages/x.js'],
  ];
  for (const [folder = '', target = ''] of wings) await breaks(folder, 'wing.ts', target);
  await breaks('channel', 'right.ts', '../protocol/x.js');
  await breaks('channel/link', 'right.ts', '../ports.js');
  await breaks('tor/onion', 'right.ts', '../control/client.js');
  await breaks('protocol', 'right.ts', '../kit/x.js');

  const oxlint = join(ROOT, 'node_modules/.bin/oxlint');
  // tap passes its loader on in NODE_OPTIONS, and the loader cannot load this program.
  const { stdout } = await run('env', ['-u', 'NODE_OPTIONS', '-C', dir, oxlint, '-f', 'unix']);
  const refused = [...stdout.matchAll(/src\/(\S+\.ts):.* is restricted/g)].map(
    ([, file = '']) => file,
  );
  t.same(
    new Set(refused),
    new Set([
      ...folders.flatMap((folder) => [
        `${folder}/outward.ts`,
        `kit/${folder.replaceAll('/', '-')}.ts`,
        ...(folder === 'kit' ? [] : [`protocol/${folder.replaceAll('/', '-')}.ts`]),
      ]),
      ...wings.map(([folder]) => `${folder}/wing.ts`),
    ]),
  );

  const layout = await readFile(join(ROOT, 'CONTRIBUTING.md'), 'utf8');
  const unnamed = folders.filter((folder) => !new RegExp(`^src/${folder} `, 'm').test(layout));
  t.same(unnamed, []);
});

t.test('lint reports wrong types', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'onionmc-types-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  for (const name of ['.oxlintrc.json', 'tsconfig.json', 'package.json']) {
    await cp(join(ROOT, name), join(dir, name));
  }
  await symlink(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
  const wrong: Readonly<Record<string, string>> = {
    TS2322: "export const a: number = 'x';",
    TS2375: 'interface A { a?: number } export const a: A = { a: undefined };',
    TS2532: 'export const a = (list: readonly string[]) => list[0].length;',
    TS7006: 'export const a = (b) => b;',
    TS6133: 'const a = 1; export const b = 2;',
    TS2307: "export { a } from './nowhere.js';",
    TS4114: 'class A { x(): void {} } export class B extends A { x(): void {} }',
  };
  const folders = ['src', 'test', 'lab'];
  for (const folder of folders) {
    await mkdir(join(dir, folder));
    for (const [code, text] of Object.entries(wrong)) {
      await writeFile(join(dir, folder, `${code}.ts`), `${text}\n`);
    }
  }
  const types = ['run', '--silent', 'types', '--', '-f', 'unix', ...folders];
  const { code, stdout } = await run('env', ['-u', 'NODE_OPTIONS', '-C', dir, 'npm', ...types]);
  t.not(code, 0);
  const found = [...stdout.matchAll(/^(\S+)\.ts:.*typescript\((TS\d+)\)/gm)];
  t.same(
    found.map(([, file, rule]) => `${file} ${rule}`).toSorted(),
    folders
      .flatMap((folder) => Object.keys(wrong).map((rule) => `${folder}/${rule} ${rule}`))
      .toSorted(),
  );
  const { lint } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')).scripts;
  t.match(lint, /^npm run --silent types && /);
});
