/** The directory of `scripts/bench coinjoin`. */
import { silentLog } from '../../src/channel/log.js';
import type { Overlay } from '../../src/channel/ports.js';
import { createDirectory, DEFAULT_LIMITS } from '../../src/directory/directory.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import type { Location } from '../../src/protocol/location.js';

export interface BenchDirectory {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

/** Resolves when peers can reach it. */
export async function serveDirectory(overlay: Overlay): Promise<BenchDirectory> {
  // Known before the first peer is accepted.
  let location: Location = { kind: 'loopback', host: '127.0.0.1', port: 1 };
  const directory = createDirectory({
    network: 'signet',
    nick: 'J5benchdirOOOOOO',
    location: () => location,
    reachable: overlay.reachable,
    motd: () => '',
    limits: DEFAULT_LIMITS,
    clock: systemClock,
    random: Math.random,
    log: silentLog,
  });
  const abort = new AbortController();
  const served = await new Promise<Awaited<ReturnType<Overlay['serve']>>>((resolve, reject) => {
    const serving = overlay.serve((connection) => directory.accept(connection), {
      signal: abort.signal,
      onState: ({ state }) => {
        if (state === 'reachable') void serving.then(resolve);
      },
    });
    serving.catch(reject);
  });
  [location] = served.locations;
  const { host, port } = location;
  return {
    host,
    port,
    async close() {
      await directory.close();
      await served.close();
    },
  };
}
