/**
 * `onionmc directory` as a node of a cluster, as an operator runs it: real programs, a real nats-server with TLS
 * and passwords, and everything that is missing or wrong.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import { isRecord, recordOf } from '../../src/kit/json-record.js';
import { runCli, startCli, type RunningCli } from '../helpers/cli.js';
import { loopbackConfig } from '../helpers/config.js';
import { startNatsServer } from '../helpers/nats-server.js';
import { joinMany, type Mass } from '../directory/many.js';
import { startUpgradable } from '../handover/program.js';

t.setTimeout(240_000);

const exec = promisify(execFile);

async function tempDir(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'onionmc-cluster-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

interface Tls {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** An authority and the certificate of a server at 127.0.0.1, as docs/cluster.md makes them. */
async function certificates(dir: string): Promise<Tls> {
  const at = (name: string): string => join(dir, name);
  const openssl = (...args: readonly string[]) => exec('openssl', [...args], { cwd: dir });
  await openssl(
    'req',
    '-x509',
    '-newkey',
    'ed25519',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=test',
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
  );
  await openssl(
    'req',
    '-newkey',
    'ed25519',
    '-nodes',
    '-subj',
    '/CN=server',
    '-keyout',
    'server.key',
    '-out',
    'request.pem',
  );
  await writeFile(at('names'), 'subjectAltName=IP:127.0.0.1\n');
  await openssl(
    'x509',
    '-req',
    '-in',
    'request.pem',
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-days',
    '2',
    '-extfile',
    'names',
    '-out',
    'server.pem',
  );
  return { ca: at('ca.pem'), certificate: at('server.pem'), key: at('server.key') };
}

interface Site {
  readonly datadir: string;
  readonly statusPort: number;
  /** Writes the section; undefined: none. */
  configure(
    section: Readonly<Record<string, string>> | undefined,
    directoryLine?: string,
  ): Promise<void>;
  readonly publicKey: string;
}

function configText(
  statusPort: number,
  section: Readonly<Record<string, string>> | undefined,
  directoryLine = '',
): string {
  const lines = Object.entries(section ?? {}).map(([key, value]) => `${key} = ${value}`);
  const extra = section === undefined ? '' : ['[CLUSTER]', ...lines].join('\n');
  return loopbackConfig({ statusPort, extra: `${directoryLine}\n${extra}` });
}

async function site(t: Test): Promise<Site> {
  const datadir = join(await tempDir(t), 'data');
  await mkdir(datadir, { mode: 0o700 });
  const statusPort = await freePort();
  const { stdout } = await runCli(['cluster', 'key', '--datadir', datadir]);
  return {
    datadir,
    statusPort,
    configure: (section, line) =>
      writeFile(join(datadir, 'joinmarket.cfg'), configText(statusPort, section, line), {
        mode: 0o600,
      }),
    publicKey: stdout.trim(),
  };
}

async function startNode(t: Test, { datadir }: Site): Promise<{ cli: RunningCli; port: number }> {
  const cli = startCli(['directory', '--datadir', datadir]);
  t.teardown(async () => {
    cli.child.kill('SIGTERM');
    await cli.ended;
  });
  const [, port = ''] = await cli.shows('stdout', /^127\.0\.0\.1:(\d+)\n/m);
  return { cli, port: Number(port) };
}

interface Peer {
  readonly send: Mass['send'];
  /** All lines so far. */
  text(): string;
}

async function joinPeer(t: Test, port: number, nick: string): Promise<Peer> {
  let text = '';
  const peer = joinMany(port, nick, (line) => (text += line.toString('latin1')));
  t.teardown(() => void peer.socket.destroy());
  t.equal(await peer.accepted, true, nick);
  return { send: (type, line) => peer.send(type, line), text: () => text };
}

type Json = Readonly<Record<string, unknown>>;

