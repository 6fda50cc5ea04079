/** A router of the lab with its DHT. */
import { Dht } from './dht/dht.js';
import { Router, type RouterOptions } from './router/router.js';

/** Expired introsets are removed at this interval. */
const SWEEP_MS = 60_000;

export class LlarpNode {
  readonly router: Router;
  readonly dht: Dht;
  #cancelSweep: () => void;

  constructor(options: Omit<RouterOptions, 'farEnd' | 'onDht'>) {
    const { clock, wallClock, randomBytes } = options;
    this.router = new Router({
      ...options,
      send: (packet, address) => options.send(packet, address),
      onDht: (from, { messages }) => this.dht.onNeighbour(from, messages),
      farEnd: {
        onMessage: (message, _, down) => {
          if (message.kind !== 'dht') return;
          this.dht.onPath(message.messages, (reply) => {
            down.send({ kind: 'dht', messages: [reply], version: 0n });
          });
        },
      },
    });
    this.dht = new Dht({ clock, wallClock, randomBytes, router: this.router });
    const sweep = (): void => {
      this.dht.sweep();
      this.#cancelSweep = clock.after(SWEEP_MS, sweep);
    };
    this.#cancelSweep = clock.after(SWEEP_MS, sweep);
  }

  close(): void {
    this.#cancelSweep();
    this.dht.close();
    this.router.close();
  }
}
