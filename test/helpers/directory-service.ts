/** The real directory on an overlay, for tests of peers: it can be restarted at the same location. */
import type { Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import type { Clock, Overlay } from '../../src/channel/ports.js';
import {
  createDirectory,
  DEFAULT_LIMITS,
  type Directory,
  type DirectoryOptions,
} from '../../src/directory/directory.js';
import type { Network } from '../../src/protocol/constants.js';
import type { Location } from '../../src/protocol/location.js';

export interface DirectoryService {
  readonly location: Location;
  readonly peerCount: number;
  /** Ends every connection; new ones are refused until `start`. */
  stop(): Promise<void>;
  start(): void;
}

/** Resolves when peers can reach it; the end of the test withdraws it. */
export async function serveDirectory(
  t: Test,
  overlay: Overlay,
  clock: Clock,
  nick: string,
  network: Network = 'signet',
  more: Pick<DirectoryOptions, 'directoryList'> = {},
): Promise<DirectoryService> {
  let directory: Directory | undefined;
  let reachable: (() => void) | undefined;
  const ready = new Promise<void>((resolve) => {
    reachable = resolve;
  });
  const served = await overlay.serve(
    (connection) => {
      if (directory) directory.accept(connection);
      else connection.destroy();
    },
    {
      signal: new AbortController().signal,
      onState: ({ state }) => {
        if (state === 'reachable') reachable?.();
      },
    },
  );
  const stop = async (): Promise<void> => {
    const stopping = directory;
    directory = undefined;
    await stopping?.close();
  };
  t.teardown(async () => {
    await stop();
    await served.close();
  });
  const start = (): void => {
    directory = createDirectory({
      network,
      nick,
      location: (via) => served.locations.find(({ kind }) => kind === via) ?? served.locations[0],
      reachable: overlay.reachable,
      motd: () => 'a test',
      limits: DEFAULT_LIMITS,
      clock,
      random: () => 0,
      log: silentLog,
      ...more,
      // Tests of peers need not wait for it.
      publicWindowMs: 0,
    });
  };
  start();
  await ready;
  return {
    location: served.locations[0],
    get peerCount() {
      return directory?.peerCount ?? 0;
    },
    stop,
    start,
  };
}
