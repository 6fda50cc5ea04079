/**
 * Every limit of a directory, in one place (docs/protocol.md, section 14): what the code reads, how
 * `[DIRECTORY]` of `joinmarket.cfg` writes it, and the sentence that explains it there and in
 * docs/directory.md. `npm run limits` writes both files; a test compares them with this table.
 */

/**
 * Times in milliseconds, sizes in bytes, rates per connection (per circuit where it is known). 0 means "no
 * limit" (times: "never") except for `maxUnhandshaked`, `handshakeTimeoutMs`, `writeStallTimeoutMs` and
 * `sendQueueBytes`, which are always positive (`Infinity`: no limit).
 */
export interface DirectoryLimits {
  /** Most ready peers; above it a newcomer gets 795 `accepted: false` and is closed. */
  readonly maxPeers: number;
  /** Most connections without a handshake; above it the oldest of them is closed. */
  readonly maxUnhandshaked: number;
  /** From accept to a complete 793. */
  readonly handshakeTimeoutMs: number;
  /** Interval at which silent peers are searched for. */
  readonly heartbeatIntervalMs: number;
  /** Silence after which a peer is probed. */
  readonly heartbeatIdleMs: number;
  /** From a ping to the eviction of a peer that sends nothing. */
  readonly heartbeatPongWaitMs: number;
  /** Silence after which a maker is evicted that cannot be pinged and ignored its liveness probes. */
  readonly heartbeatEvictMs: number;
  /** A peer with queued bytes of which none drained for this long is evicted. */
  readonly writeStallTimeoutMs: number;
  /** Most bytes queued for a peer before it is evicted. */
  readonly sendQueueBytes: number;
  /** Public messages of one peer that are not `orderbook`; for rates and their excess see `rates.ts`. */
  readonly pubmsgPerMinute: number;
  /** `orderbook` requests of one peer. */
  readonly orderbookPerMinute: number;
  /** Private messages of one peer. */
  readonly privmsgPerSecond: number;
  /** Requests of one peer for the peer list. */
  readonly getpeerlistPerMinute: number;
  /**
   * Lines of one peer that parse but have no meaning. A line that does not parse closes the connection when this is
   * used up.
   */
  readonly junkPerMinute: number;
  /**
   * Deliveries of all peers together, shared by priority; see `budgets.ts`. Public messages over it wait.
   * Kinds without a rate for one peer are exempt.
   */
  readonly deliveriesPerSecond: number;
  /** `orderbook` requests of all peers together that are relayed; further ones wait. */
  readonly orderbookPerSecond: number;
  /** Most connections of one Tor circuit, if circuits are known; further ones are closed. */
  readonly streamsPerCircuit: number;
}

/** How a limit is written: `seconds` become milliseconds, and `endless` ones are Infinity when 0 is written. */
export interface LimitRow {
  /** In `[DIRECTORY]`. */
  readonly key: string;
  readonly unit: 'count' | 'bytes' | 'seconds' | 'positive seconds';
  /** As written in the file. */
  readonly fallback: number;
  /** Of a count or of bytes; seconds go up to a week. */
  readonly least?: number;
  readonly most?: number;
  readonly endless?: true;
  /** For operators. */
  readonly meaning: string;
}

/**
 * Longest time that a public message waits for others, in milliseconds: at 5 messages a second half of
 * the writes, and Tor's cells are full at 20 (docs/performance.md).
 */
export const DEFAULT_PUBLIC_WINDOW_MS = 250;

const MILLION = 1_000_000;
/** The same for each rate of one peer. */
const ABOVE_RATE =
  'Further ones are dropped and counted; ten times this rate for a minute closes the connection.';
/** One full line with its terminator must always fit into a peer's send queue. */
const MIN_SEND_QUEUE = 40_000;

