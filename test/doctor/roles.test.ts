/** `onionmc doctor --role`: each test makes one fault in a working maker, taker or watcher. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import t, { type Test } from 'tap';
import { makerRefusal } from '../../src/cli/doctor.js';
import type { DoctorRole, Machine } from '../../src/doctor/check.js';
import { findingLine } from '../../src/doctor/format.js';
import { runChecks, type Finding } from '../../src/doctor/run-checks.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { createTorOverlay } from '../../src/overlay/tor.js';
import { signBondCertificate } from '../../src/protocol/fidelity-bond.js';
import { formatLocation } from '../../src/protocol/location.js';
import { formatBondFile } from '../../src/protocol/own-bond.js';
import { startDirectoryNode } from '../../src/roles/directory-node.js';
import { connectControl } from '../../src/tor/control/client.js';
import { loadOrCreateOnionKey } from '../../src/tor/onion/key-folder.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import { runCli, startCli, type RunningCli } from '../helpers/cli.js';
import { loadChecks, noNode } from '../helpers/doctor-checks.js';
import { startOfflineTor, temporaryFolder } from '../helpers/offline-tor.js';
import { torNetworkFor } from '../helpers/tor-network.js';
import vectors from '../vectors/protocol.json' with { type: 'json' };

const HOST = '127.0.0.1';
const UNPRIVILEGED_UID = 65_534;
const CHECKS_OF = {
  directory: await loadChecks('directory'),
  maker: await loadChecks('maker'),
  taker: await loadChecks('taker'),
  'ob-watcher': await loadChecks('ob-watcher'),
  wallet: await loadChecks('wallet'),
} as const;
const ONION = 'signetvaxgd3ivj4tml4g6ed3samaa2rscre2gyeyohncmwk4fbesiqd.onion:5222';
/** The directory that the sites dial. */
let theNode = '';
const isRoot = process.geteuid?.() === 0;

const [vector] = vectors.fidelityBonds;
if (vector?.certKey === undefined) throw new Error('vector missing');
const UTXO_KEY = hexToBytes(vector.utxoKey);

/** A bond of signet; its certified key is that of the vector, or another. */
function bondText(certKeyHex = vector?.certKey ?? '', certExpiry = 425): string {
  const certPrivateKey = hexToBytes(certKeyHex);
  const certKey = bytesToHex(secp256k1.getPublicKey(certPrivateKey, true));
  return formatBondFile({
    network: 'signet',
    bond: {
      certPrivateKey,
      certExpiry,
      certSignature: signBondCertificate(certKey, certExpiry, UTXO_KEY),
      utxoPublicKeyHex: bytesToHex(secp256k1.getPublicKey(UTXO_KEY, true)),
      utxo: { txid: vector?.txid ?? '', vout: 1 },
      lockTime: 1_893_456_000,
    },
  });
}

interface Site {
  readonly datadir: string;
  readonly config: string;
  readonly machine: Machine;
}

interface SiteOptions {
  /** Lines of the onion section; loopback mode if absent. */
  readonly onion?: readonly string[];
  readonly nodes?: string;
  /** Further sections. */
  readonly extra?: string;
}

function machineFor(role: DoctorRole, datadir: string, changes: Partial<Machine> = {}): Machine {
  return {
    role,
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
    probeDeadlines: { dialMs: 20_000, handshakeMs: 3_000, peerlistMs: 2_000, relayMs: 3_000 },
    signal: new AbortController().signal,
    ...(role === 'maker' ? { refusal: makerRefusal } : {}),
    ...changes,
  };
}

/** A directory on loopback; resolves with its location. */
async function startNode(
  t: Test,
  network: 'signet' | 'testnet' | 'mainnet' = 'signet',
): Promise<string> {
  const overlay = createLoopbackOverlay({ host: HOST, port: 0 });
  const node = await startDirectoryNode({ network, overlay });
  t.teardown(() => node.close());
  return formatLocation(node.location);
}

