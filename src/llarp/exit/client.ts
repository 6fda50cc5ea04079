/**
 * An exit, at its client (rows D25, D26, D29 and D30): asked for over a path, used, moved to another path, closed. It
 * believes only what the farthest hop of its path signed. A request without an answer is repeated.
 */
import type { Clock } from '../../kit/clock.js';
import { joinBytes } from '../bytes.js';
import { newSigningKeys, type RandomBytes, type SigningKeys } from '../crypto.js';
import type { Path, PathEnd, Unnumbered } from '../path/path.js';
import { Sequencer } from '../path/sequencer.js';
import type { RoutingMessage } from '../routing-messages.js';
import type { TrafficPolicy } from '../structures.js';
import { withCode } from './access.js';
import { Pace } from './pace.js';
import { isFrom, NO_SIGNATURE, signedBy } from './signing.js';

/** A request is repeated after this time, and given up after so many. */
const ANSWER_MS = 5_000;
const TRIES = 3;
const NUMBER_BYTES = 8;

/** What a client uses of a path. */
export type ExitPath = Pick<Path, 'send' | 'farthestId' | 'farthestRouter' | 'expires'>;

/** `stranded`: its path is gone, and `moveTo` gives it another one. */
export type ExitState = 'asking' | 'open' | 'moving' | 'stranded' | 'closing' | 'ended';

/** Why an exit has ended. */
export type ExitEnd = 'rejected' | 'no-answer' | 'closed' | 'closed-by-exit' | 'path';

/** What the exit answered to a request that it does not grant. */
export interface Rejection {
  /** After this time the client may ask again. */
  readonly backoffMs: bigint;
  readonly policies: readonly TrafficPolicy[];
}

export interface ExitRequest {
  /** Access to the internet; otherwise to the router. */
  readonly internet: boolean;
  /** Seconds. */
  readonly lifetime: bigint;
  /** Packets that the client does not want, and those that it must be able to send. */
  readonly forbidden?: readonly TrafficPolicy[];
  readonly required?: readonly TrafficPolicy[];
  /** An access code. */
  readonly code?: Uint8Array;
  /** Default: new keys, so that two exits of a client have nothing in common. */
  readonly keys?: SigningKeys;
}

export interface ExitClientOptions extends ExitRequest {
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly path: ExitPath;
  onOpen(): void;
  /** A packet to the client, in the order of its number. */
  onPacket(packet: Uint8Array): void;
  /** The path is gone; without `moveTo` the exit closes it soon. */
  onStranded(): void;
  /** Called once; the exit does nothing afterwards. */
  onEnd(reason: ExitEnd, rejection?: Rejection): void;
}

/** What an exit answers, signed. */
type ExitAnswer = Extract<
  RoutingMessage,
  { kind: 'grantExit' | 'rejectExit' | 'verifyExit' | 'closeExit' }
>;
const ANSWERS: ReadonlySet<RoutingMessage['kind']> = new Set([
  'grantExit',
  'rejectExit',
  'verifyExit',
  'closeExit',
]);

function isAnswer(message: RoutingMessage): message is ExitAnswer {
  return ANSWERS.has(message.kind);
}

export class ExitClient {
  readonly #options: ExitClientOptions;
  readonly #keys: SigningKeys;
  readonly #pace: Pace;
  readonly #incoming: Sequencer<Uint8Array>;
  #state: ExitState = 'asking';
  #path: ExitPath;
  /** The path that UXPM asks for. */
  #nextPath: ExitPath | undefined;
  #transaction: bigint;
  #number = 0n;
  #cancel: () => void = () => undefined;
  /** What was dropped: by the exit, by the own pace or path, and answers that the exit did not sign. */
  readonly dropped = { discarded: 0, pace: 0, path: 0, signature: 0, unexpected: 0, order: 0 };

  constructor(options: ExitClientOptions) {
    const { clock, randomBytes, path, keys = newSigningKeys(randomBytes) } = options;
    this.#options = options;
    this.#keys = keys;
    this.#path = path;
    this.#pace = new Pace(clock);
    this.#incoming = new Sequencer<Uint8Array>(clock, (packet) => options.onPacket(packet));
    this.#transaction = this.#newTransaction();
    this.#request(() => this.#obtain());
  }

  get state(): ExitState {
    return this.#state;
  }

  /** The client's key, 32 bytes. */
  get key(): Uint8Array {
    return this.#keys.publicKey;
  }

  /** Bytes a second that this client sends at most now. */
  get rate(): number {
    return this.#pace.rate;
  }

