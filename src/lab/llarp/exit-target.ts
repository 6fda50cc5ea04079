/**
 * The world behind an exit of the lab: UDP to this machine. It parses IP packets, and each flow gets a socket of its own
 * that can only reach 127.0.0.0/8; every other destination is dropped. TCP would need a TCP of our own, so it is dropped.
 */
import { createSocket, type Socket } from 'node:dgram';
import type { Clock } from '../../kit/clock.js';
import type { ExitHandle, ExitTarget } from '../../llarp/exit/granted.js';
import { asIpv4, udpPayload, writeUdp, type IpPacket } from '../../llarp/exit/ip-packet.js';

/** Flows of all exits, and of one. */
export const MAX_FLOWS = 256;
export const MAX_FLOWS_OF_ONE = 32;
/** A flow without packets is closed. */
const IDLE_MS = 60_000;
/** Datagrams of a flow that the system has not taken yet. */
const MAX_SENDING = 64;
const LOOPBACK = 127;

interface Flow {
  readonly socket: Socket;
  sending: number;
  cancelIdle: () => void;
}

export class LoopbackTarget implements ExitTarget {
  readonly #clock: Clock;
  readonly #flows = new Map<ExitHandle, Map<string, Flow>>();
  #size = 0;
  /** Packets that were dropped, by reason. */
  readonly dropped = { destination: 0, protocol: 0, flows: 0, socket: 0 };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Flows that are open. */
  get flows(): number {
    return this.#size;
  }

  send(exit: ExitHandle, packet: IpPacket): boolean {
    const host = asIpv4(packet.destination);
    if (host?.[0] !== LOOPBACK) {
      this.dropped.destination++;
      return true;
    }
    const payload = udpPayload(packet);
    if (!payload || packet.destinationPort === 0) {
      this.dropped.protocol++;
      return true;
    }
    const flow = this.#flow(exit, packet);
    if (!flow || flow.sending >= MAX_SENDING) {
      this.dropped.flows++;
      return false;
    }
    this.#stayOpen(exit, keyOf(packet), flow);
    flow.sending++;
    // The callback gets the error of this datagram, which is lost then, as datagrams may be.
    flow.socket.send(payload, packet.destinationPort, host.join('.'), (error) => {
      flow.sending--;
      if (error) this.dropped.socket++;
    });
    return true;
  }

  closed(exit: ExitHandle): void {
    for (const key of this.#flows.get(exit)?.keys() ?? []) this.#close(exit, key);
  }

  /** Closes all sockets. */
  close(): void {
    for (const exit of this.#flows.keys()) this.closed(exit);
  }

  #flow(exit: ExitHandle, packet: IpPacket): Flow | undefined {
    const flows = this.#flows.get(exit) ?? new Map<string, Flow>();
    const key = keyOf(packet);
    const known = flows.get(key);
    if (known) return known;
    if (flows.size >= MAX_FLOWS_OF_ONE || this.#size >= MAX_FLOWS) return undefined;
    const socket = createSocket({ type: 'udp4' });
    const flow: Flow = { socket, sending: 0, cancelIdle: () => undefined };
    flows.set(key, flow);
    this.#flows.set(exit, flows);
    this.#size++;
    this.#listen(exit, packet, socket);
    return flow;
  }

  /** Answers of the other host go back as packets; datagrams of others are dropped. */
  #listen(
    exit: ExitHandle,
    { source, sourcePort, destination, destinationPort }: IpPacket,
    socket: Socket,
  ): void {
    const key = keyOf({ source, sourcePort, destination, destinationPort });
    const host = asIpv4(destination)?.join('.');
    const client = { address: source.slice(), port: sourcePort };
    const server = { address: destination.slice(), port: destinationPort };
    socket.on('message', (payload, from) => {
      if (from.address !== host || from.port !== destinationPort) {
        this.dropped.socket++;
        return;
      }
      const answer = writeUdp(server, client, payload);
      if (answer) exit.toClient(answer);
    });
    socket.on('error', () => {
      this.dropped.socket++;
      this.#close(exit, key);
    });
    socket.bind(0, '127.0.0.1');
    socket.unref();
  }

  #stayOpen(exit: ExitHandle, key: string, flow: Flow): void {
    flow.cancelIdle();
    flow.cancelIdle = this.#clock.after(IDLE_MS, () => this.#close(exit, key));
  }

  #close(exit: ExitHandle, key: string): void {
    const flows = this.#flows.get(exit);
    const flow = flows?.get(key);
    if (!flows || !flow) return;
    flow.cancelIdle();
    flow.socket.close();
    this.#size--;
    flows.delete(key);
    if (flows.size === 0) this.#flows.delete(exit);
  }
}

function keyOf({
  sourcePort,
  destination,
  destinationPort,
}: Pick<IpPacket, 'source' | 'sourcePort' | 'destination' | 'destinationPort'>): string {
  return `${sourcePort} ${destination.join('.')} ${destinationPort}`;
}