async function siteFor(t: Test, role: DoctorRole, options: SiteOptions): Promise<Site> {
  const root = await mkdtemp(join(tmpdir(), 'omcr-'));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  const datadir = join(root, role);
  await mkdir(datadir, { mode: 0o700 });
  const config = join(datadir, 'joinmarket.cfg');
  const text = `[BLOCKCHAIN]
network = signet
blockchain_source = no-blockchain
[MESSAGING:onion]
type = onion
onion_serving_host = ${HOST}
onion_serving_port = ${await freePort()}
directory_nodes = ${options.nodes ?? ''}
${(options.onion ?? ['regtest_count = 1,1']).join('\n')}
[OBWATCHER]
port = ${await freePort()}
[YIELDGENERATOR]
bond_file = bond.json
${options.extra ?? ''}`;
  await writeFile(config, text, { mode: 0o600 });
  await writeFile(join(datadir, 'bond.json'), bondText(), { mode: 0o600 });
  return { datadir, config, machine: machineFor(role, datadir) };
}

async function edit({ config }: Site, from: RegExp, to: string): Promise<void> {
  await writeFile(config, (await readFile(config, 'utf8')).replace(from, to));
}
const valueOf = async ({ config }: Site, key: string): Promise<string> =>
  new RegExp(`^${key} = (.*)$`, 'm').exec(await readFile(config, 'utf8'))?.[1] ?? '';

