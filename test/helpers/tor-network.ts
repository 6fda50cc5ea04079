import type { Test } from 'tap';
import type { Connection, Overlay } from '../../src/channel/ports.js';
import type { Location } from '../../src/protocol/location.js';
import {
  startPrivateTorNetwork,
  type PrivateTorNetwork,
} from '../../src/tor/private-network/network.js';
import { SocksError } from '../../src/tor/socks-error.js';

/**
 * A private Tor network for one test file (1.3 s until its first client is connected); gone at the
 * end of the test, however it ends. Give every test its own onion rather than its own network.
 */
export async function torNetworkFor(t: Test): Promise<PrivateTorNetwork> {
  const network = await startPrivateTorNetwork();
  t.teardown(() => network.close());
  return network;
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
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
