import { createConnection, createServer, type Server, type Socket } from 'node:net';
import type { SocksEndpoint } from '../../src/tor/socks/dialer.js';

/** The request of a client. `host` is text only when it came as a name. */
export interface SocksRequestSeen {
  readonly methods: readonly number[];
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly command: number;
  readonly addressType: number;
  readonly host: string;
  readonly port: number;
}

/** The answers of the server, byte for byte. It does not answer where an answer is undefined. */
export interface SocksScript {
  /** Answer to the greeting; default: password if offered. */
  readonly method?: Uint8Array | undefined;
  /** Answer to user name and password; default: accepted. */
  readonly auth?: Uint8Array | undefined;
  /** Answer to the request, and the bytes after it in the same segment. */
  readonly reply?: Uint8Array | undefined;
  /** Splits each answer after so many bytes, into two segments; or sends every byte on its own. */
  readonly split?: number | 'every-byte';
  /** Closes the connection after its last answer. */
  readonly close?: boolean;
  /** Joins a granted stream to a port of this machine, as Tor would to the requested service. */
  readonly forward?: (request: SocksRequestSeen) => number;
}

/** Granted, bound to 0.0.0.0:0, as Tor sends it. */
export const GRANTED = Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);

/** A SOCKS server that follows a script; `script` can be changed between connections. */
export interface ScriptedSocksServer {
  readonly endpoint: SocksEndpoint;
  script: SocksScript;
  /** Every complete request, in order of arrival. */
  readonly requests: readonly SocksRequestSeen[];
  /** Connections open now. */
  readonly open: number;
  /** Resolves when a connection has sent a request (or its greeting, if that gets no answer). */
  asked(): Promise<Socket>;
  /** Resolves when no connection is open any more. */
  idle(): Promise<void>;
  close(): Promise<void>;
}

interface Reader {
  /** The next `count` bytes. */
  readonly read: (count: number) => Promise<Buffer>;
  /** Leaves the socket, paused, to another reader. */
  readonly stop: () => void;
}

/** Reads from a socket as many bytes as the protocol needs next. */
function reader(socket: Socket): Reader {
  let buffered = Buffer.alloc(0);
  let wake: (() => void) | undefined;
  const onData = (chunk: Buffer): void => {
    buffered = Buffer.concat([buffered, chunk]);
    wake?.();
  };
  socket.on('data', onData);
  return {
    async read(count) {
      for (;;) {
        if (buffered.length >= count) {
          const bytes = buffered.subarray(0, count);
          buffered = buffered.subarray(count);
          return bytes;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    stop() {
      socket.off('data', onData).pause();
    },
  };
}

/** Joins two ends: each gets the bytes of the other, and both close together. */
function join(socket: Socket, port: number): void {
  const target = createConnection({ host: '127.0.0.1', port });
  target.on('error', () => {});
  target.once('close', () => socket.destroy());
  socket.once('close', () => target.destroy());
  target.pipe(socket);
  socket.pipe(target);
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function send(socket: Socket, bytes: Uint8Array, split: SocksScript['split']): Promise<void> {
  const size = split === 'every-byte' ? 1 : split;
  if (size === undefined || size <= 0 || size >= bytes.length) {
    socket.write(bytes);
    return;
  }
  let from = 0;
  while (from < bytes.length) {
    const to = split === 'every-byte' || from === 0 ? from + size : bytes.length;
    socket.write(bytes.subarray(from, to));
    from = to;
    await turn();
    await turn();
  }
}

async function readRequest(
  read: Reader['read'],
  seen: Pick<SocksRequestSeen, 'methods' | 'username' | 'password'>,
): Promise<SocksRequestSeen> {
  const head = await read(4);
  const addressType = head[3] ?? 0;
  const length = addressType === 1 ? 4 : addressType === 4 ? 16 : ((await read(1))[0] ?? 0);
  const address = await read(length);
  const host = addressType === 3 ? address.toString('latin1') : address.toString('hex');
  const port = (await read(2)).readUInt16BE();
  return { ...seen, command: head[1] ?? 0, addressType, host, port };
}

/** Starts it on a free port of 127.0.0.1, or on a unix socket. */
export async function startSocksServer(
  initial: SocksScript = { reply: GRANTED },
  unixPath?: string,
): Promise<ScriptedSocksServer> {
  const requests: SocksRequestSeen[] = [];
  const sockets = new Set<Socket>();
  const askers: ((socket: Socket) => void)[] = [];
  const idlers: (() => void)[] = [];
  let script = initial;

  async function talk(socket: Socket): Promise<void> {
    const now = script;
    const { read, stop } = reader(socket);
    const tellAsked = (): void => {
      for (const asker of askers.splice(0)) asker(socket);
    };
    const methods = [...(await read((await read(2))[1] ?? 0))];
    const choice = methods.includes(2) ? 2 : 0;
    const method = 'method' in now ? now.method : Buffer.from([5, choice]);
    if (method === undefined) {
      tellAsked();
      return;
    }
    await send(socket, method, now.split);
    let username: string | undefined;
    let password: string | undefined;
    if (method[1] === 2) {
      username = (await read((await read(2))[1] ?? 0)).toString();
      password = (await read((await read(1))[0] ?? 0)).toString();
      const auth = 'auth' in now ? now.auth : Buffer.from([1, 0]);
      if (auth !== undefined) await send(socket, auth, now.split);
      if (auth?.[1] !== 0) return;
    } else if (method[1] !== 0) {
      return;
    }
    const request = await readRequest(read, { methods, username, password });
    requests.push(request);
    tellAsked();
    if (now.reply !== undefined) await send(socket, now.reply, now.split);
    if (now.close === true) socket.end();
    if (now.forward !== undefined) {
      stop();
      join(socket, now.forward(request));
    }
  }

  const server: Server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => {
      sockets.delete(socket);
      if (sockets.size === 0) for (const idler of idlers.splice(0)) idler();
    });
    void talk(socket);
  });
  await new Promise<void>((resolve) => {
    if (unixPath === undefined) server.listen(0, '127.0.0.1', resolve);
    else server.listen(unixPath, resolve);
  });
  const address = server.address();
  return {
    endpoint:
      address !== null && typeof address === 'object'
        ? { kind: 'tcp', host: '127.0.0.1', port: address.port }
        : { kind: 'unix', path: unixPath ?? '' },
    requests,
    get script() {
      return script;
    },
    set script(next) {
      script = next;
    },
    get open() {
      return sockets.size;
    },
    asked: () => new Promise((resolve) => askers.push(resolve)),
    idle: () =>
      sockets.size === 0 ? Promise.resolve() : new Promise((resolve) => idlers.push(resolve)),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
