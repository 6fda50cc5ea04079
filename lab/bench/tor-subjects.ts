/** The relays that `scripts/bench tor` compares, each behind a tor of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { silentLog } from '../../src/channel/log.js';
import { freePorts } from '../../src/lab/private-network/free-ports.js';
import type { PrivateTor } from '../../src/lab/private-network/client.js';
import type { PrivateTorNetwork } from '../../src/lab/private-network/network.js';
import { VIRTUAL_PORT } from '../../src/protocol/constants.js';
import { addOnion } from '../../src/tor/onion/add-onion.js';
import { startChild } from './process.js';

const MAIN = 'dist/cli/main.js';
export const THIS_BUILD = fileURLToPath(new URL('../../../../', import.meta.url));
/** Tor's default. The relays of the private network run theirs ten times as often. */
const SCHEDULER = ['KISTSchedRunInterval 10 msec'];
const START_MS = 60_000;

/** A relay that runs, its onion, and the processes whose time is measured. */
export interface Subject {
  readonly location: string;
  readonly relayPid: number;
  readonly torPid: number;
  stop(): Promise<void>;
}

function configOf(tor: PrivateTor, statusPort: number, extra: string): string {
  return `[BLOCKCHAIN]
blockchain_source = no-blockchain
network = signet
[MESSAGING:onion]
type = onion
tor_mode = control
socks5_host = 127.0.0.1
socks5_port = ${tor.socks.port}
tor_control_host = unix:${tor.controlSocket ?? ''}
onion_serving_host = 127.0.0.1
onion_serving_port = 0
[DIRECTORY]
status_port = ${statusPort}
pubmsg_per_minute = 0
orderbook_per_minute = 0
privmsg_per_second = 0
${extra}
`;
}

function startTor(network: PrivateTorNetwork): Promise<PrivateTor> {
  return network.startTor({ controlSocket: true, extraTorrc: SCHEDULER });
}

/**
 * The directory of a build, as an operator runs it, with its status page and its self-test.
 * @param folder a clone that was built
 * @param extra further lines of `[DIRECTORY]`
 */
export async function startDirectorySubject(
  network: PrivateTorNetwork,
  folder: string,
  extra = '',
): Promise<Subject> {
  const tor = await startTor(network);
  const datadir = await mkdtemp(join(tmpdir(), 'onionmc-bench-'));
  const [statusPort = 0] = await freePorts(1);
  await writeFile(join(datadir, 'joinmarket.cfg'), configOf(tor, statusPort, extra), {
    mode: 0o600,
  });
  // For a profile: --cpu-prof, --perf-basic-prof.
  const options = (process.env['ONIONMC_BENCH_NODE'] ?? '').split(' ').filter(Boolean);
  const child = spawn(
    process.execPath,
    [...options, join(folder, MAIN), 'directory', '--datadir', datadir],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let log = '';
  child.stderr.on('data', (text: Buffer) => {
    log = (log + text.toString('utf8')).slice(-4_000);
  });
  const location = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`the onion is not reachable: ${log}`)),
      START_MS,
    );
    child.once('exit', () => reject(new Error(`the directory ended at its start: ${log}`)));
    let printed = '';
    child.stdout.on('data', (text: Buffer) => {
      printed += text.toString('latin1');
    });
    child.stderr.on('data', () => {
      const found = /^(\S+\.onion:\d+)\n/m.exec(printed)?.[1];
      if (found === undefined || !log.includes('onion service reachable')) return;
      clearTimeout(timer);
      resolve(found);
    });
  });
  return {
    location,
    relayPid: child.pid ?? 0,
    torPid: tor.pid,
    async stop() {
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
      await tor.kill();
      await rm(datadir, { recursive: true, force: true });
    },
  };
}

/** The naive relay: each message is one write to each peer, at once. */
export async function startNaiveSubject(network: PrivateTorNetwork): Promise<Subject> {
  const tor = await startTor(network);
  const relay = startChild('relay-process.js', ['naive']);
  const port = Number(await relay.ask('port'));
  const request = {
    key: 'NEW:ED25519-V3',
    virtualPort: VIRTUAL_PORT,
    target: { host: '127.0.0.1', port },
    pow: undefined,
  };
  const { host } = await addOnion(tor.control, request, silentLog);
  return {
    location: `${host}:${VIRTUAL_PORT}`,
    relayPid: relay.pid,
    torPid: tor.pid,
    async stop() {
      await relay.stop();
      await tor.kill();
    },
  };
}