  /** Sends IP packets; false when the exit is not open, or they would be too fast. */
  send(...packets: readonly Uint8Array[]): boolean {
    if (this.#state !== 'open' && this.#state !== 'moving') return false;
    const bytes = packets.reduce((sum, { length }) => sum + length + NUMBER_BYTES, 0);
    if (!this.#pace.take(bytes)) {
      this.dropped.pace++;
      return false;
    }
    const numbered = packets.map((packet, i) => {
      const number = new Uint8Array(NUMBER_BYTES);
      new DataView(number.buffer).setBigUint64(0, this.#number + BigInt(i));
      return joinBytes(number, packet);
    });
    if (!this.#path.send({ kind: 'traffic', packets: numbered, version: 0n })) {
      this.dropped.path++;
      this.#pace.slower();
      return false;
    }
    this.#number += BigInt(packets.length);
    return true;
  }

  /** Moves the exit to another path with the same end (UXPM). False when it is not open, or the end is another one. */
  moveTo(path: ExitPath): boolean {
    if (this.#state !== 'open' && this.#state !== 'stranded') return false;
    if (Buffer.compare(path.farthestRouter, this.#path.farthestRouter) !== 0) return false;
    this.#state = 'moving';
    this.#nextPath = path;
    this.#transaction = this.#newTransaction();
    this.#request(() => this.#update(path));
    return true;
  }

  /** Closes the exit, and waits for its confirmation. */
  close(): void {
    if (this.#state === 'ended' || this.#state === 'closing') return;
    const isKnown = this.#state !== 'stranded';
    this.#state = 'closing';
    if (isKnown)
      this.#request(() => this.#sendSigned(this.#path, { kind: 'closeExit', ...this.#blank() }));
    else this.#end('closed');
  }

  /** A message of a path of this exit; others are ignored. */
  onMessage(message: RoutingMessage, path: ExitPath): void {
    if (this.#state === 'ended' || (path !== this.#path && path !== this.#nextPath)) return;
    if (message.kind === 'traffic') this.#onTraffic(message.packets);
    else if (message.kind === 'discarded') {
      this.dropped.discarded++;
      this.#pace.slower();
    } else this.#onAnswer(message, path);
  }

  /** A path has ended. */
  onPathEnd(path: ExitPath, reason?: PathEnd): void {
    if (this.#state === 'ended') return;
    if (path === this.#nextPath) {
      this.#nextPath = undefined;
      // The exit may have taken the new path already: ask again over a third one.
      if (this.#state === 'moving') this.#strand();
    } else if (path === this.#path && this.#state !== 'moving') {
      if (this.#state === 'open' && reason !== 'closed') this.#strand();
      else this.#end(this.#state === 'closing' ? 'closed' : 'path');
    }
  }

  #strand(): void {
    this.#cancel();
    this.#state = 'stranded';
    this.#options.onStranded();
  }

  #onTraffic(packets: readonly Uint8Array[]): void {
    for (const each of packets) {
      const number = new DataView(each.buffer, each.byteOffset, NUMBER_BYTES).getBigUint64(0);
      if (!this.#incoming.add(number, each.slice(NUMBER_BYTES))) this.dropped.order++;
    }
  }

  #onAnswer(message: RoutingMessage, path: ExitPath): void {
    if (!isAnswer(message)) {
      this.dropped.unexpected++;
      return;
    }
    if (!isFrom(message, path.farthestRouter)) {
      this.dropped.signature++;
      return;
    }
    if (message.kind === 'closeExit') {
      this.#end(this.#state === 'closing' ? 'closed' : 'closed-by-exit');
      return;
    }
    const expected = message.kind === 'verifyExit' ? 'moving' : 'asking';
    if (this.#state !== expected || message.transaction !== this.#transaction) {
      this.dropped.unexpected++;
      return;
    }
    if (message.kind === 'rejectExit') {
      const { backoffMs, rejected } = message;
      this.#end('rejected', { backoffMs, policies: rejected });
      return;
    }
    this.#cancel();
    this.#path = path;
    this.#nextPath = undefined;
    this.#state = 'open';
    if (message.kind === 'grantExit') this.#options.onOpen();
  }

  /** Sends a request, and again until its answer cancels it. */
  #request(send: () => void, tries = TRIES): void {
    this.#cancel();
    if (tries === 0) {
      this.#end(this.#state === 'closing' ? 'closed' : 'no-answer');
      return;
    }
    send();
    this.#cancel = this.#options.clock.after(ANSWER_MS, () => this.#request(send, tries - 1));
  }

  #obtain(): void {
    const { internet, lifetime, forbidden = [], required = [], code, randomBytes } = this.#options;
    const { farthestRouter: router, farthestId: pathId, expires } = this.#path;
    const replyTo = { router, pathId, expires, version: 0n };
    this.#sendSigned(this.#path, {
      kind: 'obtainExit',
      forbidden,
      internet,
      key: this.key,
      transaction: this.#transaction,
      required,
      lifetime,
      signature: NO_SIGNATURE,
      version: 0n,
      ...(code ? { unknown: withCode(code, this.key, replyTo, randomBytes) } : {}),
    });
  }

  #update(path: ExitPath): void {
    this.#sendSigned(path, {
      kind: 'updateExit',
      previousPath: this.#path.farthestId,
      transaction: this.#transaction,
      ...this.#blank(),
    });
  }

  #sendSigned(path: ExitPath, message: Unnumbered<RoutingMessage>): void {
    path.send(message, signedBy(this.#keys.seed));
  }

  #blank() {
    return { nonce: this.#options.randomBytes(16), signature: NO_SIGNATURE, version: 0n } as const;
  }

  #newTransaction(): bigint {
    const bytes = this.#options.randomBytes(8);
    return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0);
  }

  #end(reason: ExitEnd, rejection?: Rejection): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#cancel();
    this.#incoming.close();
    this.#options.onEnd(reason, rejection);
  }
}
