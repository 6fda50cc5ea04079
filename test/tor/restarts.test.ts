/**
 * Tor is restarted many times under a live directory and a live maker, both in their own processes:
 * the same onions come back automatically, and no resource accumulates.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { Overlay } from '../../src/channel/ports.js';
import { createTorOverlay } from '../../src/overlay/tor.js';
import { decodeEnvelope } from '../../src/protocol/envelope.js';
import { createLineFramer } from '../../src/protocol/line-framer.js';
import { formatLocation, parseLocation, type Location } from '../../src/protocol/location.js';
import type { PrivateTor } from '../../src/lab/private-network/client.js';
import { infoValue } from '../../src/tor/control/values.js';
import { keyOf, openLiveTestChannel } from '../helpers/test-channel.js';
import { startCli } from '../helpers/cli.js';
import { torConfig } from '../helpers/config.js';
import { openDescriptors } from '../helpers/descriptors.js';
import { dialPatiently, torNetworkFor } from '../helpers/tor-network.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';

const RESTARTS = 20;
/** The time promised to the operator; a quiet machine takes a tenth of it. */
const BACK_WITHIN_SEC = 120;

// 20 times the time of one restart, which is 5 to 10 s on a quiet machine.
t.setTimeout(900_000);

/**
 * One of the maker for its onion; one of the directory for its onion, and one that asks for the state of Tor
 * since the first look at `/status`.
 */
const CONTROL_CONNECTIONS = { ours: 3, tors: 3 };

async function datadirFor(
  t: Test,
  name: string,
  tor: PrivateTor,
  more: { readonly nodes?: string; readonly statusPort?: number },
): Promise<string> {
  const datadir = join(t.testdirName, name);
  await mkdir(datadir, { recursive: true, mode: 0o700 });
  await writeFile(
    join(datadir, 'joinmarket.cfg'),
    torConfig({ mode: 'control', tor, ...more, extra: 'canary_interval_sec = 0' }),
    { mode: 0o600 },
  );
  return datadir;
}

/** Connections to a TCP port of this machine, by state; those in TIME_WAIT are not counted. */
async function connectionsTo(
  port: number,
): Promise<{ readonly ours: number; readonly tors: number }> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const rows = (await readFile('/proc/net/tcp', 'latin1')).split('\n').slice(1);
  const open = rows
    .map((row) => row.trim().split(/\s+/))
    .filter(([, , , state]) => {
      // 06 is TIME_WAIT, which no longer belongs to a process; 0A is LISTEN.
      return state !== undefined && state !== '06' && state !== '0A';
    });
  return {
    ours: open.filter(([, , remote]) => remote?.endsWith(`:${hex}`)).length,
    tors: open.filter(([, local]) => local?.endsWith(`:${hex}`)).length,
  };
}

/** Polls until the value is the expected one, bounded only by the time-out of the test. */
async function becomes<T>(expected: T, now: () => Promise<T>): Promise<void> {
  while (JSON.stringify(await now()) !== JSON.stringify(expected)) await pause(50);
}

/** The onions for which a tor holds circuits as their service. */
async function onionsServed(tor: PrivateTor): Promise<readonly string[]> {
  const text = infoValue(await tor.control.command('GETINFO circuit-status'), 'circuit-status');
  const onions = (text ?? '').matchAll(/PURPOSE=HS_SERVICE_INTRO .*REND_QUERY=([a-z2-7]{56})/g);
  return [...new Set([...onions].map(([, onion = '']) => onion))].toSorted();
}

async function detachedOnions(tor: PrivateTor): Promise<string | undefined> {
  return infoValue(await tor.control.command('GETINFO onions/detached'), 'onions/detached');
}

/** The nick that answers at a location. */
async function nickAt(overlay: Overlay, location: Location, name: string): Promise<unknown> {
  const connection = await dialPatiently(overlay, location, name);
  const framer = createLineFramer();
  const line = await new Promise<string>((resolve, reject) => {
    connection.attach({
      data: (chunk) =>
        void framer.push(chunk, (bytes) => {
          const envelope = decodeEnvelope(bytes);
          if (envelope.ok && envelope.value.type === 793) resolve(envelope.value.line);
          return true;
        }),
      closed: () => reject(new Error('the connection ended before the handshake')),
    });
  });
  connection.destroy();
  const handshake: { readonly nick: unknown } = JSON.parse(line);
  return handshake.nick;
}

