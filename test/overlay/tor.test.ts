/** The Tor overlay on a real private Tor network. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { parseCfg } from '../../src/config/cfg-file.js';
import { settingsFrom } from '../../src/config/settings.js';
import { openOverlay } from '../../src/overlay/factory/open-overlays.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { torConfig } from '../helpers/config.js';
import type { Overlay, Served, ServiceState } from '../../src/channel/ports.js';
import { createTorOverlay } from '../../src/overlay/tor.js';
import { formatLocation, onionHost, type Location } from '../../src/protocol/location.js';
import { connectControl } from '../../src/tor/control/client.js';
import { loadOrCreateOnionKey } from '../../src/tor/onion/key-folder.js';
import type { OnionIdentity } from '../../src/tor/onion/service.js';
import type { PrivateTor } from '../../src/lab/private-network/client.js';
import { acceptor, connectionPeer } from '../helpers/connection-peer.js';
import { mayHaveOtherMachine, otherMachine } from '../helpers/other-machine.js';
import { dialPatiently, torNetworkFor } from '../helpers/tor-network.js';
import { overlayCompliance } from './compliance.js';
import { freePort, freePorts } from '../../src/lab/private-network/free-ports.js';

const { signal } = new AbortController();
const ephemeral: OnionIdentity = { kind: 'ephemeral' };
const LISTEN = { host: '127.0.0.1', port: 0 };

/** An overlay that serves through this tor's control port. */
function servingOverlay(tor: PrivateTor, identity: OnionIdentity, listen = LISTEN): Overlay {
  const { controlEndpoint: endpoint } = tor;
  if (endpoint === undefined) throw new Error('this tor has no control port');
  return createTorOverlay({
    socks: { kind: 'tcp', ...tor.socks },
    serving: {
      kind: 'control',
      identity,
      listen,
      connectControl: (abort) => connectControl({ endpoint, signal: abort }),
    },
  });
}

async function persistentIdentity(dir: string): Promise<OnionIdentity> {
  const { key } = await loadOrCreateOnionKey(dir);
  return { kind: 'persistent', key };
}

/** The address of a key without a service. */
function unpublishedOnion(): string {
  const { x } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
  return onionHost(Buffer.from(x ?? '', 'base64url'));
}

/** Serves, and lets the test await each state. */
async function serveWatched(
  overlay: Overlay,
  accept = acceptor(),
): Promise<{
  served: Served;
  accept: typeof accept;
  next: (state: ServiceState['state']) => Promise<void>;
}> {
  const states: ServiceState[] = [];
  let changed: (() => void) | undefined;
  const served = await overlay.serve((connection) => accept.onConnection(connection), {
    signal,
    onState: (state) => {
      states.push(state);
      changed?.();
    },
  });
  return {
    served,
    accept,
    async next(wanted) {
      for (;;) {
        const at = states.findIndex((state) => state.state === wanted);
        if (at >= 0) {
          states.splice(0, at + 1);
          return;
        }
        await new Promise<void>((resolve) => {
          changed = resolve;
        });
      }
    },
  };
}

/** A round trip to a service whose other end the test holds. */
async function answers(
  t: Test,
  dialer: Overlay,
  location: Location,
  accept: ReturnType<typeof acceptor>,
): Promise<void> {
  const dialling = dialPatiently(dialer, location, `answers:${randomBytes(4).toString('hex')}`);
  const client = connectionPeer(await dialling);
  const server = await accept.next();
  server.connection.write(Buffer.from('hello'));
  t.equal((await client.read(5)).toString(), 'hello');
  client.connection.end();
  await Promise.all([client.closed, server.closed]);
}