const TABLE = {
  maxPeers: {
    key: 'max_peers',
    unit: 'count',
    fallback: 10_000,
    most: MILLION,
    meaning:
      'Peers at a time; in a cluster those of all nodes together. A further one gets a refusal with the reason, and is disconnected.',
  },
  maxUnhandshaked: {
    key: 'max_unhandshaked',
    unit: 'count',
    fallback: 1_000,
    most: MILLION,
    endless: true,
    meaning:
      'Connections without a handshake. The oldest is closed first. When many peers connect at once, for example after a restart, four times as many are allowed, for two seconds each.',
  },
  handshakeTimeoutMs: {
    key: 'handshake_timeout_sec',
    unit: 'seconds',
    fallback: 30,
    endless: true,
    meaning: 'Time from the connection to a complete handshake.',
  },
  heartbeatIntervalMs: {
    key: 'heartbeat_interval_sec',
    unit: 'seconds',
    fallback: 60,
    meaning: 'Time between two searches for silent peers.',
  },
  heartbeatIdleMs: {
    key: 'heartbeat_idle_sec',
    unit: 'seconds',
    fallback: 600,
    meaning: 'Silence after which a peer gets a liveness probe.',
  },
  heartbeatPongWaitMs: {
    key: 'heartbeat_pong_wait_sec',
    unit: 'seconds',
    fallback: 30,
    meaning: 'Time in which a peer that supports ping must answer.',
  },
  heartbeatEvictMs: {
    key: 'heartbeat_evict_sec',
    unit: 'seconds',
    fallback: 1_500,
    meaning: 'Silence after which a peer that does not support ping is closed.',
  },
  writeStallTimeoutMs: {
    key: 'write_stall_timeout_sec',
    unit: 'positive seconds',
    fallback: 30,
    meaning: 'A peer that takes no byte of its waiting messages for this long is closed. Never 0.',
  },
  sendQueueBytes: {
    key: 'send_queue_bytes',
    unit: 'bytes',
    fallback: 4_194_304,
    least: MIN_SEND_QUEUE,
    most: 1_073_741_824,
    meaning:
      'Bytes that may wait for one peer. A peer that lags further behind is closed. Never 0; at least 40000, one full line. Private messages fill at most a quarter of it, and three quarters in a running conversation. The sender of a private message that does not fit gets a gone notice.',
  },
  pubmsgPerMinute: {
    key: 'pubmsg_per_minute',
    unit: 'count',
    fallback: 60,
    most: MILLION,
    meaning: `Public messages of one peer, except requests for all offers. ${ABOVE_RATE}`,
  },
  orderbookPerMinute: {
    key: 'orderbook_per_minute',
    unit: 'count',
    fallback: 6,
    most: MILLION,
    meaning: `Requests of one peer for all offers (!orderbook). ${ABOVE_RATE}`,
  },
  privmsgPerSecond: {
    key: 'privmsg_per_second',
    unit: 'count',
    fallback: 100,
    most: MILLION,
    meaning: `Private messages of one peer; ten times as many may come at once, because a path may hold messages back. In a cluster, further connections of the peer may use a tenth more, together. ${ABOVE_RATE}`,
  },
  getpeerlistPerMinute: {
    key: 'getpeerlist_per_minute',
    unit: 'count',
    fallback: 6,
    most: MILLION,
    meaning: `Requests of one peer for the peer list. ${ABOVE_RATE}`,
  },
  junkPerMinute: {
    key: 'junk_per_minute',
    unit: 'count',
    fallback: 10,
    most: MILLION,
    meaning:
      'Lines of one peer that can be parsed and have no meaning. All of them are dropped and counted; ten times this rate for a minute closes the connection. A line that cannot be parsed closes it when the rate is used up.',
  },
  deliveriesPerSecond: {
    key: 'deliveries_per_second',
    unit: 'count',
    fallback: MILLION,
    most: 1_000_000_000,
    meaning:
      'Deliveries to all peers together: one message to 100 peers counts 100, and 30 for its own handling. Public messages above this limit wait in a queue that is fair between peers, with old and verified peers first; they are dropped when the queue is full. Private messages of a running conversation always pass. Offers use at most three quarters of this limit, requests for all offers a half, other public messages a quarter: the rest is reserved for more important messages. A kind of message that has no rate for one peer (0) is exempt.',
  },
  orderbookPerSecond: {
    key: 'orderbook_per_second',
    unit: 'count',
    fallback: 100,
    most: MILLION,
    meaning:
      'Requests of all peers together for all offers (!orderbook): each one makes every maker answer. Further ones wait in a fair queue, as those above deliveries_per_second. Without a rate for one peer (orderbook_per_minute = 0), requests are exempt.',
  },
  streamsPerCircuit: {
    key: 'streams_per_circuit',
    unit: 'count',
    fallback: 16,
    most: MILLION,
    meaning:
      'Connections of one Tor circuit, which belongs to one client. The directory knows circuits only when it starts its own Tor (tor_mode = managed); the rates of one peer then count per circuit.',
  },
} as const satisfies Record<keyof DirectoryLimits, LimitRow>;

export type LimitKey = (typeof TABLE)[keyof typeof TABLE]['key'];

/** The table, in the order of the file. */
export const LIMIT_ROWS: readonly (LimitRow & { readonly key: LimitKey })[] = Object.values(TABLE);

function inUnits(row: LimitRow, written: number): number {
  if (written === 0 && row.endless === true) return Infinity;
  return row.unit === 'seconds' || row.unit === 'positive seconds' ? written * 1_000 : written;
}

/** The limits in the directory's own units. @param written gives the number in the file for a key */
export function limitsFrom(written: (key: LimitKey) => number): DirectoryLimits {
  const entries = Object.entries(TABLE).map(([name, row]) => [
    name,
    inUnits(row, written(row.key)),
  ]);
  // One entry for each key of the table, which has exactly the keys of DirectoryLimits.
  // oxlint-disable-next-line no-unsafe-type-assertion
  return Object.fromEntries(entries) as DirectoryLimits;
}

/** A limit in force, as the file would write it. */
export interface LimitInForce {
  readonly key: LimitKey;
  /** In `unit`; 0: no limit. */
  readonly value: number;
  readonly unit: 'count' | 'bytes' | 'seconds';
  readonly fallback: number;
  readonly meaning: string;
}

/** All limits in the units of the file, in its order. */
export function limitsInForce(limits: DirectoryLimits): readonly LimitInForce[] {
  const values = new Map(Object.entries<number>({ ...limits }));
  return Object.entries<LimitRow & { readonly key: LimitKey }>(TABLE).map(([name, row]) => {
    const { key, fallback, meaning } = row;
    const unit = row.unit === 'positive seconds' ? 'seconds' : row.unit;
    const value = values.get(name) ?? 0;
    const written = value === Infinity ? 0 : unit === 'seconds' ? value / 1_000 : value;
    return { key, value: written, unit, fallback, meaning };
  });
}

const fallbackOf = new Map<LimitKey, number>(
  LIMIT_ROWS.map(({ key, fallback }) => [key, fallback]),
);

/** The default limits. */
export const DEFAULT_LIMITS: DirectoryLimits = limitsFrom((key) => fallbackOf.get(key) ?? 0);
