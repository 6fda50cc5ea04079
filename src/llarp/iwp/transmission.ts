/**
 * The sending half of a session: cuts messages into fragments, sends them again until they are acknowledged, and holds
 * a bounded number of bytes.
 */
import type { Clock } from '../../kit/clock.js';
import { shortHash } from '../crypto.js';
import { MAX_FRAGMENT_BYTES, MAX_MESSAGE_BYTES, type InnerMessage } from './messages.js';
import { SendRate } from './send-rate.js';

/** Most bytes that wait or are not acknowledged. */
export const MAX_QUEUED_BYTES = 1_048_576;
/** Most messages that are not acknowledged; others wait. */
const MAX_IN_FLIGHT = 32;
const FIRST_WAIT_MS = 250;
const MAX_WAIT_MS = 2_000;
/** After so many sendings of a fragment without an answer the other side is gone. */
const MAX_ATTEMPTS = 8;
const MAX_SEQUENCE = 0xffff_ffff;

interface InFlight {
  readonly sequence: number;
  readonly bytes: Uint8Array;
  readonly hash: Uint8Array;
  /** Numbers of fragments that were not acknowledged. */
  readonly missing: Set<number>;
  attempts: number;
  cancel: () => void;
}

export interface TransmissionOptions {
  readonly clock: Clock;
  /** Sends one message in a packet of its own. */
  send(message: InnerMessage): void;
  /** The other side does not answer any more. Called once. */
  onLost(): void;
}

export class Transmission {
  readonly #options: TransmissionOptions;
  readonly #waiting: Uint8Array[] = [];
  readonly #inFlight = new Map<number, InFlight>();
  readonly #rate: SendRate;
  #cancelFill: (() => void) | undefined;
  #sequence = 0;
  #bytes = 0;

  constructor(options: TransmissionOptions) {
    this.#options = options;
    this.#rate = new SendRate(options.clock);
  }

  /** Bytes a second that the other side allows; undefined when it has not asked for a limit. */
  get limit(): number | undefined {
    return this.#rate.limit;
  }

  /** The other side asks for a rate (`c` and `d`). */
  asked(kind: 'slower' | 'faster', rate: number, lifetimeMs: number): void {
    this.#rate.asked(kind, rate, lifetimeMs);
  }

  /** Bytes that wait or are not acknowledged. */
  get queuedBytes(): number {
    return this.#bytes;
  }

  /** Takes a message; false when it is empty, too long, or the queue is full. */
  send(bytes: Uint8Array): boolean {
    if (bytes.length === 0 || bytes.length > MAX_MESSAGE_BYTES) return false;
    if (this.#bytes + bytes.length > MAX_QUEUED_BYTES) return false;
    this.#bytes += bytes.length;
    this.#waiting.push(bytes);
    this.#fill();
    return true;
  }

  /** The other side has these fragments. @param bits one for each fragment, the lowest first */
  acknowledged(sequence: number, bits: Uint8Array): void {
    const message = this.#inFlight.get(sequence);
    if (!message) return;
    for (const fragment of message.missing) {
      const byte = bits[fragment >> 3] ?? 0;
      if ((byte & (1 << (fragment & 7))) !== 0) message.missing.delete(fragment);
    }
    // The other side is there.
    message.attempts = 0;
    if (message.missing.size > 0) return;
    message.cancel();
    this.#inFlight.delete(sequence);
    this.#bytes -= message.bytes.length;
    this.#fill();
  }

  close(): void {
    this.#cancelFill?.();
    this.#cancelFill = undefined;
    for (const message of this.#inFlight.values()) message.cancel();
    this.#inFlight.clear();
    this.#waiting.length = 0;
    this.#bytes = 0;
  }

  #fill(): void {
    while (this.#inFlight.size < MAX_IN_FLIGHT && this.#waiting.length > 0) {
      const wait = this.#rate.waitMs();
      if (wait > 0) {
        this.#fillAfter(wait);
        return;
      }
      const bytes = this.#waiting.shift();
      if (!bytes) return;
      this.#rate.sent(bytes.length);
      this.#sequence = this.#sequence >= MAX_SEQUENCE ? 1 : this.#sequence + 1;
      const count = Math.ceil(bytes.length / MAX_FRAGMENT_BYTES);
      const message: InFlight = {
        sequence: this.#sequence,
        bytes,
        hash: shortHash(bytes),
        missing: new Set(Array.from({ length: count }, (_, i) => i)),
        attempts: 0,
        cancel: () => undefined,
      };
      this.#inFlight.set(message.sequence, message);
      this.#transmit(message);
    }
  }

  #fillAfter(ms: number): void {
    this.#cancelFill ??= this.#options.clock.after(ms, () => {
      this.#cancelFill = undefined;
      this.#fill();
    });
  }

  #transmit(message: InFlight): void {
    message.attempts++;
    const { clock } = this.#options;
    for (const fragment of message.missing) this.#options.send(fragmentOf(message, fragment));
    const wait = Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** (message.attempts - 1));
    message.cancel = clock.after(wait, () => {
      if (message.attempts < MAX_ATTEMPTS) this.#transmit(message);
      else this.#lost();
    });
  }

  #lost(): void {
    this.close();
    this.#options.onLost();
  }
}

function fragmentOf({ bytes, sequence, hash }: InFlight, number: number): InnerMessage {
  const offset = number * MAX_FRAGMENT_BYTES;
  const fragment = bytes.subarray(offset, offset + MAX_FRAGMENT_BYTES);
  const isEnd = offset + fragment.length === bytes.length;
  if (offset > 0) return { kind: 'continue', isLast: isEnd, offset, sequence, fragment };
  return { kind: 'start', isWhole: isEnd, size: bytes.length, sequence, hash, fragment };
}
