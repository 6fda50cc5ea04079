/** The addresses that an exit gives to its clients (row D7), one each. */
import { mapped } from './ip-packet.js';

/** The first address belongs to the exit. */
const OFFSET = 2;

export class ExitAddresses {
  readonly #network: number;
  readonly #free: number[] = [];
  #used = 0;
  readonly #most: number;

  /** @param network 4 bytes: the addresses follow it @param most number of addresses */
  constructor(network: Uint8Array, most: number) {
    this.#network = new DataView(network.buffer, network.byteOffset, 4).getUint32(0);
    this.#most = most;
  }

  /** The address of the exit itself. */
  get gateway(): Uint8Array {
    return this.#address(1);
  }

  /** 16 bytes; undefined when all are in use. */
  take(): Uint8Array | undefined {
    const number = this.#free.shift() ?? (this.#used < this.#most ? this.#used++ : undefined);
    return number === undefined ? undefined : this.#address(number + OFFSET);
  }

  giveBack(address: Uint8Array): void {
    const v4 = new DataView(address.buffer, address.byteOffset + 12, 4).getUint32(0);
    this.#free.push(v4 - this.#network - OFFSET);
  }

  #address(number: number): Uint8Array {
    const v4 = new Uint8Array(4);
    new DataView(v4.buffer).setUint32(0, this.#network + number);
    return mapped(v4);
  }
}
