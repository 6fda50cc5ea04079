/** `/status` of a directory node. */
import type { Served } from '../channel/ports.js';
import type { Directory } from '../directory/directory.js';
import type { Health } from '../http/health.js';
import type { Network } from '../protocol/constants.js';
import { formatLocation } from '../protocol/location.js';
import type { Canary } from './canary.js';
import { lagOf } from './directory-page.js';
import type { NodeCluster } from './node-cluster.js';
import type { NodeStates } from './node-states.js';
import type { ServiceJson } from './service-states.js';
import { VERSION } from './version.js';

/** The parts of a node that it shows. */
export interface ShownNode {
  readonly network: Network;
  readonly states: NodeStates;
  /** Undefined before it is served. */
  readonly served: Served | undefined;
  readonly services: readonly ServiceJson[];
  readonly upSeconds: number;
  readonly health: Health;
  readonly canary: Canary;
  readonly cluster: NodeCluster;
  readonly directory: Directory;
  /** Whether peers need a code. */
  readonly isPrivate: boolean;
}

export function nodeStatus(node: ShownNode): Record<string, unknown> {
  const { network, states, served, services, upSeconds, health, canary, cluster, directory } = node;
  const { isPrivate } = node;
  return {
    version: VERSION,
    network,
    state: states.name,
    stateSeconds: states.seconds,
    stateEntered: states.entered,
    location: served && formatLocation(served.locations[0]),
    services,
    listensOn: served?.listensOn,
    ...(isPrivate && { private: true }),
    uptimeSeconds: upSeconds,
    health,
    canary: canary.report(),
    ...cluster.status({ peers: directory.peerCount, version: VERSION }),
    kinds: directory.kinds(),
    ...directory.stats(),
    lag: lagOf(directory.queuedBytes()),
  };
}
