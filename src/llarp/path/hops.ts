/**
 * The paths of others that run through a router: for each, the key of this hop and its two neighbours. Both path ids
 * come from strangers, so an id that is taken is refused.
 */
import type { Clock } from '../../kit/clock.js';

/** Most paths through a router, and most of them from one neighbour. */
export const MAX_HOPS = 8_192;
export const MAX_HOPS_OF_ONE = 2_048;

/** A path through this router. */
export interface Hop {
  /** Shared with the creator, 32 bytes. */
  readonly key: Uint8Array;
  /** The path id of messages between the previous hop and this one. */
  readonly receiveId: Uint8Array;
  /** The path id of messages between this hop and the next one. */
  readonly transmitId: Uint8Array;
  /** The identities of the neighbours, as text. `next` is absent at the farthest hop. */
  readonly previous: string;
  readonly next: string | undefined;
  /** In milliseconds of the clock. */
  readonly expiresAt: number;
  /** The number of the next routing message that this end sends down. */
  sequence: bigint;
}

/** Why a path is not taken. */
export type HopFault = 'id-taken' | 'too-many';

function idText(neighbour: string, id: Uint8Array): string {
  return `${neighbour} ${Buffer.from(id).toString('hex')}`;
}

export class Hops {
  readonly #clock: Clock;
  /** By previous neighbour and receive id. */
  readonly #upstream = new Map<string, Hop>();
  /** By next neighbour and transmit id. */
  readonly #downstream = new Map<string, Hop>();
  /** Farthest hops by receive id, for TDFM. */
  readonly #ends = new Map<string, Hop>();
  readonly #counts = new Map<string, number>();
  readonly #onRemoved: (hop: Hop) => void;

  /** @param onRemoved called for each path that ends */
  constructor(clock: Clock, onRemoved: (hop: Hop) => void = () => undefined) {
    this.#clock = clock;
    this.#onRemoved = onRemoved;
  }

  get size(): number {
    return this.#upstream.size;
  }

  add(hop: Hop): HopFault | undefined {
    const count = this.#counts.get(hop.previous) ?? 0;
    if (this.size >= MAX_HOPS || count >= MAX_HOPS_OF_ONE) this.expire();
    if (this.size >= MAX_HOPS || (this.#counts.get(hop.previous) ?? 0) >= MAX_HOPS_OF_ONE) {
      return 'too-many';
    }
    const up = idText(hop.previous, hop.receiveId);
    const down = hop.next === undefined ? undefined : idText(hop.next, hop.transmitId);
    const end = idText('', hop.receiveId);
    if (this.#upstream.has(up)) return 'id-taken';
    if (down === undefined ? this.#ends.has(end) : this.#downstream.has(down)) return 'id-taken';
    this.#upstream.set(up, hop);
    if (down === undefined) this.#ends.set(end, hop);
    else this.#downstream.set(down, hop);
    this.#counts.set(hop.previous, (this.#counts.get(hop.previous) ?? 0) + 1);
    return undefined;
  }

  /** The path of a LRUM from this neighbour. */
  upstream(neighbour: string, id: Uint8Array): Hop | undefined {
    return this.#alive(this.#upstream.get(idText(neighbour, id)));
  }

  /** The path of a LRDM from this neighbour. */
  downstream(neighbour: string, id: Uint8Array): Hop | undefined {
    return this.#alive(this.#downstream.get(idText(neighbour, id)));
  }

  /** The path that ends here and has this id. */
  end(id: Uint8Array): Hop | undefined {
    return this.#alive(this.#ends.get(idText('', id)));
  }

  /** Removes the paths through a neighbour that is gone. */
  removeNeighbour(neighbour: string): void {
    for (const hop of this.#upstream.values()) {
      if (hop.previous === neighbour || hop.next === neighbour) this.remove(hop);
    }
  }

  expire(): void {
    const now = this.#clock.now();
    for (const hop of this.#upstream.values()) if (hop.expiresAt <= now) this.remove(hop);
  }

  remove(hop: Hop): void {
    if (!this.#upstream.delete(idText(hop.previous, hop.receiveId))) return;
    if (hop.next === undefined) this.#ends.delete(idText('', hop.receiveId));
    else this.#downstream.delete(idText(hop.next, hop.transmitId));
    const left = (this.#counts.get(hop.previous) ?? 1) - 1;
    if (left > 0) this.#counts.set(hop.previous, left);
    else this.#counts.delete(hop.previous);
    this.#onRemoved(hop);
  }

  #alive(hop: Hop | undefined): Hop | undefined {
    if (!hop || hop.expiresAt > this.#clock.now()) return hop;
    this.remove(hop);
    return undefined;
  }
}
