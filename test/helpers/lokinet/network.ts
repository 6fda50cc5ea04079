/**
 * A stand-in for Lokinet: nodes with a resolver, an interface and an RPC socket each. Its answers are those
 * that a real Lokinet 0.9.11 gave; `test/lokinet/stand-in.test.ts` names and asserts each of them. It has no
 * paths, so nothing here shows how the real network behaves.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { parseLokiName, lokiHost } from '../../../src/protocol/loki-address.js';
import {
  addressBytes,
  answerTo,
  nameBytes,
  parseQuery,
  RCODE,
  srvBytes,
  textBytes,
  TYPE,
  type Question,
  type Srv,
} from './dns-wire.js';
import { Tunnel } from './tun.js';

/** The netid of the stand-in. */
export const NETID = 'seedlab';
const OWN = 'localhost.loki';
/** Test processes run beside each other: each network has addresses of its own. */
const FIRST_OCTET = 100;

export interface NetworkOptions {
  /** How long a node tries to find a path before it gives up (default 300 ms). */
  readonly pathMs?: number;
}

type Answer = { readonly rcode: number; readonly records: readonly Buffer[] };
const found = (...records: readonly Buffer[]): Answer => ({ rcode: RCODE.OK, records });
const NO_NAME: Answer = { rcode: RCODE.NXDOMAIN, records: [] };
const NO_DATA: Answer = found();

export class LokinetNode {
  readonly host: string;
  /** The address of its interface. */
  readonly address: string;
  /** Each question that its resolver was asked, `name type`. */
  readonly asked: string[] = [];
  /** `srv=` lines of its lokinet.ini: the service, and the record. */
  readonly records = new Map<string, Srv>();
  /** False: a path to it cannot be built. */
  isReachable = true;
  /** Milliseconds from the first question until a path to it is built; the answers wait for it. */
  buildMs = 0;
  #built: Promise<unknown> | undefined;
  /** Whether its resolver tells its own name, as an old version might not. */
  tellsName = true;
  /** Its own name in answers, where that differs from the one that the network knows. */
  claimedHost: string | undefined;
  /** The address that it gives for every other node, as a resolver that is not Lokinet's would. */
  mapsTo: string | undefined;
  readonly #network: LokinetNetwork;
  readonly #mapped = new Map<LokinetNode, { readonly address: string; readonly tunnel: Tunnel }>();
  #socket: UdpSocket | undefined;
  #port = 0;

  constructor(network: LokinetNetwork, host: string, address: string) {
    this.#network = network;
    this.host = host;
    this.address = address;
  }

