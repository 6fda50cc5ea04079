/**
 * Every timeout and limit of a peer, with unit and default (docs/protocol.md, sections 4.4, 14 and 17).
 * Every wait in `channel/` has a timeout, and every collection a bound.
 */

/** All in milliseconds. */
export interface ChannelTimings {
  /** Longest dial of a directory, with Tor's circuit. */
  readonly directoryDialMs: number;
  /**
   * Longest first dial after a session, or after our own Tor came back: it may hang on a remainder of
   * the earlier service. Each further dial may take twice as long, up to `directoryDialMs`.
   */
  readonly directoryRedialMs: number;
  /** From our 793 to the directory's 795. */
  readonly directoryHandshakeMs: number;
  /** Silence of a directory that lists `ping` after which it is pinged. */
  readonly directoryIdleMs: number;
  /** A pinged directory that stays silent this long is disconnected. */
  readonly pongWaitMs: number;
  /** First wait before a directory is dialled again; each further wait is `backoffFactor` longer. */
  readonly backoffFirstMs: number;
  /** Each further wait is longer by this factor; not a time. */
  readonly backoffFactor: number;
  /** Longest wait before a directory is dialled again. */
  readonly backoffMaxMs: number;
  /** After a session of this length the waits start again with the first. */
  readonly stableSessionMs: number;
  /** `welcome` fires after this long when at least one directory is connected. */
  readonly welcomeMs: number;
  /** Least time between two GETPEERLIST to one directory. */
  readonly peerlistMinMs: number;
  /** Interval at which a peer without a location asks for the peer list. */
  readonly peerlistRefreshMs: number;
  /** Longest dial of a peer. */
  readonly peerDialMs: number;
  /** From our 793 to the other peer's 793, in both directions. */
  readonly peerHandshakeMs: number;
  /** A background dial starts after a random wait up to this long. */
  readonly peerDialJitterMs: number;
  /** After a failed dial a peer is not dialled again in the background for this long. */
  readonly peerRetryMs: number;
  /** A direct link without messages for this long is closed. */
  readonly directIdleMs: number;
  /**
   * A link that we dialled and on which no signed message of the peer came this long after our first
   * message may lead to another peer: our messages then also go through a directory.
   */
  readonly proofWaitMs: number;
  /**
   * Least time between two `!orderbook` requests that we send on one direct link to prove its end. A
   * deployed maker answers once in 30 s there, and bans a peer that asks more often (section 14).
   */
  readonly proofAskMs: number;
  /**
   * A peer that answered a ping on a link must answer the ping after a message within this time. A peer
   * that never did is not pinged again: some that list `ping` do not answer on direct links.
   */
  readonly confirmWaitMs: number;
  /** The same message within this time is a copy. */
  readonly duplicateMs: number;
  /**
   * After this long of handling private messages and reading peer lists, other work gets a turn: a book of
   * 500 makers arrives within a second and must not block everything else.
   */
  readonly checksTurnMs: number;
  /**
   * When a gone notice comes this soon after a message, the message is sent through another directory.
   */
  readonly rerouteMs: number;
  /** Bytes are queued and none was taken for this long: the connection is closed. */
  readonly stallMs: number;
  /** How long queued public messages are kept while a directory is away. */
  readonly publishKeepMs: number;
  /** How long a queued `!orderbook` is kept. */
  readonly orderbookKeepMs: number;
  /** On `close`, longest wait for the overlay to withdraw the service. */
  readonly withdrawMs: number;
  /** On `close`, how long peers may take to read what is queued. */
  readonly closeGraceMs: number;
}

export const DEFAULT_TIMINGS: ChannelTimings = {
  directoryDialMs: 120_000,
  directoryRedialMs: 30_000,
  directoryHandshakeMs: 60_000,
  directoryIdleMs: 300_000,
  pongWaitMs: 30_000,
  backoffFirstMs: 4_000,
  backoffFactor: 1.5,
  backoffMaxMs: 3_600_000,
  stableSessionMs: 60_000,
  welcomeMs: 60_000,
  peerlistMinMs: 60_000,
  peerlistRefreshMs: 300_000,
  peerDialMs: 120_000,
  peerHandshakeMs: 30_000,
  peerDialJitterMs: 500,
  peerRetryMs: 60_000,
  directIdleMs: 600_000,
  proofWaitMs: 3_000,
  proofAskMs: 60_000,
  confirmWaitMs: 15_000,
  duplicateMs: 30_000,
  checksTurnMs: 2,
  rerouteMs: 10_000,
  stallMs: 30_000,
  publishKeepMs: 600_000,
  orderbookKeepMs: 60_000,
  withdrawMs: 3_000,
  // Less than the time that a program gives one of its parts to stop.
  closeGraceMs: 1_500,
};