// Mostly waiting for Tor, so all at once; each test has onions of its own.
t.test('the Tor overlay', { timeout: 110_000, jobs: 6 }, async (t) => {
  const network = await torNetworkFor(t);
  const [client, service] = await Promise.all([
    network.startTor({ name: 'client' }),
    network.startTor({ name: 'service', controlPort: true }),
  ]);
  const dialer = createTorOverlay({
    socks: { kind: 'tcp', ...client.socks },
    dialDeadlineMs: 30_000,
  });
  const dead: Location = { kind: 'onion', host: unpublishedOnion(), port: 5222 };
  const loopback: Location = { kind: 'loopback', host: '127.0.0.1', port: 5222 };

  t.test('keeps the contract, with an ephemeral key', { buffered: true }, async (t) => {
    await overlayCompliance(t, {
      server: () => servingOverlay(service, ephemeral),
      dialer,
      deadLocation: dead,
      foreignLocation: loopback,
    });
  });

  t.test('keeps the contract, with a persistent key', { buffered: true }, async (t) => {
    const dir = t.testdir({});
    const identities = await Promise.all(
      ['one', 'two'].map((name) => persistentIdentity(join(dir, name))),
    );
    await overlayCompliance(t, {
      server: () => servingOverlay(service, identities.shift() ?? ephemeral),
      dialer,
      deadLocation: dead,
      foreignLocation: loopback,
    });
  });

  t.test('a maker serves two onions of one overlay at a time', { buffered: true }, async (t) => {
    // The port of the settings is not used: two listeners would need it.
    const nodes = formatLocation(dead);
    const text = torConfig({ mode: 'control', tor: service, port: 1, nodes });
    const cfg = parseCfg(text, 'joinmarket.cfg');
    if (!cfg.ok) throw new Error(cfg.fault.fault);
    const { settings } = await settingsFrom(cfg.value, { datadir: t.testdir({}), role: 'maker' });
    const tools = { clock: systemClock, random: Math.random, log: silentLog, signal };
    const opened = await openOverlay({ settings, serves: true, severalLocations: true, ...tools });
    const [old, next] = [await serveWatched(opened.overlay), await serveWatched(opened.overlay)];
    t.notSame(old.served.locations, next.served.locations);
    for (const { served, accept, next: state } of [old, next]) {
      await state('reachable');
      await answers(t, dialer, served.locations[0], accept);
    }
    await old.served.close();
    await answers(t, dialer, next.served.locations[0], next.accept);
    await next.served.close();
    await opened.close();
  });

  t.test('a dial-only overlay does not serve', { buffered: true }, async (t) => {
    await t.rejects(
      dialer.serve(() => {}, { signal }),
      { code: 'not-serving' },
    );
  });

  t.test(
    'a listener that cannot be opened leaves no onion, and a failed onion leaves no listener',
    { buffered: true },
    async (t) => {
      const taken = createServer().listen(0, '127.0.0.1');
      await once(taken, 'listening');
      const address = taken.address();
      const port = address !== null && typeof address === 'object' ? address.port : 0;
      const listen = { host: '127.0.0.1', port };
      await t.rejects(
        servingOverlay(service, ephemeral, listen).serve(() => {}, { signal }),
        { code: 'listen-failed', message: /onion_serving_port/ },
      );
      await new Promise((resolve) => taken.close(resolve));
      const noTor = await freePort();
      const noControl = createTorOverlay({
        socks: { kind: 'tcp', ...client.socks },
        serving: {
          kind: 'control',
          identity: ephemeral,
          listen,
          connectControl: (abort) =>
            connectControl({
              endpoint: { kind: 'tcp', host: '127.0.0.1', port: noTor },
              signal: abort,
            }),
        },
      });
      await t.rejects(noControl.serve(() => {}, { signal: AbortSignal.timeout(60_000) }));
      const free = createServer().listen(port, '127.0.0.1');
      await once(free, 'listening');
      await new Promise((resolve) => free.close(resolve));
    },
  );

  t.test(
    'Tor is killed and started again: the same onions answer',
    { buffered: true },
    async (t) => {
      const tor = await network.startTor({ name: 'mortal', controlPort: true });
      const identity = await persistentIdentity(join(t.testdir({}), 'hs'));
      const services = await Promise.all(
        [identity, ephemeral].map((one) => serveWatched(servingOverlay(tor, one))),
      );
      for (const { served, accept, next } of services) {
        await next('reachable');
        await answers(t, dialer, served.locations[0], accept);
      }
      await tor.kill();
      await Promise.all(services.map(({ next }) => next('lost')));
      const again = await tor.restart();
      t.equal(again.socks.port, tor.socks.port);
      t.strictSame(again.controlEndpoint, tor.controlEndpoint);
      for (const { served, accept, next } of services) {
        await next('reachable');
        await answers(t, dialer, served.locations[0], accept);
      }
      for (const { served } of services) await served.close();
      await again.kill();
    },
  );

  t.test(
    'a directory whose Tor is on another machine',
    { buffered: true, skip: mayHaveOtherMachine ? false : 'another machine needs root' },
    async (t) => {
      const machine = await otherMachine(t);
      const [control = 0, socks = 0] = await freePorts(2);
      const gateway = await network.startTor({
        name: 'gateway',
        controlPort: true,
        extraTorrc: [
          `ControlPort ${machine.here}:${control}`,
          `SocksPort ${machine.here}:${socks}`,
        ],
      });
      t.teardown(() => gateway.kill());
      const datadir = async (name: string, serving: string, target = ''): Promise<string> => {
        const dir = join(t.testdirName, name);
        await mkdir(dir, { recursive: true, mode: 0o700 });
        const text = `[BLOCKCHAIN]
network = signet
[MESSAGING:onion]
type = onion
tor_mode = control
socks5_host = ${machine.here}
socks5_port = ${socks}
tor_control_host = ${machine.here}
tor_control_port = ${control}
onion_serving_host = ${serving}
onion_serving_port = 0
tor_target_host = ${target}
[DIRECTORY]
status_port = 62600
`;
        await writeFile(join(dir, 'joinmarket.cfg'), text, { mode: 0o600 });
        return dir;
      };
      t.testdir({});
      for (const [name, serving, target] of [
        ['every interface', '0.0.0.0', ''],
        ['as configured', '0.0.0.0', machine.there],
      ] as const) {
        const directory = machine.cli([
          'directory',
          '--datadir',
          await datadir(name, serving, target),
        ]);
        const [, host = ''] = await directory.shows('stdout', /^([a-z2-7]{56}\.onion):5222\n/);
        await directory.shows('stderr', /onion service reachable/);
        const peer = await dialPatiently(dialer, { kind: 'onion', host, port: 5222 }, name);
        peer.attach({ data() {}, closed() {} });
        peer.destroy();
        directory.child.kill('SIGTERM');
        t.match(await directory.ended, { code: 0 }, name);
      }
      // Only the operator can know that this leads to a loopback listener.
      const forwarded = machine.cli([
        'directory',
        '--datadir',
        await datadir('forwarded', '127.0.0.1', machine.there),
      ]);
      await forwarded.shows('stderr', /onion service reachable/);
      forwarded.child.kill('SIGTERM');
      t.match(await forwarded.ended, { code: 0 }, 'a configured target is not checked');
      const fix = new RegExp(
        `cannot reach onion_serving_host 127\\.0\\.0\\.1. Fix: set onion_serving_host to ${machine.there}, or tor_target_host`,
      );
      const lost = await datadir('loopback', '127.0.0.1');
      const refused = await machine.cli(['directory', '--datadir', lost]).ended;
      t.equal(refused.code, 2, 'a fault of the configuration');
      t.match(refused.stderr.trim().split('\n').at(-1), fix);
      const doctor = await machine.cli(['doctor', '--datadir', lost]).ended;
      t.match(doctor, { code: 1, stdout: fix });
      t.match(doctor.stdout, /✗ control access /);
      t.match(doctor.stdout, /\n1 thing is wrong/);
    },
  );

  t.test(
    'an onion of the operator moves to onionmc, with its address',
    { buffered: true },
    async (t) => {
      const hiddenServiceDir = join(t.testdir({}), 'hs');
      mkdirSync(hiddenServiceDir, { mode: 0o700 });
      const listen = { host: '127.0.0.1', port: await freePort() };
      const overlay = createTorOverlay({
        socks: { kind: 'tcp', ...client.socks },
        serving: { kind: 'external', hiddenServiceDir, listen },
      });
      await t.rejects(
        overlay.serve(() => {}, { signal }),
        { message: hiddenServiceDir },
        'before Tor has made it',
      );
      const operators = await network.startTor({
        name: 'operator',
        extraTorrc: [
          `HiddenServiceDir ${hiddenServiceDir}`,
          `HiddenServicePort 5222 ${listen.host}:${listen.port}`,
        ],
      });
      const external = await serveWatched(overlay);
      await external.next('reachable');
      // The service has dialled itself through Tor to check that: the first connection is its own.
      const own = await external.accept.next();
      await own.closed;
      await answers(t, dialer, external.served.locations[0], external.accept);
      await external.served.close();
      await t.rejects(
        dialer.dial(external.served.locations[0], { signal, isolation: 'no listener' }),
        { code: 'general-failure', reply: 1, message: /the program behind it/ },
        'the onion is there, the program is not',
      );
      await operators.kill();

      const ours = await serveWatched(
        servingOverlay(service, await persistentIdentity(hiddenServiceDir)),
      );
      t.equal(
        formatLocation(ours.served.locations[0]),
        formatLocation(external.served.locations[0]),
      );
      await ours.next('reachable');
      await answers(t, dialer, ours.served.locations[0], ours.accept);
      await ours.served.close();
    },
  );
});
