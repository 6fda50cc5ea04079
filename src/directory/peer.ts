/**
 * One record per connection. The registry owns it and frees it in one place; all other state of a peer
 * (nick, claim, outbox) is part of this record.
 */
import type { Connection } from '../channel/ports.js';
import { createLineFramer, type LineFramer } from '../protocol/line-framer.js';
import { NOT_SERVING, type DeclaredLocation } from '../protocol/location.js';
import type { CarriedProof, NickAuthChallenge, NickAuthProof } from '../protocol/nick-auth.js';
import type { Circuit } from './entry/circuits.js';
import type { Outbox } from './fanout/outbox.js';
import type { Meters } from './rates.js';
import type { Tally } from './stats.js';

/**
 * - `new`: no handshake yet
 * - `gated`: the gate of a private directory decides about its code; see `gate.ts`
 * - `waiting`: another connection has its nick and is being probed
 * - `proving`: it was asked to prove its nick; see `nick-proofs.ts`
 * - `ready`: its handshake was accepted
 * - `ending`: it was refused; its answer is being written, and nothing is read any more
 * - `gone`: freed
 */
export type PeerState = 'new' | 'gated' | 'waiting' | 'proving' | 'ready' | 'ending' | 'gone';

/** An open challenge (`nick-proofs.ts`), part of the peer's record and freed with it. */
export interface Proving {
  readonly challenge: NickAuthChallenge;
  /** The 793 payload as received; the proof covers it. */
  readonly handshake: string;
  readonly askedAt: number;
  /** The proof arrived and waits to be checked. */
  proof: NickAuthProof | undefined;
}

/**
 * The nicks a peer wrote to, with the time of the last message; the oldest first (`conversations.ts`).
 */
export interface Partners {
  /** Without an answer so far. */
  readonly addressed: Map<string, number>;
  /** Both sides have written. */
  readonly mutual: Map<string, number>;
}

export interface Peer {
  readonly connection: Connection;
  readonly outbox: Outbox;
  /** Splits its bytes into lines. */
  readonly framer: LineFramer;
  state: PeerState;
  /** When it was accepted; clock milliseconds, as all times here. */
  readonly acceptedAt: number;
  /** Empty before the handshake. */
  nick: string;
  location: DeclaredLocation;
  /** Features it listed, sorted. */
  features: readonly string[];
  canPing: boolean;
  wantsFeatures: boolean;
  /** Index in the registry's list of ready peers. */
  slot: number;
  /** Its number in the order in which peers became ready; 0 before. */
  arrival: number;
  /** When its last line arrived. */
  heardAt: number;
  /** Lines that arrived while it was ready. */
  linesIn: number;
  /** When a ping was sent that no line has followed yet; undefined without one. */
  pingedAt: number | undefined;
  /** Pings sent and not answered by a pong. Pongs that answer one are not counted against its rate. */
  pongsDue: number;
  /** When the last liveness probe was sent. */
  probedAt: number | undefined;
  /** When a line was last written to it that shows whether its connection takes bytes; see `Liveness.probe`. */
  nickProbedAt: number | undefined;
  /** Another connection claims its nick. */
  claimed: boolean;
  /** Its location was dialled and answered with its nick; see `dial-back.ts`. */
  verified: boolean;
  /** The open challenge, if there is one. */
  proving: Proving | undefined;
  /** The key of its nick, proved on this connection; 66 hex digits. */
  provenKey: string | undefined;
  /** The proof of that key, for the other nodes of a cluster; kept only with other nodes. */
  carriedProof: CarriedProof | undefined;
  /** What let it into a private directory; undefined elsewhere, and before. */
  pass: string | undefined;
  /** The Tor circuit of the connection, if the overlay reports it. */
  readonly circuit: Circuit | undefined;
  meters: Meters | undefined;
  /** A message of it may be waiting; see `budgets.ts`. */
  waits: boolean;
  /** Its conversations; see `conversations.ts`. */
  partners: Partners | undefined;
  /** Messages under another nick. */
  spoofs: number;
  /** Absent addressees with the time of their last gone notice; see `gone-notice.ts`. */
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
    linesIn: 0,
    pingedAt: undefined,
    pongsDue: 0,
    probedAt: undefined,
    nickProbedAt: undefined,
    claimed: false,
    verified: false,
    proving: undefined,
    provenKey: undefined,
    carriedProof: undefined,
    pass: undefined,
    circuit,
    meters: undefined,
    waits: false,
    partners: undefined,
    spoofs: 0,
    goneTold: undefined,
  };
}

/** The subject of the limits: all streams of a Tor circuit together, or one connection. */
export function sourceOf(peer: Peer): Peer | Circuit {
  return peer.circuit ?? peer;
}

export function isServing(peer: Peer): boolean {
  return peer.location.kind !== 'not-serving';
}

/** Writes one frame to a peer that is not ready; frames for ready peers go through the fan-out. */
export function writeFrame(peer: Peer, frame: string, tally: Tally): void {
  peer.connection.write(Buffer.from(frame, 'latin1'));
  tally.bytesOut += frame.length;
}
