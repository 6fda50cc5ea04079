/** Opens the cluster of a directory's configuration. Loaded only when `[CLUSTER]` is configured. */
import { createCluster } from '../cluster/cluster.js';
import { natsBus } from '../cluster/nats/nats-bus.js';
import type { NatsAccess } from '../cluster/nats/access.js';
import type { ClusterSettings } from '../config/cluster-settings.js';
import { ConfigError } from '../config/config-error.js';
import { readNatsFiles } from '../ops/cluster-files.js';
import { clusterKeyPath, readClusterKey, type ClusterKey } from '../ops/cluster-key.js';
import type { OpenCluster } from './node-cluster.js';

/** The place of the settings, for errors. */
interface Place {
  readonly datadir: string;
  readonly configFile: string;
}

/** The key of this node, which must be the one that the other nodes expect. Rejects with a ConfigError. */
export async function ownClusterKey(
  { node, nodes }: ClusterSettings,
  { datadir, configFile }: Place,
): Promise<ClusterKey> {
  const at = { file: configFile, section: 'CLUSTER', key: 'nodes' };
  const make = `onionmc cluster key --datadir ${JSON.stringify(datadir)}`;
  const key = await readClusterKey(datadir);
  if (key === undefined) {
    throw new ConfigError({
      ...at,
      found: `no key of this node at ${clusterKeyPath(datadir)}`,
      allowed: `the key that "${make}" makes and prints`,
    });
  }
  const pinned = nodes.find(({ name }) => name === node)?.publicKey;
  if (pinned === key.publicKey) return key;
  throw new ConfigError({
    ...at,
    found: `${node}:${pinned ?? ''}, but the key at ${clusterKeyPath(datadir)} is ${key.publicKey}`,
    allowed: `the key that "${make}" prints, on all nodes`,
  });
}

/** How the NATS servers are reached. Rejects with a NatsFileError. */
export async function natsAccess({ nats, node }: ClusterSettings): Promise<NatsAccess> {
  return {
    servers: nats.servers.map(({ host, port }) => ({ host, port })),
    tls: nats.tls,
    name: `onionmc ${node}`,
    ...(await readNatsFiles(nats)),
  };
}

/** Rejects with a ConfigError, a ClusterKeyError or a NatsFileError. */
export async function openCluster(settings: ClusterSettings, place: Place): Promise<OpenCluster> {
  const key = await ownClusterKey(settings, place);
  const access = await natsAccess(settings);
  const { name, node, nodes } = settings;
  return (given) =>
    createCluster({
      ...given,
      name,
      node,
      nodes: new Map(nodes.map((member) => [member.name, member.publicKey])),
      key: key.privateKey,
      bus: natsBus({ ...access, clock: given.clock }),
    });
}
