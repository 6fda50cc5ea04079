/** The parcels of a directory that another process continues: their keys and their values. */
import { HandoverError } from '../kit/movable.js';
import type { MovingPeer } from '../directory/directory.js';
import { formatPeerSnapshot } from '../directory/snapshot.js';

/** The nick of the directory, with which the new process starts. */
export const NICK = 'nick';
/** The state without the peers. */
export const DIRECTORY = 'directory';
/** One connection each. */
export const SOCKET = 'socket:';
/** Copies of peers, made while the old process serves. */
export const COPIES = 'copies:';
/** The other peers, and those that have changed since. */
export const PEERS = 'peers:';
/** One peer each, of handover format 1. */
export const PEER = 'peer:';

/** Many peers in one parcel: a message costs both processes more than a peer. */
const PEERS_PER_PARCEL = 200;
/** Most queued bytes of peers in one parcel, unless one peer has more. */
const OWED_PER_PARCEL_BYTES = 4_194_304;

/** Peers in their order, in groups that fit a parcel. */
export function* grouped(peers: Iterable<MovingPeer>): Generator<readonly MovingPeer[]> {
  let group: MovingPeer[] = [];
  let owed = 0;
  for (const moving of peers) {
    owed += moving.peer.owed.length;
    if (group.length >= PEERS_PER_PARCEL || (owed > OWED_PER_PARCEL_BYTES && group.length > 0)) {
      yield group;
      group = [];
      owed = moving.peer.owed.length;
    }
    group.push(moving);
  }
  if (group.length > 0) yield group;
}

/** The value of a parcel with peers. Throws a HandoverError when a connection was not sent. */
export function peersValue(
  group: readonly MovingPeer[],
  keys: ReadonlyMap<MovingPeer['connection'], string>,
): unknown {
  return group.map(({ connection, peer }) => {
    const socket = keys.get(connection);
    if (socket === undefined) throw new HandoverError('a connection came out of turn');
    return { socket, peer: formatPeerSnapshot(peer) };
  });
}
