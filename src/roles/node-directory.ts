/** The relay of a directory node, from the node's options: its cluster, its gate and its list of directories. */
import { randomBytes } from 'node:crypto';
import type { Log } from '../channel/log.js';
import type { Clock } from '../channel/ports.js';
import { createDirectory, directoryMotd, type Directory } from '../directory/directory.js';
import type { DirectoryOptions } from '../directory/directory-api.js';
import type { DirectoryLimits } from '../directory/limits.js';
import { formatLocation } from '../protocol/location.js';
import { createNickKey } from '../protocol/nick.js';
import type { DirectoryNodeOptions } from './directory-node-api.js';
import type { NodeCluster } from './node-cluster.js';
import { gateWithSelfTests, type SelfTests } from './self-tests.js';
import { VERSION } from './version.js';

/** What the node itself gives to its relay. */
export interface NodeSide extends Required<
  Pick<DirectoryOptions, 'nick' | 'location' | 'onFlush'>
> {
  readonly limits: DirectoryLimits;
  readonly selfTests: SelfTests;
  /** The operator's text, which may change. */
  readonly motd: () => string;
  readonly cluster: NodeCluster;
  readonly clock: Clock;
  readonly log: Log;
}

/** The features that an operator switches on; what is off is absent. */
function features(options: DirectoryNodeOptions, selfTests: SelfTests): Partial<DirectoryOptions> {
  const { overlay, dialBack = false, nickAuth = 'disabled', publicWindowMs, gate } = options;
  const { directoryList } = options;
  return {
    gate: gate && gateWithSelfTests(gate, selfTests),
    ...(publicWindowMs !== undefined && { publicWindowMs }),
    ...(dialBack && {
      dialBack: { dialer: overlay, newNick: () => createNickKey(randomBytes).nick },
    }),
    ...(nickAuth !== 'disabled' && {
      nickAuth: { required: nickAuth === 'require_verified', randomBytes },
    }),
    ...(directoryList && { directoryList }),
  };
}

export function createNodeDirectory(options: DirectoryNodeOptions, node: NodeSide): Directory {
  const { network, overlay, random = Math.random } = options;
  const { nick, location, limits, motd, cluster, selfTests, onFlush, clock, log } = node;
  return createDirectory({
    ...features(options, selfTests),
    ...cluster.neighbours,
    network,
    nick,
    location,
    reachable: overlay.reachable,
    motd: (via) => directoryMotd(formatLocation(location(via)), VERSION, motd()),
    limits,
    ownNicks: selfTests.nicks,
    onFlush,
    clock,
    random,
    log,
  });
}
