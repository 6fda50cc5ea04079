/** What Lokinet says about itself, for a status page and metrics: asked at intervals over its RPC. */
import type { Log } from '../channel/log.js';
import type { Clock, DaemonState } from '../channel/ports.js';
import { DaemonWatch } from '../kit/daemon-watch.js';
import type { LokinetRpc, LokinetStatus } from './rpc.js';

interface DaemonOptions {
  readonly rpc: LokinetRpc;
  readonly clock: Clock;
  readonly log: Log;
}

/** The values of a status under their names in `DaemonState`. */
export function daemonValues({
  networkReady,
  paths,
}: LokinetStatus): Pick<DaemonState, 'circuits' | 'networkLive'> {
  return {
    ...(paths === undefined ? {} : { circuits: paths > 0 }),
    ...(networkReady === undefined ? {} : { networkLive: networkReady }),
  };
}

/** Asks from the first call of its `read` until its `stop`. */
export function watchLokinet({ rpc, clock, log }: DaemonOptions): DaemonWatch {
  return new DaemonWatch({
    name: 'Lokinet',
    clock,
    ask: async (signal) => {
      const version = await rpc.version(signal);
      return { version, ...daemonValues(await rpc.status(signal)) };
    },
    onFailed: (reason) => log.debug('Lokinet does not report its state', { reason }),
  });
}
