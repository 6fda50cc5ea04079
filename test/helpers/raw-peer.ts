/** Hand-driven ends of a connection: a test sends bytes unchanged, and reads line by line. */
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { encodeEnvelope, type Envelope } from '../../src/protocol/envelope.js';
import type { Location } from '../../src/protocol/location.js';

export interface RawPeer {
  /** The next line, decoded; rejects when the connection ends before it. */
  next(): Promise<Envelope>;
  /** The next line of this type; others before it are skipped. */
  nextOf(type: number): Promise<Envelope>;
  /** Lines received and not read yet. */
  unread(): readonly Envelope[];
  send(type: number, payload: string): void;
  /** Sends bytes unchanged. */
  raw(bytes: string | Uint8Array): void;
  /** Resolves when the connection is over. */
  readonly over: Promise<void>;
  /** Stops and resumes reading. */
  pause(): void;
  resume(): void;
  end(): void;
  /** Cuts the connection with a reset. */
  cut(): void;
}

export function rawPeer(socket: Socket): RawPeer {
  const lines: Envelope[] = [];
  const waiting: { resolve: (line: Envelope) => void; reject: (error: Error) => void }[] = [];
  let text = '';
  let ended = false;
  const over = new Promise<void>((resolve) => {
    socket.on('error', () => {});
    socket.once('close', () => {
      ended = true;
      for (const { reject } of waiting.splice(0)) reject(new Error('the connection ended'));
      resolve();
    });
  });
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    text += chunk;
    const parts = text.split('\n');
    text = parts.pop() ?? '';
    for (const part of parts) {
      const line: Envelope = JSON.parse(part);
      const reader = waiting.shift();
      if (reader) reader.resolve(line);
      else lines.push(line);
    }
  });

  const next = (): Promise<Envelope> => {
    const line = lines.shift();
    if (line) return Promise.resolve(line);
    if (ended) return Promise.reject(new Error('the connection ended'));
    return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
  };

  return {
    next,
    async nextOf(type) {
      for (;;) {
        const line = await next();
        if (line.type === type) return line;
      }
    },
    unread: () => lines,
    send: (type, payload) => void socket.write(encodeEnvelope(type, payload)),
    raw: (bytes) => void socket.write(bytes),
    over,
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end: () => void socket.end(),
    cut() {
      // A reset while the end is under way leaves the handle open (Node 20).
      if (socket.writableEnded) socket.destroy();
      else socket.resetAndDestroy();
    },
  };
}

/** Connects to a loopback location. */
export async function dialRaw(location: Location): Promise<RawPeer> {
  const socket = createConnection({ host: location.host, port: location.port });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return rawPeer(socket);
}

export interface RawServer {
  readonly location: Location;
  /** Connections accepted so far. */
  readonly accepted: number;
  /** The next connection. */
  accept(): Promise<RawPeer>;
  /** Stops listening and cuts every connection. */
  close(): Promise<void>;
}

function listening(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      resolve(address !== null && typeof address === 'object' ? address.port : 0);
    });
  });
}

/** Listens on 127.0.0.1. @param port 0 takes any free one */
export async function serveRaw(port = 0): Promise<RawServer> {
  const peers: RawPeer[] = [];
  const waiting: ((peer: RawPeer) => void)[] = [];
  const all: RawPeer[] = [];
  const server = createServer((socket) => {
    const peer = rawPeer(socket);
    all.push(peer);
    const taker = waiting.shift();
    if (taker) taker(peer);
    else peers.push(peer);
  });
  const bound = await listening(server, port);
  return {
    location: { kind: 'loopback', host: '127.0.0.1', port: bound },
    get accepted() {
      return all.length;
    },
    accept() {
      const peer = peers.shift();
      if (peer) return Promise.resolve(peer);
      return new Promise((resolve) => waiting.push(resolve));
    },
    async close() {
      const stopped = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const peer of all) peer.cut();
      await stopped;
    },
  };
}
