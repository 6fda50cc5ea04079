/** Writes and reads the state of a whole directory for another process. */
import type { Clock, Connection } from '../../channel/ports.js';
import type { Admission } from '../entry/admission.js';
import type { Budgets, BudgetsSnapshot } from '../relay/budgets.js';
import type { Circuits } from '../entry/circuits.js';
import type { Connections } from '../entry/connections.js';
import type { DialBack } from '../entry/dial-back.js';
import type { MovingPeer, MovingState } from '../directory-api.js';
import type { Fanout } from '../fanout/fanout.js';
import {
  flatTally,
  restoreMeters,
  restorePeer,
  restoreTally,
  snapshotCircuit,
  snapshotPeer,
} from './peer-state.js';
import type { PeerCopies } from './peer-copies.js';
import type { NickProofs } from '../entry/nick-proofs.js';
import { createPeer, type Peer } from '../peer.js';
import type { NickClaims } from '../entry/nick-claims.js';
import type { Neighbours } from '../neighbours.js';
import type { Registry } from '../registry.js';
import type { DirectorySnapshot, WaitingSnapshot } from '../snapshot.js';
import type { Tally } from '../stats.js';

const NOTHING = new Uint8Array(0);
/** Queued bytes of a moved peer are written in pieces, so that a slow reader shows progress. */
const OWED_PIECE_BYTES = 65_536;

/** The parts of a directory that a snapshot contains. */
export interface StateParts {
  /** The directory's own nick. */
  readonly nick: string;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly fanout: Fanout;
  readonly budgets: Budgets;
  readonly circuits: Circuits;
  readonly dialBack: DialBack | undefined;
  readonly admission: Admission;
  readonly nickClaims: NickClaims;
  readonly proofs: NickProofs;
  readonly connections: Connections;
  readonly tally: Tally;
  /** Nicks of the canary, which stays in the old process. */
  readonly ownNicks: ReadonlySet<string>;
  readonly neighbours: Neighbours | undefined;
}

/** See `Directory.snapshot`. */
export function snapshotDirectory(
  parts: StateParts,
  unsent: (connection: Connection) => Uint8Array | undefined,
  copies?: PeerCopies,
): MovingState {
  const { nick, clock, registry, fanout, budgets, circuits, dialBack, tally } = parts;
  const open = [...registry.ready, ...registry.unhandshaked];
  const moving = open.flatMap((peer) => {
    // The code of a peer in state `gated` is with this process only, so it connects again.
    const stays = !parts.ownNicks.has(peer.nick) && peer.state !== 'gated';
    const rest = stays ? unsent(peer.connection) : undefined;
    if (rest) return [{ peer, rest }];
    parts.connections.drop(peer, 'closed-by-peer');
    return [];
  });
  // Leaves that were not written yet are in the queues of the other peers.
  fanout.recordLeaves();
  const now = clock.now();
  const { deliveries, requests, waiting } = budgets.snapshot();
  const waits = waitingByPeer(waiting);
  const peers: MovingPeer[] = [];
  const unchanged: Connection[] = [];
  for (const { peer, rest } of moving) {
    const { connection } = peer;
    const later = peer.state === 'ready' ? fanout.outboxes.owed(peer.outbox) : NOTHING;
    const owed = rest.length === 0 ? later : Buffer.concat([rest, later]);
    const own = waits.get(peer) ?? [];
    if (copies?.isCurrent(peer, owed, own) === true) unchanged.push(connection);
    else peers.push({ connection, peer: snapshotPeer(peer, owed, own, now) });
  }
  return {
    state: {
      nick,
      tally: flatTally(tally),
      deliveries,
      requests,
      circuits: circuits.all().map((circuit) => snapshotCircuit(circuit, now)),
      ...(dialBack?.snapshot() ?? { dialBacks: [], toDial: [] }),
      neighbours: parts.neighbours?.snapshot(),
    },
    peers,
    unchanged,
  };
}

function waitingByPeer(
  messages: BudgetsSnapshot['waiting'],
): ReadonlyMap<Peer, readonly WaitingSnapshot[]> {
  const waiting = new Map<Peer, WaitingSnapshot[]>();
  for (const { kind, peer, frame } of messages) {
    const own = waiting.get(peer);
    if (own) own.push({ kind, frame });
    else waiting.set(peer, [{ kind, frame }]);
  }
  return waiting;
}

