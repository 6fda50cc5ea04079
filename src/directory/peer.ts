/**
 * One record per connection. The registry owns it and frees it in one place; everything else that
 * knows a peer (nick, reclaim, outbox) hangs off this record.
 */
import type { Connection } from '../channel/ports.js';
import { createLineFramer, type LineFramer } from '../protocol/line-framer.js';
import { NOT_SERVING, type DeclaredLocation } from '../protocol/location.js';
import type { NickAuthChallenge, NickAuthProof } from '../protocol/nick-auth.js';
import type { Circuit } from './entry/circuits.js';
import type { Outbox } from './fanout/outbox.js';
import type { Meters } from './rates.js';
import type { Tally } from './stats.js';

/**
 * - `new`: no handshake yet
 * - `waiting`: its nick is held by another connection, which is being probed
 * - `proving`: it was asked to prove its nick; see `nick-proofs.ts`
 * - `ready`: handshaked
 * - `ending`: was refused; the answer is on its way, nothing is read any more
 * - `gone`: freed
 */
export type PeerState = 'new' | 'waiting' | 'proving' | 'ready' | 'ending' | 'gone';

/** A challenge that is open (`nick-proofs.ts`); hangs off the peer's record, and is freed with it. */
export interface Proving {
  readonly challenge: NickAuthChallenge;
  /** The 793 payload as it came; the proof covers it. */
  readonly handshake: string;
  readonly askedAt: number;
  /** Came, and waits to be checked. */
  proof: NickAuthProof | undefined;
}

/** Whom a peer wrote to, and when last; the oldest first (`conversations.ts`). */
export interface Partners {
  /** No answer came yet. */
  readonly addressed: Map<string, number>;
  /** Both have written. */
  readonly mutual: Map<string, number>;
}

export interface Peer {
  readonly connection: Connection;
  readonly outbox: Outbox;
  /** Cuts what it says into lines. */
  readonly framer: LineFramer;
  state: PeerState;
  /** When it was accepted; clock milliseconds, as all times here. */
  readonly acceptedAt: number;
  /** Empty until it has handshaked. */
  nick: string;
  location: DeclaredLocation;
  /** Features it offered, sorted. */
  features: readonly string[];
  canPing: boolean;
  wantsFeatures: boolean;
  /** Place in the registry's list of ready peers. */
  slot: number;
  /** Its number among all that ever became ready; 0 until then. */
  arrival: number;
  /** When its last line came. */
  heardAt: number;
  /** When it was sent a ping that nothing has followed yet; undefined when none is open. */
  pingedAt: number | undefined;
  /** Pings it was sent and has not answered by a pong; those that it answers cost it nothing. */
  pongsDue: number;
  /** When it was last asked for its offers by the heartbeat. */
  probedAt: number | undefined;
  /** Another connection asks for its nick. */
  claimed: boolean;
  /** Its location was dialled and answered by its nick; see `dial-back.ts`. */
  verified: boolean;
  /** The challenge it was given, while that is open. */
  proving: Proving | undefined;
  /** The key of its nick, proved on this connection; 66 hex digits. */
  provenKey: string | undefined;
  /** The Tor circuit it came by, where the overlay tells it. */
  readonly circuit: Circuit | undefined;
  meters: Meters | undefined;
  /** Some message of it may wait in a queue; see `budgets.ts`. */
  waits: boolean;
  /** Whom it talks with; see `conversations.ts`. */
  partners: Partners | undefined;
  /** Messages under another's name. */
  spoofs: number;
  /** Absent addressees it was told about, and when; see `gone.ts`. */
  goneTold: Map<string, number> | undefined;
}

const NO_FEATURES: readonly string[] = [];

export function createPeer(
  connection: Connection,
  outbox: Outbox,
  circuit: Circuit | undefined,
  now: number,
): Peer {
  return {
    connection,
    outbox,
    framer: createLineFramer(),
    state: 'new',
    acceptedAt: now,
    nick: '',
    location: NOT_SERVING,
    features: NO_FEATURES,
    canPing: false,
    wantsFeatures: false,
    slot: -1,
    arrival: 0,
    heardAt: now,
    pingedAt: undefined,
    pongsDue: 0,
    probedAt: undefined,
    claimed: false,
    verified: false,
    proving: undefined,
    provenKey: undefined,
    circuit,
    meters: undefined,
    waits: false,
    partners: undefined,
    spoofs: 0,
    goneTold: undefined,
  };
}

/** Who is held to the limits: all streams of a Tor circuit together, else each connection. */
export function sourceOf(peer: Peer): Peer | Circuit {
  return peer.circuit ?? peer;
}

export function isServing(peer: Peer): boolean {
  return peer.location.kind !== 'not-serving';
}

/** Writes one frame to a peer that is not ready; what a ready one gets goes through the fan-out. */
export function writeFrame(peer: Peer, frame: string, tally: Tally): void {
  peer.connection.write(Buffer.from(frame, 'latin1'));
  tally.bytesOut += frame.length;
}
