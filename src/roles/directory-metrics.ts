/** The directory's metrics on `/metrics`. Only sums: no nick, no onion, no text of a message. */
import type { Directory, DirectoryStats, FlushReport } from '../directory/directory.js';
import type { Metrics } from '../ops/metrics.js';
import type { DaemonJson, ServiceJson } from './service-states.js';

type Labelled = {
  readonly [K in keyof DirectoryStats]: DirectoryStats[K] extends number ? never : K;
}[keyof DirectoryStats];
type Plain = Exclude<keyof DirectoryStats, Labelled>;

const GAUGES: readonly (readonly [Plain, string, string])[] = [
  ['peers', 'peers', 'Ready peers: their handshake was accepted.'],
  ['connections', 'connections', 'Open connections, including those that are being closed.'],
  ['unhandshaked', 'unhandshaked_connections', 'Connections without a handshake.'],
  ['waitingMessages', 'waiting_messages', 'Public messages that wait for the budget.'],
  ['circuits', 'circuits', 'Tor circuits that are remembered.'],
  ['logBytes', 'broadcast_log_bytes', 'Broadcast bytes kept for peers that lag behind.'],
  ['bans', 'bans', 'Bans of the operator in force.'],
];

const TOTALS: readonly (readonly [Plain, string, string])[] = [
  ['connectionsAccepted', 'connections_accepted_total', 'Connections accepted.'],
  ['handshakesAccepted', 'handshakes_accepted_total', 'Handshakes accepted.'],
  ['leavesAnnounced', 'leaves_announced_total', 'Peers announced as gone.'],
  [
    'goneNotices',
    'gone_notices_total',
    'Gone notices: senders told that an addressee is not connected.',
  ],
  ['delayed', 'delayed_total', 'Public messages that had to wait for the budget.'],
  ['dialBacks', 'dial_backs_total', 'Locations dialled to verify their nick.'],
  [
    'dialBacksVerified',
    'dial_backs_verified_total',
    'Locations that answered with the declared nick.',
  ],
  ['nickProbes', 'nick_probes_total', 'Pings to the holder of a nick for a nick claim.'],
  ['heartbeatProbes', 'heartbeat_probes_total', 'Liveness probes of silent peers.'],
  ['bytesIn', 'received_bytes_total', 'Bytes read from peers.'],
  ['bytesOut', 'sent_bytes_total', 'Bytes handed to connections.'],
  ['flushes', 'flushes_total', 'Flushes of the broadcast log to all peers.'],
  ['writes', 'writes_total', 'Writes to connections.'],
];

const LABELLED: readonly (readonly [Labelled, string, string, string])[] = [
  ['handshakesRejected', 'handshakes_rejected_total', 'reason', 'Handshakes refused.'],
  ['nickAuth', 'nick_auth_total', 'code', 'Challenges to prove a nick, by result.'],
  ['messagesIn', 'messages_in_total', 'class', 'Lines of handshaked peers.'],
  ['messagesOut', 'messages_out_total', 'class', 'Deliveries.'],
  ['dropped', 'dropped_total', 'reason', 'Lines that were not acted on.'],
  ['closed', 'closed_total', 'reason', 'Connections that ended.'],
];

export const SERVICE_STATES = ['starting', 'reachable', 'lost', 'stopping'] as const;
export type NodeStateName = (typeof SERVICE_STATES)[number];

const KB = 1024;
const SIZES = [256, KB, 4 * KB, 16 * KB, 64 * KB, 256 * KB, KB * KB, 4 * KB * KB];
const SECONDS = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5];

