/**
 * A router of the lab: relays for others (rows D15 to D21), answers at the end of their paths, and creates paths of its
 * own. Pure: datagrams and time are arguments. Nobody but the lab speaks this version of the protocol.
 */
import { BoundedMap } from '../../kit/bounded-map.js';
import type { Clock } from '../../kit/clock.js';
import { TokenBucket } from '../../kit/rate-limit.js';
import { equalBytes } from '../bytes.js';
import type { RandomBytes } from '../crypto.js';
import type { LinkMessage, LinkMessageOf } from '../link-messages.js';
import { passHop, type Layered } from '../onion.js';
import { lifetimeOf, makeCommit, readCommit } from '../path/commit.js';
import { Hops, type Hop } from '../path/hops.js';
import { Path, type PathEnd, type PathOptions } from '../path/path.js';
import type { ExitInfo, RouterContact } from '../structures.js';
import { makeWork, WorkCheck } from '../path/work.js';
import { ContactBook } from './contact-book.js';
import { CONTACT_LIFETIME_MS, makeContact, type RouterKeys } from './contact.js';
import { keyText } from './distance.js';
import { Ends, type FarEnd } from './ends.js';
import { Neighbours } from './neighbours.js';

/** Own paths at a time. */
const MAX_PATHS = 1_024;
/** Questions for paths a second, of one neighbour and of all: each costs two exchanges of keys. */
const COMMITS_OF_ONE = 40;
const COMMITS = 100;
/** Neighbours that are counted; the one that was quiet longest is forgotten. */
const MAX_COUNTED = 1_024;
/** Expired paths and contacts are removed at this interval. */
const SWEEP_MS = 10_000;

export interface RouterOptions {
  /** The time of all timers. */
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallClock: () => bigint;
  /** Where all keys, nonces and ids come from. */
  readonly randomBytes: RandomBytes;
  /** The keys of the router, and so its identity. */
  readonly keys: RouterKeys;
  /** 8 bytes. */
  readonly network: Uint8Array;
  /** Dotted IPv4. */
  readonly host: string;
  /** The port of UDP. */
  readonly port: number;
  /** The exits in its contact. */
  readonly exits?: readonly ExitInfo[];
  /** Whether packets are obfuscated; default true. */
  readonly obfuscates?: boolean;
  /** Most own paths at a time; default 1,024. */
  readonly maxPaths?: number;
  /** Sends a datagram. */
  send(packet: Uint8Array, address: string): void;
  readonly farEnd?: FarEnd;
  /** DHT messages of a neighbour, without a path. */
  onDht?(from: string, message: LinkMessageOf<'dht'>): void;
}

/** What the creator of a path is told. */
export type PathHandlers = Pick<PathOptions, 'onMessage' | 'onFrame' | 'onReady' | 'onEnd'>;

export class Router {
  readonly book: ContactBook;
  readonly #options: RouterOptions;
  readonly #hops: Hops;
  readonly #ends: Ends;
  readonly #neighbours: Neighbours;
  readonly #works = new WorkCheck();
  /** Own paths by first hop and path id. */
  readonly #paths = new Map<string, Path>();
  readonly #commits: TokenBucket;
  readonly #commitsOf = new BoundedMap<string, TokenBucket>(MAX_COUNTED);
  #contact: RouterContact;
  /** The contact that the neighbours know. */
  #announced: RouterContact;
  #cancelSweep: () => void;
  #isClosed = false;
  /** What was dropped, by reason. */
  readonly dropped = { commit: 0, rate: 0, hop: 0, path: 0, state: 0, congestion: 0 };