async function statusOf({ statusPort }: Pick<Site, 'statusPort'>): Promise<Json> {
  const body: unknown = await (await fetch(`http://127.0.0.1:${statusPort}/status`)).json();
  if (!isRecord(body)) throw new Error('/status is not an object');
  return body;
}

/** Waits for a condition of programs, which have no event for it; rejects after a minute. */
async function untilTrue(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not in a minute: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function clusterOf(status: Json): Json {
  return isRecord(status['cluster']) ? status['cluster'] : {};
}

const sees = (of: Pick<Site, 'statusPort'>, peers: number): Promise<void> =>
  untilTrue(`${peers} peers in the cluster`, async () => {
    const { nodes, peers: all } = clusterOf(await statusOf(of));
    return (
      all === peers &&
      Array.isArray(nodes) &&
      nodes.every((node) => isRecord(node) && ['this', 'alive'].includes(String(node['state'])))
    );
  });

async function doctorLines({ datadir }: Pick<Site, 'datadir'>): Promise<Json> {
  const { stdout } = await runCli(['doctor', '--json', '--datadir', datadir]);
  const findings: unknown = JSON.parse(stdout);
  const list = isRecord(findings) ? findings['checks'] : findings;
  if (!Array.isArray(list)) throw new Error(stdout);
  return Object.fromEntries(
    list
      .filter(isRecord)
      .map(({ id, status, text }) => [String(id), `${String(status)} ${String(text)}`]),
  );
}

/** Shows on standard error which modules of the cluster and of NATS are loaded. */
const SPY = `data:text/javascript,${encodeURIComponent(`
import { register } from 'node:module';
register('data:text/javascript,' + encodeURIComponent(\`
import { writeSync } from 'node:fs';
export async function resolve(name, context, next) {
  if (name.startsWith('@nats-io/') && process.env.WITHOUT_NATS) {
    throw Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' });
  }
  const found = await next(name, context);
  if (/@nats-io|dist\\\\/cluster\\\\//.test(found.url)) writeSync(2, 'LOADED ' + found.url + '\\\\n');
  return found;
}
\`));
`)}`;
const WITH_SPY = { NODE_OPTIONS: `--import=${SPY}` };

/** Sockets of a process, by kind. */
async function socketsOf(pid: number): Promise<readonly string[]> {
  const table = await Promise.all(
    ['tcp', 'tcp6', 'udp', 'udp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'latin1')),
  );
  const inodes = new Map(
    table.flatMap((text, n) =>
      text
        .split('\n')
        .slice(1)
        .flatMap((line) => {
          const fields = line.trim().split(/\s+/);
          return fields[9] === undefined
            ? []
            : [[fields[9], `${n < 2 ? 'tcp' : 'udp'} ${fields[3]}`] as const];
        }),
    ),
  );
  const names = await readdir(`/proc/${pid}/fd`);
  const links = await Promise.all(
    names.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')),
  );
  return links.flatMap((link) => inodes.get(/^socket:\[(\d+)\]$/.exec(link)?.[1] ?? '') ?? []);
}

t.test('without [CLUSTER] nothing of it is loaded, and no port is opened', async (t) => {
  const one = await site(t);
  await one.configure(undefined);
  const cli = startCli(['directory', '--datadir', one.datadir], { env: WITH_SPY });
  await cli.shows('stdout', /^127\.0\.0\.1:\d+\n/m);
  t.strictSame(
    await socketsOf(cli.child.pid ?? 0),
    ['tcp 0A', 'tcp 0A'],
    'the directory and its page',
  );
  cli.child.kill('SIGTERM');
  const { stderr, code } = await cli.ended;
  t.equal(code, 0);
  t.notMatch(stderr, /LOADED/);
});

t.test('what is missing is named, with the fix and exit code 2', async (t) => {
  const one = await site(t);
  const section = {
    nats: 'nats://127.0.0.1:1',
    name: 'pit',
    node: 'a',
    nodes: `a:${one.publicKey}`,
  };
  await one.configure(section);
  const env = { ...WITH_SPY, WITHOUT_NATS: '1' };
  t.match(await runCli(['directory', '--datadir', one.datadir], { env }), {
    code: 2,
    stderr:
      /needs the package @nats-io\/transport-node, which is not installed\. Fix: npm install --prefix \S+ @nats-io\/transport-node@3\.3\.1$/m,
  });
  await one.configure({ ...section, nodes: `a:${'ab'.repeat(32)}` });
  t.match(await runCli(['directory', '--datadir', one.datadir]), {
    code: 2,
    stderr:
      /\[CLUSTER\] nodes: found a:abab.*, but the key at .*cluster_key\.pem is [0-9a-f]{64}; allowed: the key that "onionmc cluster key/,
  });
  await one.configure({ ...section, nats_credentials: 'none' });
  t.match(await runCli(['directory', '--datadir', one.datadir]), {
    code: 2,
    stderr: /\[CLUSTER\] nats_credentials: .*none cannot be read \(ENOENT\)/,
  });
  await rm(join(one.datadir, 'cluster_key.pem'));
  await one.configure(section);
  t.match(await runCli(['directory', '--datadir', one.datadir]), {
    code: 2,
    stderr:
      /found no key of this node at .*cluster_key\.pem; allowed: the key that "onionmc cluster key/,
  });
});

t.test('two nodes with TLS and passwords, and what the doctor says of each fault', async (t) => {
  const tls = await certificates(await tempDir(t));
  const nats = await startNatsServer(
    t,
    `tls { cert_file: "${tls.certificate}", key_file: "${tls.key}" }
authorization { users: [
  { user: a, password: secret-a, permissions: { publish: "onionmc.pit.>", subscribe: "onionmc.pit.>" } }
  { user: b, password: secret-b, permissions: { publish: "onionmc.pit.>", subscribe: "onionmc.pit.>" } }
  { user: c, password: secret-c, permissions: { publish: "other.>", subscribe: "other.>" } }
] }`,
    'tls',
  );
  const [a, b] = [await site(t), await site(t)];
  const nodes = `a:${a.publicKey}, b:${b.publicKey}`;
  const section = (node: 'a' | 'b'): Record<string, string> => ({
    nats: nats.url,
    nats_credentials: 'nats.credentials',
    nats_ca: tls.ca,
    name: 'pit',
    node,
    nodes,
  });
  for (const [node, one] of [
    ['a', a],
    ['b', b],
  ] as const) {
    await writeFile(join(one.datadir, 'nats.credentials'), `${node}:secret-${node}\n`, {
      mode: 0o600,
    });
    await one.configure(section(node));
  }
  const first = await startNode(t, a);
  t.match(await doctorLines(a), {
    'cluster-key': 'ok the key of a is the one in nodes (2 in all)',
    'cluster-nats': 'ok the server lets this node in, with TLS',
    'cluster-nodes': /^wrong not heard: b/,
  });
  const second = await startNode(t, b);
  await joinPeer(t, first.port, 'J5AliceOOOOOOOOO');
  await joinPeer(t, second.port, 'J5BobOOOOOOOOOOO');
  await sees(a, 2);
  await sees(b, 2);
  t.match(await doctorLines(a), { 'cluster-nodes': 'ok the other node is heard' });
  await b.configure(section('b'), 'motd = another text');
  second.cli.child.kill('SIGHUP');
  await untilTrue('the motd of b differs', async () => {
    const { nodes: listed } = clusterOf(await statusOf(a));
    return Array.isArray(listed) && listed.map(recordOf).some((node) => node['sameMotd'] === false);
  });
  t.equal(
    (await doctorLines(a))['cluster-nodes'],
    'note b: another motd than here, so peers see two directories',
  );
  t.match(
    (await runCli(['status', '--datadir', a.datadir])).stdout,
    /^cluster   pit, 2 peers in all, .*connected$/m,
  );

  const faulty = async (change: Readonly<Record<string, string>>, password = 'a:secret-a') => {
    await writeFile(join(a.datadir, 'nats.credentials'), `${password}\n`, { mode: 0o600 });
    await a.configure({ ...section('a'), ...change });
    return (await doctorLines(a))['cluster-nats'];
  };
  t.match(await faulty({}, 'a:wrong'), /^wrong .*the server refuses the credentials/);
  t.match(await faulty({ nats_ca: '' }), /^wrong .*not signed by a trusted authority/);
  t.match(
    await faulty({ nats: nats.url.replace('127.0.0.1', 'localhost') }),
    /^wrong .*is for another name/,
  );
  t.match(
    await faulty({ nats: `tls://127.0.0.1:${await freePort()}` }),
    /^wrong .*cannot be reached/,
  );
  t.match(
    await faulty({}, 'c:secret-c'),
    /^wrong .*does not let this node publish and receive onionmc\.pit\.signet\.>/,
  );
  t.match(await faulty({}), /^ok /);

  await nats.kill();
  await untilTrue('a says that it is cut off', async () => {
    const answer = await fetch(`http://127.0.0.1:${a.statusPort}/healthz`);
    const { reason }: { reason: string } = JSON.parse(await answer.text());
    return answer.status === 200 && reason.startsWith('cut off from the cluster');
  });
  t.match(await doctorLines(a), {
    'cluster-nats': /^wrong .*cannot be reached/,
    'cluster-nodes': /^wrong this node is cut off from the cluster/,
  });
  await nats.start();
  await sees(a, 2);
  await sees(b, 2);
});

