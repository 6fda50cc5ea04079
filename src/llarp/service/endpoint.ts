/**
 * A hidden service that keeps conversations going: publishes its introset over its paths and renews it, finds others
 * over other paths, and exchanges messages with them. Messages may be lost, repeated messages are dropped. Pure:
 * time, random numbers and the router are arguments.
 */
import type { Clock } from '../../kit/clock.js';
import { TokenBucket } from '../../kit/rate-limit.js';
import type { RandomBytes } from '../crypto.js';
import { serviceAddress } from '../dht/introsets.js';
import type { Path } from '../path/path.js';
import { readLlarp } from '../read.js';
import { keyText } from '../router/distance.js';
import {
  HIDDEN_SERVICE_FRAME,
  type HiddenServiceFrame,
  type RoutingMessage,
} from '../routing-messages.js';
import type { Conversation } from './conversation.js';
import { DhtClient } from './dht-client.js';
import { rejectFrame, type Begun } from './frames.js';
import { Handshakes } from './handshakes.js';
import { addressOfService, serviceInfo, type ServiceKeys } from './keys.js';
import { PathPool, type PathMaker } from './path-pool.js';
import { Publisher, type PublishState } from './publisher.js';
import type { RemoteFault } from './outgoing.js';
import { RemoteService, type RemoteCounts } from './remote-service.js';

/** Most other services at a time; an idle one makes room. */
export const MAX_REMOTES = 512;
const TICK_MS = 1_000;
/** Frames of unknown conversations that are answered with a reject. */
const REJECTS_PER_SECOND = 20;
const DEFAULT_HOPS = 3;
const INTRODUCTIONS = 3;
const LOOK_UP_PATHS = 2;

export interface EndpointOptions {
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallClock: () => bigint;
  readonly randomBytes: RandomBytes;
  readonly router: PathMaker;
  readonly keys: ServiceKeys;
  /** Whether others can find it. Without that, it only reaches others. */
  readonly publishes: boolean;
  /** Hops of each path, 1 to 8; default 3. */
  readonly hops?: number;
  /** A message of another service. @param from its address as hexadecimal digits */
  onMessage(from: string, protocol: bigint, payload: Uint8Array): void;
  /** Whether others can find it has changed. */
  onState?(state: PublishState): void;
  /** Messages to this service were dropped. */
  onUnreachable?(address: string, fault: RemoteFault): void;
}

interface Known {
  readonly remote: RemoteService;
  readonly conversation: Conversation;
}

export class ServiceEndpoint {
  readonly #options: EndpointOptions;
  readonly #pool: PathPool;
  readonly #dht: DhtClient;
  readonly #publisher: Publisher;
  readonly #handshakes: Handshakes;
  readonly #rejects: TokenBucket;
  /** By address. */
  readonly #remotes = new Map<string, RemoteService>();
  /** By tag. */
  readonly #conversations = new Map<string, Known>();
  #cancelTick: () => void;
  #isClosed = false;
  /** Its address, 32 bytes. */
  readonly address: Uint8Array;
  /** Frames that were dropped, by reason. */
  readonly dropped = { malformed: 0, 'unknown-tag': 0, full: 0 };