  constructor(options: RouterOptions) {
    const { clock, wallClock, randomBytes, keys, network, obfuscates = true } = options;
    this.#options = options;
    this.#commits = new TokenBucket(clock, COMMITS, COMMITS);
    this.book = new ContactBook(network, (contact) => this.#neighbours.onMoved(contact));
    this.#hops = new Hops(clock, (hop) => this.#ends.gone(hop));
    this.#ends = new Ends({
      clock,
      wallClock,
      farEnd: options.farEnd,
      find: (pathId) => this.#hops.end(pathId),
      send: (hop, bytes) => this.#sendBytes(hop, bytes),
    });
    this.#contact = this.#newContact();
    this.#announced = this.#contact;
    this.#neighbours = new Neighbours({
      clock,
      wallClock,
      randomBytes,
      keys,
      network,
      obfuscates,
      book: this.book,
      ownContact: () => this.contact,
      send: (packet, address) => options.send(packet, address),
      onMessage: (from, message) => this.#onMessage(from, message),
      onGone: (neighbour) => this.#onGone(neighbour),
    });
    this.#cancelSweep = clock.after(SWEEP_MS, () => this.#sweep());
  }

  /** The contact of this router, renewed in the middle of its life. */
  get contact(): RouterContact {
    const age = this.#options.wallClock() - this.#contact.time;
    if (age >= CONTACT_LIFETIME_MS / 2n) this.#contact = this.#newContact();
    return this.#contact;
  }

  /** Paths of others through this router. */
  get hops(): number {
    return this.#hops.size;
  }

  get links(): number {
    return this.#neighbours.links;
  }

  /** Bytes that wait for a neighbour, and the bytes a second that it allows; undefined without a limit. */
  queuedTo(identity: Uint8Array): number {
    return this.#neighbours.linkOf(identity)?.queuedBytes ?? 0;
  }

  limitTo(identity: Uint8Array): number | undefined {
    return this.#neighbours.linkOf(identity)?.limit;
  }

  /** What was dropped at the ends of paths, by reason. */
  get droppedAtEnd(): Readonly<Ends['dropped']> {
    return this.#ends.dropped;
  }

  /** A datagram arrived. */
  receive(packet: Uint8Array, address: string): void {
    this.#neighbours.receive(packet, address);
  }

  /** Sends a link message to a router of the book. */
  sendLink(identity: Uint8Array, message: LinkMessage): boolean {
    return this.#neighbours.send(identity, message);
  }

  /**
   * Asks these routers for a path, the nearest first. Undefined when there is no room, when too much waits for the
   * nearest router or its contact cannot be used, when a contact is too long for a record or has a key of low order,
   * and after `close`. Throws a RangeError for no router or more than 8.
   * @param lifetime seconds, see `makeCommit`
   * @param moreSeconds that are worked for, 0 to 20 (row D17); every hop gets a proof of its own
   */
  createPath(
    routers: readonly RouterContact[],
    handlers: PathHandlers,
    lifetime = 600n,
    moreSeconds = 0,
  ): Path | undefined {
    const { clock, wallClock, randomBytes, maxPaths = MAX_PATHS } = this.#options;
    const works =
      moreSeconds > 0 ? routers.map(() => makeWork(moreSeconds, wallClock(), randomBytes)) : [];
    const [nearest] = routers;
    if (this.#isClosed || this.#paths.size >= maxPaths) return undefined;
    // It may be newer than the one in the book, whose address is used.
    if (nearest && this.book.put(nearest, wallClock())) return undefined;
    const commit = makeCommit(routers, randomBytes, lifetime, works);
    const [first] = commit?.hops ?? [];
    if (!commit || !first) return undefined;
    const asks = { kind: 'commit', frames: commit.frames, version: 0n } as const;
    if (!this.#neighbours.send(first.router, asks)) return undefined;
    const key = pathKey(keyText(first.router), first.receiveId);
    const path: Path = new Path({
      clock,
      wallClock,
      randomBytes,
      hops: commit.hops,
      lifetimeMs: (Number(lifetimeOf(lifetime)) + moreSeconds) * 1_000,
      send: ({ x, y }) =>
        this.#neighbours.send(first.router, {
          kind: 'upstream',
          pathId: first.receiveId,
          x,
          y,
          version: 0n,
        }),
      onMessage: (message) => handlers.onMessage(message),
      onFrame: (bytes) => handlers.onFrame(bytes),
      onReady: () => handlers.onReady(),
      onEnd: (reason: PathEnd) => {
        this.#paths.delete(key);
        handlers.onEnd(reason);
      },
    });
    this.#paths.set(key, path);
    return path;
  }

  /** Ends paths and links. Nothing is read or sent afterwards. */
  close(): void {
    this.#isClosed = true;
    this.#cancelSweep();
    for (const path of this.#paths.values()) path.end('closed');
    this.#ends.close();
    this.#neighbours.close();
  }

  #newContact(): RouterContact {
    const { keys, network, host, port, wallClock, exits = [] } = this.#options;
    return makeContact(keys, { network, host, port, now: wallClock(), exits });
  }

  #sweep(): void {
    if (this.contact !== this.#announced) {
      this.#announced = this.contact;
      this.#neighbours.introduceAgain();
    }
    this.#hops.expire();
    this.book.expire(this.#options.wallClock());
    this.#cancelSweep = this.#options.clock.after(SWEEP_MS, () => this.#sweep());
  }

  #onGone(neighbour: string): void {
    this.#hops.removeNeighbour(neighbour);
    // Found before any of them ends: the handler of an ended path may ask for another one.
    const lost = [...this.#paths.values()].filter(
      ({ hops: [first] }) => first && keyText(first.router) === neighbour,
    );
    for (const path of lost) path.end(path.state === 'building' ? 'not-built' : 'link');
  }

  #onMessage(from: string, message: Exclude<LinkMessage, { kind: 'introduce' }>): void {
    switch (message.kind) {
      case 'commit':
        this.#onCommit(from, message);
        break;
      case 'upstream':
        this.#onUpstream(from, message);
        break;
      case 'downstream':
        this.#onDownstream(from, message);
        break;
      case 'dht':
        this.#options.onDht?.(from, message);
        break;
      case 'state':
        this.dropped.state++;
    }
  }

  #onCommit(from: string, { frames }: LinkMessageOf<'commit'>): void {
    const { keys, randomBytes, clock, wallClock } = this.#options;
    if (!this.#takesCommit(from)) {
      this.dropped.rate++;
      return;
    }
    const read = readCommit(frames, keys.path, randomBytes);
    if (!read.ok) {
      this.dropped.commit++;
      return;
    }
    const { record, key } = read.value;
    const more = record.work ? this.#works.extensionMs(record.work, wallClock()) : 0;
    const lifetimeMs = read.value.lifetimeMs + more;
    const isFarthest = Buffer.compare(record.nextHop, keys.signing.publicKey) === 0;
    const hop: Hop = {
      key,
      receiveId: record.receiveId,
      transmitId: record.transmitId,
      previous: from,
      next: isFarthest ? undefined : keyText(record.nextHop),
      expiresAt: clock.now() + lifetimeMs,
      sequence: 0n,
    };
    const { nextContact, nextHop } = record;
    // A creator tells this router only of the next hop: others would push known contacts out of the book.
    if (nextContact && equalBytes(nextContact.signingKey, nextHop)) {
      this.book.put(nextContact, wallClock());
    }
    if (this.#hops.add(hop)) {
      this.dropped.hop++;
      return;
    }
    if (isFarthest) {
      this.#ends.send(hop, {
        kind: 'confirm',
        lifetimeMs: BigInt(lifetimeMs),
        sent: wallClock(),
        version: 0n,
      });
      return;
    }
    const passed = { kind: 'commit', frames: read.value.frames, version: 0n } as const;
    if (!this.#neighbours.send(record.nextHop, passed)) this.#hops.remove(hop);
  }

  #takesCommit(from: string): boolean {
    const { clock } = this.#options;
    const create = (): TokenBucket => new TokenBucket(clock, COMMITS_OF_ONE, COMMITS_OF_ONE);
    return this.#commitsOf.use(from, create).take() && this.#commits.take();
  }

  #onUpstream(from: string, { pathId, x, y }: LinkMessageOf<'upstream'>): void {
    const hop = this.#hops.upstream(from, pathId);
    if (!hop) {
      this.dropped.path++;
      return;
    }
    const passed = passHop({ x, y }, hop.key);
    if (hop.next === undefined) this.#ends.receive(hop, passed.x);
    else this.#relay(from, hop.next, 'upstream', hop.transmitId, passed);
  }

  #onDownstream(from: string, { pathId, x, y }: LinkMessageOf<'downstream'>): void {
    const own = this.#paths.get(pathKey(from, pathId));
    if (own) {
      own.receive({ x, y });
      return;
    }
    const hop = this.#hops.downstream(from, pathId);
    if (hop) {
      const passed = passHop({ x, y }, hop.key);
      this.#relay(from, hop.previous, 'downstream', hop.receiveId, passed);
    } else this.dropped.path++;
  }

  /** Passes a message on, and tells the neighbour it came from to send slower when too much waits. */
  #relay(
    from: string,
    to: string,
    kind: 'upstream' | 'downstream',
    pathId: Uint8Array,
    layered: Layered,
  ): void {
    if (!this.#sendTo(to, kind, pathId, layered)) this.dropped.congestion++;
    this.#neighbours.pressure(from, to);
  }

  #sendTo(
    neighbour: string,
    kind: 'upstream' | 'downstream',
    pathId: Uint8Array,
    { x, y }: Layered,
  ): boolean {
    const identity = Uint8Array.from(Buffer.from(neighbour, 'hex'));
    return this.#neighbours.send(identity, { kind, pathId, x, y, version: 0n });
  }

  #sendBytes(hop: Hop, x: Uint8Array): boolean {
    const y = this.#options.randomBytes(32);
    return this.#sendTo(hop.previous, 'downstream', hop.receiveId, passHop({ x, y }, hop.key));
  }
}

function pathKey(neighbour: string, pathId: Uint8Array): string {
  return `${neighbour} ${keyText(pathId)}`;
}