/** A listener that answers each connection with a text and ends it. */
async function occupy(t: Test, port = 0): Promise<{ port: number; free: () => Promise<void> }> {
  const server = createServer((socket) => {
    socket.on('error', () => {}).once('data', () => socket.end('hello\n'));
  });
  await new Promise<void>((resolve) => server.listen(port, HOST, resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no TCP address');
  const free = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
  t.teardown(free);
  return { port: address.port, free };
}

const look = ({ machine }: Site, changes: Partial<Machine> = {}): Promise<readonly Finding[]> =>
  runChecks(CHECKS_OF[machine.role], { ...machine, ...changes });
const wrongOnes = (findings: readonly Finding[]): readonly string[] =>
  findings.filter(({ status }) => status === 'wrong').map(({ id }) => id);

/** Runs the command of the fix, as a person would type it. */
function typed(fix: string | undefined): void {
  execFileSync('sh', [
    '-c',
    (fix ?? 'false').replace(/^.*, then (?=rm )/, '').replace(/^sudo /, ''),
  ]);
}

interface Fault {
  readonly name: string;
  readonly id: string;
  readonly text: RegExp;
  readonly fix: RegExp;
  readonly site?: SiteOptions;
  readonly seed: (site: Site, t: Test) => Promise<Partial<Machine> | void>;
  /** Carries out the fix; by default its command is run. */
  readonly mend?: (site: Site, fix: string | undefined) => Promise<unknown>;
}

/** Asserts that the fault is the only one found, and that its fix works. */
async function expectFault(t: Test, role: DoctorRole, nodes: string, fault: Fault): Promise<void> {
  const site = await siteFor(t, role, { nodes, ...fault.site });
  const changes = (await fault.seed(site, t)) ?? {};
  const findings = await look(site, changes);
  for (const finding of findings.filter(({ status }) => status === 'wrong')) {
    t.comment(findingLine(finding, false));
  }
  t.same(wrongOnes(findings), [fault.id], 'only this fault');
  const finding = findings.find(({ id }) => id === fault.id);
  t.match(finding?.text, fault.text);
  t.match(finding?.fix, fault.fix);
  if (fault.mend === undefined) typed(finding?.fix);
  else await fault.mend(site, finding?.fix);
  t.same(wrongOnes(await look(site)), [], 'the fix works');
}

const nothing = (): Promise<void> => Promise.resolve();
const give = async (paths: readonly string[]): Promise<void> => {
  for (const path of paths) await chown(path, UNPRIVILEGED_UID, UNPRIVILEGED_UID);
};

/** Faults of every program. */
const SHARED: readonly Fault[] = [
  {
    name: 'an old Node.js',
    id: 'node',
    text: /is too old/,
    fix: /install Node\.js/,
    seed: () => Promise.resolve({ nodeVersion: '18.0.0' }),
    mend: nothing,
  },
  {
    name: 'others may write into the data directory',
    id: 'datadir',
    text: /has mode 0777/,
    fix: /^chmod 700 /,
    seed: ({ datadir }) => chmod(datadir, 0o777),
  },
  {
    name: 'a full disk',
    id: 'datadir',
    text: /is full: there is room for 4096 bytes/,
    fix: /^make room/,
    seed: () => Promise.resolve({ space: () => Promise.resolve({ bytes: 4_096, files: 1e6 }) }),
    mend: nothing,
  },
  {
    name: 'a value that is not allowed',
    id: 'config',
    text: /network: found "moonnet"$/,
    fix: /^write .*signet/,
    seed: (site) => edit(site, /network = signet/, 'network = moonnet'),
    mend: (site) => edit(site, /network = moonnet/, 'network = signet'),
  },
  {
    name: 'no directory to dial',
    id: 'config',
    text: /directory_nodes: found nothing$/,
    fix: /^write /,
    seed: (site) => edit(site, /directory_nodes = .*/, 'directory_nodes ='),
    mend: (site) => edit(site, /directory_nodes =/, `directory_nodes = ${theNode}`),
  },
  {
    name: 'directories that do not answer',
    id: 'directories',
    text: /^0 of 2 directories in directory_nodes accept us: 127\.0\.0\.1:1 not reachable: .*; 127\.0\.0\.1:2 /,
    fix: /correct directory_nodes and network in \/.*joinmarket\.cfg/,
    site: { nodes: '127.0.0.1:1,127.0.0.1:2' },
    seed: nothing,
    mend: (site) => edit(site, /directory_nodes = .*/, `directory_nodes = 127.0.0.1:1,${theNode}`),
  },
  {
    name: 'a directory of another network',
    id: 'directories',
    text: /^0 of 1 directories in directory_nodes accept us: \S+ (refused|not usable): /,
    fix: /correct directory_nodes and network/,
    seed: async (site, t) =>
      edit(site, /directory_nodes = .*/, `directory_nodes = ${await startNode(t, 'testnet')}`),
    mend: (site) => edit(site, /directory_nodes = .*/, `directory_nodes = ${theNode}`),
  },
];

const path = (site: Site, name: string): string => join(site.datadir, name);

const MAKER: readonly Fault[] = [
  {
    name: 'mainnet without a wallet',
    id: 'config',
    text: /^network is mainnet, and this maker has no wallet: a start fails$/,
    fix: /^set network = signet in \[BLOCKCHAIN\]/,
    seed: async (site, t) => {
      await edit(site, /network = signet/, 'network = mainnet');
      await edit(site, /bond_file = .*/, 'bond_file =');
      const nodes = `${theNode},${await startNode(t, 'mainnet')}`;
      await edit(site, /directory_nodes = .*/, `directory_nodes = ${nodes}`);
    },
    mend: (site) => edit(site, /network = mainnet/, 'network = signet'),
  },
  {
    name: 'terms that make no valid offer',
    id: 'config',
    text: /\[YIELDGENERATOR\] cjfee_r: found /,
    fix: /^write /,
    site: { extra: 'cjfee_r = 0.0000001\n' },
    seed: nothing,
    mend: (site) => edit(site, /cjfee_r = .*/, 'cjfee_r = 0.0001'),
  },
  {
    name: 'a bond that others can read',
    id: 'bond',
    text: /bond\.json \(bond_file\) is of mode 0644: a start fails$/,
    fix: /^chmod 600 "\/.*bond\.json"$/,
    seed: (site) => chmod(path(site, 'bond.json'), 0o644),
  },
  {
    name: 'no bond where one is named',
    id: 'bond',
    text: /is unreadable \(ENOENT\): a start fails$/,
    fix: /^let bond_file in \[YIELDGENERATOR\] name a file of mode 0600.*or leave it empty/,
    seed: (site) => rm(path(site, 'bond.json')),
    mend: (site) => edit(site, /bond_file = .*/, 'bond_file ='),
  },
  {
    name: "a bond with the coin's own key",
    id: 'bond',
    text: /is with the private key that can spend the coin of the bond: a start fails$/,
    fix: /certified key of its own/,
    seed: (site) => writeFile(path(site, 'bond.json'), bondText(vector.utxoKey)),
    mend: (site) => writeFile(path(site, 'bond.json'), bondText()),
  },
  {
    name: 'a bond that has expired',
    id: 'bond',
    text: /is with a certificate that has expired: a start fails$/,
    fix: /certify a key again/,
    seed: (site) => writeFile(path(site, 'bond.json'), bondText(vector.certKey, 1)),
    mend: (site) => writeFile(path(site, 'bond.json'), bondText()),
  },
  {
    name: 'a malformed bond file',
    id: 'bond',
    text: /is not of the form of a bond: a start fails$/,
    fix: /name a JSON object of the form in docs\/negotiation\.md/,
    seed: (site) => writeFile(path(site, 'bond.json'), '{}'),
    mend: (site) => writeFile(path(site, 'bond.json'), bondText()),
  },
  {
    name: 'a lock that names no process',
    id: 'maker',
    text: /maker\.lock names no process, so a start takes it for the lock of another program, and fails/,
    fix: /then rm "\/.*maker\.lock"$/,
    seed: (site) => writeFile(path(site, 'maker.lock'), 'hello\n'),
  },
  {
    name: 'a lock that is a folder',
    id: 'maker',
    text: /the lock \S+ cannot be read \(EISDIR\)/,
    fix: /mv "\/.*maker\.lock" /,
    seed: (site) => mkdir(path(site, 'maker.lock')),
    mend: (_site, fix) => Promise.resolve(typed(fix?.replace(/^.*: (?=mv )/, ''))),
  },
  {
    name: 'a commitment list that is a folder',
    id: 'commitments',
    text: /commitmentlist is not a file: a start fails/,
    fix: /^mv "/,
    async seed(site) {
      await mkdir(path(site, 'cmtdata/commitmentlist'), { recursive: true });
    },
  },
  {
    name: 'a key that others can read',
    id: 'onion-key',
    text: /hs_ed25519_secret_key has mode 0644/,
    fix: /^chmod 600 /,
    site: { onion: ['tor_mode = managed', 'hidden_service_dir = hs'], nodes: ONION },
    async seed(site) {
      await loadOrCreateOnionKey(path(site, 'hs'));
      await chmod(path(site, 'hs/hs_ed25519_secret_key'), 0o644);
    },
  },
];

const TOR_SITE = { nodes: ONION } as const;
/** Nothing listens at port 1; the listeners at the other ports are not Tor. */
const torLines = (mode: string, more: readonly string[] = []): SiteOptions => ({
  ...TOR_SITE,
  onion: [
    `tor_mode = ${mode}`,
    `socks5_host = ${HOST}`,
    'socks5_port = 1',
    `tor_control_host = ${HOST}`,
    'tor_control_port = 1',
    ...more,
  ],
});

const MAKER_TOR: readonly Fault[] = [
  {
    name: 'no control port and no tor program',
    id: 'control-port',
    text: /^nothing at 127\.0\.0\.1:1, and no tor program .*: a start fails$/,
    fix: /^sudo apt-get install tor$/,
    site: torLines('auto'),
    seed: () => Promise.resolve({ torProgram: '/nowhere/tor' }),
    mend: nothing,
  },
];

/** Faults of programs that only dial. */
const DIALER: readonly Fault[] = [
  {
    name: 'no SOCKS port and no tor program',
    id: 'socks-port',
    text: /^nothing listens at Tor's SOCKS port 127\.0\.0\.1:1, and there is no tor program .*: a start fails$/,
    fix: /^sudo apt-get install tor, or correct socks5_host/,
    site: torLines('auto'),
    seed: () => Promise.resolve({ torProgram: '/nowhere/tor' }),
    mend: nothing,
  },
  {
    name: 'managed without a tor program',
    id: 'tor-program',
    text: /tor_mode = managed needs it$/,
    fix: /^sudo apt-get install tor$/,
    site: torLines('managed'),
    seed: () => Promise.resolve({ torProgram: '/nowhere/tor' }),
    mend: nothing,
  },
  {
    name: 'nothing at the SOCKS port',
    id: 'socks-port',
    text: /^nothing listens at Tor's SOCKS port 127\.0\.0\.1:1$/,
    fix: /^correct socks5_host and socks5_port/,
    site: torLines('control'),
    seed: nothing,
    mend: (site) => edit(site, /tor_mode = control/, 'tor_mode = managed'),
  },
];

const WATCHER: readonly Fault[] = [
  {
    name: 'another program at the port of the page',
    id: 'page',
    text: /^127\.0\.0\.1:\d+ \(host and port in \[OBWATCHER\]\) is taken by another program: a start fails$/,
    fix: /set port in \[OBWATCHER\] to a free one$/,
    async seed(site, t) {
      await occupy(t, Number(await valueOf(site, 'port')));
    },
    mend: async (site) => edit(site, /^port = \d+/m, `port = ${await freePort()}`),
  },
  {
    name: "a directory's status page at the port of the page",
    id: 'page',
    text: /is taken by another program: a start fails$/,
    fix: /set port in \[OBWATCHER\] to a free one$/,
    async seed(site, t) {
      const status = { host: HOST, port: Number(await valueOf(site, 'port')) };
      const overlay = createLoopbackOverlay({ host: HOST, port: 0 });
      const node = await startDirectoryNode({ network: 'signet', overlay, status });
      t.teardown(() => node.close());
    },
    mend: async (site) => edit(site, /^port = \d+/m, `port = ${await freePort()}`),
  },
  {
    name: 'an address of another machine',
    id: 'page',
    text: /^nothing can listen at 192\.0\.2\.1:\d+ \(EADDRNOTAVAIL\): a start fails$/,
    fix: /^set host = 127\.0\.0\.1 in \[OBWATCHER\]$/,
    seed: (site) => edit(site, /\[OBWATCHER\]/, '[OBWATCHER]\nhost = 192.0.2.1'),
    mend: (site) => edit(site, /host = 192\.0\.2\.1/, 'host = 127.0.0.1'),
  },
];

/** A SOCKS port that only answers as one. */
async function socksPort(t: Test): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {}).once('data', () => socket.end('\x05\x00'));
  });
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  t.teardown(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const address = server.address();
  return address !== null && typeof address === 'object' ? address.port : 0;
}