/** Restores the state of another process: copied peers while it still serves, the rest when it stops. */
export class Restoration {
  readonly #parts: StateParts;
  readonly #prepared = new Map<Connection, Peer>();

  constructor(parts: StateParts) {
    this.#parts = parts;
  }

  /** See `Directory.prepare`. */
  prepare(moving: MovingPeer): void {
    const { fanout, registry } = this.#parts;
    const peer = this.#create(moving);
    fanout.outboxes.begin(peer.outbox);
    registry.makeReady(peer);
    this.#prepared.set(moving.connection, peer);
  }

  /** See `Directory.forget`. */
  forget(connection: Connection): void {
    const { clock, registry, fanout, circuits } = this.#parts;
    const peer = this.#prepared.get(connection);
    if (peer === undefined) return;
    this.#prepared.delete(connection);
    registry.remove(peer);
    fanout.outboxes.close(peer.outbox);
    if (peer.circuit) circuits.leave(peer.circuit, clock.now());
  }

  /** See `Directory.restore`. */
  finish(state: DirectorySnapshot, peers: readonly MovingPeer[]): void {
    const { clock, registry, budgets, circuits, connections, dialBack, tally } = this.#parts;
    const now = clock.now();
    restoreTally(tally, state.tally);
    budgets.restore(state);
    dialBack?.restore(state);
    for (const { id, leftMs, meters } of state.circuits) {
      circuits.restore(id, now - (leftMs ?? 0), restoreMeters(meters, now));
    }
    const restored = peers.map((moving) => this.#restore(moving));
    this.#parts.neighbours?.restore(state.neighbours);
    // After all are ready, because each costs deliveries to all.
    for (const { connection, peer: from } of peers) {
      const peer = from.waits.length > 0 ? registry.byNick(from.nick) : undefined;
      if (peer?.connection !== connection) continue;
      for (const { kind, frame } of from.waits) budgets.wait(kind, peer, frame);
    }
    for (const [i, newcomer] of restored.entries()) {
      if (peers[i]?.peer.state === 'waiting') this.#reclaim(newcomer);
    }
    this.#prepared.clear();
    connections.watch();
  }

  #reclaim(newcomer: Peer): void {
    const { registry, nickClaims, admission } = this.#parts;
    const holder = registry.byNick(newcomer.nick);
    if (holder) nickClaims.claim(newcomer, holder);
    else admission.admit(newcomer);
  }

  #restore(moving: MovingPeer): Peer {
    const { registry, fanout, proofs } = this.#parts;
    const { connection, peer: from } = moving;
    const prepared = this.#prepared.get(connection);
    const peer = prepared ?? this.#create(moving);
    if (prepared) this.#change(prepared, moving);
    if (from.proving) proofs.resume(peer, from.proving);
    if (from.state === 'proving' && from.owed.length > 0) connection.write(from.owed);
    if (from.state !== 'ready') return peer;
    if (!prepared) {
      fanout.outboxes.begin(peer.outbox);
      registry.makeReady(peer);
    }
    for (let at = 0; at < from.owed.length; at += OWED_PIECE_BYTES) {
      fanout.direct(peer, from.owed.subarray(at, at + OWED_PIECE_BYTES), 0);
    }
    return peer;
  }

  /** A record that is not ready yet. Its connection is read from now on, unless it is held. */
  #create({ connection, peer: from, takenAt }: MovingPeer): Peer {
    const { clock, fanout, circuits, connections } = this.#parts;
    const at = takenAt ?? clock.now();
    const came = from.circuit === undefined ? undefined : circuits.enter(from.circuit, 0);
    const circuit = came === 'full' ? undefined : came;
    const outbox = fanout.outboxes.open(connection);
    const peer = createPeer(connection, outbox, circuit, at - from.acceptedMs);
    restorePeer(peer, from, at);
    connections.take(peer);
    return peer;
  }

  /** The later state of a prepared peer. */
  #change(peer: Peer, { peer: from, takenAt }: MovingPeer): void {
    if (from.state !== 'ready' || from.nick !== peer.nick)
      throw new Error('a ready peer went back');
    peer.partners = undefined;
    peer.goneTold = undefined;
    restorePeer(peer, from, takenAt ?? this.#parts.clock.now());
  }
}
