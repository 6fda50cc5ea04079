/** A router of the lab with its DHT and, if it offers any, its exits. */
import { Dht } from './dht/dht.js';
import { Exits, type ExitsOptions } from './exit/exits.js';
import { Router, type RouterOptions } from './router/router.js';

/** Expired introsets are removed at this interval. */
const SWEEP_MS = 60_000;

/** Options of a router with its DHT. */
export interface LlarpNodeOptions extends Omit<RouterOptions, 'farEnd' | 'onDht'> {
  /** Absent: this router offers no exits. */
  readonly offers?: Omit<ExitsOptions, 'clock' | 'randomBytes' | 'identity'>;
}

/** A router of a laboratory. Pure: datagrams, time and random numbers are arguments. */
export class LlarpNode {
  /** Links and paths. */
  readonly router: Router;
  /** Its part of the DHT. */
  readonly dht: Dht;
  /** Undefined when it offers none. */
  readonly exits: Exits | undefined;
  #cancelSweep: () => void;

  constructor(options: LlarpNodeOptions) {
    const { clock, wallClock, randomBytes, keys, offers } = options;
    this.exits = offers && new Exits({ ...offers, clock, randomBytes, identity: keys.signing });
    this.router = new Router({
      ...options,
      send: (packet, address) => options.send(packet, address),
      onDht: (from, { messages }) => this.dht.onNeighbour(from, messages),
      farEnd: {
        onMessage: (message, hop, down) => {
          if (message.kind !== 'dht') {
            this.exits?.onMessage(message, hop, down);
            return;
          }
          this.dht.onPath(message.messages, (reply) => {
            down.send({ kind: 'dht', messages: [reply], version: 0n });
          });
        },
        onGone: (hop) => this.exits?.onGone(hop),
      },
    });
    this.dht = new Dht({ clock, wallClock, randomBytes, router: this.router });
    const sweep = (): void => {
      this.dht.sweep();
      this.#cancelSweep = clock.after(SWEEP_MS, sweep);
    };
    this.#cancelSweep = clock.after(SWEEP_MS, sweep);
  }

  /** Ends paths, links and timers. */
  close(): void {
    this.#cancelSweep();
    this.exits?.close();
    this.dht.close();
    this.router.close();
  }
}