  constructor(options: EndpointOptions) {
    const { clock, wallClock, randomBytes, router, keys, publishes } = options;
    this.#options = options;
    this.address = addressOfService(keys);
    this.#pool = new PathPool({
      clock,
      wallClock,
      randomBytes,
      router,
      hops: options.hops ?? DEFAULT_HOPS,
      kept: { introduction: publishes ? INTRODUCTIONS : 0, 'look-up': LOOK_UP_PATHS },
      onMessage: (path, message) => this.#onMessage(path, message),
      onFrame: (path, bytes) => this.#onFrame(path, bytes),
      onReady: () => this.#onPaths(),
      onEnd: () => this.#onPaths(),
    });
    const paths = (): readonly Path[] => this.#pool.ready('look-up');
    this.#dht = new DhtClient({ clock, wallClock, randomBytes, paths });
    this.#publisher = new Publisher({
      clock,
      wallClock,
      keys,
      dht: this.#dht,
      paths: () => this.#pool.ready('introduction'),
      onState: (state) => options.onState?.(state),
    });
    this.#handshakes = new Handshakes({
      clock,
      wallClock,
      keys,
      onBegun: (begun) => this.#onBegun(begun),
    });
    this.#rejects = new TokenBucket(clock, REJECTS_PER_SECOND, REJECTS_PER_SECOND);
    this.#cancelTick = clock.after(0, () => this.#tick());
  }

  get state(): PublishState {
    return this.#publisher.state;
  }

  /** Numbers of what is kept. */
  get sizes(): Readonly<Record<'remotes' | 'conversations' | 'paths' | 'tags', number>> {
    return {
      remotes: this.#remotes.size,
      conversations: this.#conversations.size,
      paths: this.#pool.size,
      tags: this.#handshakes.tags,
    };
  }

  /** What was dropped of first frames, by reason. */
  get handshakesDropped(): Handshakes['dropped'] {
    return this.#handshakes.dropped;
  }

  /** What was dropped and moved of the messages with a service; undefined when it is not known. */
  countsOf(address: string): RemoteCounts | undefined {
    return this.#remotes.get(address)?.counts;
  }

  /**
   * Sends a message, as soon as there is a conversation. It may be lost.
   * @param address of the other service, 64 hexadecimal digits
   * @param payload at most `MAX_PAYLOAD_BYTES`; a longer one throws a RangeError
   * @returns false when too much waits
   */
  send(address: string, protocol: bigint, payload: Uint8Array): boolean {
    const remote = this.#isClosed ? undefined : this.#remoteOf(address);
    if (!remote) {
      this.dropped.full++;
      return false;
    }
    return remote.send(protocol, payload);
  }

  /** Nothing comes back from this service: takes another way to it. */
  doubt(address: string): void {
    this.#remotes.get(address)?.doubt();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelTick();
    for (const remote of this.#remotes.values()) remote.close();
    this.#remotes.clear();
    this.#handshakes.close();
    this.#publisher.close();
    this.#dht.close();
    this.#pool.close();
  }

  #tick(): void {
    this.#pool.keep();
    this.#handshakes.sweep();
    for (const [address, remote] of this.#remotes) {
      remote.tick();
      if (remote.isIdle()) this.#forget(address, remote);
    }
    // A handler of the owner may have closed it.
    if (!this.#isClosed) this.#cancelTick = this.#options.clock.after(TICK_MS, () => this.#tick());
  }

  #forget(address: string, remote: RemoteService): void {
    this.#remotes.delete(address);
    remote.close();
  }

  #onPaths(): void {
    if (this.#isClosed) return;
    if (this.#options.publishes) this.#publisher.changed();
    this.#dht.pathReady();
    for (const remote of this.#remotes.values()) remote.pathChanged();
  }

  #onMessage(path: Path, message: RoutingMessage): void {
    if (message.kind === 'dht') {
      this.#dht.receive(path, message.messages);
    } else if (message.kind === 'discarded') {
      for (const remote of this.#remotes.values()) {
        if (remote.discarded(path, message.sequence)) return;
      }
    }
  }

  #onFrame(path: Path, bytes: Uint8Array): void {
    const read = readLlarp(HIDDEN_SERVICE_FRAME, bytes);
    if (!read.ok) {
      this.dropped.malformed++;
      return;
    }
    const frame = read.value;
    if (frame.kind === 'begin') {
      if (this.#options.publishes) this.#handshakes.add(frame, path);
      return;
    }
    const known = this.#conversations.get(keyText(frame.tag));
    if (!known) this.#onUnknown(path, frame);
    else if (frame.kind === 'next') known.remote.next(known.conversation, frame, path);
    else known.remote.rejected(known.conversation, frame);
  }

  /** A frame of a conversation that is not known here: tells the sender, over the path that it came from. */
  #onUnknown(path: Path, frame: Exclude<HiddenServiceFrame, { kind: 'begin' }>): void {
    this.dropped['unknown-tag']++;
    if (frame.kind === 'reject' || !this.#rejects.take()) return;
    const answer = rejectFrame(this.#options.keys, frame.tag, path.farthestId);
    path.send({ kind: 'transfer', pathId: frame.source, frame: answer, version: 0n });
  }

  #onBegun(begun: Begun): void {
    const remote = this.#remoteOf(keyText(serviceAddress(begun.data.sender)));
    if (remote) remote.begun(begun);
    else this.dropped.full++;
  }

  /** The service with this address, new if need be; undefined when there is no room. */
  #remoteOf(address: string): RemoteService | undefined {
    const known = this.#remotes.get(address);
    if (known) return known;
    if (this.#remotes.size >= MAX_REMOTES) {
      const idle = [...this.#remotes].find(([, each]) => each.isIdle());
      if (!idle) return undefined;
      this.#forget(...idle);
    }
    const { clock, wallClock, randomBytes, keys, router } = this.#options;
    const remote: RemoteService = new RemoteService(Uint8Array.from(Buffer.from(address, 'hex')), {
      clock,
      wallClock,
      randomBytes,
      keys,
      info: serviceInfo(keys),
      pool: this.#pool,
      dht: this.#dht,
      book: router.book,
      onConversation: (conversation, change) => {
        if (change === 'removed') this.#conversations.delete(conversation.tagText);
        else this.#conversations.set(conversation.tagText, { remote, conversation });
      },
      onMessage: (protocol, payload) => this.#options.onMessage(address, protocol, payload),
      onFailed: (fault) => this.#options.onUnreachable?.(address, fault),
    });
    this.#remotes.set(address, remote);
    return remote;
  }
}
