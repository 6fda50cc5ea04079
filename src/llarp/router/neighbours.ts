/**
 * The links of a router to others: made when there is something to send, introduced by LIM (row D14). A neighbour may
 * have several links, because both sides connect at once or because it came back; messages are read from each link on
 * which it has introduced itself, and sent over the last one of these.
 */
import type { Clock } from '../../kit/clock.js';
import type { RandomBytes } from '../crypto.js';
import type { Target } from '../iwp/attempts.js';
import { Endpoint } from '../iwp/endpoint.js';
import type { Link } from '../iwp/links.js';
import { LINK_MESSAGE, type LinkMessage } from '../link-messages.js';
import { readLlarp, writeLlarp } from '../read.js';
import type { RouterContact } from '../structures.js';
import { addressOf, type RouterKeys } from './contact.js';
import type { ContactBook } from './contact-book.js';
import { keyText } from './distance.js';
import { IntroducedLinks } from './introduced-links.js';
import { isIntroductionOf, writeIntroduction, type Introduction } from './link-introduction.js';

/** Most neighbours, and most messages that wait for one link. */
const MAX_NEIGHBOURS = 1_024;
const MAX_WAITING = 64;
/** Above so many queued bytes to a neighbour, those who send to it are asked to send slower; below the second, faster. */
export const HIGH_WATER_BYTES = 262_144;
const LOW_WATER_BYTES = 65_536;

/** Kept while it has a link, or this side connects to it. */
interface Neighbour {
  readonly identity: Uint8Array;
  readonly links: Set<Link>;
  /** The link that messages are sent over: the last one on which the other side has introduced itself. */
  used: Link | undefined;
  /** Where this side connects to, while it does. */
  connecting: string | undefined;
  /** Messages for the first link that is introduced. */
  readonly waiting: Uint8Array[];
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
  /** A neighbour has no link any more, or could not be reached: what was sent to it and waited for it is lost. */
  onGone(neighbour: string): void;
}

export class Neighbours {
  readonly #options: NeighboursOptions;
  readonly #endpoint: Endpoint;
  /** By identity as text. */
  readonly #neighbours = new Map<string, Neighbour>();
  readonly #links: IntroducedLinks;
  #isClosed = false;
  /** What was dropped, by reason. */
  readonly dropped = { malformed: 0, introduction: 0, 'not-introduced': 0, waiting: 0, contact: 0 };

