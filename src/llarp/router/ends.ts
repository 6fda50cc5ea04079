/**
 * The paths that end at a router: what their creators say arrives in the order of its numbers, each message once
 * (row D32), and what this end says is numbered. Another hop of the path could repeat messages; here they are dropped.
 */
import type { Clock } from '../../kit/clock.js';
import type { Hop } from '../path/hops.js';
import type { Finish, Unnumbered } from '../path/path.js';
import { Sequencer, WaitingRoom } from '../path/sequencer.js';
import { readLlarp, writeLlarp } from '../read.js';
import {
  HIDDEN_SERVICE_FRAME,
  ROUTING_MESSAGE,
  type RoutingMessage,
  type RoutingMessageOf,
} from '../routing-messages.js';

/** What the end of a path does with routing messages, apart from latency and transfer. */
export interface FarEnd {
  onMessage(message: RoutingMessage, hop: Hop, down: Downward): void;
  /** A path that ended here is gone. */
  onGone?(hop: Hop): void;
}

/** From the end of a path to its creator. */
export interface Downward {
  /** False when the link takes no more. */
  send(message: Unnumbered<RoutingMessage>, finish?: Finish): boolean;
  /** Says that the message with this number was dropped (D26). */
  discard(sequence: bigint): void;
}

export interface EndsOptions {
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallClock: () => bigint;
  readonly farEnd: FarEnd | undefined;
  /** The path that ends here and has this id. */
  find(pathId: Uint8Array): Hop | undefined;
  /** Sends these bytes to the creator; false when the link takes no more. */
  send(hop: Hop, bytes: Uint8Array): boolean;
}

export class Ends {
  readonly #options: EndsOptions;
  readonly #orders = new Map<Hop, Sequencer<RoutingMessage>>();
  readonly #room = new WaitingRoom();
  /** What was dropped, by reason; `discarded` was reported to the creator. */
  readonly dropped = { malformed: 0, order: 0, discarded: 0, congestion: 0 };

  constructor(options: EndsOptions) {
    this.#options = options;
  }

  /** Bytes of a creator. */
  receive(hop: Hop, bytes: Uint8Array): void {
    const read = readLlarp(ROUTING_MESSAGE, bytes);
    if (!read.ok) {
      this.dropped.malformed++;
      return;
    }
    const order = this.#orders.get(hop) ?? this.#open(hop);
    if (!order.add(read.value.sequence, read.value)) this.dropped.order++;
  }

  /** Numbers a message and sends it down; false when the link takes no more. */
  send(hop: Hop, message: Unnumbered<RoutingMessage>, finish?: Finish): boolean {
    const numbered: RoutingMessage = { ...message, sequence: hop.sequence };
    const bytes = writeLlarp(ROUTING_MESSAGE, finish ? finish(numbered) : numbered);
    if (!this.#options.send(hop, bytes)) {
      this.dropped.congestion++;
      return false;
    }
    // A message that was not sent leaves no gap in the numbers.
    hop.sequence++;
    return true;
  }

  /** Says that a message was dropped (D26): its number stands outside the order of this path. */
  discard(
    hop: Hop,
    { pathId, sequence }: Pick<RoutingMessageOf<'discarded'>, 'pathId' | 'sequence'>,
  ): void {
    this.dropped.discarded++;
    const discarded = { kind: 'discarded', pathId, sequence, version: 0n } as const;
    this.#options.send(hop, writeLlarp(ROUTING_MESSAGE, discarded));
  }

  /** A path through this router is gone. */
  gone(hop: Hop): void {
    if (hop.next !== undefined) return;
    this.#orders.get(hop)?.close();
    this.#orders.delete(hop);
    this.#options.farEnd?.onGone?.(hop);
  }

  close(): void {
    for (const order of this.#orders.values()) order.close();
    this.#orders.clear();
  }

  #open(hop: Hop): Sequencer<RoutingMessage> {
    const { clock } = this.#options;
    const order = new Sequencer<RoutingMessage>(
      clock,
      (message) => this.#onMessage(hop, message),
      this.#room,
    );
    this.#orders.set(hop, order);
    return order;
  }

  #onMessage(hop: Hop, message: RoutingMessage): void {
    const { farEnd } = this.#options;
    if (message.kind === 'latency') this.#onLatency(hop, message.received);
    else if (message.kind === 'transfer') this.#onTransfer(hop, message);
    else farEnd?.onMessage(message, hop, this.#down(hop));
  }

  #down(hop: Hop): Downward {
    return {
      send: (message, finish) => this.send(hop, message, finish),
      discard: (sequence) => this.discard(hop, { pathId: hop.receiveId, sequence }),
    };
  }

  #onLatency(hop: Hop, received: bigint | undefined): void {
    if (received !== undefined) return;
    this.send(hop, { kind: 'latency', received: this.#options.wallClock(), version: 0n });
  }

  /** D26: hands a frame to another path that ends here, or says that there is none or that its link is full. */
  #onTransfer(hop: Hop, { pathId, sequence, frame }: RoutingMessageOf<'transfer'>): void {
    const target = this.#options.find(pathId);
    if (target && this.#options.send(target, writeLlarp(HIDDEN_SERVICE_FRAME, frame))) return;
    this.discard(hop, { pathId, sequence });
  }
}
