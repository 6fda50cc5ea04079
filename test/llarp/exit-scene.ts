/** A lab whose fourth router offers exits, and clients of it over paths of three hops. */
import {
  ExitClient,
  type ExitEnd,
  type ExitRequest,
  type Rejection,
} from '../../src/llarp/exit/client.js';
import type { Exits, ExitsOptions } from '../../src/llarp/exit/exits.js';
import type { ExitHandle, ExitTarget } from '../../src/llarp/exit/granted.js';
import { mapped, writeUdp, type IpPacket } from '../../src/llarp/exit/ip-packet.js';
import type { Path } from '../../src/llarp/path/path.js';
import { Lab, seeded, type SeenPath } from './lab.js';

export const EXIT = 3;
export const address = (...v4: readonly number[]): Uint8Array => mapped(Uint8Array.from(v4));
export const CLIENT = { address: address(10, 9, 9, 9), port: 4_000 };
export const SERVER = { address: address(127, 0, 0, 1), port: 5_000 };

export function udp(text: string, to = SERVER, from = CLIENT): Uint8Array {
  const packet = writeUdp(from, to, Uint8Array.from(Buffer.from(text)));
  if (!packet) throw new Error('not a packet');
  return packet;
}

/** Records what exits send, and answers when told to. */
export class TestTarget implements ExitTarget {
  readonly seen: { readonly exit: ExitHandle; readonly packet: IpPacket }[] = [];
  readonly closedExits: ExitHandle[] = [];
  isFull = false;

  send(exit: ExitHandle, packet: IpPacket): boolean {
    if (this.isFull) return false;
    this.seen.push({ exit, packet });
    return true;
  }

  closed(exit: ExitHandle): void {
    this.closedExits.push(exit);
  }

  /** The payloads of the packets so far. */
  get texts(): readonly string[] {
    return this.seen.map(({ packet }) => Buffer.from(packet.segment.subarray(8)).toString());
  }
}

export type Offers = Partial<Omit<ExitsOptions, 'clock' | 'randomBytes' | 'identity'>>;

/** A client of the exit, and what it was told. */
export interface SeenClient {
  readonly exit: ExitClient;
  readonly seen: SeenPath;
  readonly packets: Uint8Array[];
  readonly events: ('open' | 'stranded' | ExitEnd)[];
  readonly rejections: (Rejection | undefined)[];
  /** A path that the client may move to; its messages reach the client. */
  readonly newPath: (creator: number, hops: readonly number[], lifetime?: bigint) => SeenPath;
}

export class ExitScene {
  readonly target = new TestTarget();
  readonly lab: Lab;
  #clients = 0;

  constructor(offers: Offers = {}, routers = 8) {
    this.lab = new Lab(routers, (index) =>
      index === EXIT
        ? {
            policies: [],
            allows: { internet: true, router: false },
            network: Uint8Array.of(10, 0, 0, 0),
            target: this.target,
            ...offers,
          }
        : undefined,
    );
  }

  get exits(): Exits {
    const { exits } = this.lab.node(EXIT);
    if (!exits) throw new Error('no exits');
    return exits;
  }

  /** A path that ends at the exit, and a client that asks for an exit over it. */
  client(
    request: Partial<ExitRequest> = {},
    { creator = 0, hops = [1, 2, EXIT], lifetime = 600n, buildMs = 1_000 } = {},
  ): SeenClient {
    const { lab } = this;
    const told: Pick<SeenClient, 'packets' | 'events' | 'rejections'> = {
      packets: [],
      events: [],
      rejections: [],
    };
    let exit: ExitClient | undefined;
    const newPath = (from: number, over: readonly number[], seconds?: bigint): SeenPath => {
      let path: Path | undefined;
      const made: SeenPath = lab.path(from, over, seconds, {
        onMessage: (message) => path && exit?.onMessage(message, path),
        onEnd: (reason) => path && exit?.onPathEnd(path, reason),
      });
      path = made.path;
      lab.clock.advance(buildMs);
      return made;
    };
    const seen = newPath(creator, hops, lifetime);
    exit = new ExitClient({
      clock: lab.clock,
      randomBytes: seeded(`client ${this.#clients++}`),
      path: seen.path,
      internet: true,
      lifetime: 600n,
      ...request,
      onOpen: () => told.events.push('open'),
      onPacket: (packet) => told.packets.push(packet),
      onStranded: () => told.events.push('stranded'),
      onEnd(reason, rejection) {
        told.events.push(reason);
        told.rejections.push(rejection);
      },
    });
    return { exit, seen, newPath, ...told };
  }

  /** Time for a question and its answer over three hops. */
  pass(ms = 500): void {
    this.lab.clock.advance(ms);
  }
}
