/**
 * The side of an endpoint that connects: asks for a flow id (O), agrees on keys (E), and repeats each packet until its
 * answer arrives. One attempt for each router and address: a contact may name the address of another router.
 */
import type { Clock } from '../../kit/clock.js';
import { shownLine } from '../../kit/shown-text.js';
import { equalBytes } from '../bytes.js';
import {
  newExchangeKeys,
  type ExchangeKeys,
  type RandomBytes,
  type SigningKeys,
} from '../crypto.js';
import type { Agreement } from './links.js';
import {
  writeSigned,
  type EstablishFlow,
  type GiveFlow,
  type RejectFlow,
  type SignedPacket,
} from './packet.js';

const MAX_ATTEMPTS = 256;
const RETRY_MS = 500;
const RETRIES = 8;

/** A router to connect to. */
export interface Target {
  /** `127.0.0.1:4711`. */
  readonly address: string;
  /** Its signing key, 32 bytes. */
  readonly identity: Uint8Array;
}

/** Why an attempt failed: a reason of this side, or the words of R, cleaned for a terminal. */
export type ConnectFault =
  'no-answer' | 'too-many' | 'too-many-links' | 'low-order-key' | `refused: ${string}`;

interface Attempt {
  readonly target: Target;
  readonly keys: ExchangeKeys;
  /** Of G; undefined before G. */
  flowId: Uint8Array | undefined;
  tries: number;
  cancel: () => void;
}

/** G, R or the second E. */
export type Answer = GiveFlow | RejectFlow | EstablishFlow;

export interface AttemptsOptions {
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallClock: () => bigint;
  readonly randomBytes: RandomBytes;
  readonly identity: SigningKeys;
  /** 8 bytes. */
  readonly network: Uint8Array;
  send(packet: Uint8Array, address: string, identity: Uint8Array): void;
  /** Whether this identity signed the packet; false also when too many signatures are checked. */
  isSigned(packet: SignedPacket<unknown>, identity: Uint8Array): boolean;
  onAgreed(agreement: Agreement): void;
  onFailed(target: Target, fault: ConnectFault): void;
}

export class Attempts {
  readonly #options: AttemptsOptions;
  /** By address and identity. */
  readonly #attempts = new Map<string, Attempt>();

  constructor(options: AttemptsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#attempts.size;
  }

  /** Starts an attempt, unless there is one with this router at this address. */
  start(target: Target): void {
    if (this.#attempts.has(keyOf(target))) return;
    if (this.#attempts.size >= MAX_ATTEMPTS) {
      this.#options.onFailed(target, 'too-many');
      return;
    }
    const keys = newExchangeKeys(this.#options.randomBytes);
    const attempt = { target, keys, flowId: undefined, tries: 0, cancel: () => undefined };
    this.#attempts.set(keyOf(target), attempt);
    this.#try(attempt);
  }

  /** Ends an attempt without `onFailed`. */
  cancel(target: Target): void {
    this.#attempts.get(keyOf(target))?.cancel();
    this.#attempts.delete(keyOf(target));
  }

  /** False when no attempt waits for this packet. */
  receive(packet: SignedPacket<unknown>, body: Answer, address: string): boolean {
    const attempt = this.#waitingFor(body, address);
    if (!attempt) return false;
    // An O that was repeated has several answers. The first one counts.
    if (body.kind === 'give' && attempt.flowId) return true;
    if (!this.#options.isSigned(packet, attempt.target.identity)) return true;
    if (body.kind === 'reject') this.#fail(attempt, `refused: ${shownLine(body.reason)}`);
    else if (body.kind === 'give') this.#onGiven(attempt, body);
    else this.#onEstablished(attempt, body);
    return true;
  }

  close(): void {
    for (const { cancel } of this.#attempts.values()) cancel();
    this.#attempts.clear();
  }

  #waitingFor(body: Answer, address: string): Attempt | undefined {
    if (body.kind !== 'establish') return this.#attempts.get(keyOf({ address, ...body }));
    if (body.counter !== 1n) return undefined;
    return [...this.#attempts.values()].find(
      ({ target, flowId }) =>
        target.address === address && flowId !== undefined && equalBytes(flowId, body.flowId),
    );
  }

  /** Sends O or E, again and again. */
  #try(attempt: Attempt): void {
    const { clock, identity, network, wallClock } = this.#options;
    if (attempt.tries >= RETRIES) {
      this.#fail(attempt, 'no-answer');
      return;
    }
    attempt.tries++;
    const { flowId, keys, target } = attempt;
    const packet =
      flowId === undefined
        ? ({
            kind: 'obtain',
            network,
            time: wallClock(),
            identity: identity.publicKey,
          } as const)
        : ({ kind: 'establish', flowId, ephemeralKey: keys.publicKey, counter: 0n } as const);
    const bytes = writeSigned(packet, identity.seed);
    this.#options.send(bytes, target.address, target.identity);
    attempt.cancel = clock.after(RETRY_MS, () => this.#try(attempt));
  }

  #fail({ target }: Attempt, fault: ConnectFault): void {
    this.cancel(target);
    this.#options.onFailed(target, fault);
  }

  #onGiven(attempt: Attempt, body: GiveFlow): void {
    attempt.flowId = body.flowId.slice();
    attempt.tries = 0;
    attempt.cancel();
    this.#try(attempt);
  }

  #onEstablished({ target, flowId, keys }: Attempt, body: EstablishFlow): void {
    if (!flowId) return;
    this.cancel(target);
    const otherKey = body.ephemeralKey.slice();
    const made = { flowId, keys, otherKey, isInitiator: true, answer: undefined };
    this.#options.onAgreed({ ...target, ...made });
  }
}

function keyOf({ address, identity }: Target): string {
  return `${address} ${Buffer.from(identity).toString('hex')}`;
}
