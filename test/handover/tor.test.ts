/** The onion of a directory continues in another process, with its streams. */
import t, { type Test } from 'tap';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Connection, Overlay } from '../../src/channel/ports.js';
import { createTorOverlay } from '../../src/overlay/tor.js';
import { parseLocation } from '../../src/protocol/location.js';
import { startPrivateTorNetwork } from '../../src/lab/private-network/network.js';
import { hello } from '../directory/wire.js';
import { nickOf } from '../directory/many.js';
import { encodeEnvelope } from '../../src/protocol/envelope.js';
import { torConfig } from '../helpers/config.js';
import { dialPatiently, isRunning } from '../helpers/tor-network.js';
import { startUpgradable, type Program } from './program.js';

interface Stream {
  readonly nick: string;
  say(text: string): void;
  /** Resolves when the received text contains this one. */
  hears(text: string): Promise<void>;
  readonly closed: boolean;
  destroy(): void;
}

function streamOver(connection: Connection, nick: string): Stream {
  let heard = '';
  let closed = false;
  const waiting = new Set<() => void>();
  connection.attach({
    data(chunk) {
      heard += Buffer.from(chunk).toString('latin1');
      for (const look of waiting) look();
    },
    closed: () => (closed = true),
  });
  connection.write(Buffer.from(encodeEnvelope(793, hello(nick)), 'latin1'));
  return {
    nick,
    say: (text) => connection.write(Buffer.from(encodeEnvelope(687, `${nick}!PUBLIC!${text}`))),
    hears: (text) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!heard.includes(text)) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
    get closed() {
      return closed;
    },
    destroy: () => connection.destroy(),
  };
}

/** Two peers on separate streams exchange messages around and during upgrades; a third one joins later. */
async function tellsNoDifference(
  t: Test,
  program: Program,
  overlay: Overlay,
  address: string,
): Promise<void> {
  const location = parseLocation(address);
  if (!location.ok) throw new Error(address);
  const dial = async (n: number): Promise<Stream> => {
    const connection = await dialPatiently(overlay, location.value, `${address}${n}`);
    const stream = streamOver(connection, nickOf('stream', n));
    await stream.hears('\\"accepted\\": true');
    return stream;
  };
  const alice = await dial(1);
  const bob = await dial(2);
  alice.say('before');
  await bob.hears('PUBLIC!before');
  for (const turn of ['first', 'second']) {
    alice.say(`${turn} on its way`);
    // oxlint-disable-next-line no-await-in-loop -- one upgrade after the other
    const { code, stdout, stderr } = await program.upgrade();
    t.equal(code, 0, stderr + stdout);
    bob.say(`${turn} after`);
    // oxlint-disable-next-line no-await-in-loop
    await Promise.all([bob.hears(`${turn} on its way`), alice.hears(`${turn} after`)]);
  }
  const carol = await dial(3);
  carol.say('I came later');
  await Promise.all([alice.hears('I came later'), bob.hears('I came later')]);
  t.notMatch(program.stderr(), /onion service (lost|re-created)/, 'it was never lost');
  t.notOk(alice.closed || bob.closed, 'the same streams all the time');
  for (const stream of [alice, bob, carol]) stream.destroy();
}

t.test('over real Tor', async (t) => {
  const network = await startPrivateTorNetwork();
  t.teardown(() => network.close());
  const [servers, clients] = await Promise.all([
    network.startTor({ controlPort: true }),
    network.startTor(),
  ]);
  const overlay = createTorOverlay({ socks: { kind: 'tcp', ...clients.socks } });

  t.test('tor_mode = control: the control connection that holds the onion', async (t) => {
    const program = await startUpgradable(t, {
      config: torConfig({ mode: 'control', tor: servers }),
    });
    const [, address = ''] = await program.first.shows('stdout', /^(\S+\.onion:5222)\n/);
    await program.first.shows('stderr', /onion service reachable/);
    const socket = join(program.datadir, 'onion-socket/onion.sock');
    t.ok(
      (await stat(socket)).isSocket(),
      'Tor forwards to a unix socket, which is handed over too',
    );
    await tellsNoDifference(t, program, overlay, address);
    process.kill(program.pid(), 'SIGTERM');
    t.equal((await program.first.ended).code, 0);
  });

  t.test('tor_mode = external: the unix socket of a torrc, with circuits', async (t) => {
    const dir = await mkdtemp(join(tmpdir(), 'omch-'));
    t.teardown(() => rm(dir, { recursive: true, force: true }));
    const [folder, path] = [join(dir, 'hs'), join(dir, 'onion.sock')];
    const tor = await network.startTor({
      name: 'external',
      extraTorrc: [
        `HiddenServiceDir ${folder}`,
        `HiddenServicePort 5222 unix:${path}`,
        'HiddenServiceExportCircuitID haproxy',
      ],
    });
    t.teardown(() => tor.kill());
    const onion = [
      `hidden_service_dir = ${folder}`,
      `onion_serving_socket = unix:${path}`,
      'onion_serving_circuits = yes',
    ].join('\n');
    const config = torConfig({ mode: 'external', tor, onion });
    const program = await startUpgradable(t, { config });
    const [, address = ''] = await program.first.shows('stdout', /^(\S+\.onion:5222)\n/);
    await program.first.shows('stderr', /onion service reachable/);
    // A listener that did not expect Tor's lines any more would refuse the peer that joins later.
    await tellsNoDifference(t, program, overlay, address);
    t.notMatch(program.stderr(), /HiddenServiceExportCircuitID/);
    process.kill(program.pid(), 'SIGTERM');
    t.equal((await program.first.ended).code, 0);
  });

  t.test('tor_mode = managed: our own tor, its circuits and its onion', async (t) => {
    const dir = await mkdtemp(join(tmpdir(), 'omch-'));
    t.teardown(() => rm(dir, { recursive: true, force: true }));
    const torrc = join(dir, 'extra.torrc');
    const pidFile = join(dir, 'pid');
    const torLog = join(dir, 'tor.log');
    await writeFile(
      torrc,
      [...network.torrcLines, `PidFile ${pidFile}`, `Log notice file ${torLog}`].join('\n'),
    );
    const program = await startUpgradable(t, {
      config: torConfig({ mode: 'managed' }),
      env: { ONIONMC_TORRC_EXTRA: torrc },
    });
    const [, address = ''] = await program.first.shows('stdout', /^(\S+\.onion:5222)\n/);
    await program.first.shows('stderr', /onion service reachable/);
    const torPid = Number(await readFile(pidFile, 'utf8'));
    await tellsNoDifference(t, program, overlay, address);
    t.ok(isRunning(torPid), 'the tor of the first process');
    process.kill(torPid, 'SIGHUP');
    while (!(await readFile(torLog, 'utf8')).includes('Received reload signal')) await pause(20);
    const location = parseLocation(address);
    if (!location.ok) throw new Error(address);
    const later = streamOver(await dialPatiently(overlay, location.value, 'hup'), 'J5later');
    await later.hears('\\"accepted\\": true');
    t.notMatch(program.stderr(), /onion service (lost|re-created)/, 'a reload keeps the onion');
    later.destroy();
    const folders = (await readdir(join(program.datadir, 'tor'))).filter((f) =>
      f.startsWith('run-'),
    );
    t.equal(folders.length, 1);
    process.kill(program.pid(), 'SIGTERM');
    t.equal((await program.first.ended).code, 0);
    t.notOk(isRunning(torPid), 'the last process ends it');
    const left = await readdir(join(program.datadir, 'tor'));
    t.same(
      left.filter((f) => f.startsWith('run-')),
      [],
    );
  });
});
