/**
 * Every time and every bound of the peer side, with its unit and default (docs/protocol.md,
 * sections 4.4, 14 and 17). Nothing in `channel/` waits for ever or keeps anything without a bound.
 */

/** All in milliseconds. */
export interface ChannelTimings {
  /** Longest dial of a directory, Tor circuit included. */
  readonly directoryDialMs: number;
  /**
   * Likewise for the first dial after a session, or after our own Tor came back: it may hang on what
   * is left of the service that was there before. Each further one may take twice as long, up to
   * `directoryDialMs`.
   */
  readonly directoryRedialMs: number;
  /** From our 793 to the directory's 795. */
  readonly directoryHandshakeMs: number;
  /** Nothing heard from a directory that offers `ping` for this long: it is pinged. */
  readonly directoryIdleMs: number;
  /** A pinged directory that stays silent this long is given up. */
  readonly pongWaitMs: number;
  /** First wait before a directory is dialled again; each further one is `backoffFactor` longer. */
  readonly backoffFirstMs: number;
  readonly backoffFactor: number;
  readonly backoffMaxMs: number;
  /** A session that lasted this long starts the waits anew. */
  readonly stableSessionMs: number;
  /** `welcome` fires after this long when at least one directory is up. */
  readonly welcomeMs: number;
  /** Least time between two GETPEERLIST to one directory. */
  readonly peerlistMinMs: number;
  /** A peer that does not serve asks for the peer list again this often. */
  readonly peerlistRefreshMs: number;
  /** Longest dial of a peer. */
  readonly peerDialMs: number;
  /** From our 793 to the other peer's 793, in both directions. */
  readonly peerHandshakeMs: number;
  /** A background dial starts after a random wait up to this long. */
  readonly peerDialJitterMs: number;
  /** A peer whose dial failed is not dialled again in the background for this long. */
  readonly peerRetryMs: number;
  /** A direct link over which no message went for this long is closed. */
  readonly directIdleMs: number;
  /**
   * A link we dialled that brought no signed message of the peer this long after our first message
   * on it may end at somebody else: our messages then go by a directory too.
   */
  readonly proofWaitMs: number;
  /**
   * Least time between two `!orderbook` requests that we send over one direct link to prove its end. A
   * deployed maker answers once in 30 s there, and bans a peer that asks more often (section 14).
   */
  readonly proofAskMs: number;
  /**
   * A peer that has answered a ping on a link must answer the ping behind a message within this time.
   * One that never did is no longer asked then: some that list `ping` answer none on direct links.
   */
  readonly confirmWaitMs: number;
  /** The same message by another way within this time is a copy. */
  readonly duplicateMs: number;
  /**
   * Signatures of private messages from directories are checked, and their peer lists read, for this
   * long, then other work gets its turn: a book of 500 makers comes within a second and must not stop
   * everything else.
   */
  readonly checksTurnMs: number;
  /** A gone notice this soon after a message sends the message by another directory. */
  readonly rerouteMs: number;
  /** Bytes wait to be sent and none was taken for this long: the connection is given up. */
  readonly stallMs: number;
  /** Pubmsgs waiting for their turn survive a directory's absence this long. */
  readonly publishKeepMs: number;
  /** Likewise a waiting `!orderbook`. */
  readonly orderbookKeepMs: number;
  /** On `close`, longest wait for the overlay to withdraw the service. */
  readonly withdrawMs: number;
  /** On `close`, how long peers get to read what is queued. */
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
  // Less than a program gives one of its parts to stop.
  closeGraceMs: 1_500,
};

export interface ChannelLimits {
  /** Bytes that may wait to be sent on one connection; above it the connection is given up. */
  readonly sendQueueBytes: number;
  /** Lines that mean nothing, per connection and minute; one more closes it. */
  readonly junkPerMinute: number;
  /** Nicks remembered of each directory; the one it has not shown for longest is forgotten first. */
  readonly knownPeers: number;
  /** Direct links with a handshake, both directions together. */
  readonly directLinks: number;
  /** Direct links of one nick, both directions together. */
  readonly directLinksPerNick: number;
  /** Accepted connections without a handshake; the oldest is closed first. */
  readonly unhandshaked: number;
  /** Lines per second, and in one burst, read from a direct link; more wait, and then their sender. */
  readonly directMessagesPerSecond: number;
  readonly directMessageBurst: number;
  /**
   * Messages and pings per second, and in one burst, that we put on a direct link; more go another
   * way. Deployed peers take 5 and 20 and ignore the rest (docs/protocol.md, section 14).
   */
  readonly directSendsPerSecond: number;
  readonly directSendBurst: number;
  /**
   * Messages per second, and in one burst, of all direct links together whose signatures are
   * checked; more wait, each link in turn. A check takes 1 to 4 ms.
   */
  readonly directChecksPerSecond: number;
  readonly directCheckBurst: number;
  /**
   * Characters of the messages on one direct link that wait for proof of their arrival; above it the
   * oldest are taken as arrived. Small beside `sendQueueBytes`: all may be sent again at once. Also
   * the most that may wait for their turn on a link that is the only way.
   */
  readonly unconfirmedLength: number;
  /** Dials under way at any time. */
  readonly pendingDials: number;
  /** Of these, dials of peers; the rest is kept for directories. */
  readonly pendingPeerDials: number;
  /** Peers waiting for their dial; further ones are not dialled. */
  readonly waitingDials: number;
  /**
   * Pubmsgs per minute to one directory; more wait in the queue. Deployed directories disconnect
   * above 30, measured where they arrive, so this stays below (section 14, quirk Q15).
   */
  readonly pubmsgPerMinute: number;
  /** Likewise for `!orderbook`; the deployed limit is 3. */
  readonly orderbookPerMinute: number;
  /**
   * Private messages per second, and in one burst, to one directory; more wait. A directory takes 100
   * in a second and ignores the rest; what we said over 3 s may reach it in one moment.
   */
  readonly privmsgPerSecond: number;
  /** Characters of them that may wait; what is above goes by another directory. */
  readonly privmsgQueueLength: number;
  /** Pubmsgs waiting for their turn at one directory; further ones are refused. */
  readonly publishQueue: number;
  /** Public messages remembered to recognise copies, and as many private ones. */
  readonly rememberedMessages: number;
  /** Private messages remembered so that none of them proves a direct link later. */
  readonly rememberedProofs: number;
  /** Messages remembered in case a gone notice comes back. */
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
