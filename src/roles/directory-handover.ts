/**
 * Hands a running directory over to another process: same sockets, same peers, same onion. The old
 * process sends everything and keeps it until the new one has said that it took over. Before that it
 * can continue unchanged, and in between neither process reads or writes what is handed over.
 */
import { errorText } from '../kit/error-text.js';
import { recordOf } from '../kit/json-record.js';
import { Socket } from 'node:net';
import type { Log } from '../channel/log.js';
import type { Clock, Connection, MovableService } from '../channel/ports.js';
import type { Directory, MovingPeer } from '../directory/directory.js';
import {
  formatDirectorySnapshot,
  formatPeerSnapshot,
  parseDirectorySnapshot,
  parsePeerSnapshot,
  type DirectorySnapshot,
} from '../directory/snapshot.js';
import { HandoverError, type Movable, type Parcels } from '../kit/movable.js';
import {
  holdPart,
  pendingBytes,
  startReading,
  stopAll,
  stopReading,
  type HeldPart,
} from '../handover/sockets.js';
import type { LocationKind } from '../protocol/location.js';
import { startSuccessor, type ProgramImage, type Successor } from '../handover/predecessor.js';
import { asMovable, heldConnection, type MovableConnection } from '../overlay/socket-connection.js';

/** From the start of the new program to its first message. */
const START_MS = 20_000;
/** From the last parcel to the message that everything is built. Peers are not served meanwhile. */
const READY_MS = 10_000;
const COMMIT_MS = 3_000;

const DIRECTORY = 'directory';
const SOCKET = 'socket:';
/** Many peers in one parcel: a message costs both processes more than a peer. */
const PEERS = 'peers:';
const PEERS_PER_PARCEL = 200;
/** Most queued bytes of peers in one parcel, unless one peer has more. */
const OWED_PER_PARCEL_BYTES = 4_194_304;
/** One peer in one parcel, of handover format 1. */
const PEER = 'peer:';

/** The movable parts of a directory. */
export interface MovingDirectory {
  readonly directory: Directory;
  readonly service: MovableService;
  /** The other parts: a tor process that was started here, the status page. */
  readonly parts: readonly Movable[];
}

export interface HandoverReport {
  /** Process id of the new process. */
  readonly pid: number;
  /** Version of the new program. */
  readonly version: string;
  /** Handshaked peers. */
  readonly peers: number;
  readonly connections: number;
  /** Bytes that were queued for peers; the new process sends them. */
  readonly owedBytes: number;
  /** Bytes of partial lines. */
  readonly halfLineBytes: number;
  /** Connections that arrived meanwhile. */
  readonly late: number;
  /** How long no peer was read, in milliseconds. */
  readonly heldMs: number;
}

export interface HandoverOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly image?: ProgramImage;
}

/** The held parts, so that they can be released. */
interface Held {
  readonly parts: HeldPart[];
  /** By the socket that was stopped. */
  readonly connections: Map<Socket, MovableConnection>;
}

/** Sends the handles of connections that arrived since the last call. */
async function giveSockets(
  directory: Directory,
  successor: Successor,
  keys: Map<Connection, string>,
): Promise<number> {
  let given = 0;
  for (const connection of directory.connections()) {
    const stream = keys.has(connection) ? undefined : asMovable(connection)?.socket;
    if (stream === undefined) continue;
    const key = `${SOCKET}${keys.size}`;
    keys.set(connection, key);
    given += 1;
    try {
      // oxlint-disable-next-line no-await-in-loop -- Node sends one handle at a time
      await successor.give({ key, value: null, stream });
    } catch (error) {
      // The process may end at any time; unsent messages do not matter.
      if (!connection.closed) throw error;
    }
  }
  for (const [connection, key] of keys) {
    // oxlint-disable-next-line no-await-in-loop -- rare
    if (connection.closed && keys.get(connection) !== '') await successor.withdraw(key);
    if (connection.closed) keys.set(connection, '');
  }
  return given;
}

/** Takes back what libuv has pending, which it would continue to write. */
async function takeBack(
  connections: readonly MovableConnection[],
  successor: Successor,
  keys: ReadonlyMap<Connection, string>,
): Promise<void> {
  for (const connection of connections) {
    const { socket } = connection;
    if (socket === undefined || pendingBytes(socket) === 0) continue;
    const key = keys.get(connection) ?? '';
    // oxlint-disable-next-line no-await-in-loop -- few are behind; each by itself
    const duplicate = await successor.duplicate(key);
    if (connection.socket === undefined) duplicate.destroy();
    else connection.replaceSocket(duplicate);
  }
}

type Moved = Pick<HandoverReport, 'peers' | 'connections' | 'owedBytes' | 'halfLineBytes'>;

