/** A directory node's part of a cluster; without a cluster it does nothing. */
import type { Cluster, ClusterOptions } from '../cluster/api.js';
import type { Neighbours } from '../directory/neighbours.js';
import type { Health } from '../http/health.js';
import type { Metrics } from '../ops/metrics.js';
import {
  clusterJson,
  clusterRemark,
  registerClusterMetrics,
  type ClusterJson,
  type OwnNode,
} from './cluster-view.js';

/** Creates the node's part of a cluster; the rest of `ClusterOptions` comes from the configuration. */
export type OpenCluster = (
  given: Pick<ClusterOptions, 'network' | 'clock' | 'log' | 'version' | 'inherits' | 'facts'>,
) => Cluster;

export class NodeCluster {
  readonly #cluster: Cluster | undefined;

  constructor(open: OpenCluster | undefined, given: Parameters<OpenCluster>[0]) {
    this.#cluster = open?.(given);
  }

  /** For the options of the directory. */
  get neighbours(): { readonly neighbours?: Neighbours } {
    return this.#cluster ? { neighbours: this.#cluster.neighbours } : {};
  }

  registerMetrics(metrics: Metrics): void {
    const cluster = this.#cluster;
    if (cluster) registerClusterMetrics(metrics, () => cluster.state());
  }

  /** Rejects with a ClusterError when the node can never take part. */
  async start(): Promise<void> {
    await this.#cluster?.start();
  }

  /** Before the directory closes, so that the other nodes announce the leave of all peers at once. */
  async close(): Promise<void> {
    await this.#cluster?.close();
  }

  /** After another process took over. */
  async leave(): Promise<void> {
    await this.#cluster?.leave();
  }

  /** A node that is cut off serves its own peers, so it is healthy, with a remark. */
  remarkOn(health: Health): Health {
    const remark = this.#cluster && clusterRemark(this.#cluster.state());
    return health.ok && remark !== undefined ? { ok: true, remark } : health;
  }

  /** For `/status`. */
  status(own: OwnNode): { readonly cluster?: ClusterJson } {
    return this.#cluster ? { cluster: clusterJson(this.#cluster.state(), own) } : {};
  }
}
