/**
 * The links of a router to others: made when there is something to send, introduced by LIM (row D14), at most one used
 * for each neighbour.
 */
import type { Clock } from '../../kit/clock.js';
import { TokenBucket } from '../../kit/rate-limit.js';
import { equalBytes } from '../bytes.js';
import type { RandomBytes } from '../crypto.js';
import { Endpoint, type Link } from '../iwp/endpoint.js';
import { LINK_MESSAGE, type LinkMessage, type LinkMessageOf } from '../link-messages.js';
import { readLlarp, writeLlarp } from '../read.js';
import { isSignedBy, signed } from '../signed.js';
import type { RouterContact } from '../structures.js';
import { addressOf, type RouterKeys } from './contact.js';
import type { ContactBook } from './contact-book.js';
import { keyText } from './distance.js';

/** Most neighbours, and most messages that wait for one link. */
const MAX_NEIGHBOURS = 1_024;
const MAX_WAITING = 64;
/** Above so many queued bytes to a neighbour, those who send to it are asked to send slower; below the second, faster. */
export const HIGH_WATER_BYTES = 262_144;
const LOW_WATER_BYTES = 65_536;
/** `LIM.p`: a link ends after this time. */
const SESSION_MS = 3_600_000;
/** A link whose other side does not introduce itself ends after this time. */
const INTRODUCTION_MS = 10_000;
/** Introductions of one neighbour: a new contact needs one, each costs two checks of signatures. */
const INTRODUCTIONS = 4;
const INTRODUCTIONS_PER_SECOND = 0.1;

type Introduction = LinkMessageOf<'introduce'>;

interface Neighbour {
  link: Link | undefined;
  /** The other side has introduced itself on this link. */
  introduced: boolean;
  /** Where this side connects to; undefined when the other side connected. */
  readonly address: string | undefined;
  readonly waiting: Uint8Array[];
  readonly introductions: TokenBucket;
}

/** Ends a link: without the introduction of the other side, or when the session is over. */
interface LinkTimer {
  readonly isIntroduced: boolean;
  readonly cancel: () => void;
}

export interface NeighboursOptions {
  readonly clock: Clock;
  readonly wallClock: () => bigint;
  readonly randomBytes: RandomBytes;
  readonly keys: RouterKeys;
  /** 8 bytes. */
  readonly network: Uint8Array;
  readonly book: ContactBook;
  readonly obfuscates: boolean;
  /** The contact of this router now. */
  ownContact(): RouterContact;
  /** Sends a datagram. */
  send(packet: Uint8Array, address: string): void;
  /** A message of a neighbour that introduced itself. @param from its identity as text */
  onMessage(from: string, message: Exclude<LinkMessage, Introduction>): void;
  /** A neighbour that was introduced is gone. */
  onGone(neighbour: string): void;
}

export class Neighbours {
  readonly #options: NeighboursOptions;
  readonly #endpoint: Endpoint;
  readonly #neighbours = new Map<string, Neighbour>();
  /** One for each link of the endpoint. */
  readonly #timers = new Map<Link, LinkTimer>();
  /** What was dropped, by reason. */
  readonly dropped = { malformed: 0, introduction: 0, 'not-introduced': 0, waiting: 0, contact: 0 };