  constructor(options: NeighboursOptions) {
    this.#options = options;
    const { clock, wallClock, randomBytes, keys, network, obfuscates } = options;
    this.#links = new IntroducedLinks(clock);
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
      onFailed: (target) => this.#onFailed(target),
    });
  }

  /** Number of links. */
  get links(): number {
    return this.#endpoint.links;
  }

  /** Identities of the neighbours that introduced themselves, as text. */
  get introduced(): readonly string[] {
    return [...this.#neighbours].filter(([, { used }]) => used).map(([key]) => key);
  }

  /** A datagram arrived. */
  receive(packet: Uint8Array, address: string): void {
    this.#endpoint.receive(packet, address);
  }

  /** Sends to a router, over a new link if need be. False when it cannot be reached or too much waits. */
  send(identity: Uint8Array, message: LinkMessage): boolean {
    if (this.#isClosed) return false;
    const key = keyText(identity);
    const bytes = writeLlarp(LINK_MESSAGE, message);
    const known = this.#neighbours.get(key);
    if (known?.used) return known.used.sendMessage(bytes);
    const neighbour = known ?? this.#connect(key, identity);
    if (!neighbour || neighbour.waiting.length >= MAX_WAITING) {
      this.dropped.waiting++;
      return false;
    }
    neighbour.waiting.push(bytes);
    return true;
  }

  /** The link that messages to a router are sent over; undefined when there is none. */
  linkOf(identity: Uint8Array): Link | undefined {
    return this.#neighbours.get(keyText(identity))?.used;
  }

  /** Asks a neighbour to send slower or faster, by how much waits for another one. Both as text. */
  pressure(from: string, to: string): void {
    const queued = this.#neighbours.get(to)?.used?.queuedBytes ?? 0;
    const link = this.#neighbours.get(from)?.used;
    if (queued > HIGH_WATER_BYTES) link?.askSlower();
    else if (queued < LOW_WATER_BYTES) link?.askFaster();
  }

  /**
   * A router came back at another address: its links to the old one end, and messages that wait for a link go to the
   * new one.
   */
  onMoved(contact: RouterContact): void {
    const neighbour = this.#neighbours.get(keyText(contact.signingKey));
    const address = addressOf(contact);
    if (!neighbour || address === undefined) return;
    const { identity, links, connecting } = neighbour;
    if (connecting !== undefined && connecting !== address) {
      this.#endpoint.cancel({ address: connecting, identity });
      neighbour.connecting = undefined;
    }
    const isReached = [...links].some((link) => link.address === address);
    if (!neighbour.used && !neighbour.connecting && !isReached) this.#dial(neighbour, address);
    for (const link of links) if (link.address !== address) link.close();
  }

  /** Tells all neighbours the contact of this router, which is a new one. */
  introduceAgain(): void {
    for (const { used } of this.#neighbours.values()) if (used) this.#introduce(used);
  }

  close(): void {
    this.#isClosed = true;
    this.#endpoint.close();
    this.#neighbours.clear();
  }

  /** Undefined when no address is known, or there are too many neighbours or attempts. */
  #connect(key: string, identity: Uint8Array): Neighbour | undefined {
    const contact = this.#options.book.get(identity);
    const address = contact && addressOf(contact);
    const neighbour = address === undefined ? undefined : this.#add(key, identity);
    if (address === undefined || !neighbour) {
      this.dropped.contact++;
      return undefined;
    }
    this.#dial(neighbour, address);
    // Too many attempts: the neighbour is gone already.
    return this.#neighbours.get(key) === neighbour ? neighbour : undefined;
  }

  /** Undefined when there are too many. */
  #add(key: string, identity: Uint8Array): Neighbour | undefined {
    if (this.#neighbours.size >= MAX_NEIGHBOURS) return undefined;
    const neighbour: Neighbour = {
      identity,
      links: new Set(),
      used: undefined,
      connecting: undefined,
      waiting: [],
    };
    this.#neighbours.set(key, neighbour);
    return neighbour;
  }

  #dial(neighbour: Neighbour, address: string): void {
    neighbour.connecting = address;
    this.#endpoint.connect({ address, identity: neighbour.identity });
  }

  #onLink(link: Link): void {
    const key = keyText(link.identity);
    const neighbour = this.#neighbours.get(key) ?? this.#add(key, link.identity);
    if (!neighbour) {
      link.close();
      return;
    }
    if (link.isInitiator && neighbour.connecting === link.address) neighbour.connecting = undefined;
    neighbour.links.add(link);
    this.#links.add(link);
    if (link.isInitiator) this.#introduce(link);
  }

  #introduce(link: Link): void {
    const { keys, randomBytes } = this.#options;
    link.sendMessage(writeIntroduction(keys, this.#options.ownContact(), randomBytes));
  }

  #onMessage(link: Link, bytes: Uint8Array): void {
    const read = readLlarp(LINK_MESSAGE, bytes);
    if (!read.ok) this.dropped.malformed++;
    else if (read.value.kind === 'introduce') this.#onIntroduction(link, read.value);
    else if (this.#links.has(link)) this.#options.onMessage(keyText(link.identity), read.value);
    else if (!this.#links.hold(link, bytes)) this.dropped['not-introduced']++;
  }

  #onIntroduction(link: Link, lim: Introduction): void {
    if (!this.#links.takes(link)) {
      this.dropped.introduction++;
      return;
    }
    // A new contact of a router that came back ends its old links here, and the paths through them.
    const isRight =
      isIntroductionOf(link, lim) &&
      this.#options.book.put(lim.contact, this.#options.wallClock()) === undefined;
    const neighbour = this.#neighbours.get(keyText(link.identity));
    if (!isRight || !neighbour) {
      this.dropped.introduction++;
      link.close();
      return;
    }
    if (!link.isInitiator) this.#introduce(link);
    const early = this.#links.introduced(link, lim.sessionMs);
    neighbour.used = link;
    for (const waiting of neighbour.waiting.splice(0)) link.sendMessage(waiting);
    for (const bytes of early) this.#onMessage(link, bytes);
  }

  #onEnd(link: Link): void {
    const key = keyText(link.identity);
    this.#links.remove(link);
    const neighbour = this.#neighbours.get(key);
    if (!neighbour?.links.delete(link)) return;
    const wasUsed = neighbour.used === link;
    if (wasUsed) neighbour.used = [...neighbour.links].findLast((each) => this.#links.has(each));
    this.#forgetIfGone(key, neighbour, wasUsed && !neighbour.used);
  }

  #onFailed({ address, identity }: Target): void {
    const key = keyText(identity);
    const neighbour = this.#neighbours.get(key);
    if (neighbour?.connecting !== address) return;
    neighbour.connecting = undefined;
    this.#forgetIfGone(key, neighbour, false);
  }

  /** Forgets a neighbour without a link, to which this side does not connect either. */
  #forgetIfGone(key: string, { links, connecting }: Neighbour, hasLostLink: boolean): void {
    const isGone = links.size === 0 && connecting === undefined;
    if (isGone) this.#neighbours.delete(key);
    if (isGone || hasLostLink) this.#options.onGone(key);
  }
}
