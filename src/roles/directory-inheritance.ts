/** The state of a running directory, as the process that continues it receives it. */
import { Socket } from 'node:net';
import type { Clock } from '../channel/ports.js';
import type { Directory, MovingPeer } from '../directory/directory.js';
import {
  parseDirectorySnapshot,
  parsePeerSnapshot,
  type DirectorySnapshot,
  type PeerSnapshot,
} from '../directory/snapshot.js';
import { Inheritance, type ParcelReader } from '../handover/successor.js';
import { errorText } from '../kit/error-text.js';
import { recordOf } from '../kit/json-record.js';
import { HandoverError, type Parcel, type Parcels } from '../kit/movable.js';
import type { LocationKind } from '../protocol/location.js';
import { isRoutableNick } from '../protocol/nick.js';
import { heldConnection, type MovableConnection } from '../overlay/socket-connection.js';
import { COPIES, DIRECTORY, NICK, PEER, PEERS, SOCKET } from './directory-parcels.js';

export { declineInheritance, isSuccessor } from '../handover/successor.js';

/** The state with which a new process continues. */
export interface InheritedState {
  readonly state: DirectorySnapshot;
  /** The peers that were not prepared, and those that have changed since. */
  readonly peers: readonly MovingPeer[];
}

function invalid(what: string): HandoverError {
  return new HandoverError(`what the old program handed over cannot be read: ${what}`);
}

/** The state of a peer, with its socket. */
interface InheritedPeer {
  readonly socket: Socket;
  readonly peer: PeerSnapshot;
  readonly takenAt: number;
}

/** Builds the connections and the peers from their parcels, as these arrive. */
class InheritedPeers implements ParcelReader {
  readonly #clock: Clock;
  /** Connections without a peer, by key. */
  readonly #sockets = new Map<string, Socket>();
  /** By the key of their connection, in the order in which they arrived. */
  readonly #peers = new Map<string, InheritedPeer>();
  /** The keys of peers that are not copies. */
  readonly #changed = new Set<string>();
  /** By key; made when the overlay is known. */
  readonly #connections = new Map<string, MovableConnection>();
  /** The kinds of locations that this program reaches; the old one reached no others. */
  #reachable: ReadonlySet<LocationKind> = new Set();
  /** The directory that has the copies. */
  #directory: Directory | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get count(): number {
    return this.#peers.size;
  }

  /** The peers that `prepare` did not pass on, and those that have changed since. */
  get rest(): readonly MovingPeer[] {
    return [...this.#changed].flatMap((key) => {
      const peer = this.#peers.get(key);
      return peer === undefined ? [] : [this.#moving(key, peer)];
    });
  }

  take(parcel: Parcel): boolean {
    const { key, value } = parcel;
    if (key.startsWith(SOCKET)) {
      if (parcel.stream instanceof Socket) this.#sockets.set(key, parcel.stream);
      return false;
    }
    if (key.startsWith(PEER)) this.#changed.add(this.#read(value));
    else if (key.startsWith(PEERS)) {
      for (const item of listOf(value)) this.#changed.add(this.#read(item));
    } else if (key.startsWith(COPIES)) {
      for (const item of listOf(value)) this.#read(item);
    } else return false;
    return true;
  }

  withdraw(key: string): void {
    const connection = this.#connections.get(key);
    if (connection) this.#directory?.forget(connection);
    this.#connections.delete(key);
    this.#sockets.delete(key);
    this.#peers.delete(key);
  }

  /** See `DirectoryInheritance.prepare`. */
  prepare(directory: Directory, reachable: ReadonlySet<LocationKind>): void {
    this.#reachable = reachable;
    this.#directory = directory;
    for (const [key, peer] of this.#peers) {
      if (!this.#changed.has(key)) directory.prepare(this.#moving(key, peer));
    }
  }

  /** Reads and writes from now on. */
  release(): void {
    // Of connections that ended meanwhile.
    for (const socket of this.#sockets.values()) socket.destroy();
    for (const connection of this.#connections.values()) connection.release();
    this.#connections.clear();
    this.#sockets.clear();
    this.#peers.clear();
    this.#changed.clear();
    this.#directory = undefined;
  }

  /** A peer, or its later state; returns its key. */
  #read(value: unknown): string {
    const { socket, peer }: Readonly<Record<string, unknown>> = recordOf(value);
    const parsed = parsePeerSnapshot(peer);
    if (!parsed.ok) throw invalid(`peer, ${parsed.reason}`);
    const key = String(socket);
    this.#peers.set(key, {
      socket: this.#peers.get(key)?.socket ?? this.#takeSocket(key),
      peer: parsed.value,
      takenAt: this.#clock.now(),
    });
    return key;
  }

  #takeSocket(key: string): Socket {
    const socket = this.#sockets.get(key);
    if (socket === undefined) throw invalid('a peer without its connection');
    this.#sockets.delete(key);
    return socket;
  }

  #moving(key: string, { socket, peer, takenAt }: InheritedPeer): MovingPeer {
    const connection = this.#connections.get(key) ?? this.#connect(socket, peer);
    this.#connections.set(key, connection);
    return { connection, peer, takenAt };
  }

  #connect(socket: Socket, peer: PeerSnapshot): MovableConnection {
    // A program that knew only one kind does not say which.
    const [onlyKind] = this.#reachable;
    const { circuit, peerHost, via = onlyKind } = peer;
    if (via === undefined || !this.#reachable.has(via)) throw invalid('a peer of another overlay');
    return heldConnection(socket, { via, clock: this.#clock, circuit, peerHost });
  }
}

/** The items of a parcel with many peers; an invalid one when it is not a list. */
function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [undefined];
}