function faults(counters: unknown): unknown {
  const { deaths, lost, dropped, snapshots } = isRecord(counters) ? counters : {};
  return { deaths, lost, dropped, snapshots };
}

t.test('a node is upgraded without a disconnect, and the others notice nothing', async (t) => {
  const nats = await startNatsServer(t);
  const other = await site(t);
  const statusPort = await freePort();
  const base = await tempDir(t);
  const key = (await runCli(['cluster', 'key', '--datadir', base])).stdout.trim();
  const nodes = `a:${key}, b:${other.publicKey}`;
  const section = { nats: nats.url, name: 'pit', nodes };
  await other.configure({ ...section, node: 'b' });
  const second = await startNode(t, other);
  const program = await startUpgradable(t, {
    config: configText(statusPort, { ...section, node: 'a' }),
    files: { 'cluster_key.pem': await readFile(join(base, 'cluster_key.pem'), 'utf8') },
  });
  const [, port = ''] = await program.first.shows('stdout', /^127\.0\.0\.1:(\d+)\n/m);
  const alice = await joinPeer(t, Number(port), 'J5AliceOOOOOOOOO');
  const bob = await joinPeer(t, second.port, 'J5BobOOOOOOOOOOO');
  await sees({ statusPort }, 2);
  await sees(other, 2);
  const before = clusterOf(await statusOf(other))['counters'];
  for (const round of [1, 2]) {
    const upgraded = await program.upgrade();
    t.equal(upgraded.code, 0, upgraded.stdout + upgraded.stderr);
    bob.send(685, `J5BobOOOOOOOOOOO!J5AliceOOOOOOOOO!round${round} x y z`);
    await untilTrue('the message arrives', () =>
      Promise.resolve(alice.text().includes(`round${round}`)),
    );
    alice.send(687, `J5AliceOOOOOOOOO!PUBLIC!back${round}`);
    await untilTrue('and the answer', () => Promise.resolve(bob.text().includes(`back${round}`)));
  }
  await sees({ statusPort }, 2);
  t.notMatch(bob.text(), /J5AliceOOOOOOOOO;[^,"]*;D/, 'alice never left');
  t.same(faults(clusterOf(await statusOf(other))['counters']), faults(before), 'nothing was lost');
});
