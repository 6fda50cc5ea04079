/** What `/metrics` tells of a directory. Sums only: no nick, no onion, no text of a message. */
import type { DirectoryStats } from '../directory/stats.js';
import type { Metrics } from '../ops/metrics.js';

type Labelled = {
  readonly [K in keyof DirectoryStats]: DirectoryStats[K] extends number ? never : K;
}[keyof DirectoryStats];
type Plain = Exclude<keyof DirectoryStats, Labelled>;

const GAUGES: readonly (readonly [Plain, string, string])[] = [
  ['peers', 'peers', 'Peers that have handshaked.'],
  ['connections', 'connections', 'Open connections, with those on their way out.'],
  ['unhandshaked', 'unhandshaked_connections', 'Connections that have not handshaked.'],
  ['logBytes', 'broadcast_log_bytes', 'Broadcast bytes kept for peers that lag behind.'],
];

const TOTALS: readonly (readonly [Plain, string, string])[] = [
  ['connectionsAccepted', 'connections_accepted_total', 'Connections accepted.'],
  ['handshakesAccepted', 'handshakes_accepted_total', 'Handshakes accepted.'],
  ['leavesAnnounced', 'leaves_announced_total', 'Peers announced as gone.'],
  ['goneNotices', 'gone_notices_total', 'Senders told that an addressee is not here.'],
  ['nickProbes', 'nick_probes_total', 'Holders of a nick asked whether they live.'],
  ['heartbeatProbes', 'heartbeat_probes_total', 'Silent peers asked whether they live.'],
  ['bytesIn', 'received_bytes_total', 'Bytes read from peers.'],
  ['bytesOut', 'sent_bytes_total', 'Bytes handed to connections.'],
  ['flushes', 'flushes_total', 'Times the broadcast log was handed to the peers.'],
  ['writes', 'writes_total', 'Writes to connections.'],
];

const LABELLED: readonly (readonly [Labelled, string, string, string])[] = [
  ['handshakesRejected', 'handshakes_rejected_total', 'reason', 'Handshakes refused.'],
  ['messagesIn', 'messages_in_total', 'class', 'Lines of handshaked peers.'],
  ['messagesOut', 'messages_out_total', 'class', 'Deliveries.'],
  ['dropped', 'dropped_total', 'reason', 'Lines that were not acted on.'],
  ['closed', 'closed_total', 'reason', 'Connections that ended.'],
];

/** Registers them; they are read off the directory whenever somebody asks. */
export function registerDirectoryMetrics(
  metrics: Metrics,
  stats: () => DirectoryStats,
  serviceState: () => string,
): void {
  for (const [key, name, help] of GAUGES) metrics.gauge(name, help, () => stats()[key]);
  for (const [key, name, help] of TOTALS) metrics.total(name, help, () => stats()[key]);
  for (const [key, name, label, help] of LABELLED) {
    metrics.totals(name, help, label, () => stats()[key]);
  }
  metrics.gauge('service_reachable', '1 while peers can reach this directory, else 0.', () =>
    serviceState() === 'reachable' ? 1 : 0,
  );
}
