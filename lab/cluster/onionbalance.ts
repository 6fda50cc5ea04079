/**
 * `scripts/cluster-test`: one onion address for two nodes, with Debian's onionbalance as it is, on a private Tor
 * network (docs/cluster.md, "One address for all"). Each node has a Tor whose torrc serves it; the two
 * throw-away peers of `onionmc check --relay` come through the common address and meet on different nodes.
 *
 * onionbalance publishes 45 seconds after its start. Where an address falls on the last places of the ring of
 * directories, it finds too few of them and gives up (`wrong number of responsible HSDirs`): rare among the
 * thousands of the real network, usual among few. So it gets several addresses here, and the first is used for which it
 * did not.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../../src/lab/private-network/free-ports.js';
import {
  startPrivateTorNetwork,
  type PrivateTorNetwork,
} from '../../src/lab/private-network/network.js';
import { onionHost } from '../../src/protocol/location.js';

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));
const MAIN = join(ROOT, 'dist/cli/main.js');
const NATS_SERVER = join(ROOT, '.build/debian/nats/usr/sbin/nats-server');
const PACKAGES = join(ROOT, '.build/debian/onionbalance/usr/lib/python3/dist-packages');
const RELAYS = 16;
const ADDRESSES = 12;
/** HSDirs of both descriptors of an address. */
const UPLOADS = 16;
const PUBLISH_MS = 120_000;
const CHECKS = 5;
const NODES = ['alpha', 'beta'] as const;

interface Program {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  text(): string;
}

const began = performance.now();
const programs: Program[] = [];

function say(text: string): void {
  console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}`);
}

function start(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Program {
  const child = spawn(program, [...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (part: string) => (text += part));
  }
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const started = { child, ended, text: () => text };
  programs.push(started);
  return started;
}

const onionmc = (...args: readonly string[]): Program => start(process.execPath, [MAIN, ...args]);

async function until(what: string, ms: number, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + ms;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

interface Address {
  readonly host: string;
  readonly pem: string;
}

function newAddress(): Address {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
  return {
    host: onionHost(raw),
    pem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
}

/** The two nodes with their Tors; resolves to their own addresses. */
async function startNodes(
  network: PrivateTorNetwork,
  addresses: readonly Address[],
): Promise<readonly string[]> {
  const [natsPort = 0, ...ports] = await freePorts(NODES.length + 1);
  start(NATS_SERVER, ['-a', '127.0.0.1', '-p', String(natsPort)]);
  const folder = (name: string): string => join(network.directory, name);
  const keys: string[] = [];
  for (const node of NODES) {
    await mkdir(folder(`data-${node}`), { mode: 0o700 });
    const made = onionmc('cluster', 'key', '--json', '--datadir', folder(`data-${node}`));
    await made.ended;
    const { publicKey }: { publicKey: string } = JSON.parse(made.text());
    keys.push(`${node}:${publicKey}`);
  }
  const own: string[] = [];
  for (const [n, node] of NODES.entries()) {
    const service = folder(`onion-${node}`);
    await mkdir(service, { mode: 0o700 });
    const lines = addresses.map(({ host }) => `MasterOnionAddress ${host}\n`);
    await writeFile(join(service, 'ob_config'), lines.join(''));
    await network.startTor({
      name: `tor-${node}`,
      extraTorrc: [
        `HiddenServiceDir ${service}`,
        `HiddenServicePort 5222 127.0.0.1:${ports[n] ?? 0}`,
        'HiddenServiceOnionBalanceInstance 1',
      ],
    });
    const config = `[BLOCKCHAIN]
network = signet
[MESSAGING:onion]
type = onion
tor_mode = external
hidden_service_dir = ${service}
onion_serving_port = ${ports[n] ?? 0}
[DIRECTORY]
status_port = 0
canary_interval_sec = 0
[CLUSTER]
nats = nats://127.0.0.1:${natsPort}
name = balanced
node = ${node}
nodes = ${keys.join(', ')}
`;
    await writeFile(join(folder(`data-${node}`), 'joinmarket.cfg'), config, { mode: 0o600 });
    const directory = onionmc('directory', '--datadir', folder(`data-${node}`));
    await until(`${node} is up`, 60_000, () => directory.text().includes('directory node is up'));
    own.push((await readFile(join(service, 'hostname'), 'utf8')).trim());
  }
  return own;
}

/** Starts onionbalance; resolves to the first address that it has published completely. */
async function balance(
  network: PrivateTorNetwork,
  addresses: readonly Address[],
  own: readonly string[],
): Promise<string> {
  const folder = join(network.directory, 'onionbalance');
  await mkdir(folder, { mode: 0o700 });
  const instances = own.map((host) => `  - address: ${host}\n    name: ${host.slice(0, 8)}\n`);
  const services: string[] = [];
  for (const [n, { pem }] of addresses.entries()) {
    await writeFile(join(folder, `${n}.key`), pem, { mode: 0o600 });
    services.push(`- key: ${n}.key\n  instances:\n${instances.join('')}`);
  }
  await writeFile(join(folder, 'config.yaml'), `services:\n${services.join('')}`);
  const { controlEndpoint } = await network.startTor({ name: 'tor-balance', controlPort: true });
  if (controlEndpoint?.kind !== 'tcp') throw new Error('this Tor has no control port');
  const program = start(
    '/usr/bin/python3',
    [
      '-c',
      'from onionbalance.manager import main; main()',
      '-i',
      '127.0.0.1',
      '-p',
      String(controlEndpoint.port),
      '-s',
      join(folder, 'no-socket'),
      '-c',
      join(folder, 'config.yaml'),
      '-v',
      'debug',
    ],
    { PYTHONPATH: PACKAGES },
  );
  const uploads = (host: string): number =>
    program.text().split(`uploaded descriptor for ${host.slice(0, 56)}`).length - 1;
  const published = (): string | undefined =>
    addresses.find(({ host }) => uploads(host) >= UPLOADS)?.host;
  await until('onionbalance publishes', PUBLISH_MS, () => published() !== undefined);
  return published() ?? '';
}

async function run(network: PrivateTorNetwork): Promise<boolean> {
  say(`a private Tor network with ${RELAYS} relays`);
  const addresses = Array.from({ length: ADDRESSES }, newAddress);
  const own = await startNodes(network, addresses);
  say(`two nodes of one cluster: ${own.join(', ')}`);
  const common = await balance(network, addresses, own);
  say(`onionbalance has published ${common}`);
  let good = 0;
  for (let n = 1; n <= CHECKS; n++) {
    // A Tor of its own, so that nothing is known from the check before.
    const { socks } = await network.startTor();
    const check = onionmc(
      'check',
      `${common}:5222`,
      '--relay',
      '--json',
      '--network',
      'signet',
      '--socks',
      `127.0.0.1:${socks.port}`,
      '--datadir',
      join(network.directory, 'none'),
    );
    const code = await check.ended;
    const [, outcome = 'no answer'] = /"outcome":"([a-z-]+)"/.exec(check.text()) ?? [];
    say(`onionmc check --relay, ${n} of ${CHECKS}: ${outcome}`);
    if (code === 0) good++;
  }
  say(`${good} of ${CHECKS} checks passed through the common address`);
  return good === CHECKS;
}

const network = await startPrivateTorNetwork({ relays: RELAYS });
try {
  if (!(await run(network))) process.exitCode = 1;
} finally {
  for (const { child } of programs) child.kill('SIGTERM');
  await Promise.all(programs.map(({ ended }) => ended));
  await network.close();
}