const TABLE: readonly (readonly [DoctorRole, readonly Fault[]])[] = [
  ['maker', [...SHARED, ...MAKER, ...MAKER_TOR]],
  ['taker', [...SHARED, ...DIALER]],
  ['ob-watcher', [...SHARED, ...DIALER, ...WATCHER]],
];

t.before(async () => {
  theNode = await startNode(t);
});

for (const [role, faults] of TABLE) {
  t.test(`a ${role}`, async (t) => {
    const fine = await siteFor(t, role, { nodes: theNode });
    const findings = await look(fine);
    for (const finding of findings) t.comment(findingLine(finding, false));
    t.same(wrongOnes(findings), [], 'no fault before');
    t.match(
      findings.find(({ id }) => id === 'directories'),
      { status: 'ok', text: /^127\.0\.0\.1:\d+ accepts us, after \d+\.\d s; 1 known$/ },
    );
    for (const fault of faults) {
      await t.test(fault.name, (t) => expectFault(t, role, theNode, fault));
    }
    await t.test('no data directory yet', async (t) => {
      const machine = machineFor(role, join(fine.datadir, 'missing'));
      // The default has the directories of mainnet, which are not dialled here.
      const ids = new Set(['datadir', 'config']);
      const checks = CHECKS_OF[role].filter(({ id }) => ids.has(id));
      const first = await runChecks(checks, machine);
      // A maker needs a configured network.
      t.same(wrongOnes(first), role === 'maker' ? ['config'] : []);
      t.match(first[0], { id: 'datadir', status: 'note', text: /; the first start makes it$/ });
    });
    await t.test('a data directory of mode 0500, of another user', { skip: !isRoot }, async (t) => {
      const site = await siteFor(t, role, { nodes: theNode });
      await give([join(site.datadir, '..'), site.datadir, site.config, path(site, 'bond.json')]);
      await chmod(site.datadir, 0o500);
      const wrong = (await look(site)).filter(({ status }) => status === 'wrong');
      // The commitment list would be created in the same folder.
      t.equal(wrong[0]?.id, 'datadir');
      t.match(wrong[0]?.text, /cannot create files in it: a start fails/);
      typed(wrong[0]?.fix);
      t.same(wrongOnes(await look(site)), [], 'the fix works');
    });
  });
}

