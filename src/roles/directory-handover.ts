/**
 * Hands a running directory over to another process: same sockets, same peers, same onion. The old
 * process sends everything and keeps it until the new one has said that it took over. Before that it
 * can continue unchanged, and in between neither process reads or writes what is handed over.
 */
import type { Socket } from 'node:net';
import type { Log } from '../channel/log.js';
import type { Clock, Connection, MovableService } from '../channel/ports.js';
import { PeerCopies, type Directory, type MovingState } from '../directory/directory.js';
import { formatDirectorySnapshot } from '../directory/snapshot.js';
import {
  holdPart,
  pendingBytes,
  startReading,
  stopAll,
  stopReading,
  type HeldPart,
} from '../handover/sockets.js';
import type { ProgramImage } from '../handover/start-process.js';
import { startSuccessor, type Successor } from '../handover/predecessor.js';
import { errorText } from '../kit/error-text.js';
import { pause } from '../kit/pause.js';
import { recordOf } from '../kit/json-record.js';
import { HandoverError, type Movable } from '../kit/movable.js';
import { asMovable, type MovableConnection } from '../overlay/socket-connection.js';
import {
  COPIES,
  DIRECTORY,
  NICK,
  PEERS,
  SOCKET,
  grouped,
  peersValue,
} from './directory-parcels.js';

/** From the start of the new program to its first message. */
const START_MS = 20_000;
/** For the parts of the new program, while the peers are still served. */
const BUILD_MS = 20_000;
/** From the last parcel to the message that everything is built. Peers are not served meanwhile. */
const READY_MS = 10_000;
const COMMIT_MS = 3_000;
/**
 * Most bytes that wait for all peers together when the pause begins: each megabyte costs about 10 ms of it on a
 * quiet machine, and several times as much on a busy one.
 */
const MAX_WAITING_BYTES = 33_554_432;
/** How long an upgrade waits for more to be taken. A peer that takes nothing is closed before that. */
const DRAIN_MS = 40_000;
const DRAIN_LOOK_MS = 250;
/** Most passes over the connections that arrive while others are sent. */
const MAX_PASSES = 10;

/** The movable parts of a directory. */
export interface MovingDirectory {
  readonly directory: Directory;
  /** The directory's own nick. */
  readonly nick: string;
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

type Moved = Pick<HandoverReport, 'peers' | 'connections' | 'owedBytes' | 'halfLineBytes'>;

class DirectoryHandover {
  readonly #moving: MovingDirectory;
  readonly #options: HandoverOptions;
  readonly #successor: Successor;
  /** The key of each connection that the new process has. */
  readonly #keys: Map<Connection, string>;
  /** The number of keys that were given out. */
  #given: number;
  readonly #copies: PeerCopies;
  /** In the order in which they were held. */
  readonly #parts: HeldPart[] = [];
  /** The held connections, by the socket that was stopped. */
  readonly #connections = new Map<Socket, MovableConnection>();

  private constructor(
    moving: MovingDirectory,
    options: HandoverOptions,
    successor: Successor,
    keys: Map<Connection, string>,
  ) {
    this.#moving = moving;
    this.#options = options;
    this.#successor = successor;
    this.#keys = keys;
    this.#given = keys.size;
    this.#copies = new PeerCopies();
  }

  /** Starts the new process with all connections of now. Rejects with a HandoverError. */
  static async start(
    moving: MovingDirectory,
    options: HandoverOptions,
  ): Promise<DirectoryHandover> {
    const keys = new Map<Connection, string>();
    const carried = moving.directory.connections().flatMap((connection) => {
      const stream = asMovable(connection)?.socket;
      if (stream === undefined) return [];
      const key = `${SOCKET}${keys.size}`;
      keys.set(connection, key);
      return [{ key, stream }];
    });
    const { image } = options;
    const successor = await startSuccessor({
      startMs: START_MS,
      carried,
      ...(image === undefined ? {} : { image }),
    });
    options.log.debug('upgrade: the new program has started', { pid: successor.pid });
    return new DirectoryHandover(moving, options, successor, keys);
  }

  /** Rejects with a HandoverError when it failed; then everything continues here. */
  async run(): Promise<HandoverReport> {
    const { service } = this.#moving;
    const { clock } = this.#options;
    const successor = this.#successor;
    try {
      await this.#prepare();
      const { moved, heldAt } = await this.#stopServing();
      await successor.ready(READY_MS);
      await successor.commit(COMMIT_MS);
      const heldMs = clock.now() - heldAt;
      const late = await this.#giveLate(service);
      const { pid, version } = successor;
      return { pid, version, ...moved, late, heldMs };
    } catch (error) {
      await successor.kill();
      this.#release();
      throw error;
    }
  }

