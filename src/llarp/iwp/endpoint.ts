/**
 * One UDP port of a router: makes links with others, in both directions. Packets leave through `send`, so tests run it
 * without sockets.
 *
 * Three steps come before data: O asks for a flow id, G gives it (or R refuses), and a pair of E agrees on keys. Every
 * table has a bound: a flood of O costs at most `OBTAIN_PER_SECOND` answers, none longer than its question.
 */
import { BoundedMap } from '../../kit/bounded-map.js';
import type { Clock } from '../../kit/clock.js';
import { TokenBucket } from '../../kit/rate-limit.js';
import { equalBytes } from '../bytes.js';
import {
  newExchangeKeys,
  type ExchangeKeys,
  type RandomBytes,
  type SigningKeys,
} from '../crypto.js';
import { flowKeys } from './flow-keys.js';
import { deobfuscate, obfuscate } from './obfuscation.js';
import {
  isSigned,
  readPacket,
  writeSigned,
  type EstablishFlow,
  type FlowData,
  type GiveFlow,
  type ObtainFlow,
  type Packet,
  type RejectFlow,
  type SignedPacket,
} from './packet.js';
import { Session, type SessionEnd } from './session.js';

/** Flow ids that were given and not used yet. */
const MAX_FLOWS = 4_096;
const FLOW_MS = 30_000;
const OBTAIN_PER_SECOND = 200;
/** Checks of the signatures of G, R and E: each costs about a millisecond. */
const CHECKS_PER_SECOND = 500;
const MAX_LINKS = 1_024;
/** Links with one router: both may connect at once, and it may come back. The oldest one makes room. */
const MAX_LINKS_OF_ONE = 4;
const MAX_ATTEMPTS = 256;
const RETRY_MS = 500;
const RETRIES = 8;

/** Why an attempt to connect failed: a reason of this side, or the words of R. */
export type ConnectFault = 'no-answer' | 'too-many' | 'low-order-key' | `refused: ${string}`;

/** An established link to another router. */
export interface Link {
  /** Where its packets go, `127.0.0.1:4711`. */
  readonly address: string;
  /** The signing key of the other router, which it proved. */
  readonly identity: Uint8Array;
  readonly isInitiator: boolean;
  readonly queuedBytes: number;
  /** Bytes a second that the other side allows; undefined without a limit. */
  readonly limit: number | undefined;
  readonly isEnded: boolean;
  /** False when the link has ended, or its queue is full. */
  sendMessage(bytes: Uint8Array): boolean;
  /** Asks the other side to send slower or faster (`c` and `d`). */
  askSlower(): void;
  askFaster(): void;
  close(): void;
}

export interface EndpointOptions {
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallClock: () => bigint;
  readonly randomBytes: RandomBytes;
  readonly identity: SigningKeys;
  /** 8 bytes. */
  readonly network: Uint8Array;
  /** Whether packets to others are obfuscated; received ones are read in both forms. */
  readonly obfuscates: boolean;
  /** Most links; default 1,024. */
  readonly maxLinks?: number;
  send(packet: Uint8Array, address: string): void;
  onLink(link: Link): void;
  onMessage(link: Link, bytes: Uint8Array): void;
  onEnd(link: Link, reason: SessionEnd): void;
  onFailed(address: string, fault: ConnectFault): void;
}

interface Flow {
  readonly identity: Uint8Array;
  readonly address: string;
  readonly at: number;
}

interface Attempt {
  readonly identity: Uint8Array;
  readonly keys: ExchangeKeys;
  flowId: Uint8Array | undefined;
  tries: number;
  cancel: () => void;
}

interface Open {
  readonly link: Link;
  readonly session: Session;
  /** Sent again when E arrives again. */
  readonly answer: Uint8Array | undefined;
}

const idText = (flowId: Uint8Array): string => Buffer.from(flowId).toString('hex');

