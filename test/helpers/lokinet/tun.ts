/**
 * A stand-in for the interfaces of Lokinet on loopback addresses. A node maps each service that it looked up
 * to an address; what is connected to there arrives at the service's own address, from the address to
 * which that node maps the first one.
 */
import { readFileSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';

/** The ports on which something listens at an IPv4 address of this machine. */
export function listeningPorts(address: string): readonly number[] {
  const hex = Buffer.from(address.split('.').map(Number)).readUInt32LE(0);
  const wanted = hex.toString(16).toUpperCase().padStart(8, '0');
  const lines = readFileSync('/proc/net/tcp', 'latin1').trim().split('\n').slice(1);
  return lines.flatMap((line) => {
    const [, local = '', , state] = line.trim().split(/\s+/);
    const [host, port = ''] = local.split(':');
    return host === wanted && state === '0A' ? [Number.parseInt(port, 16)] : [];
  });
}

/** Joins two sockets: bytes, ends and resets pass in both directions. */
function join(one: Socket, other: Socket): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.on('error', () => to.resetAndDestroy());
    from.on('close', () => to.destroySoon());
    from.pipe(to);
  }
}

/** The listeners at one mapped address. */
export class Tunnel {
  readonly #servers = new Map<number, Server>();
  readonly #sockets = new Set<Socket>();
  readonly #from: string;
  readonly #to: string;
  readonly #source: () => string;

  /**
   * @param from the mapped address
   * @param to the service's own address
   * @param source the address that the service sees
   */
  constructor(from: string, to: string, source: () => string) {
    this.#from = from;
    this.#to = to;
    this.#source = source;
  }

  /** Leads to the ports on which the service listens now, and to no others. */
  async refresh(): Promise<void> {
    const ports = new Set(listeningPorts(this.#to));
    for (const [port, server] of this.#servers) {
      if (ports.has(port)) continue;
      server.close();
      this.#servers.delete(port);
    }
    const opening = [...ports]
      .filter((port) => !this.#servers.has(port))
      .map((port) => this.#open(port));
    await Promise.all(opening);
  }

  close(): void {
    for (const server of this.#servers.values()) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  async #open(port: number): Promise<void> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
      this.#forward(socket, port),
    );
    this.#servers.set(port, server);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(port, this.#from, resolve);
    });
  }

  #forward(socket: Socket, port: number): void {
    const onward = createConnection({
      host: this.#to,
      port,
      localAddress: this.#source(),
      allowHalfOpen: true,
    });
    for (const each of [socket, onward]) {
      this.#sockets.add(each);
      each.once('close', () => this.#sockets.delete(each));
    }
    join(socket, onward);
    socket.resume();
  }
}