/** The limits of a peer. */
export interface ChannelLimits {
  /** Most bytes queued on one connection; above it the connection is closed. */
  readonly sendQueueBytes: number;
  /** Lines without a meaning per connection and minute; one more closes it. */
  readonly junkPerMinute: number;
  /** Nicks remembered of each directory; the one not shown for longest is forgotten first. */
  readonly knownPeers: number;
  /** Most direct links after their handshake, both directions together. */
  readonly directLinks: number;
  /** Most direct links of one nick, both directions together. */
  readonly directLinksPerNick: number;
  /** Most accepted connections without a handshake; the oldest is closed first. */
  readonly unhandshaked: number;
  /**
   * Lines per second, and in one burst, read from a direct link; more wait, and the connection is not
   * read meanwhile.
   */
  readonly directMessagesPerSecond: number;
  /** Most lines read at once from a direct link. */
  readonly directMessageBurst: number;
  /**
   * Messages and pings per second, and in one burst, that we send on a direct link; more take another
   * route. Deployed peers read 5 and 20 and ignore the rest (docs/protocol.md, section 14).
   */
  readonly directSendsPerSecond: number;
  /** Most messages and pings sent at once on a direct link. */
  readonly directSendBurst: number;
  /**
   * Messages per second, and in one burst, of all direct links together whose signatures are checked;
   * more wait, and links take turns. A check takes 1 to 4 ms.
   */
  readonly directChecksPerSecond: number;
  /** Most signatures of direct messages checked at once. */
  readonly directCheckBurst: number;
  /**
   * Characters of the messages on one direct link whose arrival is not confirmed; above it the oldest
   * count as arrived. Small compared with `sendQueueBytes`, since all may be sent again at once. Also
   * the most that may be queued on a link that is the only route.
   */
  readonly unconfirmedLength: number;
  /** Most simultaneous dials. */
  readonly pendingDials: number;
  /** Most simultaneous dials of peers; the rest is for directories. */
  readonly pendingPeerDials: number;
  /** Most peers waiting for their dial; further ones are not dialled. */
  readonly waitingDials: number;
  /**
   * Public messages per minute to one directory; more wait in the queue. Deployed directories
   * disconnect above 30, measured on arrival, so this is lower (section 14, quirk Q15).
   */
  readonly pubmsgPerMinute: number;
  /** `!orderbook` requests per minute to one directory; the deployed limit is 3. */
  readonly orderbookPerMinute: number;
  /**
   * Private messages per second, and in one burst, to one directory; more wait. A directory ignores those
   * above 1,000 at once and 100 a second; messages that a path holds back arrive at once.
   */
  readonly privmsgPerSecond: number;
  /** Characters of them that may wait; more go through another directory. */
  readonly privmsgQueueLength: number;
  /** Public messages waiting for one directory; further ones are refused. */
  readonly publishQueue: number;
  /** Public messages remembered to recognise copies, and as many private ones. */
  readonly rememberedMessages: number;
  /** Private messages remembered, because a repeated one does not prove a direct link. */
  readonly rememberedProofs: number;
  /** Messages remembered in case a gone notice follows. */
  readonly reroutable: number;
}

export const DEFAULT_LIMITS: ChannelLimits = {
  sendQueueBytes: 1_048_576,
  junkPerMinute: 10,
  knownPeers: 20_000,
  directLinks: 200,
  directLinksPerNick: 3,
  unhandshaked: 50,
  directMessagesPerSecond: 30,
  directMessageBurst: 150,
  directSendsPerSecond: 4,
  directSendBurst: 15,
  directChecksPerSecond: 60,
  directCheckBurst: 100,
  unconfirmedLength: 262_144,
  pendingDials: 8,
  pendingPeerDials: 6,
  waitingDials: 100,
  pubmsgPerMinute: 25,
  orderbookPerMinute: 3,
  privmsgPerSecond: 25,
  privmsgQueueLength: 262_144,
  publishQueue: 100,
  rememberedMessages: 20_000,
  rememberedProofs: 5_000,
  reroutable: 256,
};

/** Settings with every value present. */
export interface ChannelSettings {
  readonly timings: ChannelTimings;
  readonly limits: ChannelLimits;
}
