/** A directory on a loopback socket and raw clients that talk to it in lines. */
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import type { Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import type { Clock } from '../../src/channel/ports.js';
import {
  createDirectory,
  DEFAULT_LIMITS,
  type DialBackOptions,
  type Directory,
  type DirectoryOptions,
  type DirectoryLimits,
  type NickAuthOptions,
  type ServedList,
} from '../../src/directory/directory.js';
import type { Neighbours } from '../../src/directory/neighbours.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { encodeEnvelope } from '../../src/protocol/envelope.js';
import { onionHost } from '../../src/protocol/location.js';
import { createTestClock, type TestClock } from '../helpers/test-clock.js';
import { openDirectory } from './three-nodes.js';

export { CLUSTER_TIMERS, connectPeer, oneProcess, openDirectory } from './three-nodes.js';

export const DN_NICK = 'J5DirectoryOOOOO';
export const DN_LOCATION = '127.0.0.1:5222';
export const OWN_ENTRY = `${DN_NICK};${DN_LOCATION}`;

/** No message of a test exceeds a rate, unless the test says so. */
export const NO_RATES: Partial<DirectoryLimits> = {
  pubmsgPerMinute: 0,
  orderbookPerMinute: 0,
  privmsgPerSecond: 0,
  getpeerlistPerMinute: 0,
  junkPerMinute: 0,
};

export interface Line {
  readonly type: number;
  readonly line: string;
}

export interface Client {
  readonly socket: Socket;
  /** Resolves when the socket is closed, for any reason. */
  readonly closed: Promise<void>;
  /** All raw bytes received so far. */
  readonly bytes: number;
  /** Raw text of lines, CRLF stripped, that `next` has not taken. */
  readonly unread: readonly string[];
  write(bytes: string | Uint8Array): void;
  send(type: number, line: string): void;
  /** The next line; rejects when the connection ends before it came. */
  next(): Promise<Line>;
  nextRaw(): Promise<string>;
}

export interface Running {
  readonly directory: Directory;
  readonly port: number;
  /** A connection that has sent nothing yet. */
  readonly dial: () => Promise<Client>;
  /** A handshaked peer; its 795 is taken. */
  readonly join: (nick: string, options?: Hello) => Promise<Client>;
  readonly stop: () => Promise<void>;
}

export interface Hello {
  readonly location?: string;
  readonly features?: Readonly<Record<string, unknown>>;
  /** Members to add or to replace. */
  readonly with?: Readonly<Record<string, unknown>>;
}

/** A valid v3 onion location, different for each number. */
export function onion(n: number): string {
  return `${onionHost(new Uint8Array(32).fill(n))}:5222`;
}

/** The payload of a 793. */
export function hello(nick: string, { location, features, with: other }: Hello = {}): string {
  return JSON.stringify({
    'app-name': 'joinmarket',
    directory: false,
    'location-string': location ?? 'NOT-SERVING-ONION',
    'proto-ver': 5,
    features: features ?? {},
    nick,
    network: 'signet',
    ...other,
  });
}

function isLine(value: unknown): value is Line {
  return (
    typeof value === 'object' &&
    value !== null &&
    'type' in value &&
    typeof value.type === 'number' &&
    'line' in value &&
    typeof value.line === 'string'
  );
}

export function parseLine(text: string): Line {
  const value: unknown = JSON.parse(text);
  if (!isLine(value)) throw new Error(`not an envelope: ${text}`);
  return value;
}

function client(socket: Socket): Client {
  const unread: string[] = [];
  let half = '';
  let bytes = 0;
  let wake: (() => void) | undefined;
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => {
      resolve();
      wake?.();
    });
  });
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    const parts = (half + chunk.toString('latin1')).split('\r\n');
    half = parts.pop() ?? '';
    unread.push(...parts);
    wake?.();
  });
  async function nextRaw(): Promise<string> {
    for (;;) {
      const text = unread.shift();
      if (text !== undefined) return text;
      if (socket.closed) throw new Error('the connection ended');
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
  return {
    socket,
    closed,
    unread,
    get bytes() {
      return bytes;
    },
    write(data) {
      socket.write(data);
    },
    send(type, line) {
      socket.write(encodeEnvelope(type, line));
    },
    next: async () => parseLine(await nextRaw()),
    nextRaw,
  };
}

export interface RunOptions {
  readonly limits?: Partial<DirectoryLimits>;
  readonly clock?: Clock;
  /** 0 unless given: every turn is flushed at its end. */
  readonly flushWindowMs?: number;
  /** 0 unless given: public messages do not wait for each other. */
  readonly publicWindowMs?: number;
  readonly motd?: () => string;
  readonly dialBack?: DialBackOptions;
  readonly nickAuth?: NickAuthOptions;
  readonly neighbours?: Neighbours;
  /** With several nodes, all connections go to one: the scene is about a limit that each node has. */
  readonly oneNode?: boolean;
  readonly directoryList?: () => ServedList | undefined;
}

/** The directory of these tests, without a socket: default limits, every turn flushed at its end. */
export function testDirectory(options: Partial<DirectoryOptions> = {}): Directory {
  return createDirectory({
    network: 'signet',
    nick: DN_NICK,
    location: () => ({ kind: 'loopback', host: '127.0.0.1', port: 5222 }),
    reachable: new Set(['loopback'] as const),
    motd: () => 'hello',
    limits: DEFAULT_LIMITS,
    clock: createTestClock(),
    random: () => 0,
    log: silentLog,
    publicWindowMs: 0,
    flushWindowMs: 0,
    ...options,
  });
}

export async function runDirectory(options: RunOptions = {}): Promise<Running> {
  const limits = { ...DEFAULT_LIMITS, ...NO_RATES, ...options.limits };
  const directory = await openDirectory(
    (more) => testDirectory({ ...options, limits, ...more }),
    options.clock ?? createTestClock(),
    options.oneNode,
  );
  const overlay = createLoopbackOverlay({ host: '127.0.0.1', port: 0 });
  const served = await overlay.serve((connection) => directory.accept(connection), {
    signal: new AbortController().signal,
  });
  const { port } = served.locations[0];
  const clients: Client[] = [];

  async function dial(): Promise<Client> {
    const socket = createConnection({ host: '127.0.0.1', port });
    await once(socket, 'connect');
    const made = client(socket);
    clients.push(made);
    return made;
  }

  return {
    directory,
    port,
    dial,
    async join(nick, options_) {
      const made = await dial();
      made.send(793, hello(nick, options_));
      const answer = await made.next();
      if (answer.type !== 795 || !answer.line.includes('"accepted": true')) {
        throw new Error(`not accepted: ${answer.line}`);
      }
      return made;
    },
    async stop() {
      for (const { socket } of clients) socket.destroy();
      await served.close();
      await overlay.close();
      await directory.close();
    },
  };
}

/** As `runDirectory`; stopped at the end of the test. */
export async function startDirectory(test: Test, options?: RunOptions): Promise<Running> {
  const running = await runDirectory(options);
  test.teardown(() => running.stop());
  return running;
}

/** Advances the clock in small steps, with a turn of the event loop after each. */
export async function passTime(clock: TestClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 250) {
    clock.advance(Math.min(left, 250));
    await turn();
  }
}

/** One turn of the event loop, in which sockets move. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Waits for a condition that depends on sockets; rejects after 90 s. */
export async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 90_000;
  while (!condition()) {
    if (performance.now() > deadline)
      throw new Error(`still false after 90 s: ${condition.toString()}`);
    await turn();
  }
}
