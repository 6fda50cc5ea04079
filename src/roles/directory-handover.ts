/**
 * Hands a running directory over to another process: same sockets, same peers, same onion. The old
 * process sends everything and keeps it until the new one has said that it took over. Before that it
 * can continue unchanged, and in between neither process reads or writes what is handed over.
 */
import { errorText } from '../kit/error-text.js';
import { recordOf } from '../kit/json-record.js';
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
import type { NativeHandle } from '../handover/native-handle.js';
import { HandoverError, type Movable, type Parcels } from '../handover/parcel.js';
import { startSuccessor, type ProgramImage, type Successor } from '../handover/predecessor.js';
import { asMovable, heldConnection, type MovableConnection } from '../overlay/socket-connection.js';

/** From the start of the new program to its first message. */
const START_MS = 20_000;
/** From the last parcel to the message that everything is built. Peers are not served meanwhile. */
const READY_MS = 10_000;
const COMMIT_MS = 3_000;

const DIRECTORY = 'directory';
const SOCKET = 'socket:';
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
  readonly movables: Movable[];
  readonly connections: MovableConnection[];
}

/** Sends the handles of connections that arrived since the last call. */
async function giveSockets(
  directory: Directory,
  successor: Successor,
  keys: Map<Connection, string>,
): Promise<number> {
  let given = 0;
  for (const connection of directory.connections()) {
    const handle = keys.has(connection) ? undefined : asMovable(connection)?.handle;
    if (handle === undefined) continue;
    const key = `${SOCKET}${keys.size}`;
    keys.set(connection, key);
    given += 1;
    try {
      // oxlint-disable-next-line no-await-in-loop -- Node sends one handle at a time
      await successor.give({ key, value: null, handle });
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
    if (connection.pendingBytes === 0 || connection.handle === undefined) continue;
    const key = keys.get(connection) ?? '';
    // oxlint-disable-next-line no-await-in-loop -- few are behind; each by itself
    const duplicate = await successor.duplicate(key);
    if (connection.handle === undefined) duplicate.close();
    else connection.replaceHandle(duplicate);
  }
}

/** All parcels except the sockets. */
async function giveState(
  directory: Directory,
  successor: Successor,
  keys: ReadonlyMap<Connection, string>,
): Promise<Pick<HandoverReport, 'peers' | 'connections' | 'owedBytes' | 'halfLineBytes'>> {
  const { state, peers } = directory.snapshot((connection) => asMovable(connection)?.unsent());
  const moved = { peers: 0, connections: peers.length, owedBytes: 0, halfLineBytes: 0 };
  for (const [i, { connection, peer }] of peers.entries()) {
    const socket = keys.get(connection) ?? '';
    if (socket === '') throw new HandoverError('a connection came out of turn');
    moved.peers += peer.state === 'ready' ? 1 : 0;
    moved.owedBytes += peer.owed.length;
    moved.halfLineBytes += peer.halfLine.length;
    const value = { socket, peer: formatPeerSnapshot(peer) };
    // oxlint-disable-next-line no-await-in-loop -- so that the new process is never far behind
    await successor.give({ key: `${PEER}${i}`, value });
  }
  const value = { connections: peers.length, ...recordOf(formatDirectorySnapshot(state)) };
  await successor.give({ key: DIRECTORY, value });
  return moved;
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
  const held: Held = { movables: [], connections: [] };

  function release(): void {
    for (const movable of held.movables.toReversed()) movable.release();
    for (const connection of held.connections) connection.release();
  }

  try {
    // Most of it while the directory still serves; connections that arrive meanwhile follow.
    while ((await giveSockets(directory, successor, keys)) > keys.size / 100);
    for (const movable of [...parts, service]) {
      // oxlint-disable-next-line no-await-in-loop -- in this order
      const parcels = await movable.hold();
      held.movables.push(movable);
      // oxlint-disable-next-line no-await-in-loop -- as above
      for (const parcel of parcels) await successor.give(parcel);
    }
    const heldAt = clock.now();
    directory.flush();
    for (const connection of directory.connections()) {
      const movable = asMovable(connection);
      if (movable === undefined) continue;
      movable.hold();
      held.connections.push(movable);
    }
    await giveSockets(directory, successor, keys);
    await takeBack(held.connections, successor, keys);
    const moved = await giveState(directory, successor, keys);
    await successor.ready(READY_MS);
    await successor.commit(COMMIT_MS);
    const heldMs = clock.now() - heldAt;
    const late = service.leave();
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

/** Opens the parcels of `handOverDirectory`. Throws a HandoverError for invalid ones. */
export function openInheritedDirectory(parcels: Parcels, clock: Clock): InheritedDirectory {
  const directory = parcels.get(DIRECTORY)?.value;
  const state = parseDirectorySnapshot(directory);
  if (!state.ok) throw invalid(`directory, ${state.reason}`);
  const sockets = new Map<string, NativeHandle>();
  const peers: MovingPeer[] = [];
  const connections: MovableConnection[] = [];
  for (const { key, handle } of parcels.values()) {
    if (key.startsWith(SOCKET) && handle !== undefined) sockets.set(key, handle);
  }
  for (const { key, value } of parcels.values()) {
    if (!key.startsWith(PEER)) continue;
    const fields = recordOf(value);
    const peer = parsePeerSnapshot(fields['peer']);
    if (!peer.ok) throw invalid(`peer, ${peer.reason}`);
    const name = String(fields['socket']);
    const handle = sockets.get(name);
    if (handle === undefined) throw invalid('a peer without its connection');
    sockets.delete(name);
    const connection = heldConnection(handle, clock, peer.value.circuit);
    connections.push(connection);
    peers.push({ connection, peer: peer.value });
  }
  if (recordOf(directory)['connections'] !== peers.length) throw invalid('peers are missing');
  return {
    state: state.value,
    peers,
    release() {
      // Of connections that ended meanwhile.
      for (const handle of sockets.values()) handle.close();
      for (const connection of connections) connection.release();
    },
  };
}