async function stop({ child, ended }: RunningCli): Promise<void> {
  child.kill('SIGTERM');
  await ended;
}

t.test('a maker that runs', async (t) => {
  const site = await siteFor(t, 'maker', { nodes: theNode });
  const cli = startCli(['maker', '--datadir', site.datadir]);
  await cli.shows('stdout', /^J5/);
  const pid = cli.child.pid ?? 0;
  const line = async (id: string) => (await look(site)).find((finding) => finding.id === id);
  t.match(await line('maker'), { status: 'ok', text: `runs as process ${pid}` });
  t.match(await line('port'), { status: 'ok', text: /is in use while the maker runs$/ });
  t.same(wrongOnes(await look(site)), []);

  process.kill(pid, 'SIGSTOP');
  const findings = await look(site);
  t.same(wrongOnes(findings), ['maker'], 'only this fault');
  const stopped = findings.find(({ id }) => id === 'maker');
  t.match(stopped, { text: `it runs as process ${pid}, and is stopped, so it answers no request` });
  typed(stopped?.fix);
  t.same(wrongOnes(await look(site)), [], 'the fix works');

  await edit(site, /onion_serving_port = \d+/, `onion_serving_port = ${await freePort()}`);
  t.match(await line('maker'), {
    status: 'note',
    text: /^runs as process \d+, and has not read the later changes in \S+joinmarket\.cfg$/,
    fix: /a restart applies the changes/,
  });

  process.kill(pid, 'SIGKILL');
  await cli.ended;
  t.match(
    await line('maker'),
    {
      status: 'note',
      text: 'not running',
      fix: /^to start it: onionmc maker --wallet NAME --data/,
    },
    'its lock ended with it',
  );
  const again = startCli(['maker', '--datadir', site.datadir]);
  await again.shows('stdout', /^J5/);
  t.match(await line('maker'), { status: 'ok' }, 'the restart is the fix');
  await stop(again);
  t.match(await line('maker'), { status: 'note', text: 'not running' });
});

