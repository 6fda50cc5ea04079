/** A router of the lab on a UDP socket of loopback: in one process with others, or in one of its own. */
import { LlarpNode } from '../../llarp/node.js';
import { newRouterKeys } from '../../llarp/router/contact.js';
import type { RouterContact } from '../../llarp/structures.js';
import { systemClock } from '../../overlay/system-clock.js';
import { UdpPort } from './udp-port.js';

type NodeOptions = ConstructorParameters<typeof LlarpNode>[0];
type Defaulted = 'clock' | 'wallClock' | 'randomBytes' | 'keys' | 'host' | 'port';

/** What a node needs, without what the socket and this machine give. */
export type UdpRouterOptions = Omit<NodeOptions, Defaulted | 'send'> &
  Partial<Pick<NodeOptions, Defaulted>> & {
    /** The socket failed; the router is closed. */
    readonly onError?: (error: Error) => void;
    /** For measurements: whether a packet is lost on the way. */
    readonly loses?: () => boolean;
  };

/** `RC.i` of the lab: 8 bytes, of no network that ever was. */
export const LAB_NETWORK = Uint8Array.from(Buffer.from('lab\0\0\0\0\0', 'latin1'));

/** Random bytes of the system, as plain bytes. */
export function systemRandom(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length));
}

export class UdpRouter {
  readonly node: LlarpNode;
  readonly port: UdpPort;

  private constructor(node: LlarpNode, port: UdpPort) {
    this.node = node;
    this.port = port;
  }

  /**
   * Starts a router with new keys at a free port of 127.0.0.1, unless the options say otherwise. Rejects with the error
   * of the system when the port cannot be taken, and with a RangeError when its exits make its contact too long.
   */
  static async start(options: UdpRouterOptions): Promise<UdpRouter> {
    const { onError, loses, host = '127.0.0.1', randomBytes = systemRandom, ...rest } = options;
    const started: { router?: UdpRouter } = {};
    const port = await UdpPort.bind({
      host,
      port: options.port ?? 0,
      ...(loses ? { loses } : {}),
      onPacket: (packet, from) => started.router?.node.router.receive(packet, from),
      onError: (error) => {
        started.router?.node.close();
        onError?.(error);
      },
    });
    try {
      const node = new LlarpNode({
        clock: systemClock,
        wallClock: () => BigInt(Date.now()),
        keys: newRouterKeys(randomBytes),
        ...rest,
        randomBytes,
        host,
        port: port.port,
        send: (packet, address) => port.send(packet, address),
      });
      started.router = new UdpRouter(node, port);
      return started.router;
    } catch (error) {
      await port.close();
      throw error;
    }
  }

  /** The contact of this router now, for a bootstrap file. */
  get contact(): RouterContact {
    return this.node.router.contact;
  }

  /** Takes contacts, for example of a bootstrap file. Returns how many are good; the own one is left out. */
  meet(contacts: Iterable<RouterContact>, now = BigInt(Date.now())): number {
    const { router } = this.node;
    let good = 0;
    for (const contact of contacts) {
      const isOwn = Buffer.compare(contact.signingKey, router.contact.signingKey) === 0;
      if (!isOwn && router.book.put(contact, now) === undefined) good++;
    }
    return good;
  }

  /** Ends paths, links and timers. Resolves when the port is free. */
  async close(): Promise<void> {
    this.node.close();
    await this.port.close();
  }
}
