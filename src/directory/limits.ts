/**
 * Every bound of a directory, in one place (docs/protocol.md, section 14; `[DIRECTORY]` keys of
 * `joinmarket.cfg`).
 */

/**
 * Times in milliseconds, sizes in bytes, rates per connection (per circuit where it is known). 0 means "no limit" (times: "never")
 * except for `maxUnhandshaked`, `handshakeTimeoutMs`, `writeStallTimeoutMs` and `sendQueueBytes`,
 * which are always positive (`Infinity`: none).
 */
export interface DirectoryLimits {
  /** Handshaked peers; above it a newcomer gets 795 `accepted: false` and is closed. */
  readonly maxPeers: number;
  /** Connections without a handshake; above it the oldest of them is closed. */
  readonly maxUnhandshaked: number;
  /** From accept to a complete 793. */
  readonly handshakeTimeoutMs: number;
  /** How often silent peers are looked for. */
  readonly heartbeatIntervalMs: number;
  /** Silence after which a peer is probed. */
  readonly heartbeatIdleMs: number;
  /** From a ping to the eviction of a peer that says nothing. */
  readonly heartbeatPongWaitMs: number;
  /** Silence after which a maker that cannot be pinged, and ignored its probes, is evicted. */
  readonly heartbeatEvictMs: number;
  /** Bytes are queued and none drained for this long: evicted. */
  readonly writeStallTimeoutMs: number;
  /** Most bytes a peer may owe its reader before it is evicted. */
  readonly sendQueueBytes: number;
  /**
   * Public messages that are not `orderbook`. Over this and the following rates: dropped and counted;
   * ten times over one for a minute: closed.
   */
  readonly pubmsgPerMinute: number;
  readonly orderbookPerMinute: number;
  readonly privmsgPerSecond: number;
  readonly getpeerlistPerMinute: number;
  /** Lines that parse but mean nothing; a line that does not parse closes once this is used up. */
  readonly junkPerMinute: number;
  /**
   * Deliveries of all peers together, shared by priority; see `budgets.ts`. What is over it and the
   * next one waits, and is not lost. Kinds whose own rate is 0 are not held to either.
   */
  readonly deliveriesPerSecond: number;
  /** `orderbook` requests of all peers together that are relayed. */
  readonly orderbookPerSecond: number;
  /** Connections of one Tor circuit, where circuits are known; further ones are closed. */
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
