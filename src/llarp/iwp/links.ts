/** The established links of an endpoint, by flow id: bounded in all and for each router. */
import { equalBytes } from '../bytes.js';
import type { ExchangeKeys } from '../crypto.js';
import { flowKeys } from './flow-keys.js';
import type { FlowData } from './packet.js';
import { Session, type SessionEnd, type SessionOptions } from './session.js';

const MAX_LINKS = 1_024;
/** Links with one router: both may connect at once, and it may come back. The oldest one makes room. */
const MAX_LINKS_OF_ONE = 4;

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

/** What the handshake of a link agreed on. */
export interface Agreement {
  readonly address: string;
  /** The signing key of the other router, which it proved. */
  readonly identity: Uint8Array;
  /** 16 bytes. */
  readonly flowId: Uint8Array;
  /** The ephemeral keys of this side and of the other one, from E. */
  readonly keys: ExchangeKeys;
  readonly otherKey: Uint8Array;
  readonly isInitiator: boolean;
  /** Sent again when the first E arrives again; undefined at the side that connects. */
  readonly answer: Uint8Array | undefined;
}

export type LinksOptions = Pick<SessionOptions, 'clock' | 'wallClock' | 'randomBytes'> & {
  /** Most links; default 1,024. */
  readonly maxLinks?: number;
  send(packet: Uint8Array, address: string, identity: Uint8Array): void;
  onMessage(link: Link, bytes: Uint8Array): void;
  onEnd(link: Link, reason: SessionEnd): void;
};

interface Open {
  readonly link: Link;
  readonly session: Session;
  readonly answer: Uint8Array | undefined;
}

const idText = (flowId: Uint8Array): string => Buffer.from(flowId).toString('hex');

export class Links {
  readonly #options: LinksOptions;
  /** By flow id. */
  readonly #open = new Map<string, Open>();

  constructor(options: LinksOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#open.size;
  }

  /** The E that answered the first E of this flow; undefined when there is no such flow with this address. */
  answerOf(flowId: Uint8Array, address: string): Pick<Open, 'link' | 'answer'> | undefined {
    const open = this.#open.get(idText(flowId));
    return open?.link.address === address ? open : undefined;
  }

  /** A new link, or why there is none: no room, or the other key is a point of low order. */
  open(agreement: Agreement): Link | 'too-many-links' | 'low-order-key' {
    const { address, identity, flowId, keys, otherKey, isInitiator, answer } = agreement;
    const { maxLinks = MAX_LINKS } = this.#options;
    if (this.#open.size >= maxLinks) return 'too-many-links';
    const derived = flowKeys(flowId, keys, otherKey, isInitiator);
    if (!derived) return 'low-order-key';
    this.#makeRoom(identity);
    const { clock, wallClock, randomBytes } = this.#options;
    const id = idText(flowId);
    const session: Session = new Session({
      ...derived,
      clock,
      wallClock,
      randomBytes,
      flowId,
      ownKeys: keys,
      otherKey,
      send: (packet) => this.#options.send(packet, address, identity),
      onMessage: (bytes) => this.#options.onMessage(link, bytes),
      onEnd: (reason) => {
        this.#open.delete(id);
        this.#options.onEnd(link, reason);
      },
    });
    const link = linkOf(session, { address, identity, isInitiator });
    this.#open.set(id, { link, session, answer });
    return link;
  }

  /** A packet of data. False when no link has its flow id and this address. */
  receive(packet: FlowData, address: string): boolean {
    const open = this.#open.get(idText(packet.flowId));
    if (open?.link.address !== address) return false;
    open.session.receive(packet);
    return true;
  }

  close(): void {
    for (const { session } of this.#open.values()) session.close();
  }

  #makeRoom(identity: Uint8Array): void {
    const others = [...this.#open.values()].filter(({ link }) =>
      equalBytes(link.identity, identity),
    );
    if (others.length >= MAX_LINKS_OF_ONE) others[0]?.link.close();
  }
}

function linkOf(session: Session, named: Pick<Link, 'address' | 'identity' | 'isInitiator'>): Link {
  return {
    ...named,
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
}
