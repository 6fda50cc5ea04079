/**
 * The counters of a directory. Numbers only: no nick, no onion, no text of a message. Every name exists
 * from the start with 0, so that no metric appears later.
 */
import type { NickAuthCode } from '../protocol/nick-auth.js';

/** Kinds of lines, for counting received and delivered ones. */
const NO_MESSAGES = {
  pubmsg: 0,
  orderbook: 0,
  privmsg: 0,
  peerlist: 0,
  getpeerlist: 0,
  handshake: 0,
  ping: 0,
  pong: 0,
  other: 0,
};
export type MessageClass = keyof typeof NO_MESSAGES;

/** Why a handshake was refused. The `handshake-...` reasons get no answer, the others a 795. */
const NO_REJECTIONS = {
  'handshake-json': 0,
  'handshake-keys': 0,
  'handshake-types': 0,
  'handshake-nick': 0,
  'app-name': 0,
  'directory-flag': 0,
  'proto-ver': 0,
  network: 0,
  location: 0,
  'own-location': 0,
  'nick-in-use': 0,
  full: 0,
  /** It does not list `nick_auth`, which is required. */
  'nick-auth': 0,
  /** The operator banned its nick or onion. */
  banned: 0,
};
export type RejectionReason = keyof typeof NO_REJECTIONS;

/** Results of nick challenges. */
const NO_NICK_AUTHS: Record<NickAuthCode, number> = {
  ok: 0,
  malformed: 0,
  expired: 0,
  invalid: 0,
  policy: 0,
};

/** Why a line of a ready peer, or of one that waits for its nick, was dropped. */
const NO_DROPS = {
  /** Not JSON, or not an envelope. */
  malformed: 0,
  /** A type that peers do not send. */
  'unknown-type': 0,
  'second-handshake': 0,
  /** Sent by a peer whose handshake was not answered yet. */
  'before-handshake': 0,
  /** Its `from` is not the connection's nick. */
  'spoofed-from': 0,
  /** Fewer than two `!`, or no text after them. */
  route: 0,
  /** A 687 to a nick, or a public 685. */
  'type-mismatch': 0,
  /** The relayed line would have more than 40,000 bytes. */
  'too-long': 0,
  'to-directory': 0,
  'to-self': 0,
  /** The addressee is not connected; the sender got a gone notice now or recently. */
  absent: 0,
  /** The addressee has not taken earlier messages yet; the sender got a gone notice. */
  'target-busy': 0,
  'rate-pubmsg': 0,
  'rate-orderbook': 0,
  'rate-privmsg': 0,
  'rate-conversation': 0,
  'rate-getpeerlist': 0,
  'rate-ping': 0,
  /** Over the budget of all peers together, and no room to wait. */
  'budget-offer': 0,
  'budget-orderbook': 0,
  'budget-other': 0,
  'budget-privmsg': 0,
  'budget-peerlist': 0,
  /** A waiting request that was followed by an equal one. */
  repeated: 0,
  /** The requester has not taken earlier answers yet. */
  'getpeerlist-busy': 0,
};
export type DropReason = keyof typeof NO_DROPS;

/** Why a connection ended. */
const NO_CLOSES = {
  /** The other side or the network closed it. */
  'closed-by-peer': 0,
  /** It sent 801. */
  'disconnect-message': 0,
  rejected: 0,
  /** It did not prove its nick when asked. */
  'nick-auth': 0,
  'handshake-timeout': 0,
  'unhandshaked-limit': 0,
  /** Its Tor circuit has too many connections already. */
  'circuit-streams': 0,
  /** Its first line was not a handshake. */
  'not-a-handshake': 0,
  'not-utf8': 0,
  oversize: 0,
  malformed: 0,
  'spoofed-from': 0,
  rate: 0,
  /** Bytes were queued and none drained for too long. */
  'write-stall': 0,
  /** More than `sendQueueBytes` were queued for it. */
  lag: 0,
  'no-pong': 0,
  /** A maker that cannot be pinged ignored its liveness probes. */
  'silent-maker': 0,
  /** It showed no life when another connection claimed its nick. */
  'nick-reclaimed': 0,
  /** Another peer claimed its nick and was verified by location or key, which it was not. */
  'nick-displaced': 0,
  /** The operator closed it. */
  kicked: 0,
  shutdown: 0,
};
export type CloseReason = keyof typeof NO_CLOSES;

export type Counters<K extends string> = Readonly<Record<K, number>>;

