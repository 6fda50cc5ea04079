/** All limits of a directory (docs/protocol.md, section 14; `[DIRECTORY]` keys of `joinmarket.cfg`). */

/**
 * Times in milliseconds, sizes in bytes, rates per connection (per circuit if known). 0 means "no
 * limit" (times: "never") except for `maxUnhandshaked`, `handshakeTimeoutMs`, `writeStallTimeoutMs` and
 * `sendQueueBytes`, which are always positive (`Infinity`: none).
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
  /**
   * Public messages that are not `orderbook`. Messages over this or the following rates are dropped and
   * counted; ten times over one of them for a minute closes the connection.
   */
  readonly pubmsgPerMinute: number;
  readonly orderbookPerMinute: number;
  readonly privmsgPerSecond: number;
  readonly getpeerlistPerMinute: number;
  /**
   * Lines that parse but have no meaning. A line that does not parse closes the connection when this is
   * used up.
   */
  readonly junkPerMinute: number;
  /**
   * Deliveries of all peers together, shared by priority; see `budgets.ts`. Messages over it or over
   * the next limit wait and are not lost. Kinds whose own rate is 0 are exempt from both.
   */
  readonly deliveriesPerSecond: number;
  /** `orderbook` requests of all peers together that are relayed. */
  readonly orderbookPerSecond: number;
  /** Most connections of one Tor circuit, if circuits are known; further ones are closed. */
  readonly streamsPerCircuit: number;
}

export const DEFAULT_LIMITS: DirectoryLimits = {
  maxPeers: 10_000,
  maxUnhandshaked: 1_000,
  handshakeTimeoutMs: 30_000,
  heartbeatIntervalMs: 60_000,
  heartbeatIdleMs: 600_000,
  heartbeatPongWaitMs: 30_000,
  heartbeatEvictMs: 1_500_000,
  writeStallTimeoutMs: 30_000,
  sendQueueBytes: 4_194_304,
  pubmsgPerMinute: 60,
  orderbookPerMinute: 6,
  privmsgPerSecond: 100,
  getpeerlistPerMinute: 6,
  junkPerMinute: 10,
  deliveriesPerSecond: 1_000_000,
  orderbookPerSecond: 100,
  streamsPerCircuit: 16,
};