export class Endpoint {
  readonly #options: EndpointOptions;
  readonly #flows = new BoundedMap<string, Flow>(MAX_FLOWS);
  readonly #attempts = new Map<string, Attempt>();
  /** By flow id. */
  readonly #open = new Map<string, Open>();
  readonly #obtains: TokenBucket;
  readonly #checks: TokenBucket;
  /** Packets that were dropped, by reason. */
  readonly dropped = { malformed: 0, rate: 0, signature: 0, unexpected: 0, full: 0 };

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#obtains = new TokenBucket(options.clock, OBTAIN_PER_SECOND, OBTAIN_PER_SECOND);
    this.#checks = new TokenBucket(options.clock, CHECKS_PER_SECOND, CHECKS_PER_SECOND);
  }

  get links(): number {
    return this.#open.size;
  }

  /** Flow ids that were given and not used yet. */
  get flows(): number {
    return this.#flows.size;
  }

  get attempts(): number {
    return this.#attempts.size;
  }

  /** Connects to a router; `onLink` or `onFailed` tells the result. A second call meanwhile does nothing. */
  connect(address: string, identity: Uint8Array): void {
    if (this.#attempts.has(address)) return;
    if (this.#attempts.size >= MAX_ATTEMPTS) {
      this.#options.onFailed(address, 'too-many');
      return;
    }
    const keys = newExchangeKeys(this.#options.randomBytes);
    const attempt = { identity, keys, flowId: undefined, tries: 0, cancel: () => undefined };
    this.#attempts.set(address, attempt);
    this.#try(address, attempt);
  }

  /** A packet arrived from this address. */
  receive(bytes: Uint8Array, address: string): void {
    const packet = this.#read(bytes);
    if (!packet) {
      this.dropped.malformed++;
      return;
    }
    if (!('signature' in packet)) {
      this.#onData(packet.packet, address);
      return;
    }
    const { packet: body } = packet;
    if (body.kind === 'obtain') this.#onObtain(packet, body, address);
    else if (body.kind === 'establish' && body.counter === 0n) this.#onFirst(packet, body, address);
    else this.#onAnswer(packet, body, address);
  }

  /** Ends all links and attempts. */
  close(): void {
    for (const { cancel } of this.#attempts.values()) cancel();
    this.#attempts.clear();
    this.#flows.clear();
    for (const { session } of this.#open.values()) session.close();
  }

  #read(bytes: Uint8Array): Packet | undefined {
    const clear = readPacket(bytes);
    if (clear.ok) return clear.value;
    const hidden = deobfuscate(bytes, this.#options.identity.publicKey);
    const read = hidden && readPacket(hidden);
    return read?.ok === true ? read.value : undefined;
  }

  #send(packet: Uint8Array, address: string, identity: Uint8Array): void {
    const { obfuscates, randomBytes } = this.#options;
    const bytes = obfuscates ? obfuscate(packet, identity, randomBytes) : packet;
    this.#options.send(bytes, address);
  }

  /** Sends O or E of an attempt, again and again. */
  #try(address: string, attempt: Attempt): void {
    const { clock, identity, network, wallClock } = this.#options;
    if (attempt.tries >= RETRIES) {
      this.#fail(address, 'no-answer');
      return;
    }
    attempt.tries++;
    const { flowId, keys } = attempt;
    const packet =
      flowId === undefined
        ? ({
            kind: 'obtain',
            network,
            time: wallClock(),
            identity: identity.publicKey,
          } as const)
        : ({ kind: 'establish', flowId, ephemeralKey: keys.publicKey, counter: 0n } as const);
    this.#send(writeSigned(packet, identity.seed), address, attempt.identity);
    attempt.cancel = clock.after(RETRY_MS, () => this.#try(address, attempt));
  }

  #fail(address: string, fault: ConnectFault): void {
    this.#attempts.get(address)?.cancel();
    this.#attempts.delete(address);
    this.#options.onFailed(address, fault);
  }

  #onObtain(packet: SignedPacket<unknown>, body: ObtainFlow, address: string): void {
    const { clock, identity, network, wallClock, randomBytes } = this.#options;
    if (!this.#obtains.take()) {
      this.dropped.rate++;
      return;
    }
    if (!isSigned(packet, body.identity)) {
      this.dropped.signature++;
      return;
    }
    const own = identity.publicKey;
    let answer: GiveFlow | RejectFlow;
    if (!equalBytes(body.network, network)) {
      answer = { kind: 'reject', reason: 'wrong netid', time: wallClock(), identity: own };
    } else {
      const flowId = randomBytes(16);
      const flow = { identity: body.identity.slice(), address, at: clock.now() };
      this.#forgetFlows();
      this.#flows.set(idText(flowId), flow);
      answer = { kind: 'give', flowId, identity: own };
    }
    this.#send(writeSigned(answer, identity.seed), address, body.identity);
  }

  /** Removes the flow ids that were given too long ago: the oldest are the first. */
  #forgetFlows(): void {
    const now = this.#options.clock.now();
    for (const [id, { at }] of this.#flows) {
      if (now - at <= FLOW_MS) return;
      this.#flows.delete(id);
    }
  }

  #isSigned(packet: SignedPacket<unknown>, identity: Uint8Array): boolean {
    if (!this.#checks.take()) {
      this.dropped.rate++;
      return false;
    }
    if (isSigned(packet, identity)) return true;
    this.dropped.signature++;
    return false;
  }

  /** The first E, at the side that gave the flow id. */
  #onFirst(packet: SignedPacket<unknown>, body: EstablishFlow, address: string): void {
    const { clock, identity, randomBytes } = this.#options;
    const id = idText(body.flowId);
    const open = this.#open.get(id);
    if (open?.answer && open.link.address === address) {
      this.#send(open.answer, address, open.link.identity);
      return;
    }
    const flow = this.#flows.get(id);
    if (!flow || flow.address !== address || clock.now() - flow.at > FLOW_MS) {
      this.dropped.unexpected++;
      return;
    }
    if (!this.#isSigned(packet, flow.identity)) return;
    this.#flows.delete(id);
    const keys = newExchangeKeys(randomBytes);
    const { flowId, ephemeralKey } = {
      flowId: body.flowId.slice(),
      ephemeralKey: body.ephemeralKey.slice(),
    };
    const answer = writeSigned(
      { kind: 'establish', flowId, ephemeralKey: keys.publicKey, counter: 1n },
      identity.seed,
    );
    const made = { flowId, keys, otherKey: ephemeralKey, isInitiator: false, answer };
    if (!this.#openLink(address, flow.identity, made)) return;
    this.#send(answer, address, flow.identity);
    this.#announce(id);
  }

  /** G, R or the second E, at the side that asked. */
  #onAnswer(
    packet: SignedPacket<unknown>,
    body: GiveFlow | RejectFlow | EstablishFlow,
    address: string,
  ): void {
    const attempt = this.#attempts.get(address);
    if (!attempt) {
      this.dropped.unexpected++;
      return;
    }
    if (!this.#isSigned(packet, attempt.identity)) return;
    if (body.kind === 'reject') this.#fail(address, `refused: ${body.reason}`);
    else if (body.kind === 'give') this.#onGiven(attempt, body, address);
    else this.#onEstablished(attempt, body, address);
  }

  #onGiven(attempt: Attempt, body: GiveFlow, address: string): void {
    if (attempt.flowId) return;
    attempt.flowId = body.flowId.slice();
    attempt.tries = 0;
    attempt.cancel();
    this.#try(address, attempt);
  }

  #onEstablished(attempt: Attempt, body: EstablishFlow, address: string): void {
    const { flowId, keys, identity } = attempt;
    if (body.counter !== 1n || !flowId || !equalBytes(body.flowId, flowId)) {
      this.dropped.unexpected++;
      return;
    }
    attempt.cancel();
    this.#attempts.delete(address);
    const otherKey = body.ephemeralKey.slice();
    const made = { flowId, keys, otherKey, isInitiator: true, answer: undefined };
    if (this.#openLink(address, identity, made)) this.#announce(idText(flowId));
    else this.#options.onFailed(address, 'low-order-key');
  }

  /** False when there is no room, or the other key is a point of low order. */
  #openLink(
    address: string,
    identity: Uint8Array,
    made: {
      readonly flowId: Uint8Array;
      readonly keys: ExchangeKeys;
      readonly otherKey: Uint8Array;
      readonly isInitiator: boolean;
      readonly answer: Uint8Array | undefined;
    },
  ): boolean {
    const { flowId, keys, otherKey, isInitiator, answer } = made;
    const derived = flowKeys(flowId, keys, otherKey, isInitiator);
    if (!derived || this.#open.size >= (this.#options.maxLinks ?? MAX_LINKS)) {
      this.dropped.full++;
      return false;
    }
    const others = [...this.#open.values()].filter(({ link }) =>
      equalBytes(link.identity, identity),
    );
    if (others.length >= MAX_LINKS_OF_ONE) others[0]?.link.close();
    const id = idText(flowId);
    const session: Session = new Session({
      ...this.#options,
      ...derived,
      flowId,
      ownKeys: keys,
      otherKey,
      send: (packet) => this.#send(packet, address, identity),
      onMessage: (bytes) => this.#options.onMessage(link, bytes),
      onEnd: (reason) => {
        this.#open.delete(id);
        this.#options.onEnd(link, reason);
      },
    });
    const link: Link = {
      address,
      identity,
      isInitiator,
      get queuedBytes() {
        return session.queuedBytes;
      },
      get limit() {
        return session.limit;
      },
      get isEnded() {
        return session.isEnded;
      },
      sendMessage: (bytes) => session.sendMessage(bytes),
      askSlower: () => session.askSlower(),
      askFaster: () => session.askFaster(),
      close: () => session.close(),
    };
    this.#open.set(id, { link, session, answer });
    return true;
  }

  #announce(id: string): void {
    const open = this.#open.get(id);
    if (open) this.#options.onLink(open.link);
  }

  #onData(packet: FlowData, address: string): void {
    const open = this.#open.get(idText(packet.flowId));
    if (open?.link.address === address) open.session.receive(packet);
    else this.dropped.unexpected++;
  }
}