t.test('a watcher that runs', async (t) => {
  const site = await siteFor(t, 'ob-watcher', { nodes: theNode });
  const cli = startCli(['ob-watcher', '--datadir', site.datadir]);
  await cli.shows('stderr', /orderbook page is served/);
  await cli.shows('stderr', /directory.* up|welcome/i);
  t.same(wrongOnes(await look(site)), []);
  t.match(
    (await look(site)).find(({ id }) => id === 'page'),
    { text: /^the watcher serves it at http:/ },
  );
  cli.child.kill('SIGSTOP');
  const findings = await look(site);
  t.same(wrongOnes(findings), ['page'], 'only this fault');
  t.match(
    findings.find(({ id }) => id === 'page'),
    { text: /does not answer .*: it hangs, or is stopped$/, fix: /kill -CONT PID/ },
  );
  execFileSync('sh', ['-c', `kill -CONT ${cli.child.pid ?? 0}`]);
  t.same(wrongOnes(await look(site)), [], 'the fix works');
  await stop(cli);
});

t.test('the command', async (t) => {
  const site = await siteFor(t, 'maker', { nodes: theNode });
  const args = ['doctor', '--role', 'maker', '--datadir', site.datadir];
  const well = await runCli(args);
  t.match(well, { code: 0, stdout: /nothing is wrong/ });
  await chmod(path(site, 'bond.json'), 0o640);
  const ill = await runCli([...args, '--json']);
  t.equal(ill.code, 1);
  t.match(JSON.parse(ill.stdout), { ok: false });
  const other = await runCli(['doctor', '--role', 'miner']);
  t.match(other, { code: 2, stderr: /role.*directory, maker, taker, ob-watcher, wallet/ });
});

t.test('a Tor that denies a maker its control port', async (t) => {
  const hash = execFileSync('tor', ['--quiet', '--hash-password', 'secret']).toString().trim();
  const { dir, remove } = await temporaryFolder();
  const tor = await startOfflineTor(dir, [
    `ControlPort ${HOST}:auto`,
    `HashedControlPassword ${hash}`,
  ]);
  t.teardown(async () => {
    await tor.kill();
    await remove();
  });
  const site = await siteFor(t, 'maker', torLines('control'));
  await edit(site, /tor_control_port = 1/, `tor_control_port = ${tor.port}`);
  await edit(site, /socks5_port = 1/, `socks5_port = ${await socksPort(t)}`);
  const denied = (await look(site)).find(({ id }) => id === 'control-access');
  t.match(denied, { status: 'wrong', text: /no control password is configured/ });
  t.match(
    denied?.fix,
    /^set tor_control_password to the one that belongs to HashedControlPassword/,
  );
  await edit(site, /tor_mode/, 'tor_control_password = secret\ntor_mode');
  t.match(
    (await look(site)).find(({ id }) => id === 'control-access'),
    { status: 'ok' },
  );
});

