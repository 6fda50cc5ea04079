/**
 * The counters of a directory. Numbers only: no nick, no onion, no text of a message. Every name exists
 * from the start with 0, so that no metric appears later.
 */
import type { NickAuthCode } from '../protocol/nick-auth.js';
import {
  DIRECT_CLASSES,
  LINE_CLASSES,
  PUBLIC_CLASSES,
  RATE_CLASSES,
  type LineClass,
} from './message-classes.js';

/** One counter for each name. */
function zeros<K extends string>(names: readonly K[]): Record<K, number> {
  // Object.fromEntries has no type for known names.
  // oxlint-disable-next-line no-unsafe-type-assertion
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<K, number>;
}

const NO_LINES = zeros(LINE_CLASSES);

/** Reasons to refuse a handshake. The `handshake-...` reasons get no answer, the others a 795. */
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
  /** It declares a host that is not its own, as the overlay knows. */
  'foreign-location': 0,
  'nick-in-use': 0,
  full: 0,
  /** It does not list `nick_auth`, which is required. */
  'nick-auth': 0,
  /** The operator banned its nick or onion. */
  banned: 0,
  /** The directory is private, and it showed no code. */
  private: 0,
  /** The code for the private directory is not valid. */
  code: 0,
  /** The code, or its address, is over a limit. */
  'code-limited': 0,
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

/** Reasons to drop a line of a ready peer, or of one that waits for its nick. */
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
  /** `rate-...`: over the peer's own rate. Junk has the reasons above. */
  ...zeros(RATE_CLASSES.filter((name) => name !== 'junk').map((name) => `rate-${name}` as const)),
  /** `budget-...`: over the budget of all peers together, and no room to wait. */
  ...zeros([...PUBLIC_CLASSES, ...DIRECT_CLASSES].map((name) => `budget-${name}` as const)),
  /** A waiting request that was followed by an equal one. */
  repeated: 0,
  /** The requester has not taken earlier answers yet. */
  'getpeerlist-busy': 0,
  /** The requester has not taken earlier chunks yet, or all peers together ask for too many; it was told. */
  'getdirlist-busy': 0,
};
export type DropReason = keyof typeof NO_DROPS;

/** Reasons for the end of a connection. */
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
  /** Its first line was a PROXY line of Tor, which is read only where the program set it up. */
  'proxy-line': 0,
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
  /** Its code for the private directory was revoked or has expired. */
  'code-ended': 0,
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
  readonly messagesIn: Counters<LineClass>;
  /** Deliveries: a broadcast to 100 peers counts 100. */
  readonly messagesOut: Counters<LineClass>;
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
    messagesIn: { ...NO_LINES },
    messagesOut: { ...NO_LINES },
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
