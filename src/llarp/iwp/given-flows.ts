/** The flow ids that an endpoint gave (G) and that were not used yet: bounded in number and time. */
import { BoundedMap } from '../../kit/bounded-map.js';
import type { Clock } from '../../kit/clock.js';

const MAX_FLOWS = 4_096;
const FLOW_MS = 30_000;

/** The router that asked for a flow id. */
export interface FlowOwner {
  /** The key that signed its O. */
  readonly identity: Uint8Array;
  /** The address that its O came from. */
  readonly address: string;
}

interface Given extends FlowOwner {
  readonly at: number;
}

const idText = (flowId: Uint8Array): string => Buffer.from(flowId).toString('hex');

export class GivenFlows {
  readonly #clock: Clock;
  /** By flow id, the oldest first. */
  readonly #flows = new BoundedMap<string, Given>(MAX_FLOWS);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#flows.size;
  }

  /** @param flowId 16 random bytes */
  give(flowId: Uint8Array, { identity, address }: FlowOwner): void {
    this.#forget();
    this.#flows.set(idText(flowId), { identity, address, at: this.#clock.now() });
  }

  /** The identity of the router that has this flow id; undefined when the id is unknown, too old, or of another address. */
  ownerOf(flowId: Uint8Array, address: string): Uint8Array | undefined {
    const flow = this.#flows.get(idText(flowId));
    if (flow?.address !== address || this.#clock.now() - flow.at > FLOW_MS) return undefined;
    return flow.identity;
  }

  /** The flow id is used. */
  take(flowId: Uint8Array): void {
    this.#flows.delete(idText(flowId));
  }

  clear(): void {
    this.#flows.clear();
  }

  /** Removes the flow ids that were given too long ago. */
  #forget(): void {
    const now = this.#clock.now();
    for (const [id, { at }] of this.#flows) {
      if (now - at <= FLOW_MS) return;
      this.#flows.delete(id);
    }
  }
}