t.test(`Tor is restarted ${RESTARTS} times in a row`, async (t) => {
  t.testdir({});
  const network = await torNetworkFor(t);
  let [servers, outside] = await Promise.all([
    network.startTor({ name: 'servers', controlPort: true }),
    network.startTor({ name: 'outside' }),
  ]);
  const control = servers.controlEndpoint;
  if (control?.kind !== 'tcp') throw new Error('this tor has no control port');

  const statusPort = await freePort();
  const directoryDir = await datadirFor(t, 'directory', servers, { statusPort });
  const directory = startCli(['directory', '--datadir', directoryDir]);
  const [, address = ''] = await directory.shows('stdout', /^([a-z2-7]{56}\.onion:5222)\n/);
  await directory.shows('stderr', /onion service reachable/);
  const parsed = parseLocation(address);
  if (!parsed.ok) throw new Error('the directory printed no address');
  const directoryLocation = parsed.value;
  const makerDir = await datadirFor(t, 'maker', servers, { nodes: address });
  const maker = startCli(['maker', '--datadir', makerDir]);
  const [, makerNick = ''] = await maker.shows('stdout', /^(J5\w{14})\n/);
  await maker.shows('stderr', /offers announced/);

  const status = async (): Promise<{ readonly state: string; readonly peers: unknown }> => {
    const response = await fetch(`http://127.0.0.1:${statusPort}/status`);
    const { state, kinds }: { state: string; kinds: { serving: number; notServing: number } } =
      JSON.parse(await response.text());
    const { serving, notServing } = kinds;
    return { state, peers: { serving, notServing } };
  };
  /** The maker is connected with its onion, and no other peer is. */
  const quiet = { state: 'reachable', peers: { serving: 1, notServing: 0 } };
  const metrics = async (): Promise<string> =>
    (await fetch(`http://127.0.0.1:${statusPort}/metrics`)).text();

  /**
   * A new peer connects to the directory, gets the offers of the maker, and gets an answer at the maker's
   * onion. Resolves with that onion.
   */
  async function askedFromOutside(round: number): Promise<string> {
    // Its own credentials, so no circuit of the last round is used.
    const overlay = createTorOverlay({
      socks: { kind: 'tcp', ...outside.socks },
      dialDeadlineMs: 30_000,
    });
    const probe = openLiveTestChannel([directoryLocation], {
      overlay,
      nickKey: keyOf(100 + round),
      random: () => 0,
      // A dial may hang on an old descriptor of the services.
      timings: { backoffFirstMs: 1_000, backoffFactor: 1, directoryDialMs: 5_000 },
    });
    await probe.next('directory-up');
    probe.publish('orderbook');
    // A maker that was connected before answers; one that comes later announces, and is asked then.
    const asked = probe.next('privmsg');
    probe.on('pubmsg', ({ from }) => {
      if (from === makerNick) probe.publish('orderbook');
    });
    const { from, commands } = await asked;
    t.equal(from, makerNick);
    t.match(commands[0].name, /^sw0(rel|abs)offer$/);
    // The directory names the location of the sender in the line after the message, which may come later.
    await becomes(true, () => Promise.resolve(probe.peer(makerNick)?.location !== undefined));
    const known = probe.peer(makerNick)?.location;
    if (known?.kind !== 'onion') throw new Error('the maker serves no onion');
    t.equal(await nickAt(overlay, known, `maker:${round}`), makerNick, 'its onion answers');
    await probe.close();
    await overlay.close();
    return formatLocation(known);
  }

  const makerAddress = await askedFromOutside(0);
  const onions = [address, makerAddress].map((text) => text.slice(0, 56)).toSorted();
  await becomes(quiet, status);
  const openFiles = async (): Promise<readonly number[]> => {
    const counts = [directory, maker].map(async ({ child: { pid } }) => {
      if (pid === undefined) throw new Error('a program did not start');
      return (await openDescriptors(pid, statusPort)).length;
    });
    return Promise.all(counts);
  };
  await becomes(CONTROL_CONNECTIONS, () => connectionsTo(control.port));
  const openBefore = await openFiles();

  const took: number[] = [];
  for (let round = 1; round <= RESTARTS; round++) {
    const killedAt = performance.now();
    servers = await servers.restart();
    t.equal(await askedFromOutside(round), makerAddress, `restart ${round}: the same onions`);
    took.push((performance.now() - killedAt) / 1_000);
  }
  t.ok(Math.max(...took) < BACK_WITHIN_SEC, `each time within ${BACK_WITHIN_SEC} s`);
  t.comment(
    `seconds from the kill to a maker's answer: ${took.map((s) => s.toFixed(1)).join(' ')}`,
  );

  t.same([directory.child.exitCode, maker.child.exitCode], [null, null], 'both programs still run');
  await becomes(quiet, status);
  t.match(
    await metrics(),
    new RegExp(`^onionmc_service_state_entered_total\\{state="lost"\\} ${RESTARTS}$`, 'm'),
    'each loss was detected',
  );
  await becomes(CONTROL_CONNECTIONS, () => connectionsTo(control.port));
  t.pass('no further control connection, at our end or at the end of Tor');
  t.strictSame(await onionsServed(servers), onions, 'Tor serves these two onions and no other');
  t.equal(await detachedOnions(servers), '', 'no onion is without an owner');
  await becomes(openBefore, openFiles);
  t.pass('as many open files as before the first restart');

  for (const { child, ended } of [maker, directory]) {
    child.kill('SIGTERM');
    t.equal((await ended).code, 0);
  }
  t.equal(await detachedOnions(servers), '', 'no onion is left');
  await becomes({ ours: 0, tors: 0 }, () => connectionsTo(control.port));
});
