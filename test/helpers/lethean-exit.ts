/** The exit of a provider in tests: a proxy whose names only it knows, and things to connect to. */
import { once } from 'node:events';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Test } from 'tap';
import type {
  Gate,
  GateBase,
  GateType,
  Provider,
  ProxyGate,
  Session,
  Space,
  WireGuardGate,
} from '../../src/lethean/model.js';
import type { TunnelTarget } from '../../src/lethean/ports.js';
import { TransportError } from '../../src/lethean/transport/transport-error.js';

async function listen(t: Test, server: Server, host = '127.0.0.1'): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, host);
  await once(server, 'listening');
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  const address = server.address();
  return address !== null && typeof address === 'object' ? address.port : 0;
}

/** Sends back what it gets; ends after the client's end. */
export function startEcho(t: Test): Promise<number> {
  return listen(
    t,
    createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)),
  );
}

export interface ExitProxy {
  readonly port: number;
  /** The destinations that clients asked for, `host:port`. */
  readonly asked: readonly string[];
}

/** An HTTP proxy for CONNECT. Every name leads to loopback, so that only it can know the name. */
export async function startExitProxy(t: Test): Promise<ExitProxy> {
  const asked: string[] = [];
  const server = createServer({ allowHalfOpen: true }, (client) => {
    let head = '';
    const read = (chunk: Buffer): void => {
      head += chunk.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end === -1) return;
      client.off('data', read);
      client.pause();
      const rest = Buffer.from(head.slice(end + 4), 'latin1');
      const [, host = '', port = ''] = /^CONNECT (\S+):(\d+) HTTP/.exec(head) ?? [];
      asked.push(`${host}:${port}`);
      if (host === 'nowhere.test') {
        client.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n');
        return;
      }
      const upstream = createConnection({
        host: '127.0.0.1',
        port: Number(port),
        allowHalfOpen: true,
      });
      upstream.on('error', () => client.destroy());
      client.once('close', () => upstream.destroy());
      upstream.once('connect', () => {
        client.write('HTTP/1.1 200 OK\r\n\r\n');
        upstream.write(rest);
        client.pipe(upstream).pipe(client);
      });
    };
    client.on('data', read);
  });
  return { port: await listen(t, server), asked };
}

const PROVIDER_ID = '94'.repeat(32);

const SESSION: Session = {
  sessionId: 'session',
  paymentId: '0'.repeat(16),
  wallet: 'wallet',
  price: 0n,
  days: 1,
  created: 0,
  expires: 0,
  spaceId: PROVIDER_ID,
  gateId: PROVIDER_ID,
  username: undefined,
  password: undefined,
  bearer: undefined,
  paid: true,
  activated: 0,
  payments: [],
  contributions: [],
  parent: undefined,
  wg: undefined,
  proxy: undefined,
  ssh: undefined,
};

interface More {
  readonly ca?: readonly string[];
  readonly username?: string;
  readonly wg?: WireGuardGate;
  readonly space?: Partial<Space>;
}

function gateOf(type: GateType, proxy: ProxyGate, more: More): Gate {
  const base: GateBase = {
    gateId: `${PROVIDER_ID}.gate`,
    providerId: PROVIDER_ID,
    name: 'gate',
    managerUrl: undefined,
    ca: [],
    spaces: [PROVIDER_ID],
    gates: [],
    internal: false,
    pricePerDay: 0n,
    validUntil: undefined,
  };
  switch (type) {
    case 'wg':
    case 'wg-tcp':
      if (more.wg === undefined) throw new Error('a gate of WireGuard needs its fields');
      return { ...base, type, wg: more.wg };
    case 'ssh':
    case 'tls-ssh':
      return { ...base, type, ssh: { ...proxy, username: more.username ?? 'tunnel' } };
    case 'http-proxy':
    case 'socks-proxy':
    case 'daemon-rpc-proxy':
    case 'daemon-p2p-proxy':
      return { ...base, type, proxy };
  }
}

/** What a tunnel is opened with, where only some fields matter. */
export function tunnelTarget(
  type: GateType,
  at: { readonly port: number; readonly host?: string; readonly tls?: boolean },
  session: Partial<Session> = {},
  more: More = {},
): TunnelTarget {
  const proxy = { host: at.host ?? '127.0.0.1', port: at.port, tls: at.tls ?? false };
  const provider: Provider = {
    providerId: PROVIDER_ID,
    name: 'test',
    managerUrl: 'https://manager.test:8881',
    spaces: [PROVIDER_ID],
    ca: more.ca ?? [],
    wallet: undefined,
    description: undefined,
    revision: undefined,
    validUntil: undefined,
  };
  const gate = gateOf(type, proxy, more);
  return {
    provider,
    gate,
    space: {
      spaceId: PROVIDER_ID,
      providerId: PROVIDER_ID,
      name: 'space',
      pricePerDay: 0n,
      ipv4Networks: [],
      ipv6Networks: [],
      dnsServers: [],
      validUntil: undefined,
      ...more.space,
    },
    session: { ...SESSION, gateId: gate.gateId, ...session },
  };
}

/** Sends bytes, ends, and reads until the other side ends. */
export async function echoed(stream: Duplex, bytes: Buffer): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.resume();
  stream.end(bytes);
  await once(stream, 'end');
  return Buffer.concat(chunks);
}

/** The fault of an error of a transport; the text of any other error. */
export function faultOf(error: unknown): string {
  return error instanceof TransportError ? error.fault : String(error);
}
