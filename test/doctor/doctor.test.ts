/** Each test makes one fault in a working directory; the doctor must find it and name it. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Machine } from '../../src/doctor/check.js';
import { findingLine, isWell, verdictLine } from '../../src/doctor/format.js';
import { runChecks, type Finding } from '../../src/doctor/run-checks.js';
import { silentLog } from '../../src/channel/log.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { createTorOverlay } from '../../src/overlay/tor.js';
import { VIRTUAL_PORT } from '../../src/protocol/constants.js';
import { startDirectoryNode, type DirectoryNode } from '../../src/roles/directory-node.js';
import { explainNoPermission } from '../../src/tor/control/cookie-file.js';
import { connectControl } from '../../src/tor/control/client.js';
import type { ControlEndpoint } from '../../src/tor/control/endpoint.js';
import { TORRC_EXTRA_VARIABLE } from '../../src/tor/process/torrc.js';
import { openOverlay } from '../../src/overlay/factory/open-overlays.js';
import { peekSettings } from '../../src/config/settings.js';
import { startOnionService } from '../../src/tor/onion/service.js';
import { loadOrCreateOnionKey, type OnionKey } from '../../src/tor/onion/key-folder.js';
import {
  redactedUploads,
  startControlFilter,
  type FilterRules,
} from '../helpers/control-filter.js';
import { startCli } from '../helpers/cli.js';
import { loadChecks, noNode } from '../helpers/doctor-checks.js';
import { startFakeDirectory } from '../helpers/fake-directory.js';
import { startOfflineTor, temporaryFolder } from '../helpers/offline-tor.js';
import { torNetworkFor } from '../helpers/tor-network.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';

const HOST = '127.0.0.1';
/** Loaded now: some tests run the checks as a user who may be unable to read the sources. */
const CHECKS = await loadChecks('directory');
const NEVER = new AbortController().signal;
const HOUR_MS = 3_600_000;

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** A listener that ends each connection, or answers it with a text. */
async function otherProgram(t: Test, answer = ''): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {}).once('data', () => socket.end(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  t.teardown(() => closed(server));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no TCP address');
  return address.port;
}

interface Site {
  readonly datadir: string;
  readonly config: string;
  readonly keyDir: string;
  readonly key: OnionKey;
}

interface SiteOptions {
  readonly mode?: 'auto' | 'control' | 'managed' | 'external';
  readonly control?: number;
  readonly socks?: number;
  readonly servingPort?: number;
  readonly statusPort?: number;
  readonly loopback?: boolean;
  /** The name of the data directory. */
  readonly folder?: string;
  /** Further lines of the onion section. */
  readonly extra?: string;
}

/** A data directory without a fault. */
async function siteFor(t: Test, options: SiteOptions = {}): Promise<Site> {
  const root = await mkdtemp(join(tmpdir(), 'omcd-'));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  const datadir = join(root, options.folder ?? 'dn');
  await mkdir(datadir, { mode: 0o700 });
  const config = join(datadir, 'joinmarket.cfg');
  const text = `
[BLOCKCHAIN]
network = signet
[MESSAGING:onion]
type = onion
tor_mode = ${options.mode ?? 'managed'}
socks5_host = ${HOST}
socks5_port = ${options.socks ?? 1}
tor_control_host = ${HOST}
tor_control_port = ${options.control ?? 1}
onion_serving_host = ${HOST}
onion_serving_port = ${options.servingPort ?? 0}
regtest_count = ${options.loopback === true ? '1,1' : '0,0'}
${options.extra ?? ''}
[DIRECTORY]
status_port = ${options.statusPort ?? (await freePort())}
`;
  await writeFile(config, text, { mode: 0o600 });
  const keyDir = join(datadir, 'hidden_service');
  const { key } = await loadOrCreateOnionKey(keyDir);
  return { datadir, config, keyDir, key };
}

function machineFor(datadir: string, changes: Partial<Machine> = {}): Machine {
  return {
    role: 'directory',
    datadir,
    nodeVersion: '20.19.0',
    uid: process.geteuid?.(),
    openFiles: () => Promise.resolve(65_536),
    space: () => Promise.resolve({ bytes: 1e9, files: 1e6 }),
    torProgram: 'tor',
    today: Date.now,
    openChain: noNode,
    clock: systemClock,
    randomBytes,
    probeDeadlines: { dialMs: 20_000, handshakeMs: 2_000, peerlistMs: 2_000, relayMs: 3_000 },
    signal: NEVER,
    ...changes,
  };
}

const wrongOnes = (findings: readonly Finding[]): readonly string[] =>
  findings.filter(({ status }) => status === 'wrong').map(({ id }) => id);

interface Expected {
  readonly id: string;
  readonly text: RegExp;
  readonly fix: RegExp;
}

/** Asserts that the doctor finds only this fault, and names it and its fix. */
async function expectFault(t: Test, machine: Machine, expected: Expected): Promise<void> {
  const findings = await runChecks(CHECKS, machine);
  t.same(wrongOnes(findings), [expected.id], 'only this fault');
  const finding = findings.find(({ id }) => id === expected.id);
  if (finding === undefined) return;
  const line = findingLine(finding, false);
  t.comment(line);
  t.match(finding.text, expected.text);
  t.match(finding.fix, expected.fix);
  t.notOk(line.includes('\n'), 'one line');
  t.equal(isWell(findings), false);
}

interface Fault extends Expected {
  readonly name: string;
  readonly site?: SiteOptions;
  /** Makes the fault; the result replaces properties of the machine. */
  readonly seed: (site: Site) => Promise<Partial<Machine> | void>;
}

async function edit(site: Site, from: RegExp, to: string): Promise<void> {
  const text = await readFile(site.config, 'utf8');
  await writeFile(site.config, text.replace(from, to));
}

const FAULTS: readonly Fault[] = [
  {
    name: 'an old Node.js',
    id: 'node',
    text: /^version 18\.19\.1 is too old$/,
    fix: /install Node\.js 20\.19\.0 or later/,
    seed: () => Promise.resolve({ nodeVersion: '18.19.1' }),
  },
  {
    name: 'others may write into the data directory',
    id: 'datadir',
    text: /has mode 0777: others can put files into it/,
    fix: /^chmod 700 "\/.*"$/,
    seed: ({ datadir }) => chmod(datadir, 0o777),
  },
  {
    name: 'a misspelt key',
    id: 'config',
    text: /:16: \[DIRECTORY\] has no key "max_peeers", ignored; did you mean max_peers\?/,
    fix: /correct the name/,
    seed: (site) => edit(site, /\[DIRECTORY\]\n/, '[DIRECTORY]\nmax_peeers = 5\n'),
  },
  {
    name: 'a misspelt key of the onion section',
    id: 'config',
    text: /\[MESSAGING:onion\] has no key "sock5_port", ignored; did you mean socks5_port\?/,
    fix: /correct the name/,
    seed: (site) => edit(site, /type = onion\n/, 'type = onion\nsock5_port = 9\n'),
  },
  {
    name: 'a misspelt section',
    id: 'config',
    text: /section \[Directory\] is ignored; did you mean \[DIRECTORY\]\?/,
    fix: /correct the name/,
    seed: (site) => edit(site, /\[BLOCKCHAIN\]/, '[Directory]\n[BLOCKCHAIN]'),
  },
  {
    name: 'a value that is not allowed',
    id: 'config',
    text: /joinmarket\.cfg:3: \[BLOCKCHAIN\] network: found "moonnet"/,
    fix: /write .*signet/,
    seed: (site) => edit(site, /network = signet/, 'network = moonnet'),
  },
  {
    name: 'a malformed line',
    id: 'config',
    text: /joinmarket\.cfg:2: found "hello"/,
    fix: /key = value/,
    seed: (site) => edit(site, /\[BLOCKCHAIN\]\n/, 'hello\n[BLOCKCHAIN]\n'),
  },
  {
    name: 'no configuration',
    id: 'config',
    text: /there is no \/.*joinmarket\.cfg/,
    fix: /^onionmc init --datadir/,
    seed: ({ config }) => rm(config),
  },
  {
    name: 'a password that others can read',
    id: 'config',
    site: { extra: 'tor_control_password = secret' },
    text: /holds tor_control_password, and others can read it/,
    fix: /^chmod 600 /,
    seed: ({ config }) => chmod(config, 0o644),
  },
  {
    name: 'a key folder that others can enter',
    id: 'onion-key',
    text: /hidden_service has mode 0755/,
    fix: /^chmod 700 /,
    seed: ({ keyDir }) => chmod(keyDir, 0o755),
  },
  {
    name: 'a key that others can read',
    id: 'onion-key',
    text: /hs_ed25519_secret_key has mode 0644/,
    fix: /^chmod 600 /,
    seed: ({ keyDir }) => chmod(join(keyDir, 'hs_ed25519_secret_key'), 0o644),
  },
  {
    name: 'half a key',
    id: 'onion-key',
    text: /is not a key file of Tor \(40 bytes/,
    fix: /put the right file back from a backup/,
    seed: ({ keyDir }) => truncate(join(keyDir, 'hs_ed25519_secret_key'), 40),
  },
  {
    name: 'the hostname of another key',
    id: 'onion-key',
    text: /hostname does not name the address of hs_ed25519_secret_key/,
    fix: /put the right file back from a backup/,
    seed: ({ keyDir }) => writeFile(join(keyDir, 'hostname'), `${'a'.repeat(56)}.onion\n`),
  },
  {
    name: 'too few files may be open',
    id: 'open-files',
    text: /may open 1024 files, 11064 are needed for \[DIRECTORY\] max_peers = 10000/,
    fix: /LimitNOFILE=65536.*ulimit -n 11064/,
    seed: () => Promise.resolve({ openFiles: () => Promise.resolve(1024) }),
  },
  {
    name: 'no tor program',
    id: 'tor-program',
    text: /"\/nowhere\/tor" is not installed.*tor_mode = managed needs it/,
    fix: /^sudo apt-get install tor$/,
    seed: () => Promise.resolve({ torProgram: '/nowhere/tor' }),
  },
  {
    name: 'no proxy at [TOR] upstream',
    id: 'tor-program',
    text: /its only way to Tor, socks5:\/\/127\.0\.0\.1:1 with a password, cannot be reached \(ECONNREFUSED\)/,
    fix: /^start that proxy, or correct upstream in \[TOR\]/,
    async seed({ config }) {
      const text = await readFile(config, 'utf8');
      await writeFile(config, `${text}\n[TOR]\nupstream = socks5://a:secret@127.0.0.1:1\n`);
      return {};
    },
  },
];

t.test('a fault of the machine or of a file', async (t) => {
  const { datadir } = await siteFor(t);
  const fine = await runChecks(CHECKS, machineFor(datadir));
  t.same(wrongOnes(fine), [], 'no fault before');
  t.match(
    fine.find(({ id }) => id === 'directory'),
    { status: 'note', text: 'not running' },
  );
  t.match(
    fine.find(({ id }) => id === 'relay'),
    {
      status: 'skipped',
      text: 'directory: not running',
    },
  );
  t.equal(verdictLine(fine), 'nothing is wrong; 8 not checked');

  for (const fault of FAULTS) {
    await t.test(fault.name, async (t) => {
      const site = await siteFor(t, fault.site);
      const changes = await fault.seed(site);
      await expectFault(t, machineFor(site.datadir, changes ?? {}), fault);
    });
  }
  await t.test('no data directory', async (t) => {
    const missing = join(datadir, 'missing');
    const findings = await runChecks(CHECKS, machineFor(missing));
    t.same(wrongOnes(findings), ['datadir', 'config']);
    t.match(findings[1], { text: `${missing} does not exist`, fix: /^onionmc init --datadir/ });
  });
  await t.test("another user's data directory", async (t) => {
    const uid = (process.geteuid?.() ?? 0) + 4_711;
    await expectFault(t, machineFor(datadir, { uid }), {
      id: 'datadir',
      text: /belongs to \S+, and this is run by \d+/,
      fix: /^sudo -u \S+ onionmc doctor --datadir/,
    });
  });
  await t.test('a port that is taken', async (t) => {
    const port = await otherProgram(t);
    const site = await siteFor(t, { loopback: true, servingPort: port });
    await expectFault(t, machineFor(site.datadir), {
      id: 'port',
      text: new RegExp(
        `127\\.0\\.0\\.1:${port} \\(onion_serving_port\\) is taken by another program`,
      ),
      fix: /ss -ltnp 'sport = :\d+' shows which/,
    });
  });
  await t.test('another program at the status port', async (t) => {
    const site = await siteFor(t, {
      statusPort: await otherProgram(t, 'HTTP/1.1 200 OK\r\n\r\nhello'),
    });
    await expectFault(t, machineFor(site.datadir), {
      id: 'directory',
      text: /another program listens at the address of the status page, 127\.0\.0\.1:\d+/,
      fix: /set status_port in \[DIRECTORY\]/,
    });
  });
});

/** Asserts that no fault is left after the fix. */
async function mended(t: Test, machine: Machine): Promise<void> {
  t.same(wrongOnes(await runChecks(CHECKS, machine)), [], 'the fix works');
}
/** Runs the line of the fix that begins with a command, as a person would type it. */
function typed(fix: string | undefined): void {
  execFileSync('sh', ['-c', (fix ?? 'false').replace(/^sudo /, '')]);
}
const fixOf = async (machine: Machine, id: string): Promise<string | undefined> =>
  (await runChecks(CHECKS, machine)).find((finding) => finding.id === id)?.fix;

t.test('a start that would fail, or lose the address', async (t) => {
  await t.test('a data directory of mode 0500, of another user', async (t) => {
    const site = await siteFor(t, { loopback: true });
    const user = process.geteuid?.() === 0 ? 65_534 : (process.geteuid?.() ?? 0);
    for (const path of [join(site.datadir, '..'), site.datadir, site.config, site.keyDir]) {
      await chown(path, user, user);
    }
    await chmod(site.datadir, 0o500);
    const machine = machineFor(site.datadir);
    await expectFault(t, machine, {
      id: 'datadir',
      text: /has mode 0500: its owner \S+ cannot create files in it: a start fails/,
      fix: /^chmod 700 /,
    });
    typed(await fixOf(machine, 'datadir'));
    await mended(t, machine);
  });
  for (const space of [
    { bytes: 4_096, files: 1e6 },
    { bytes: 1e9, files: 0 },
  ]) {
    await t.test('a full disk', async (t) => {
      const site = await siteFor(t);
      await expectFault(t, machineFor(site.datadir, { space: () => Promise.resolve(space) }), {
        id: 'datadir',
        text: /is full: there is room for (4096 bytes|0 more files)/,
        fix: /^make room \(df -h/,
      });
      await mended(t, machineFor(site.datadir));
    });
  }
  await t.test('no control port and no tor program', async (t) => {
    const site = await siteFor(t, { mode: 'auto' });
    await expectFault(t, machineFor(site.datadir, { torProgram: '/nowhere/tor' }), {
      id: 'control-port',
      text: /^nothing at 127\.0\.0\.1:1, and no tor program .*: a start fails$/,
      fix: /^sudo apt-get install tor$/,
    });
    await mended(t, machineFor(site.datadir));
  });
  await t.test('the key folder is moved away while the directory runs', async (t) => {
    const page = await freePort();
    const site = await siteFor(t, { statusPort: page });
    await claims(t, site.key, page);
    await rename(site.keyDir, `${site.keyDir}.old`);
    await expectFault(t, machineFor(site.datadir), {
      id: 'directory',
      text: new RegExp(`is ${site.key.host}:5222, but its key is no longer in .*another address`),
      fix: /^put the key folder back at ".*hidden_service".* do not restart/,
    });
    await rename(`${site.keyDir}.old`, site.keyDir);
    t.notOk(wrongOnes(await runChecks(CHECKS, machineFor(site.datadir))).includes('directory'));
  });
  await t.test('a directory that hangs, and keys that changed while it runs', async (t) => {
    const statusPort = await freePort();
    const site = await siteFor(t, { loopback: true, statusPort, servingPort: await freePort() });
    const cli = startCli(['directory', '--datadir', site.datadir]);
    await cli.shows('stderr', /directory node is up/);
    const machine = machineFor(site.datadir);
    t.same(wrongOnes(await runChecks(CHECKS, machine)), []);
    cli.child.kill('SIGSTOP');
    await expectFault(t, machine, {
      id: 'directory',
      text: /^the directory listens at \S+ and does not answer \(no answer within 5 s\): it hangs, or is stopped$/,
      fix: /sudo kill -CONT PID/,
    });
    execFileSync('sh', ['-c', `kill -CONT ${cli.child.pid ?? 0}`]);
    await mended(t, machine);
    await edit(site, /network = signet/, 'network = testnet');
    await expectFault(t, machine, {
      id: 'directory',
      text: /^it runs on signet, but \S+ says network = testnet: changed, and not yet applied$/,
      fix: /^restart it, so that the file counts/,
    });
    await edit(site, /network = testnet/, 'network = signet');
    await mended(t, machine);
    const wasPort = /onion_serving_port = \d+/.exec(await readFile(site.config, 'utf8'))?.[0] ?? '';
    const nextPort = await freePort();
    await edit(site, /onion_serving_port = \d+/, `onion_serving_port = ${nextPort}`);
    await expectFault(t, machine, {
      id: 'directory',
      text: new RegExp(
        `^it listens on 127\\.0\\.0\\.1:\\d+, but \\S+ says onion_serving_port = ${nextPort}: changed, and not yet applied$`,
      ),
      fix: /^restart it, so that the file counts .*, or set onion_serving_port back$/,
    });
    await edit(site, /onion_serving_port = \d+/, `onion_serving_port = ${await otherProgram(t)}`);
    t.same(wrongOnes(await runChecks(CHECKS, machine)), ['directory', 'port'], 'its port is taken');
    await edit(site, /onion_serving_port = \d+/, wasPort);
    await mended(t, machine);
    await edit(site, /onion_serving_port = \d+/, `onion_serving_port = ${nextPort}`);
    await edit(site, /status_port = \d+/, `status_port = ${await freePort()}`);
    await expectFault(t, machine, {
      id: 'directory',
      text: /its status page is not at 127\.0\.0\.1:\d+: status_host or status_port were changed/,
      fix: /^restart it, so that the file counts/,
    });
    cli.child.kill('SIGTERM');
    await cli.ended;
    const again = startCli(['directory', '--datadir', site.datadir]);
    await again.shows('stderr', /directory node is up/);
    await mended(t, machine);
    again.child.kill('SIGTERM');
    await again.ended;
  });
  t.test("no fix asks a user to join root's group", async (t) => {
    const owned = { path: '/run/c', owner: 'root', mode: 0o640 };
    for (const group of ['root', 'sudo', 'docker', 'disk']) {
      const reason = explainNoPermission(
        '/run/c',
        { ...owned, group },
        { user: 'u', groups: ['u'] },
      );
      t.notMatch(reason, /usermod/, group);
      t.match(reason, /Fix: use a control password/, group);
    }
  });
});

/** A status page that reports no fault. */
async function claims(t: Test, key: OnionKey, page: number): Promise<void> {
  const body = JSON.stringify({ peers: 0, state: 'reachable', location: `${key.host}:5222` });
  const head = `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n`;
  const server = createServer((socket) => {
    socket.on('error', () => {}).once('data', () => socket.end(head + body));
  });
  await new Promise<void>((resolve) => server.listen(page, HOST, resolve));
  t.teardown(() => closed(server));
}

function shown(t: Test, finding: Finding | undefined, text: RegExp, fix: RegExp): void {
  t.equal(finding?.id, 'control-access');
  t.match(finding?.text, text);
  t.match(finding?.fix, fix);
  if (finding !== undefined) t.comment(findingLine(finding, false));
}

t.test('a Tor that cannot be used', async (t) => {
  const password = 'the right one';
  const hash = execFileSync('tor', ['--quiet', '--hash-password', password]).toString().trim();
  const { dir, remove } = await temporaryFolder();
  const cookie = join(dir, 'cookie');
  const tor = await startOfflineTor(dir, [
    `ControlPort ${HOST}:auto`,
    'CookieAuthentication 1',
    `CookieAuthFile ${cookie}`,
  ]);
  const withPassword = await temporaryFolder();
  const passwordTor = await startOfflineTor(withPassword.dir, [
    `ControlPort ${HOST}:auto`,
    `HashedControlPassword ${hash}`,
  ]);
  t.teardown(async () => {
    await Promise.all([tor.kill(), passwordTor.kill()]);
    await Promise.all([remove(), withPassword.remove()]);
  });
  /** A SOCKS port that only answers as one; the rest of Tor is not under test. */
  const socks = await otherProgram(t, '\x05\x00');
  const control = tor.port;

  await t.test('nothing at the control port', async (t) => {
    const site = await siteFor(t, { mode: 'control', control: 1, socks });
    await expectFault(t, machineFor(site.datadir), {
      id: 'control-port',
      text: /^nothing listens at the Tor control port 127\.0\.0\.1:1$/,
      fix: /^start Tor .*"ControlPort 1" and "CookieAuthentication 1"$/,
    });
  });
  await t.test('no control socket', async (t) => {
    const site = await siteFor(t, { mode: 'control', socks });
    await edit(site, /tor_control_host = .*/, 'tor_control_host = unix:/nowhere/control');
    await expectFault(t, machineFor(site.datadir), {
      id: 'control-port',
      text: /^there is no Tor control socket at unix:\/nowhere\/control$/,
      fix: /"ControlPort unix:\/nowhere\/control"/,
    });
  });
  await t.test('something else at the control port', async (t) => {
    const site = await siteFor(t, { mode: 'auto', control: socks, socks });
    await expectFault(t, machineFor(site.datadir), {
      id: 'control-port',
      text: /is not a Tor control port/,
      fix: /check the control host and port.*9051/,
    });
  });
  await t.test('nothing at the SOCKS port', async (t) => {
    const site = await siteFor(t, { mode: 'external', socks: 1 });
    await edit(site, /onion_serving_port = 0/, `onion_serving_port = ${await freePort()}`);
    await edit(site, /\[DIRECTORY\]/, 'hidden_service_dir = hidden_service\n[DIRECTORY]');
    await expectFault(t, machineFor(site.datadir), {
      id: 'socks-port',
      text: /^nothing listens at Tor's SOCKS port 127\.0\.0\.1:1$/,
      fix: /socks5_port/,
    });
  });

  /** This Tor is offline, which is another fault. */
  async function accessFault(t: Test, options: SiteOptions): Promise<Finding[]> {
    const site = await siteFor(t, { mode: 'control', socks, ...options });
    const findings = await runChecks(CHECKS, machineFor(site.datadir));
    return findings.filter(({ status }) => status === 'wrong');
  }
  await t.test('a cookie of the wrong size', async (t) => {
    const good = await readFile(cookie);
    await truncate(cookie, 5);
    const [finding] = await accessFault(t, { control });
    shown(t, finding, /SAFECOOKIE: the cookie file \S+ has 5 bytes, not 32/, /^restart Tor/);
    await writeFile(cookie, good);
  });
  await t.test('a cookie that cannot be read', async (t) => {
    const site = await siteFor(t, { mode: 'control', control, socks });
    const root = process.geteuid?.() === 0;
    await chmod(cookie, 0o000);
    await chmod(dir, 0o711);
    // Root can read every file, so the checks take the view of another user.
    await chmod(site.datadir, 0o755);
    await chmod(join(site.datadir, '..'), 0o755);
    await chmod(site.config, 0o644);
    // Members of root's group can do everything, so no fix asks a user to join it.
    const looks = root
      ? ([
          [65_534, /^add "CookieAuthFileGroupReadable 1" to torrc, restart Tor, and .*group/],
          [0, /^use a control password .*tor_control_password/],
        ] as const)
      : ([[process.getegid?.() ?? 0, /^add "CookieAuthFileGroupReadable 1" to torrc/]] as const);
    for (const [group, fix] of looks) {
      if (root) await chown(cookie, 0, group);
      if (root) process.seteuid?.(65_534);
      const findings = await runChecks(
        CHECKS,
        machineFor(site.datadir, root ? { uid: 0 } : {}),
      ).finally(() => {
        if (root) process.seteuid?.(0);
      });
      shown(
        t,
        findings.find(({ id }) => id === 'control-access'),
        /SAFECOOKIE: no permission to read .*cookie is owned by \S+, group \S+, mode 0000; we are user \S+ in groups /,
        fix,
      );
    }
    await chmod(dir, 0o700);
    await chmod(cookie, 0o600);
  });
  await t.test('a missing and a wrong password', async (t) => {
    const [none] = await accessFault(t, { control: passwordTor.port });
    shown(t, none, /HASHEDPASSWORD: no control password is configured/, /HashedControlPassword/);
    const extra = 'tor_control_password = wrong';
    const [wrong] = await accessFault(t, { control: passwordTor.port, extra });
    shown(t, wrong, /HASHEDPASSWORD: wrong password: Tor answered "515 /, /tor --hash-password/);
  });
  await t.test('a Tor without its network, and a wrong SOCKS port', async (t) => {
    const faults = await accessFault(t, { control, socks: control });
    t.same(
      faults.map(({ id }) => id),
      ['socks-port', 'tor-network'],
    );
    for (const finding of faults) t.comment(findingLine(finding, false));
    t.match(faults[0]?.text, /does not answer as a SOCKS proxy/);
    t.match(faults[1], { text: /^Tor is not connected: 0 %/, fix: /firewall.*DisableNetwork/ });
  });
});

const isPlain = (line: string) => /^(ADD_ONION ED25519-V3:\S+ Port=|DEL_ONION )/.test(line);

t.test('a directory on a real Tor network', async (t) => {
  const network = await torNetworkFor(t);
  const tor = await network.startTor({ controlPort: true });
  if (tor.controlEndpoint?.kind !== 'tcp') throw new Error('no control port');
  const endpoint = tor.controlEndpoint;
  const usual = { mode: 'control', control: endpoint.port, socks: tor.socks.port } as const;

  async function startNode(site: Site, statusPort: number, at: ControlEndpoint) {
    const overlay = createTorOverlay({
      socks: { kind: 'tcp', ...tor.socks },
      serving: {
        kind: 'control',
        identity: { kind: 'persistent', key: site.key },
        listen: { host: HOST, port: 0 },
        connectControl: (signal) => connectControl({ endpoint: at, signal }),
      },
    });
    const status = { host: HOST, port: statusPort };
    return startDirectoryNode({ network: 'signet', overlay, status });
  }

  const statusPort = await freePort();
  const site = await siteFor(t, { ...usual, statusPort });
  const node: DirectoryNode = await startNode(site, statusPort, endpoint);
  t.teardown(() => node.close());
  await node.reachable;

  await t.test('no fault', async (t) => {
    const findings = await runChecks(CHECKS, machineFor(site.datadir));
    t.same(
      findings.filter(({ status }) => status !== 'ok'),
      [],
      findings.map((f) => findingLine(f, false)).join('\n'),
    );
    for (const finding of findings) t.comment(findingLine(finding, false));
    t.equal(verdictLine(findings), 'nothing is wrong');
  });

  for (const folder of ['plain', 'a #b']) {
    await t.test(`no fault with a Tor of its own in ${folder}`, async (t) => {
      const page = await freePort();
      const own = await siteFor(t, { mode: 'managed', statusPort: page, folder });
      const torrc = join(own.datadir, 'extra.torrc');
      await writeFile(torrc, `${network.torrcLines.join('\n')}\n`);
      process.env[TORRC_EXTRA_VARIABLE] = torrc;
      const { settings } = await peekSettings({ role: 'directory', datadir: own.datadir });
      const tools = { clock: systemClock, random: Math.random, log: silentLog, signal: NEVER };
      const opened = await openOverlay({ ...tools, settings, serves: true, circuits: true });
      delete process.env[TORRC_EXTRA_VARIABLE];
      t.teardown(() => opened.close());
      const running = await startDirectoryNode({
        network: 'signet',
        overlay: opened.overlay,
        status: { host: HOST, port: page },
      });
      t.teardown(() => running.close());
      await running.reachable;
      const findings = await runChecks(CHECKS, machineFor(own.datadir));
      t.same(
        findings.filter(({ status }) => status !== 'ok'),
        [],
      );
      t.match(
        findings.find(({ id }) => id === 'control-port')?.text,
        /^the directory's own Tor, at unix:/,
      );
    });
  }

  await t.test('external, with a control port that refuses the login', async (t) => {
    const hash = execFileSync('tor', ['--quiet', '--hash-password', 'secret']).toString().trim();
    const [control, socks, servingPort] = [await freePort(), await freePort(), await freePort()];
    const extra = 'hidden_service_dir = hidden_service';
    const own = await siteFor(t, { mode: 'external', control, socks, servingPort, extra });
    const externalTor = await network.startTor({
      ports: { control, socks },
      extraTorrc: [
        'CookieAuthentication 0',
        `HashedControlPassword ${hash}`,
        `HiddenServiceDir ${own.keyDir}`,
        `HiddenServicePort 5222 ${HOST}:${servingPort}`,
      ],
    });
    const cli = startCli(['directory', '--datadir', own.datadir]);
    t.teardown(async () => {
      cli.child.kill('SIGTERM');
      await cli.ended;
      await externalTor.kill();
    });
    await cli.shows('stderr', /onion service reachable/);
    const machine = machineFor(own.datadir);
    const findings = await runChecks(CHECKS, machine);
    const lines = findings.filter(({ status }) => status === 'wrong' || status === 'note');
    for (const line of lines) t.comment(findingLine(line, false));
    t.match(lines, [
      {
        id: 'control-port',
        status: 'note',
        text: /^tor_mode = external needs no control port; the Tor at \S+ refuses us/,
        fix: /^no fix is needed; to have them checked, give this user access: set .*tor_control_password/,
      },
    ]);
    t.equal(lines.length, 1, 'only this line');
    t.equal(verdictLine(findings), 'nothing is wrong; 4 not checked');
    await edit(own, /tor_mode/, 'tor_control_password = secret\ntor_mode');
    const after = await runChecks(CHECKS, machine);
    t.same(
      after.filter(({ status }) => status !== 'ok'),
      [],
      'the fix works',
    );
  });

  for (const [name, shift, text] of [
    ['fast', 30 * HOUR_MS, /^it says .* h after Tor's consensus .*: it is fast/],
    ['slow', -30 * HOUR_MS, /^it says .* h before Tor's consensus .*: it is slow/],
  ] as const) {
    await t.test(`a clock that is ${name}`, async (t) => {
      await expectFault(t, machineFor(site.datadir, { today: () => Date.now() + shift }), {
        id: 'clock',
        text,
        fix: /timedatectl set-ntp true/,
      });
    });
  }

  const REFUSES = 'a filter refuses this question';
  const whonix =
    /^GETINFO (status\/circuit-established|consensus\/valid-(after|until))$|^HSFETCH [a-z2-7]{56}$/;
  const filters: readonly {
    readonly name: string;
    readonly rules: FilterRules;
    /** Ids of the checks that are not made, and the commands that the filter must allow for each. */
    readonly skips: Readonly<Record<string, string>>;
  }[] = [
    {
      name: 'that allows almost no command',
      rules: { command: (line) => (isPlain(line) ? line : undefined) },
      skips: {
        'tor-network': 'GETINFO status/bootstrap-phase, GETINFO network-liveness',
        clock: 'GETINFO consensus/valid-after, GETINFO consensus/valid-until',
        'onion-published': 'HSFETCH, SETEVENTS HS_DESC with its events RECEIVED and FAILED',
      },
    },
    {
      name: 'that allows the commands of Whonix and drops the answers to HSFETCH',
      rules: {
        command: (line) => (isPlain(line) || whonix.test(line) ? line : undefined),
        events: { HS_DESC: redactedUploads },
      },
      skips: {
        'onion-published': 'HSFETCH, SETEVENTS HS_DESC with its events RECEIVED and FAILED',
      },
    },
  ];
  for (const { name, rules, skips } of filters) {
    await t.test(`a filter in front of the control port, ${name}`, async (t) => {
      const filter = await startControlFilter(tor, rules);
      const page = await freePort();
      const behind = await siteFor(t, { ...usual, control: filter.port, statusPort: page });
      const at = { kind: 'tcp', host: HOST, port: filter.port } as const;
      const running = await startNode(behind, page, at);
      t.teardown(async () => {
        await running.close();
        await filter.close();
      });
      await running.reachable;
      // The checks wait for an answer only a tenth of the usual time.
      const clock = {
        now: () => systemClock.now(),
        after: (ms: number, fn: () => void) => systemClock.after(ms / 10, fn),
      };
      const probeDeadlines = {
        dialMs: 200_000,
        handshakeMs: 20_000,
        peerlistMs: 0,
        relayMs: 30_000,
      };
      const findings = await runChecks(
        CHECKS,
        machineFor(behind.datadir, { clock, probeDeadlines }),
      );
      for (const finding of findings) t.comment(findingLine(finding, false));
      t.same(
        findings
          .filter(({ status }) => status === 'wrong' || status === 'note')
          .map(({ id }) => id),
        ['control-access'],
        'nothing is wrong',
      );
      t.match(
        findings.find(({ id }) => id === 'control-access'),
        {
          status: 'note',
          text: 'a filter in front of Tor 0.4.9.11 accepts us',
          fix: /ADD_ONION ED25519-V3:KEY Port=5222,127\.0\.0\.1:ANY-PORT, DEL_ONION, SETEVENTS HS_DESC/,
        },
      );
      const skipped = findings.filter(({ status }) => status === 'skipped');
      t.same(
        Object.fromEntries(skipped.map(({ id, text, fix }) => [id, `${text}; ${fix ?? ''}`])),
        Object.fromEntries(
          Object.entries(skips).map(([id, lines]) => [
            id,
            `${REFUSES}; let the filter allow ${lines}`,
          ]),
        ),
      );
      t.ok(
        skipped.every((finding) =>
          findingLine(finding, false).includes(`not checked: ${REFUSES}; `),
        ),
      );
    });
  }

  await t.test('another directory at the status port', async (t) => {
    const other = await siteFor(t, { ...usual, statusPort });
    await expectFault(t, machineFor(other.datadir), {
      id: 'directory',
      text: new RegExp(`runs here is ${site.key.host}:5222, but the key .* ${other.key.host}`),
      fix: /restart it if the key was changed; else give each directory a status_port/,
    });
  });

  await t.test('the Tor of the directory is offline', async (t) => {
    const { dir, remove } = await temporaryFolder();
    const offline = await startOfflineTor(dir, [
      `ControlPort ${HOST}:auto`,
      'CookieAuthentication 1',
    ]);
    const page = await freePort();
    const lonely = await siteFor(t, { ...usual, statusPort: page });
    const at = { kind: 'tcp', host: HOST, port: offline.port } as const;
    const starting = await startNode(lonely, page, at);
    t.teardown(async () => {
      await starting.close();
      await offline.kill();
      await remove();
    });
    const findings = await runChecks(CHECKS, machineFor(lonely.datadir));
    const published = findings.find(({ id }) => id === 'onion-published');
    t.match(published, {
      status: 'wrong',
      text: /^the directory says: starting: /,
      fix: /restart/,
    });
    if (published) t.comment(findingLine(published, false));
  });

  await t.test('an onion that was never published', async (t) => {
    const page = await freePort();
    const lost = await siteFor(t, { ...usual, statusPort: page });
    await claims(t, lost.key, page);
    const findings = await runChecks(CHECKS, machineFor(lost.datadir));
    t.same(wrongOnes(findings), ['onion-published', 'onion-reachable']);
    for (const f of findings) if (f.status === 'wrong') t.comment(findingLine(f, false));
    t.match(findings.find(({ id }) => id === 'onion-published')?.text, /is not in the Tor network/);
    t.match(
      findings.find(({ id }) => id === 'relay'),
      {
        status: 'skipped',
        text: '"onion reachable" must be right first',
      },
    );
  });

  /** An onion service that leads to a port; resolves when it is published. */
  async function onionTo(t: Test, target: number): Promise<Site> {
    const page = await freePort();
    const there = await siteFor(t, { ...usual, statusPort: page });
    const service = await startOnionService({
      connect: (signal) => connectControl({ endpoint, signal }),
      identity: { kind: 'persistent', key: there.key },
      virtualPort: VIRTUAL_PORT,
      target: { host: HOST, port: target },
      signal: NEVER,
      clock: systemClock,
      log: silentLog,
      random: Math.random,
    });
    t.teardown(() => service.close());
    await service.reachable;
    await claims(t, there.key, page);
    return there;
  }

  await t.test('an onion that leads to another program', async (t) => {
    const there = await onionTo(t, await otherProgram(t, 'HTTP/1.1 400 Bad Request\r\n\r\n'));
    await expectFault(t, machineFor(there.datadir), {
      id: 'onion-reachable',
      text: /^no(t usable|t reachable| answer): /,
      fix: /the onion service|no second service/,
    });
  });

  await t.test('a directory that accepts but does not relay', async (t) => {
    const fake = await startFakeDirectory();
    t.teardown(() => fake.close());
    const there = await onionTo(t, fake.location.kind === 'loopback' ? fake.location.port : 0);
    const findings = runChecks(CHECKS, machineFor(there.datadir));
    for (let nick = 0; nick < 2; nick += 1) {
      await fake.acceptHandshake();
    }
    t.same(wrongOnes(await findings), ['relay']);
    const relay = (await findings).find(({ id }) => id === 'relay');
    t.match(relay, { text: 'the directory accepts but does not relay', fix: /dropped_total/ });
    if (relay) t.comment(findingLine(relay, false));
  });
});

t.test('docs/troubleshooting.md explains every check', async (t) => {
  const url = new URL('../../docs/troubleshooting.md', import.meta.url);
  const headings = (await readFile(url, 'utf8')).matchAll(/^## (.*)$/gm);
  t.same(
    [...headings].map(([, title]) => title).slice(0, CHECKS.length),
    CHECKS.map(({ title }) => title),
  );
});