t.test('on a real Tor network', async (t) => {
  const network = await torNetworkFor(t);
  const tor = await network.startTor({ controlPort: true });
  const endpoint = tor.controlEndpoint;
  if (endpoint?.kind !== 'tcp') throw new Error('no control port');
  const { key } = await loadOrCreateOnionKey(join(network.directory, 'directory-key'));
  const overlay = createTorOverlay({
    socks: { kind: 'tcp', ...tor.socks },
    serving: {
      kind: 'control',
      identity: { kind: 'persistent', key },
      listen: { host: HOST, port: 0 },
      connectControl: (signal) => connectControl({ endpoint, signal }),
    },
  });
  const node = await startDirectoryNode({ network: 'signet', overlay });
  t.teardown(() => node.close());
  await node.reachable;
  const options: SiteOptions = {
    nodes: formatLocation(node.location),
    onion: [
      'tor_mode = control',
      `socks5_host = ${HOST}`,
      `socks5_port = ${tor.socks.port}`,
      `tor_control_host = ${HOST}`,
      `tor_control_port = ${endpoint.port}`,
      'hidden_service_dir = hs',
    ],
  };
  for (const role of ['taker', 'ob-watcher'] as const) {
    const site = await siteFor(t, role, options);
    const findings = await look(site);
    t.same(
      findings.filter(({ status, id }) => status !== 'ok' && id !== 'page').map(({ text }) => text),
      [],
      `no fault for a ${role}`,
    );
  }
  const site = await siteFor(t, 'maker', options);
  const cli = startCli(['maker', '--datadir', site.datadir]);
  await cli.shows('stderr', /onion service reachable/);
  const fine = await look(site);
  t.same(
    fine.filter(({ status }) => status !== 'ok').map((finding) => findingLine(finding, false)),
    [],
    'no fault for a maker',
  );
  await t.test('the key folder is moved away while the maker runs', async (t) => {
    await rename(path(site, 'hs'), path(site, 'hs.old'));
    const findings = await look(site);
    t.same(wrongOnes(findings), ['maker'], 'only this fault');
    t.match(
      findings.find(({ id }) => id === 'maker'),
      {
        text: /no key in \S+hs: the next start would make another address$/,
        fix: /^put the key folder back/,
      },
    );
    await rename(path(site, 'hs.old'), path(site, 'hs'));
    t.same(wrongOnes(await look(site)), [], 'the fix works');
  });
  await t.test('external without the folder of its onion', async (t) => {
    const other = await siteFor(t, 'maker', options);
    await edit(other, /tor_mode = control/, 'tor_mode = external');
    await edit(other, /hidden_service_dir = hs/, 'hidden_service_dir =');
    const findings = await look(other);
    t.same(wrongOnes(findings), ['onion-key'], 'only this fault');
    t.match(
      findings.find(({ id }) => id === 'onion-key'),
      {
        text: /^tor_mode = external needs hidden_service_dir/,
        fix: /^set hidden_service_dir to the HiddenServiceDir of your torrc, or tor_mode = auto$/,
      },
    );
    await edit(other, /tor_mode = external/, 'tor_mode = auto');
    t.same(wrongOnes(await look(other)), [], 'the fix works');
  });
  await t.test('the maker has ended', async (t) => {
    await stop(cli);
    t.match(
      (await look(site)).find(({ id }) => id === 'maker'),
      { status: 'note' },
    );
  });
});

t.test('docs/troubleshooting.md explains every check', async (t) => {
  const url = new URL('../../docs/troubleshooting.md', import.meta.url);
  const headings = [...(await readFile(url, 'utf8')).matchAll(/^## (.*)$/gm)].map(
    ([, name]) => name,
  );
  for (const { title } of Object.values(CHECKS_OF).flat()) t.ok(headings.includes(title), title);
});
