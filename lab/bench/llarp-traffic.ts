/**
 * Traffic for routers of the LLARP lab: pairs of paths that end at one router, with messages between their creators in
 * both directions, while routers leave and join. Every message is accounted for: it arrived, was refused or reported as
 * dropped, or was on a path of a router that left.
 */
import type { Path, PathEnd } from '../../src/llarp/path/path.js';
import { readLlarp } from '../../src/llarp/read.js';
import type { Router } from '../../src/llarp/router/router.js';
import { HIDDEN_SERVICE_FRAME } from '../../src/llarp/routing-messages.js';

const HOPS = 3;

export interface Member {
  readonly router: Router;
}

export interface TrafficOptions {
  /** Milliseconds. */
  readonly now: () => number;
  /** A whole number from 0 to below this. */
  readonly random: (below: number) => number;
  /** A router extends paths to those at most so far behind it in the list: fewer links, so fewer handshakes. */
  readonly reach: number;
  /** Bytes of a message. */
  readonly messageBytes: number;
}

/** Counts of messages, paths, and times in milliseconds. */
export interface Figures {
  sent: number;
  delivered: number;
  /** The first link of the path took no more. */
  refused: number;
  /** The end of the path reported that it dropped the message (DDFM). */
  discarded: number;
  /** On a path of a router that left before the message arrived. */
  broken: number;
  twice: number;
  built: number;
  notBuilt: number;
  readonly buildMs: number[];
  /** Of messages, from one creator to the other. */
  readonly oneWayMs: number[];
}

interface Side {
  readonly members: readonly Member[];
  readonly path: Path;
  readonly askedAt: number;
}

/** Two paths with one end. */
interface Pair {
  readonly sides: readonly Side[];
  readonly outstanding: Map<string, number>;
  discarded: number;
  hasLeft: boolean;
}

export class Traffic {
  readonly figures: Figures = {
    sent: 0,
    delivered: 0,
    refused: 0,
    discarded: 0,
    broken: 0,
    twice: 0,
    built: 0,
    notBuilt: 0,
    buildMs: [],
    oneWayMs: [],
  };
  readonly #options: TrafficOptions;
  readonly #members: Member[] = [];
  readonly #pairs = new Set<Pair>();
  #message = 0;

  constructor(options: TrafficOptions) {
    this.#options = options;
  }

  get members(): readonly Member[] {
    return this.#members;
  }

  get readyPaths(): number {
    return [...this.#pairs].filter(isReady).length * 2;
  }

  /** Messages that did not arrive yet. */
  get waiting(): number {
    return [...this.#pairs].reduce((sum, { outstanding }) => sum + outstanding.size, 0);
  }

  add(member: Member): void {
    this.#members.push(member);
  }

  /** A router leaves; the caller closes it afterwards. Its pairs are given up. */
  leave(index: number): Member | undefined {
    const [member] = this.#members.splice(index, 1);
    for (const pair of this.#pairs) {
      if (pair.sides.some(({ members }) => members.some((each) => each === member))) {
        pair.hasLeft = true;
        this.#close(pair);
      }
    }
    return member;
  }

  /** Asks for paths until there are this many pairs. */
  open(pairs: number): void {
    while (this.#pairs.size < pairs) this.#openPair();
  }

  /** One message in each direction of every pair that is ready; of each n-th pair only, when a part is named. */
  send(part = 0, parts = 1): void {
    for (const [i, pair] of [...this.#pairs].entries()) {
      const [a, b] = pair.sides;
      if (!a || !b || !isReady(pair) || i % parts !== part) continue;
      this.#sendOne(pair, a.path, b.path);
      this.#sendOne(pair, b.path, a.path);
    }
  }

  /** Gives up all pairs. Returns the number of messages that are lost without a reason: it must be 0. */
  finish(): number {
    let unexplained = 0;
    for (const pair of this.#pairs) unexplained += this.#close(pair);
    return unexplained;
  }

  #openPair(): void {
    const start = this.#options.random(this.#members.length);
    const end = start + HOPS * this.#options.reach + 1;
    const pair: Pair = { sides: [], outstanding: new Map(), discarded: 0, hasLeft: false };
    const sides: Side[] = [];
    for (let i = 0; i < 2; i++) {
      const side = this.#openSide(pair, end);
      if (side) sides.push(side);
    }
    this.#pairs.add(Object.assign(pair, { sides }));
  }

  /** A path that ends at this router. Its hops are chosen from the end backwards. */
  #openSide(pair: Pair, end: number): Side | undefined {
    const { random, reach, now } = this.#options;
    const indices = [end];
    for (let i = 0; i < HOPS; i++) indices.unshift((indices[0] ?? 0) - 1 - random(reach));
    const members = indices.flatMap((index) => {
      const member = this.#members[index % this.#members.length];
      return member ? [member] : [];
    });
    const [creator, ...hops] = members;
    const [first] = hops;
    if (!creator || !first) return undefined;
    const contacts = hops.map(({ router }) => router.contact);
    creator.router.book.put(first.router.contact, first.router.contact.time);
    const askedAt = now();
    const path = creator.router.createPath(contacts, {
      onReady: () => {
        this.figures.built++;
        this.figures.buildMs.push(now() - askedAt);
      },
      onEnd: (reason) => this.#onEnd(pair, reason),
      onMessage: (message) => {
        if (message.kind === 'discarded') pair.discarded++;
      },
      onFrame: (bytes) => this.#onFrame(pair, bytes),
    });
    return path && { members, path, askedAt };
  }

  #sendOne(pair: Pair, from: Path, to: Path): void {
    const { messageBytes, now } = this.#options;
    const id = String(this.#message++).padStart(12, '0');
    const data = new Uint8Array(messageBytes);
    data.set(Buffer.from(id));
    const frame = {
      kind: 'next',
      data,
      nonce: new Uint8Array(32),
      tag: new Uint8Array(16),
      source: new Uint8Array(16),
      signature: new Uint8Array(64),
      version: 0n,
    } as const;
    this.figures.sent++;
    const pathId = to.farthestId;
    if (from.send({ kind: 'transfer', pathId, frame, version: 0n })) {
      pair.outstanding.set(id, now());
    } else this.figures.refused++;
  }

  #onFrame(pair: Pair, bytes: Uint8Array): void {
    const read = readLlarp(HIDDEN_SERVICE_FRAME, bytes);
    if (!read.ok || read.value.kind !== 'next') return;
    const id = Buffer.from(read.value.data.subarray(0, 12)).toString();
    const sentAt = pair.outstanding.get(id);
    if (sentAt === undefined) {
      this.figures.twice++;
      return;
    }
    pair.outstanding.delete(id);
    this.figures.delivered++;
    this.figures.oneWayMs.push(this.#options.now() - sentAt);
  }

  #onEnd(pair: Pair, reason: PathEnd): void {
    if (reason === 'not-built') this.figures.notBuilt++;
    if (reason !== 'closed' && this.#pairs.has(pair) && pair.hasLeft) this.#close(pair);
  }

  /** Returns the number of messages without a reason. */
  #close(pair: Pair): number {
    if (!this.#pairs.delete(pair)) return 0;
    const missing = pair.outstanding.size;
    const discarded = Math.min(missing, pair.discarded);
    this.figures.discarded += discarded;
    if (pair.hasLeft) this.figures.broken += missing - discarded;
    for (const { path } of pair.sides) path.end('closed');
    return pair.hasLeft ? 0 : missing - discarded;
  }
}

function isReady({ sides }: Pair): boolean {
  return sides.length === 2 && sides.every(({ path }) => path.state === 'ready');
}