/** A directory that another process handed over. Reads and writes nothing before it takes over. */
export class DirectoryInheritance {
  readonly #inheritance: Inheritance;
  readonly #peers: InheritedPeers;
  /** The directory's own nick, which its peers know. */
  readonly nick: string;

  private constructor(inheritance: Inheritance, peers: InheritedPeers) {
    this.#inheritance = inheritance;
    this.#peers = peers;
    const nick = inheritance.parcels.get(NICK)?.value;
    this.nick = typeof nick === 'string' && isRoutableNick(nick) ? nick : this.#state().nick;
  }

  /** Receives the parts of the program. Called once, only when `isSuccessor`. Rejects with a HandoverError. */
  static async receive(version: string, clock: Clock): Promise<DirectoryInheritance> {
    const peers = new InheritedPeers(clock);
    const inheritance = await Inheritance.receive(version, peers);
    try {
      return new DirectoryInheritance(inheritance, peers);
    } catch (error) {
      await inheritance.fail(errorText(error));
      throw error;
    }
  }

  /** The parcels of the parts. */
  get parcels(): Parcels {
    return this.#inheritance.parcels;
  }

  /**
   * Passes the peers that were copied while the old process serves to the directory that continues, which
   * also learns of those that end. Called before `rest`. Throws a HandoverError.
   * @param reachable the kinds of locations that this program reaches
   */
  prepare(directory: Directory, reachable: ReadonlySet<LocationKind>): void {
    this.#peers.prepare(directory, reachable);
  }

  /**
   * Reports that the parts are built; resolves with the state at the moment when the old process stopped
   * serving. Rejects with a HandoverError.
   */
  async rest(): Promise<InheritedState> {
    await this.#inheritance.rest();
    const state = this.#state();
    const { connections } = recordOf(this.parcels.get(DIRECTORY)?.value);
    if (connections !== this.#peers.count) throw invalid('peers are missing');
    return { state, peers: this.#peers.rest };
  }

  /** See `Inheritance.takeOver`. */
  takeOver(begin: () => void, late: (parcel: Parcel) => void): Promise<void> {
    return this.#inheritance.takeOver(begin, late);
  }

  /** The peers are read and written from now on. */
  release(): void {
    this.#peers.release();
  }

  /** After the takeover: everything is in place, and the old process may end. */
  finish(): void {
    this.#inheritance.finish();
  }

  /** Reports to the old process that the takeover failed, and the reason; the old process continues. */
  fail(reason: string): Promise<void> {
    return this.#inheritance.fail(reason);
  }

  #state(): DirectorySnapshot {
    const state = parseDirectorySnapshot(this.parcels.get(DIRECTORY)?.value);
    if (!state.ok) throw invalid(`directory, ${state.reason}`);
    return state.value;
  }
}
