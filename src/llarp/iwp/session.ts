/**
 * An established session of IWP: encrypted packets in both directions, messages of any size, keep-alives and new keys.
 * Pure: packets leave through `send`, time is an argument.
 *
 * The nonce of a packet starts with 8 bytes of a counter, so that a repeated packet is dropped. The keys of the two
 * directions differ. docs/llarp.md says where this fills a gap of the text.
 */
import type { Clock } from '../../kit/clock.js';
import { TokenBucket } from '../../kit/rate-limit.js';
import { equalBytes, joinBytes } from '../bytes.js';
import {
  cipher,
  clientKey,
  newExchangeKeys,
  serverKey,
  shortKeyedHash,
  type ExchangeKeys,
  type RandomBytes,
} from '../crypto.js';
import { Brake } from './brake.js';
import { readInner, writeInner, type InnerMessage } from './messages.js';
import { dataBody, type FlowData } from './packet.js';
import { Reassembly } from './reassembly.js';
import { ReplayWindow } from './replay-window.js';
import { Transmission } from './transmission.js';

/** Silence after which the other side is asked whether it is there. */
const KEEP_ALIVE_MS = 5_000;
/** Silence after which the session ends. */
const DEAD_MS = 30_000;
/** How long a key is used before a new one. */
export const KEY_LIFETIME_MS = 60_000;
/** A new key that was not acknowledged is sent again. */
const ROTATE_AGAIN_MS = 500;
/** New keys of the other side: each costs an exchange of keys. A repeated one costs nothing. */
const NEW_KEYS = 4;
const NEW_KEYS_PER_SECOND = 0.1;
/** `acknowledge` with this number and the start of its nonce acknowledges a new key; messages start at 1. */
const ROTATION = 0;
const ROTATION_MARK_BYTES = 7;

/** Why a session has ended. */
export type SessionEnd = 'closed' | 'silent' | 'lost';

export interface SessionOptions {
  readonly clock: Clock;
  /** Milliseconds since 1970, for keep-alives. */
  readonly wallClock: () => bigint;
  readonly randomBytes: RandomBytes;
  /** 16 bytes. */
  readonly flowId: Uint8Array;
  /** The keys of this side and of the other one from E, for new keys. */
  readonly ownKeys: ExchangeKeys;
  readonly otherKey: Uint8Array;
  readonly transmitKey: Uint8Array;
  readonly receiveKey: Uint8Array;
  send(packet: Uint8Array): void;
  onMessage(bytes: Uint8Array): void;
  /** Called once; the session does nothing afterwards. */
  onEnd(reason: SessionEnd): void;
}

interface Rotation {
  readonly message: Extract<InnerMessage, { kind: 'rotate' }>;
  readonly key: Uint8Array;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #transmission: Transmission;
  readonly #reassembly: Reassembly;
  readonly #window = new ReplayWindow();
  readonly #brake: Brake;
  #transmitKey: Uint8Array;
  #receiveKey: Uint8Array;
  /** The key before: packets that were sent with it may still arrive. */
  #earlierKey: Uint8Array | undefined;
  #rotation: Rotation | undefined;
  /** The nonce of the newest key of the other side. */
  #keyNonce: Uint8Array = new Uint8Array(0);
  readonly #newKeys: TokenBucket;
  #counter = 0n;
  #heardAt: number;
  #cancelTimer: () => void;
  #cancelRotation: () => void;
  #ended = false;
  /** Packets that were dropped, by reason. */
  readonly dropped = { hash: 0, replay: 0, message: 0, keys: 0 };