/** Peers in their order, in groups that fit a parcel. */
function* grouped(peers: readonly MovingPeer[]): Generator<readonly MovingPeer[]> {
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

/** All parcels except the sockets. */
async function giveState(
  directory: Directory,
  successor: Successor,
  keys: ReadonlyMap<Connection, string>,
): Promise<Moved> {
  const { state, peers } = directory.snapshot((connection) => asMovable(connection)?.unsent());
  let parcels = 0;
  for (const group of grouped(peers)) {
    const value = group.map(({ connection, peer }) => {
      const socket = keys.get(connection) ?? '';
      if (socket === '') throw new HandoverError('a connection came out of turn');
      return { socket, peer: formatPeerSnapshot(peer) };
    });
    // oxlint-disable-next-line no-await-in-loop -- so that the new process is never far behind
    await successor.give({ key: `${PEERS}${parcels}`, value });
    parcels++;
  }
  const value = { connections: peers.length, ...recordOf(formatDirectorySnapshot(state)) };
  await successor.give({ key: DIRECTORY, value });
  return {
    peers: peers.filter(({ peer }) => peer.state === 'ready').length,
    connections: peers.length,
    owedBytes: peers.reduce((sum, { peer }) => sum + peer.owed.length, 0),
    halfLineBytes: peers.reduce((sum, { peer }) => sum + peer.halfLine.length, 0),
  };
}

/**
 * Hands everything over to a new process, and resolves when that has taken over; nothing of it may be
 * used here afterwards. Rejects with a HandoverError when the handover failed; then everything
 * continues here.
 */
export async function handOverDirectory(
  moving: MovingDirectory,
  options: HandoverOptions,
): Promise<HandoverReport> {
  const { directory, service, parts } = moving;
  const { clock, log, image } = options;
  const successor = await startSuccessor({
    startMs: START_MS,
    ...(image === undefined ? {} : { image }),
  });
  log.debug('upgrade: the new program has started', { pid: successor.pid });
  const keys = new Map<Connection, string>();
  const held: Held = { parts: [], connections: new Map() };

  function release(): void {
    for (const part of held.parts.toReversed()) part.release();
    for (const [socket, connection] of held.connections) {
      connection.release();
      startReading(socket);
    }
  }

  try {
    // Most of it while the directory still serves; connections that arrive meanwhile follow.
    while ((await giveSockets(directory, successor, keys)) > keys.size / 100);
    for (const movable of [...parts, service]) {
      // oxlint-disable-next-line no-await-in-loop -- in this order
      const part = await holdPart(movable);
      held.parts.push(part);
      // oxlint-disable-next-line no-await-in-loop -- as above
      for (const parcel of part.parcels) await successor.give(parcel);
    }
    const heldAt = clock.now();
    directory.flush();
    for (const connection of directory.connections()) {
      const movable = asMovable(connection);
      const socket = movable?.socket;
      if (movable === undefined || socket === undefined) continue;
      movable.hold();
      stopReading(socket);
      held.connections.set(socket, movable);
    }
    await giveSockets(directory, successor, keys);
    await takeBack([...held.connections.values()], successor, keys);
    const moved = await giveState(directory, successor, keys);
    await successor.ready(READY_MS);
    await successor.commit(COMMIT_MS);
    const heldMs = clock.now() - heldAt;
    const late = service.leave();
    stopAll(late);
    try {
      // oxlint-disable-next-line no-await-in-loop -- in the order in which they came
      for (const parcel of late) await successor.give(parcel);
      await successor.leave();
    } catch (error) {
      log.warn('upgrade: connections that arrived meanwhile could not be handed over', {
        why: errorText(error),
        connections: late.length,
      });
    }
    const { pid, version } = successor;
    return { pid, version, ...moved, late: late.length, heldMs };
  } catch (error) {
    await successor.kill();
    release();
    throw error;
  }
}

/** The state with which a new process continues. */
export interface InheritedDirectory {
  readonly state: DirectorySnapshot;
  readonly peers: readonly MovingPeer[];
  /** Reads and writes from now on. */
  release(): void;
}

function invalid(what: string): HandoverError {
  return new HandoverError(`what the old program handed over cannot be read: ${what}`);
}

/** The peers of the parcels, in their order. */
function* peerValues(parcels: Parcels): Generator {
  for (const { key, value } of parcels.values()) {
    if (key.startsWith(PEERS)) yield* Array.isArray(value) ? value : [undefined];
    else if (key.startsWith(PEER)) yield value;
  }
}

/**
 * Opens the parcels of `handOverDirectory`. Throws a HandoverError for invalid ones.
 * @param reachable the kinds of locations that this program reaches; the old one reached no others
 */
export function openInheritedDirectory(
  parcels: Parcels,
  reachable: ReadonlySet<LocationKind>,
  clock: Clock,
): InheritedDirectory {
  // A program that knew only one kind does not say which.
  const [onlyKind] = reachable;
  const directory = parcels.get(DIRECTORY)?.value;
  const state = parseDirectorySnapshot(directory);
  if (!state.ok) throw invalid(`directory, ${state.reason}`);
  const sockets = new Map<string, Socket>();
  const peers: MovingPeer[] = [];
  const connections: MovableConnection[] = [];
  for (const { key, stream } of parcels.values()) {
    if (key.startsWith(SOCKET) && stream instanceof Socket) sockets.set(key, stream);
  }
  for (const value of peerValues(parcels)) {
    const fields = recordOf(value);
    const peer = parsePeerSnapshot(fields['peer']);
    if (!peer.ok) throw invalid(`peer, ${peer.reason}`);
    const name = String(fields['socket']);
    const socket = sockets.get(name);
    if (socket === undefined) throw invalid('a peer without its connection');
    sockets.delete(name);
    const { circuit, via = onlyKind } = peer.value;
    if (via === undefined || !reachable.has(via)) throw invalid('a peer of another overlay');
    const connection = heldConnection(socket, { via, clock, circuit });
    connections.push(connection);
    peers.push({ connection, peer: peer.value });
  }
  if (recordOf(directory)['connections'] !== peers.length) throw invalid('peers are missing');
  return {
    state: state.value,
    peers,
    release() {
      // Of connections that ended meanwhile.
      for (const socket of sockets.values()) socket.destroy();
      for (const connection of connections) connection.release();
    },
  };
}