  constructor(options: NeighboursOptions) {
    this.#options = options;
    const { clock, wallClock, randomBytes, keys, network, obfuscates } = options;
    this.#endpoint = new Endpoint({
      clock,
      wallClock,
      randomBytes,
      identity: keys.signing,
      network,
      obfuscates,
      send: (packet, address) => options.send(packet, address),
      onLink: (link) => this.#onLink(link),
      onMessage: (link, bytes) => this.#onMessage(link, bytes),
      onEnd: (link) => this.#onEnd(link),
      onFailed: (address) => this.#onFailed(address),
    });
  }

  /** Number of links. */
  get links(): number {
    return this.#endpoint.links;
  }

  /** Identities of the neighbours that introduced themselves, as text. */
  get introduced(): readonly string[] {
    return [...this.#neighbours].filter(([, each]) => each.introduced).map(([key]) => key);
  }

  /** A datagram arrived. */
  receive(packet: Uint8Array, address: string): void {
    this.#endpoint.receive(packet, address);
  }

  /** Sends to a router, over a new link if need be. False when it cannot be reached or too much waits. */
  send(identity: Uint8Array, message: LinkMessage): boolean {
    const key = keyText(identity);
    const bytes = writeLlarp(LINK_MESSAGE, message);
    const known = this.#neighbours.get(key);
    if (known?.link && known.introduced) return known.link.sendMessage(bytes);
    const neighbour = known ?? this.#connect(key, identity);
    if (!neighbour || neighbour.waiting.length >= MAX_WAITING) {
      this.dropped.waiting++;
      return false;
    }
    neighbour.waiting.push(bytes);
    return true;
  }

  /** The link to a router in use. */
  linkOf(identity: Uint8Array): Link | undefined {
    return this.#neighbours.get(keyText(identity))?.link;
  }

  /** Asks a neighbour to send slower or faster, by how much waits for another one. Both as text. */
  pressure(from: string, to: string): void {
    const queued = this.#neighbours.get(to)?.link?.queuedBytes ?? 0;
    const link = this.#neighbours.get(from)?.link;
    if (queued > HIGH_WATER_BYTES) link?.askSlower();
    else if (queued < LOW_WATER_BYTES) link?.askFaster();
  }

  /** A router came back at another address: its link ends, and the next message makes a new one. */
  onMoved(contact: RouterContact): void {
    const link = this.#neighbours.get(keyText(contact.signingKey))?.link;
    if (link && link.address !== addressOf(contact)) link.close();
  }

  /** Tells all neighbours the contact of this router, which is a new one. */
  introduceAgain(): void {
    for (const { link, introduced } of this.#neighbours.values()) {
      if (link && introduced) this.#introduce(link);
    }
  }

  close(): void {
    this.#endpoint.close();
    this.#neighbours.clear();
  }

  #connect(key: string, identity: Uint8Array): Neighbour | undefined {
    const contact = this.#options.book.get(identity);
    const address = contact && addressOf(contact);
    if (address === undefined || this.#neighbours.size >= MAX_NEIGHBOURS) {
      this.dropped.contact++;
      return undefined;
    }
    const neighbour = this.#add(key, address);
    this.#endpoint.connect(address, identity);
    // Too many attempts: the neighbour is gone already.
    return this.#neighbours.get(key) === neighbour ? neighbour : undefined;
  }

  #add(key: string, address?: string): Neighbour {
    const neighbour: Neighbour = {
      link: undefined,
      introduced: false,
      address,
      waiting: [],
      introductions: new TokenBucket(this.#options.clock, INTRODUCTIONS_PER_SECOND, INTRODUCTIONS),
    };
    this.#neighbours.set(key, neighbour);
    return neighbour;
  }

  #onLink(link: Link): void {
    const key = keyText(link.identity);
    const neighbour = this.#neighbours.get(key) ?? this.#add(key);
    if (this.#neighbours.size > MAX_NEIGHBOURS) {
      this.#neighbours.delete(key);
      link.close();
      return;
    }
    // Of two links at once, both ends may use either: each side sends on the one that it knows first.
    neighbour.link ??= link;
    this.#endLater(link);
    if (link.isInitiator) this.#introduce(link);
  }

  #introduce(link: Link): void {
    const { keys, randomBytes } = this.#options;
    const lim = signed<Introduction>(
      LIM_FIELD,
      {
        kind: 'introduce',
        exchangeKey: keys.link.publicKey,
        nonce: randomBytes(32),
        sessionMs: BigInt(SESSION_MS),
        contact: this.#options.ownContact(),
        version: 0n,
      },
      keys.signing.seed,
    );
    link.sendMessage(writeLlarp(LINK_MESSAGE, lim));
  }

  #onMessage(link: Link, bytes: Uint8Array): void {
    const read = readLlarp(LINK_MESSAGE, bytes);
    if (!read.ok) {
      this.dropped.malformed++;
      return;
    }
    const message = read.value;
    const key = keyText(link.identity);
    const neighbour = this.#neighbours.get(key);
    if (message.kind === 'introduce') {
      this.#onIntroduction(link, neighbour, message);
    } else if (neighbour?.introduced === true) {
      this.#options.onMessage(key, message);
    } else {
      this.dropped['not-introduced']++;
    }
  }

  #onIntroduction(link: Link, known: Neighbour | undefined, lim: Introduction): void {
    if (known?.introductions.take() === false) {
      this.dropped.introduction++;
      return;
    }
    if (!known || !this.#isRight(link, lim)) {
      this.dropped.introduction++;
      link.close();
      return;
    }
    // A router that came back: its new contact has ended its old link, and all that belonged to it.
    const key = keyText(link.identity);
    const neighbour = this.#neighbours.get(key) ?? this.#add(key);
    if (!link.isInitiator) this.#introduce(link);
    // A second introduction on a link is that of a renewed contact, and prolongs nothing.
    if (this.#timers.get(link)?.isIntroduced === false) this.#endLater(link, lim.sessionMs);
    neighbour.introduced = true;
    neighbour.link = link;
    for (const waiting of neighbour.waiting.splice(0)) link.sendMessage(waiting);
  }

  /** The contact is that of the link's identity, is good, and names the address and key in use. */
  #isRight(link: Link, lim: Introduction): boolean {
    const { contact } = lim;
    if (!equalBytes(contact.signingKey, link.identity)) return false;
    const hasKey = contact.addresses.some(({ encryptionKey }) =>
      equalBytes(encryptionKey, lim.exchangeKey),
    );
    if (!hasKey || addressOf(contact) !== link.address) return false;
    if (!isSignedBy(LIM_FIELD, lim, link.identity)) return false;
    return this.#options.book.put(contact, this.#options.wallClock()) === undefined;
  }

  /** @param sessionMs `LIM.p` of the other side, when it has introduced itself; the shorter of both sides counts */
  #endLater(link: Link, sessionMs?: bigint): void {
    this.#timers.get(link)?.cancel();
    const isIntroduced = sessionMs !== undefined;
    const agreed = sessionMs !== undefined && sessionMs < BigInt(SESSION_MS);
    const session = agreed ? Number(sessionMs) : SESSION_MS;
    const cancel = this.#options.clock.after(isIntroduced ? session : INTRODUCTION_MS, () =>
      link.close(),
    );
    this.#timers.set(link, { isIntroduced, cancel });
  }

  #onEnd(link: Link): void {
    this.#timers.get(link)?.cancel();
    this.#timers.delete(link);
    const key = keyText(link.identity);
    const neighbour = this.#neighbours.get(key);
    if (neighbour?.link !== link) return;
    this.#neighbours.delete(key);
    if (neighbour.introduced) this.#options.onGone(key);
  }

  #onFailed(address: string): void {
    for (const [key, neighbour] of this.#neighbours) {
      if (!neighbour.link && neighbour.address === address) this.#neighbours.delete(key);
    }
  }
}

/** LIM as a link message: its signature covers the key `a` too. */
const LIM_FIELD = {
  read: (value: Parameters<typeof LINK_MESSAGE.read>[0]) => {
    const read = LINK_MESSAGE.read(value);
    if (!read.ok) return read;
    return read.value.kind === 'introduce'
      ? { ok: true as const, value: read.value }
      : { ok: false as const, reason: 'not-LIM' };
  },
  write: (value: Introduction) => LINK_MESSAGE.write(value),
};
