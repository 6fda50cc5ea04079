/** Routers in one process, over a network in memory that may lose and delay datagrams. */
import { createHash } from 'node:crypto';
import { type RandomBytes } from '../../src/llarp/crypto.js';
import { newRouterKeys, type RouterKeys } from '../../src/llarp/router/contact.js';
import { LlarpNode, type LlarpNodeOptions } from '../../src/llarp/node.js';
import type { PathHandlers, Router } from '../../src/llarp/router/router.js';
import type { Path, PathEnd } from '../../src/llarp/path/path.js';
import type { RoutingMessage } from '../../src/llarp/routing-messages.js';
import { createTestClock, type TestClock } from '../helpers/test-clock.js';

export const NETWORK = Uint8Array.from(Buffer.from('lab\0\0\0\0\0'));
/** A time of 2026, so that contacts look as real ones do. */
const START = 1_796_000_000_000n;

/** Random bytes that a seed determines. */
export function seeded(seed: string): RandomBytes {
  let counter = 0;
  return (length) =>
    Uint8Array.from(
      createHash('shake256', { outputLength: length }).update(`${seed} ${counter++}`).digest(),
    );
}

/** A datagram that would wait longer on its line is lost. */
const MAX_BUFFER_MS = 200;

function hostOf(index: number): string {
  return `127.0.${index >> 8}.${index & 255}`;
}

function indexOf(address: string): number {
  const [, , high = '0', low = '0'] = address.split(/[.:]/);
  return Number(high) * 256 + Number(low);
}

/** What the creator of a path saw. */
export interface SeenPath {
  readonly path: Path;
  readonly messages: RoutingMessage[];
  readonly frames: Uint8Array[];
  readonly ends: PathEnd[];
}

export class Lab {
  readonly clock: TestClock = createTestClock();
  readonly nodes: LlarpNode[] = [];
  readonly keys: RouterKeys[] = [];
  /** Whether a datagram is lost. */
  loses: () => boolean = () => false;
  delayMs = 5;
  /** Milliseconds that each datagram from one router to another occupies their line; Infinity: it carries nothing. */
  paces: (line: { readonly from: number; readonly to: number }) => number = () => 0;
  /** When a line with a pace is free. */
  readonly #freeAt = new Map<string, number>();
  /** Every datagram so far, when `records` is set. */
  readonly recorded: { packet: Uint8Array; from: string; to: string }[] = [];
  records = false;
  readonly #byAddress = new Map<string, Router>();
  readonly #killed = new Set<string>();

  readonly wallClock = (): bigint => START + BigInt(this.clock.now());

  readonly #offers: (index: number) => LlarpNodeOptions['offers'];
  readonly #bounds: Pick<LlarpNodeOptions, 'maxPaths'>;

  /** @param count number of routers; all know all others @param offers the exits of a router */
  constructor(
    count: number,
    offers: (index: number) => LlarpNodeOptions['offers'] = () => undefined,
    bounds: Pick<LlarpNodeOptions, 'maxPaths'> = {},
  ) {
    this.#offers = offers;
    this.#bounds = bounds;
    for (let i = 0; i < count; i++) this.add();
    this.meet();
  }

  get routers(): readonly Router[] {
    return this.nodes.map(({ router }) => router);
  }

  add(): Router {
    const index = this.nodes.length;
    const random = seeded(`router ${index}`);
    const keys = newRouterKeys(random);
    this.keys.push(keys);
    const node = this.#start(index, { keys, random, port: 1_090 });
    this.nodes.push(node);
    return node.router;
  }

  /** A router stops without a word, and starts again with the same keys at another port. It knows all others. */
  comeBack(index: number): void {
    this.kill(index);
    const keys = this.keys[index];
    if (!keys) throw new Error(`no router ${index}`);
    const node = this.#start(index, { keys, random: seeded(`router ${index} again`), port: 1_091 });
    this.nodes[index] = node;
    for (const other of this.routers) node.router.book.put(other.contact, this.wallClock());
  }

  #start(
    index: number,
    { keys, random, port }: { keys: RouterKeys; random: RandomBytes; port: number },
  ): LlarpNode {
    const host = hostOf(index);
    const address = `${host}:${port}`;
    const offers = this.#offers(index);
    const node = new LlarpNode({
      ...(offers ? { offers } : {}),
      ...this.#bounds,
      clock: this.clock,
      wallClock: this.wallClock,
      randomBytes: random,
      keys,
      network: NETWORK,
      host,
      port,
      obfuscates: index % 2 === 1,
      send: (packet, to) => this.carry(packet, address, to),
    });
    this.#byAddress.set(address, node.router);
    return node;
  }

  /** Every router learns the contacts of all others. */
  meet(): void {
    for (const router of this.routers) {
      for (const other of this.routers) {
        if (other !== router) router.book.put(other.contact, this.wallClock());
      }
    }
  }

  node(index: number): LlarpNode {
    const node = this.nodes[index];
    if (!node) throw new Error(`no router ${index}`);
    return node;
  }

  router(index: number): Router {
    return this.node(index).router;
  }

  /** The router does not get or send anything any more. */
  kill(index: number): void {
    const router = this.router(index);
    for (const [address, each] of this.#byAddress) {
      if (each !== router) continue;
      this.#byAddress.delete(address);
      this.#killed.add(address);
    }
    this.node(index).close();
  }

  carry(packet: Uint8Array, from: string, to: string): void {
    if (this.records) this.recorded.push({ packet, from, to });
    if (this.#killed.has(from) || this.loses()) return;
    const wait = this.#occupied(from, to);
    if (wait > MAX_BUFFER_MS) return;
    this.clock.after(this.delayMs + wait, () => this.#byAddress.get(to)?.receive(packet, from));
  }

  /** Milliseconds until a line has carried a datagram after those before it. */
  #occupied(from: string, to: string): number {
    const pace = this.paces({ from: indexOf(from), to: indexOf(to) });
    if (pace === 0 || pace === Infinity) return pace;
    const line = `${from} ${to}`;
    const now = this.clock.now();
    const before = Math.max(now, this.#freeAt.get(line) ?? 0);
    if (before - now <= MAX_BUFFER_MS) this.#freeAt.set(line, before + pace);
    return before - now + pace;
  }

  /** Lets a router ask for a path through these others. */
  path(
    creator: number,
    hops: readonly number[],
    lifetime?: bigint,
    also: Partial<PathHandlers> = {},
    moreSeconds = 0,
  ): SeenPath {
    const seen = { messages: [], frames: [], ends: [] } as Omit<SeenPath, 'path'>;
    const handlers: PathHandlers = {
      onMessage(message) {
        seen.messages.push(message);
        also.onMessage?.(message);
      },
      onFrame: (bytes) => seen.frames.push(bytes),
      onReady: () => also.onReady?.(),
      onEnd(reason) {
        seen.ends.push(reason);
        also.onEnd?.(reason);
      },
    };
    const contacts = hops.map((index) => this.router(index).contact);
    const path = this.router(creator).createPath(contacts, handlers, lifetime, moreSeconds);
    if (!path) throw new Error('the path was not asked for');
    return { ...seen, path };
  }
}