  /** Everything that is possible while the directory serves. */
  async #prepare(): Promise<void> {
    const { directory, nick, service, parts } = this.#moving;
    const successor = this.#successor;
    await this.#giveSockets();
    let n = 0;
    const copies = directory.copyPeers(this.#copies, (connection) => this.#keys.has(connection));
    for (const group of grouped(copies)) {
      // oxlint-disable-next-line no-await-in-loop -- so that the new process is never far behind
      await successor.give({ key: `${COPIES}${n++}`, value: peersValue(group, this.#keys) });
    }
    await successor.give({ key: NICK, value: nick });
    for (const movable of [...parts, service]) {
      // oxlint-disable-next-line no-await-in-loop -- in this order
      const part = await holdPart(movable);
      this.#parts.push(part);
      // oxlint-disable-next-line no-await-in-loop -- as above
      for (const parcel of part.parcels) await successor.give(parcel);
    }
    await successor.build(BUILD_MS);
    await this.#awaitReaders();
    await this.#giveSockets();
  }

  /** Waits until little enough is queued for peers. Rejects with a HandoverError when it stays too much. */
  async #awaitReaders(): Promise<void> {
    const { directory } = this.#moving;
    const { clock, log } = this.#options;
    const until = clock.now() + DRAIN_MS;
    for (let look = 0; ; look++) {
      const queued = directory.queuedBytes();
      const waiting = queued.reduce((sum, bytes) => sum + bytes, 0);
      if (waiting <= MAX_WAITING_BYTES) return;
      const behind = queued.filter((bytes) => bytes > 0).length;
      if (look === 0) log.info('upgrade: waits for slow readers', { peers: behind, waiting });
      if (clock.now() >= until) {
        throw new HandoverError(
          `${Math.round(waiting / 1e6)} MB wait for ${behind} peers that read slowly, and moving them would leave all peers unserved for seconds: try again later`,
        );
      }
      // oxlint-disable-next-line no-await-in-loop -- until enough is taken
      await pause(clock, DRAIN_LOOK_MS);
    }
  }

  /** Sends the connections that arrived since the last call, and voids those that ended. */
  async #giveSockets(): Promise<void> {
    for (let pass = 0; pass < MAX_PASSES; pass++) {
      let given = 0;
      for (const connection of this.#moving.directory.connections()) {
        if (this.#keys.has(connection)) continue;
        // oxlint-disable-next-line no-await-in-loop -- Node sends one handle at a time
        if (await this.#giveSocket(connection)) given++;
      }
      for (const [connection, key] of this.#keys) {
        // oxlint-disable-next-line no-await-in-loop -- rare
        if (connection.closed) await this.#withdraw(connection, key);
      }
      if (given <= this.#keys.size / 100) return;
    }
  }

  async #giveSocket(connection: Connection): Promise<boolean> {
    const stream = asMovable(connection)?.socket;
    if (stream === undefined) return false;
    const key = `${SOCKET}${this.#given++}`;
    this.#keys.set(connection, key);
    try {
      await this.#successor.give({ key, value: null, stream });
    } catch (error) {
      // The connection may end at any time; unsent messages do not matter.
      if (!connection.closed) throw error;
    }
    return true;
  }

  async #withdraw(connection: Connection, key: string): Promise<void> {
    this.#keys.delete(connection);
    await this.#successor.withdraw(key);
  }

  /** Holds all connections, and sends what the new process does not have yet. */
  async #stopServing(): Promise<{ readonly moved: Moved; readonly heldAt: number }> {
    const { directory } = this.#moving;
    directory.flush();
    const heldAt = this.#options.clock.now();
    for (const connection of directory.connections()) {
      const movable = asMovable(connection);
      const socket = movable?.socket;
      if (movable === undefined || socket === undefined) continue;
      movable.hold();
      stopReading(socket);
      this.#connections.set(socket, movable);
    }
    await this.#giveSockets();
    await this.#takeBack();
    const state = directory.snapshot((connection) => asMovable(connection)?.unsent(), this.#copies);
    return { moved: await this.#giveState(state), heldAt };
  }

  /** Takes back what libuv has pending, which it would continue to write. */
  async #takeBack(): Promise<void> {
    for (const connection of this.#connections.values()) {
      const { socket } = connection;
      if (socket === undefined || pendingBytes(socket) === 0) continue;
      // oxlint-disable-next-line no-await-in-loop -- few are behind; each by itself
      const duplicate = await this.#successor.duplicate(this.#keys.get(connection) ?? '');
      if (connection.socket === undefined) duplicate.destroy();
      else connection.replaceSocket(duplicate);
    }
  }

  async #giveState({ state, peers, unchanged }: MovingState): Promise<Moved> {
    const successor = this.#successor;
    let n = 0;
    for (const group of grouped(peers)) {
      // oxlint-disable-next-line no-await-in-loop -- so that the new process is never far behind
      await successor.give({ key: `${PEERS}${n++}`, value: peersValue(group, this.#keys) });
    }
    const moving = new Set([...unchanged, ...peers.map(({ connection }) => connection)]);
    for (const [connection, key] of this.#keys) {
      // oxlint-disable-next-line no-await-in-loop -- rare
      if (!moving.has(connection)) await this.#withdraw(connection, key);
    }
    const value = { connections: moving.size, ...recordOf(formatDirectorySnapshot(state)) };
    await successor.give({ key: DIRECTORY, value });
    return {
      peers: unchanged.length + peers.filter(({ peer }) => peer.state === 'ready').length,
      connections: moving.size,
      owedBytes: peers.reduce((sum, { peer }) => sum + peer.owed.length, 0),
      halfLineBytes: peers.reduce((sum, { peer }) => sum + peer.halfLine.length, 0),
    };
  }

  /** Sends the connections that arrived while the listener was held; returns their number. */
  async #giveLate(service: MovableService): Promise<number> {
    const late = service.leave();
    stopAll(late);
    try {
      // oxlint-disable-next-line no-await-in-loop -- in the order in which they came
      for (const parcel of late) await this.#successor.give(parcel);
      await this.#successor.leave();
    } catch (error) {
      this.#options.log.warn(
        'upgrade: connections that arrived meanwhile could not be handed over',
        {
          reason: errorText(error),
          connections: late.length,
        },
      );
    }
    return late.length;
  }

  #release(): void {
    for (const part of this.#parts.toReversed()) part.release();
    for (const [socket, connection] of this.#connections) {
      connection.release();
      startReading(socket);
    }
  }
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
  const handover = await DirectoryHandover.start(moving, options);
  return handover.run();
}