  /** Its resolver. */
  get dns(): { readonly host: string; readonly port: number } {
    return { host: '127.0.0.1', port: this.#port };
  }

  /** Starts its resolver, on the port that it had before. */
  async start(): Promise<void> {
    const socket = createSocket('udp4');
    socket.on('message', (message, { address, port }) => {
      const question = parseQuery(message);
      if (question) void this.#answer(socket, question, { address, port });
    });
    this.#socket = socket;
    await new Promise<void>((resolve) => socket.bind(this.#port, '127.0.0.1', resolve));
    this.#port = socket.address().port;
  }

  /** Its resolver is gone, as when the daemon is stopped. */
  async stop(): Promise<void> {
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket) await new Promise<void>((resolve) => socket.close(resolve));
  }

  /** The address to which this node maps another one. */
  addressOf(other: LokinetNode): string {
    return this.#mapping(other).address;
  }

  async close(): Promise<void> {
    for (const { tunnel } of this.#mapped.values()) tunnel.close();
    await this.stop();
  }

  #mapping(other: LokinetNode): { readonly address: string; readonly tunnel: Tunnel } {
    const known = this.#mapped.get(other);
    if (known) return known;
    const address = this.#network.nextAddress();
    const tunnel = new Tunnel(address, other.address, () => other.addressOf(this));
    const mapping = { address, tunnel };
    this.#mapped.set(other, mapping);
    return mapping;
  }

  async #answer(
    socket: UdpSocket,
    question: Question,
    to: { readonly address: string; readonly port: number },
  ): Promise<void> {
    const type = Object.entries(TYPE).find(([, number]) => number === question.type)?.[0];
    this.asked.push(`${question.name} ${type ?? question.type}`);
    const answer = await this.#answerOf(question);
    if (answer === undefined || socket !== this.#socket) return;
    socket.send(answerTo(question, answer.rcode, answer.records), to.port, to.address);
  }

  /** Undefined: no answer. */
  async #answerOf({ name, type }: Question): Promise<Answer | undefined> {
    if (name.endsWith('.in-addr.arpa')) return this.#reverse(name, type);
    if (name === OWN || name.endsWith(`.${OWN}`)) return this.#own(name, type);
    // With an empty `upstream=` other names get no answer.
    if (!/\.(loki|snode)$/.test(name)) return undefined;
    const service = /^(_[^.]+\._[^.]+)\.(.*)$/.exec(name);
    const target = await this.#path(service?.[2] ?? name);
    if (!(target instanceof LokinetNode)) return target;
    if (service) return target.#srv(service[1] ?? '', type);
    if (this.mapsTo !== undefined) return found(addressBytes(this.mapsTo));
    const mapping = this.#mapping(target);
    if (type === TYPE.A) await mapping.tunnel.refresh();
    return type === TYPE.A ? found(addressBytes(mapping.address)) : NO_DATA;
  }

  /** The node of a name after a path was built, or the answer without one. */
  async #path(name: string): Promise<LokinetNode | Answer> {
    const read = parseLokiName(name);
    if (!read.ok || read.value.kind === 'router') return NO_NAME;
    const target = this.#network.nodeOf(read.value);
    if (read.value.kind === 'ons' && target === undefined) return NO_NAME;
    if (target?.isReachable === true && target !== this) {
      await target.pathBuilt();
      return target;
    }
    await new Promise((resolve) => setTimeout(resolve, this.#network.pathMs).unref());
    return { rcode: RCODE.SERVFAIL, records: [] };
  }

  async pathBuilt(): Promise<void> {
    if (this.buildMs === 0) return;
    this.#built ??= new Promise((resolve) => setTimeout(resolve, this.buildMs).unref());
    await this.#built;
  }

  #own(name: string, type: number): Answer {
    const service = /^(_[^.]+\._[^.]+)\.localhost\.loki$/.exec(name);
    if (service) return this.#srv(service[1] ?? '', type);
    if (name === `netid.${OWN}` && type === TYPE.TXT) return found(textBytes(`netid=${NETID};`));
    if (name !== OWN) return NO_NAME;
    const own = this.claimedHost ?? this.host;
    if (type === TYPE.CNAME && this.tellsName) return found(nameBytes(own));
    return type === TYPE.A ? found(addressBytes(this.address)) : NO_DATA;
  }

  #srv(service: string, type: number): Answer {
    const record = this.records.get(service);
    return record === undefined || type !== TYPE.SRV ? NO_DATA : found(srvBytes(record));
  }

  #reverse(name: string, type: number): Answer {
    const address = name.replace('.in-addr.arpa', '').split('.').toReversed().join('.');
    if (type !== TYPE.PTR) return NO_DATA;
    if (address === this.address) return found(nameBytes(this.host));
    const [node] = [...this.#mapped].find(([, mapping]) => mapping.address === address) ?? [];
    return node === undefined ? NO_NAME : found(nameBytes(node.claimedHost ?? node.host));
  }
}

/** A public key of ed25519: the last 32 bytes of its usual form. */
function newKey(): Uint8Array {
  const { publicKey } = generateKeyPairSync('ed25519');
  return Uint8Array.from(publicKey.export({ type: 'spki', format: 'der' }).subarray(-32));
}

/** Lokinets that reach each other. */
export class LokinetNetwork {
  readonly pathMs: number;
  /** Names of the Oxen Name Service. */
  readonly names = new Map<string, LokinetNode>();
  readonly #nodes: LokinetNode[] = [];
  readonly #prefix: string;
  #last = 1;

  constructor({ pathMs = 300 }: NetworkOptions = {}) {
    this.pathMs = pathMs;
    const [a = 0, b = 0] = randomBytes(2);
    this.#prefix = `127.${FIRST_OCTET + (a % 100)}.${b}`;
  }

  /** A running node; its address is random unless its key is given. */
  async node(publicKey: Uint8Array = newKey()): Promise<LokinetNode> {
    const node = new LokinetNode(this, lokiHost(publicKey), this.nextAddress());
    await node.start();
    this.#nodes.push(node);
    return node;
  }

  nextAddress(): string {
    this.#last += 1;
    if (this.#last > 254) throw new Error('the stand-in has no more addresses');
    return `${this.#prefix}.${this.#last}`;
  }

  nodeOf(name: { readonly kind: string; readonly name?: string; readonly publicKey?: Uint8Array }) {
    if (name.publicKey === undefined) return this.names.get(name.name ?? '');
    const host = lokiHost(name.publicKey);
    return this.#nodes.find((node) => node.host === host);
  }

  async close(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.close()));
  }
}
