/**
 * One UDP port of a router: makes links with others, in both directions. Packets leave through `send`, so tests run it
 * without sockets.
 *
 * Three steps come before data: O asks for a flow id, G gives it (or R refuses), and a pair of E agrees on keys. Every
 * table has a bound: a flood of O costs at most `OBTAIN_PER_SECOND` answers. In clear, an answer is as long as its
 * question; obfuscation makes it 16 bytes longer.
 */
import type { Clock } from '../../kit/clock.js';
import { TokenBucket } from '../../kit/rate-limit.js';
import { equalBytes } from '../bytes.js';
import { newExchangeKeys, type RandomBytes, type SigningKeys } from '../crypto.js';
import { Attempts, type ConnectFault, type Target } from './attempts.js';
import { GivenFlows } from './given-flows.js';
import { Links, type Agreement, type Link } from './links.js';
import { deobfuscate, obfuscate } from './obfuscation.js';
import {
  isSigned,
  readPacket,
  writeSigned,
  type EstablishFlow,
  type GiveFlow,
  type ObtainFlow,
  type Packet,
  type RejectFlow,
  type SignedPacket,
} from './packet.js';
import type { SessionEnd } from './session.js';

const OBTAIN_PER_SECOND = 200;
/** Checks of the signatures of G, R and E: each costs about a millisecond. */
const CHECKS_PER_SECOND = 500;

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
  onFailed(target: Target, fault: ConnectFault): void;
}

export class Endpoint {
  readonly #options: EndpointOptions;
  readonly #flows: GivenFlows;
  readonly #attempts: Attempts;
  readonly #links: Links;
  readonly #obtains: TokenBucket;
  readonly #checks: TokenBucket;
  #isClosed = false;
  /** Packets that were dropped, by reason. */
  readonly dropped = { malformed: 0, rate: 0, signature: 0, unexpected: 0, full: 0, closed: 0 };

  constructor(options: EndpointOptions) {
    this.#options = options;
    const { clock, wallClock, randomBytes, identity, network, maxLinks } = options;
    this.#obtains = new TokenBucket(clock, OBTAIN_PER_SECOND, OBTAIN_PER_SECOND);
    this.#checks = new TokenBucket(clock, CHECKS_PER_SECOND, CHECKS_PER_SECOND);
    this.#flows = new GivenFlows(clock);
    const send = (packet: Uint8Array, address: string, to: Uint8Array): void =>
      this.#send(packet, address, to);
    this.#attempts = new Attempts({
      clock,
      wallClock,
      randomBytes,
      identity,
      network,
      send,
      isSigned: (packet, signer) => this.#isSigned(packet, signer),
      onAgreed: (agreement) => this.#onAgreed(agreement),
      onFailed: (target, fault) => options.onFailed(target, fault),
    });
    this.#links = new Links({
      clock,
      wallClock,
      randomBytes,
      ...(maxLinks === undefined ? {} : { maxLinks }),
      send,
      onMessage: (link, bytes) => options.onMessage(link, bytes),
      onEnd: (link, reason) => options.onEnd(link, reason),
    });
  }

  get links(): number {
    return this.#links.size;
  }

  /** Flow ids that were given and not used yet. */
  get flows(): number {
    return this.#flows.size;
  }

  get attempts(): number {
    return this.#attempts.size;
  }

  /** Connects to a router; `onLink` or `onFailed` tells the result. A second call meanwhile does nothing. */
  connect(target: Target): void {
    if (!this.#isClosed) this.#attempts.start(target);
  }

  /** Ends an attempt to connect; neither `onLink` nor `onFailed` is called for it. */
  cancel(target: Target): void {
    this.#attempts.cancel(target);
  }

  /** A packet arrived from this address. */
  receive(bytes: Uint8Array, address: string): void {
    if (this.#isClosed) {
      this.dropped.closed++;
      return;
    }
    const packet = this.#read(bytes);
    if (!packet) {
      this.dropped.malformed++;
      return;
    }
    if (!('signature' in packet)) {
      if (!this.#links.receive(packet.packet, address)) this.dropped.unexpected++;
      return;
    }
    const { packet: body } = packet;
    if (body.kind === 'obtain') this.#onObtain(packet, body, address);
    else if (body.kind === 'establish' && body.counter === 0n) this.#onFirst(packet, body, address);
    else if (!this.#attempts.receive(packet, body, address)) this.dropped.unexpected++;
  }

  /** Ends all links and attempts. Nothing is read or sent afterwards. */
  close(): void {
    this.#isClosed = true;
    this.#attempts.close();
    this.#flows.clear();
    this.#links.close();
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

  #isSigned(packet: SignedPacket<unknown>, identity: Uint8Array): boolean {
    if (!this.#checks.take()) {
      this.dropped.rate++;
      return false;
    }
    if (isSigned(packet, identity)) return true;
    this.dropped.signature++;
    return false;
  }

  #onObtain(packet: SignedPacket<unknown>, body: ObtainFlow, address: string): void {
    const { identity, network, wallClock, randomBytes } = this.#options;
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
      this.#flows.give(flowId, { identity: body.identity.slice(), address });
      answer = { kind: 'give', flowId, identity: own };
    }
    this.#send(writeSigned(answer, identity.seed), address, body.identity);
  }

  /** The first E, at the side that gave the flow id. */
  #onFirst(packet: SignedPacket<unknown>, body: EstablishFlow, address: string): void {
    const { identity, randomBytes } = this.#options;
    const open = this.#links.answerOf(body.flowId, address);
    if (open?.answer) {
      this.#send(open.answer, address, open.link.identity);
      return;
    }
    const owner = this.#flows.ownerOf(body.flowId, address);
    if (!owner) {
      this.dropped.unexpected++;
      return;
    }
    if (!this.#isSigned(packet, owner)) return;
    this.#flows.take(body.flowId);
    const keys = newExchangeKeys(randomBytes);
    const flowId = body.flowId.slice();
    const answer = writeSigned(
      { kind: 'establish', flowId, ephemeralKey: keys.publicKey, counter: 1n },
      identity.seed,
    );
    const otherKey = body.ephemeralKey.slice();
    const link = this.#links.open({
      address,
      identity: owner,
      flowId,
      keys,
      otherKey,
      isInitiator: false,
      answer,
    });
    if (typeof link === 'string') {
      this.dropped.full++;
      return;
    }
    this.#send(answer, address, owner);
    this.#options.onLink(link);
  }

  /** The second E arrived, at the side that connects. */
  #onAgreed(agreement: Agreement): void {
    const link = this.#links.open(agreement);
    if (typeof link !== 'string') {
      this.#options.onLink(link);
      return;
    }
    this.dropped.full++;
    this.#options.onFailed(agreement, link);
  }
}
