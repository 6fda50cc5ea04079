/**
 * Routers of LLARP v0 in this process, which exchange their datagrams in memory. All of them belong to whoever runs the
 * process: there is no anonymity here.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../channel/ports.js';
import { LlarpNode } from '../../llarp/node.js';
import { newRouterKeys } from '../../llarp/router/contact.js';
import { systemClock } from '../../overlay/system-clock.js';

const NETWORK = Uint8Array.from(Buffer.from('lab\0\0\0\0\0'));
const PORT = 1_090;
/** Most datagrams on their way; further ones are lost. */
const MAX_DATAGRAMS = 65_536;
/** Datagrams that are delivered in one turn of the event loop. */
const DATAGRAMS_A_TURN = 64;
/** Contacts are valid for an hour, and given to all routers at this interval. */
const MEET_MS = 600_000;
const MAX_NODES = 65_536;

interface Datagram {
  readonly packet: Uint8Array;
  readonly from: string;
  readonly to: string;
}

export interface LlarpMemoryNetworkOptions {
  /** Routers that relay for all; at least one more than the hops of a path. */
  readonly routers: number;
  readonly clock?: Clock;
}

export class LlarpMemoryNetwork {
  readonly #clock: Clock;
  /** By address. */
  readonly #nodes = new Map<string, LlarpNode>();
  /** Those that relay for all; others come and go. */
  readonly #relays: readonly LlarpNode[];
  #added = 0;
  #queue: Datagram[] = [];
  #isScheduled = false;
  #cancelMeet: () => void;
  /** Keeps the process alive, as an open socket does. */
  readonly #open: NodeJS.Timeout;

  constructor({ routers, clock = systemClock }: LlarpMemoryNetworkOptions) {
    this.#clock = clock;
    this.#relays = Array.from({ length: routers }, () => this.#add().node);
    this.#cancelMeet = clock.after(MEET_MS, () => this.#meetAgain());
    this.#open = setInterval(() => undefined, MEET_MS);
    this.#meet(this.#relays);
  }

  /** A router for one program: its paths begin there. `close` removes it. */
  join(): { readonly node: LlarpNode; readonly close: () => void } {
    const { node, address } = this.#add();
    this.#meet([node]);
    return {
      node,
      close: () => {
        if (this.#nodes.delete(address)) node.close();
      },
    };
  }

  close(): void {
    clearInterval(this.#open);
    this.#cancelMeet();
    for (const node of this.#nodes.values()) node.close();
    this.#nodes.clear();
    this.#queue = [];
  }

  #add(): { readonly node: LlarpNode; readonly address: string } {
    const index = this.#added++;
    if (index >= MAX_NODES) throw new RangeError(`at most ${MAX_NODES} routers`);
    const host = `127.0.${index >> 8}.${index & 255}`;
    const address = `${host}:${PORT}`;
    const node = new LlarpNode({
      clock: this.#clock,
      wallClock: () => BigInt(Date.now()),
      randomBytes: (length) => new Uint8Array(randomBytes(length)),
      keys: newRouterKeys((length) => new Uint8Array(randomBytes(length))),
      network: NETWORK,
      host,
      port: PORT,
      // Nobody sees these datagrams.
      obfuscates: false,
      send: (packet, to) => this.#carry({ packet, from: address, to }),
    });
    this.#nodes.set(address, node);
    return { node, address };
  }

  /** Gives the contacts of the relays to these routers. */
  #meet(nodes: Iterable<LlarpNode>): void {
    const now = BigInt(Date.now());
    for (const { router } of nodes) {
      for (const relay of this.#relays) {
        if (relay.router !== router) router.book.put(relay.router.contact, now);
      }
    }
  }

  #meetAgain(): void {
    this.#meet(this.#nodes.values());
    this.#cancelMeet = this.#clock.after(MEET_MS, () => this.#meetAgain());
  }

  #carry(datagram: Datagram): void {
    if (this.#queue.length >= MAX_DATAGRAMS) return;
    this.#queue.push(datagram);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#queue.length === 0) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      for (const { packet, from, to } of this.#queue.splice(0, DATAGRAMS_A_TURN)) {
        this.#nodes.get(to)?.router.receive(packet, from);
      }
      this.#schedule();
    });
  }
}