/** Figures of one flush, for histograms; reported once per flush, whatever the number of peers. */
export interface FlushReport {
  /** Broadcast bytes since the flush before. */
  readonly bytes: number;
  /** Broadcast bytes not yet written to the slowest peer. */
  readonly lagBytes: number;
  /** Broadcast bytes in memory afterwards. */
  readonly keptBytes: number;
  /** Duration of the flush, in milliseconds of the clock. */
  readonly tookMs: number;
}

/** The counters of a directory. */
export interface DirectoryStats {
  /** Current value: peers that have completed their handshake. */
  readonly peers: number;
  /** Current value: connections, with and without a handshake. */
  readonly connections: number;
  /** Current value: connections without a handshake. */
  readonly unhandshaked: number;
  /** Newcomers that wait for a nick. */
  readonly nickClaims: number;
  /** Public messages that wait for the budget. */
  readonly waitingMessages: number;
  /** Tor circuits remembered. */
  readonly circuits: number;
  /** Broadcast bytes kept for peers that have not taken them yet. */
  readonly logBytes: number;
  /** Bans of the operator in force. */
  readonly bans: number;
  /** Since the start: connections accepted. */
  readonly connectionsAccepted: number;
  /** Since the start: handshakes accepted. */
  readonly handshakesAccepted: number;
  /** Since the start: handshakes refused, by reason. */
  readonly handshakesRejected: Counters<RejectionReason>;
  /** Results of nick challenges. */
  readonly nickAuth: Counters<NickAuthCode>;
  /** Lines read from ready peers, and handshakes. */
  readonly messagesIn: Counters<MessageClass>;
  /** Deliveries: a broadcast to 100 peers counts 100. */
  readonly messagesOut: Counters<MessageClass>;
  /** Since the start: lines that were dropped, by reason. */
  readonly dropped: Counters<DropReason>;
  /** Since the start: connections that ended, by reason. */
  readonly closed: Counters<CloseReason>;
  /** Since the start: peers whose departure was announced to all. */
  readonly leavesAnnounced: number;
  /** Since the start: notices to a sender that the addressee is not connected. */
  readonly goneNotices: number;
  /** Public messages that had to wait for the budget. */
  readonly delayed: number;
  /** Locations dialled (dial-back), and those that answered with the declared nick. */
  readonly dialBacks: number;
  /** Locations at which the declared nick answered. */
  readonly dialBacksVerified: number;
  /** Since the start: probes of a peer whose nick another connection asked for. */
  readonly nickProbes: number;
  /** Since the start: probes of makers that cannot be pinged. */
  readonly heartbeatProbes: number;
  /** Since the start: bytes read from connections. */
  readonly bytesIn: number;
  /** Bytes written to connections. */
  readonly bytesOut: number;
  /** Since the start: flushes of broadcasts. */
  readonly flushes: number;
  /** Since the start: writes to connections. */
  readonly writes: number;
}

type Mutable<T> = {
  -readonly [K in keyof T]: T[K] extends number ? number : MutableCounters<T[K]>;
};
type MutableCounters<T> = { -readonly [K in keyof T]: number };

/** The counters that only grow; the rest of `DirectoryStats` is read from the directory. */
export type Tally = Mutable<
  Omit<
    DirectoryStats,
    | 'peers'
    | 'connections'
    | 'unhandshaked'
    | 'nickClaims'
    | 'waitingMessages'
    | 'circuits'
    | 'logBytes'
    | 'bans'
  >
>;

export function createTally(): Tally {
  return {
    connectionsAccepted: 0,
    handshakesAccepted: 0,
    handshakesRejected: { ...NO_REJECTIONS },
    nickAuth: { ...NO_NICK_AUTHS },
    messagesIn: { ...NO_MESSAGES },
    messagesOut: { ...NO_MESSAGES },
    dropped: { ...NO_DROPS },
    closed: { ...NO_CLOSES },
    leavesAnnounced: 0,
    goneNotices: 0,
    delayed: 0,
    dialBacks: 0,
    dialBacksVerified: 0,
    nickProbes: 0,
    heartbeatProbes: 0,
    bytesIn: 0,
    bytesOut: 0,
    flushes: 0,
    writes: 0,
  };
}

/** A copy that does not change any more. */
export function copyTally(tally: Tally): Tally {
  return {
    ...tally,
    handshakesRejected: { ...tally.handshakesRejected },
    nickAuth: { ...tally.nickAuth },
    messagesIn: { ...tally.messagesIn },
    messagesOut: { ...tally.messagesOut },
    dropped: { ...tally.dropped },
    closed: { ...tally.closed },
  };
}
