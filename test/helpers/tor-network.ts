import { readFileSync } from 'node:fs';
import type { Test } from 'tap';
import type { Connection, Overlay } from '../../src/channel/ports.js';
import type { Location } from '../../src/protocol/location.js';
import { deferred } from '../../src/kit/deferred.js';
import { createTorOverlay } from '../../src/overlay/tor.js';
import { connectControl } from '../../src/tor/control/client.js';
import {
  startPrivateTorNetwork,
  type PrivateTorNetwork,
} from '../../src/lab/private-network/network.js';
import { acceptor } from './connection-peer.js';
import { SocksError } from '../../src/tor/socks/error.js';

/**
 * A private Tor network for one test file (1.3 s until its first client is connected); closed at the
 * end of the test, for any cause. Give every test its own onion rather than its own network.
 */
export async function torNetworkFor(t: Test): Promise<PrivateTorNetwork> {
  const network = await startPrivateTorNetwork();
  t.teardown(() => network.close());
  return network;
}

/** Overlays of both ends, each over a tor of its own, in a network of the test. */
export async function torOverlaysFor(t: Test): Promise<{
  readonly dialer: () => Overlay;
  readonly server: () => Overlay;
  /** The SOCKS port of the tor that dials, `host:port`. */
  readonly socks: string;
}> {
  const network = await torNetworkFor(t);
  const [client, service] = await Promise.all([
    network.startTor({ name: 'client' }),
    network.startTor({ name: 'service', controlPort: true }),
  ]);
  const { controlEndpoint: endpoint } = service;
  if (endpoint === undefined) throw new Error('this tor has no control port');
  return {
    socks: `${client.socks.host}:${client.socks.port}`,
    dialer: () => createTorOverlay({ socks: { kind: 'tcp', ...client.socks } }),
    server: () =>
      createTorOverlay({
        socks: { kind: 'tcp', ...service.socks },
        serving: {
          kind: 'control',
          identity: { kind: 'ephemeral' },
          listen: { host: '127.0.0.1', port: 0 },
          connectControl: (signal) => connectControl({ endpoint, signal }),
        },
      }),
  };
}

/** An onion service on a tor of its own in this network; resolves when it is reachable. */
export async function serviceOn(t: Test, network: PrivateTorNetwork): Promise<Location> {
  const { socks, controlEndpoint: endpoint } = await network.startTor({
    name: 'service',
    controlPort: true,
  });
  if (endpoint === undefined) throw new Error('this tor has no control port');
  const overlay = createTorOverlay({
    socks: { kind: 'tcp', ...socks },
    serving: {
      kind: 'control',
      identity: { kind: 'ephemeral' },
      listen: { host: '127.0.0.1', port: 0 },
      connectControl: (signal) => connectControl({ endpoint, signal }),
    },
  });
  t.teardown(() => overlay.close());
  const ready = deferred<void>();
  const accept = acceptor();
  const served = await overlay.serve((connection) => accept.onConnection(connection), {
    signal: new AbortController().signal,
    onState: ({ state }) => {
      if (state === 'reachable') ready.resolve();
    },
  });
  t.teardown(() => served.close());
  await ready.promise;
  return served.locations[0];
}

const ATTEMPTS = 20;

/**
 * Dials until it works: a client that knows an old descriptor of a service that moved or came back
 * fails a few times first. Every attempt has a circuit of its own.
 */
export async function dialPatiently(
  overlay: Overlay,
  location: Location,
  name = 'patient',
): Promise<Connection> {
  const { signal } = new AbortController();
  let last: unknown;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    try {
      return await overlay.dial(location, { signal, isolation: `${name}:${attempt}` });
    } catch (error) {
      if (!(error instanceof SocksError)) throw error;
      last = error;
    }
  }
  throw last;
}

/** Whether a process with that id exists and is not a zombie that waits to be collected. */
export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The state follows the program's name, which may contain any character (proc(5)).
    return !['Z', 'X'].includes(stat.charAt(stat.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}