/** Registers the histograms of flushes; the returned function takes each flush. */
export function registerFlushMetrics(metrics: Metrics): (report: FlushReport) => void {
  const bytes = metrics.histogram('flush_bytes', 'Broadcast bytes due to all in one flush.', SIZES);
  const lag = metrics.histogram(
    'flush_lag_bytes',
    'Bytes by which the slowest peer is behind after a flush.',
    [0, ...SIZES],
  );
  const kept = metrics.histogram(
    'flush_kept_bytes',
    'Broadcast bytes kept in memory after a flush.',
    [0, ...SIZES],
  );
  const seconds = metrics.histogram(
    'flush_seconds',
    'How long handing a flush to all peers took.',
    SECONDS,
  );
  return (report) => {
    bytes.observe(report.bytes);
    lag.observe(report.lagBytes);
    kept.observe(report.keptBytes);
    seconds.observe(report.tookMs / 1000);
  };
}

/** Number of peers with at most this many bytes waiting, by bound. */
function peersByQueue(queued: readonly number[]): Record<string, number> {
  const counts: [string, number][] = [0, ...SIZES].map((bound) => [
    String(bound),
    queued.filter((bytes) => bytes <= bound).length,
  ]);
  return Object.fromEntries([...counts, ['+Inf', queued.length]]);
}

export interface MetricSources {
  readonly directory: Pick<Directory, 'stats' | 'queuedBytes'>;
  readonly state: () => NodeStateName;
  /** How often the service entered each state. */
  readonly entered: Readonly<Record<NodeStateName, number>>;
  /** Its locations. */
  readonly services: () => readonly ServiceJson[];
}

/** One number for each location whose program is asked, by kind of location. */
function byKind(
  services: readonly ServiceJson[],
  read: (daemon: DaemonJson) => number | undefined,
): Record<string, number> {
  return Object.fromEntries(
    services.flatMap(({ kind, daemon }) => {
      const value = daemon && read(daemon);
      return value === undefined ? [] : [[kind, value] as const];
    }),
  );
}

const asNumber = (flag: boolean | undefined): number | undefined =>
  flag === undefined ? undefined : Number(flag);

function registerServiceMetrics(metrics: Metrics, services: MetricSources['services']): void {
  metrics.gauges('location_reachable', '1 while peers can reach this location.', 'kind', () =>
    Object.fromEntries(services().map(({ kind, state }) => [kind, Number(state === 'reachable')])),
  );
  metrics.gauges('daemon_connected', '1 while Tor answers on its control port.', 'kind', () =>
    byKind(services(), ({ connected }) => Number(connected)),
  );
  metrics.gauges('daemon_bootstrap_percent', 'Progress of the start of Tor.', 'kind', () =>
    byKind(services(), ({ bootstrapPercent }) => bootstrapPercent),
  );
  metrics.gauges('daemon_circuits', '1 while Tor has a circuit through its network.', 'kind', () =>
    byKind(services(), ({ circuits }) => asNumber(circuits)),
  );
  metrics.gauges('daemon_network_live', '1 while Tor hears from its network.', 'kind', () =>
    byKind(services(), ({ networkLive }) => asNumber(networkLive)),
  );
}

/** Registers all other metrics; they are read on each request. */
export function registerDirectoryMetrics(metrics: Metrics, sources: MetricSources): void {
  const { directory, state, entered, services } = sources;
  registerServiceMetrics(metrics, services);
  const stats = (): DirectoryStats => directory.stats();
  for (const [key, name, help] of GAUGES) metrics.gauge(name, help, () => stats()[key]);
  for (const [key, name, help] of TOTALS) metrics.total(name, help, () => stats()[key]);
  for (const [key, name, label, help] of LABELLED) {
    metrics.totals(name, help, label, () => stats()[key]);
  }
  metrics.gauges('peers_by_queue', 'Peers with at most so many bytes waiting.', 'le', () =>
    peersByQueue(directory.queuedBytes()),
  );
  metrics.gauge('service_reachable', '1 while peers can reach this directory, else 0.', () =>
    state() === 'reachable' ? 1 : 0,
  );
  metrics.gauges('service_state', '1 for the state of the onion service now.', 'state', () =>
    Object.fromEntries(SERVICE_STATES.map((name) => [name, name === state() ? 1 : 0])),
  );
  metrics.totals(
    'service_state_entered_total',
    'How often the onion service entered a state.',
    'state',
    () => entered,
  );
}