  constructor(options: SessionOptions) {
    const { clock, transmitKey, receiveKey } = options;
    this.#options = options;
    this.#transmitKey = transmitKey;
    this.#receiveKey = receiveKey;
    this.#heardAt = clock.now();
    this.#newKeys = new TokenBucket(clock, NEW_KEYS_PER_SECOND, NEW_KEYS);
    this.#brake = new Brake(clock);
    const send = (message: InnerMessage): void => this.#send(message);
    this.#transmission = new Transmission({ clock, send, onLost: () => this.#end('lost') });
    this.#reassembly = new Reassembly({
      clock,
      send,
      deliver: (bytes) => options.onMessage(bytes),
    });
    this.#cancelTimer = clock.after(KEEP_ALIVE_MS, () => this.#look());
    this.#cancelRotation = clock.after(KEY_LIFETIME_MS, () => this.#rotate());
  }

  get isEnded(): boolean {
    return this.#ended;
  }

  /** Bytes that wait or are not acknowledged. */
  get queuedBytes(): number {
    return this.#transmission.queuedBytes;
  }

  /** Bytes a second that the other side allows; undefined when it has not asked for a limit. */
  get limit(): number | undefined {
    return this.#transmission.limit;
  }

  /** Asks the other side to send slower than it does, or faster than it was asked to. */
  askSlower(): void {
    const asked = this.#brake.slower();
    if (asked) this.#send({ kind: 'slower', ...asked });
  }

  askFaster(): void {
    const asked = this.#brake.faster();
    if (asked) this.#send({ kind: 'faster', ...asked });
  }

  /** Sends a message; false when the session has ended, or its queue is full. */
  sendMessage(bytes: Uint8Array): boolean {
    return !this.#ended && this.#transmission.send(bytes);
  }

  /** A packet with the flow id of this session. False when it is not from the other side. */
  receive(packet: FlowData): boolean {
    if (this.#ended) return false;
    const key = this.#keyOf(packet);
    if (!key) {
      this.dropped.hash++;
      return false;
    }
    const nonce = packet.nonce;
    const counter = new DataView(nonce.buffer, nonce.byteOffset, 8).getBigUint64(0);
    if (!this.#window.accept(counter)) {
      this.dropped.replay++;
      return true;
    }
    this.#heardAt = this.#options.clock.now();
    this.#brake.received(packet.ciphertext.length);
    const message = readInner(cipher(key, nonce, packet.ciphertext));
    if (message.ok) this.#onInner(message.value);
    else this.dropped.message++;
    return true;
  }

  close(): void {
    this.#end('closed');
  }

  #end(reason: SessionEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancelTimer();
    this.#cancelRotation();
    this.#transmission.close();
    this.#reassembly.close();
    this.#options.onEnd(reason);
  }

  #keyOf({ covered, hash }: FlowData): Uint8Array | undefined {
    const keys = [this.#receiveKey, this.#earlierKey];
    return keys.find((key) => key && equalBytes(shortKeyedHash(covered, key), hash));
  }

  #send(message: InnerMessage): void {
    if (this.#ended) return;
    const { randomBytes, flowId } = this.#options;
    const nonce = joinBytes(new Uint8Array(8), randomBytes(16));
    new DataView(nonce.buffer).setBigUint64(0, this.#counter++);
    const body = dataBody(flowId, nonce, cipher(this.#transmitKey, nonce, writeInner(message)));
    this.#options.send(joinBytes(body, shortKeyedHash(body, this.#transmitKey)));
  }

  #onInner(message: InnerMessage): void {
    switch (message.kind) {
      case 'start':
      case 'continue':
        this.#reassembly.fragment(message);
        break;
      case 'acknowledge':
        if (message.sequence === ROTATION) this.#rotated(message.fragments);
        else this.#transmission.acknowledged(message.sequence, message.fragments);
        break;
      case 'keepAlive':
        this.#send({ ...message, kind: 'keepAliveAck', now: this.#options.wallClock() });
        break;
      case 'rotate':
        this.#takeKey(message.nonce, message.nextKey);
        break;
      case 'upgrade':
        this.#send({ kind: 'upgradeAck', least: 1, most: 1 });
        break;
      case 'slower':
      case 'faster':
        this.#transmission.asked(message.kind, message.rate, message.lifetimeMs);
        break;
      // Answers, and hints that this side does not need.
      case 'keepAliveAck':
      case 'upgradeAck':
      case 'neighbours':
        break;
    }
  }

  /** Every `KEEP_ALIVE_MS`: is the other side there? */
  #look(): void {
    const { clock, wallClock } = this.#options;
    const silence = clock.now() - this.#heardAt;
    if (silence >= DEAD_MS) {
      this.#end('silent');
      return;
    }
    if (silence >= KEEP_ALIVE_MS) {
      this.#send({
        kind: 'keepAlive',
        attempt: Math.floor(silence / KEEP_ALIVE_MS),
        timeoutMs: DEAD_MS,
        transmitLimit: 0n,
        receiveUse: 0n,
        now: wallClock(),
      });
    }
    this.#cancelTimer = clock.after(KEEP_ALIVE_MS, () => this.#look());
  }

  /** Offers a new key of this direction, until the other side has it. The old one is used meanwhile. */
  #rotate(): void {
    const { randomBytes, otherKey, clock } = this.#options;
    this.#rotation ??= this.#newRotation(newExchangeKeys(randomBytes), otherKey);
    if (!this.#rotation) return;
    this.#send(this.#rotation.message);
    this.#cancelRotation = clock.after(ROTATE_AGAIN_MS, () => this.#rotate());
  }

  #newRotation({ publicKey, secretKey }: ExchangeKeys, otherKey: Uint8Array): Rotation | undefined {
    const nonce = this.#options.randomBytes(32);
    const key = clientKey({ client: publicKey, server: otherKey }, secretKey, nonce);
    const message = {
      kind: 'rotate',
      lifetimeMs: KEY_LIFETIME_MS,
      nonce,
      nextKey: publicKey,
    } as const;
    return key && { message, key };
  }

  #rotated(mark: Uint8Array): void {
    const { clock } = this.#options;
    const rotation = this.#rotation;
    if (!rotation || !equalBytes(mark, rotation.message.nonce.subarray(0, ROTATION_MARK_BYTES))) {
      return;
    }
    this.#rotation = undefined;
    this.#transmitKey = rotation.key;
    this.#cancelRotation();
    this.#cancelRotation = clock.after(KEY_LIFETIME_MS, () => this.#rotate());
  }

  #takeKey(nonce: Uint8Array, nextKey: Uint8Array): void {
    if (!equalBytes(nonce, this.#keyNonce)) {
      if (!this.#newKeys.take()) {
        this.dropped.keys++;
        return;
      }
      const { ownKeys } = this.#options;
      const parties = { client: nextKey, server: ownKeys.publicKey };
      const key = serverKey(parties, ownKeys.secretKey, nonce);
      if (!key) return;
      this.#keyNonce = nonce.slice();
      this.#earlierKey = this.#receiveKey;
      this.#receiveKey = key;
    }
    const fragments = nonce.slice(0, ROTATION_MARK_BYTES);
    this.#send({ kind: 'acknowledge', sequence: ROTATION, fragments });
  }
}
