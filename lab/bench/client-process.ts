/**
 * A load generator: many raw clients of a relay on this machine. Every line that arrives is counted. Latency
 * is measured at a few of the clients, since reading each line of thousands would measure the generator.
 */
import { createConnection, type Socket } from 'node:net';
import { answerQuestions } from './process.js';
import { frame, hello, LF, micros, nickOf } from './wire-client.js';

/** The counts of a generator since the last question. */
export interface ClientReport {
  readonly lines: number;
  /** When the last line came, microseconds of the machine's clock. */
  readonly lastAt: number;
  /** Microseconds from write to read, of the clients that measure. */
  readonly latencies: readonly number[];
}

/** Every so many-th client measures. */
const MEASURING_EVERY = 100;
/** Connections that may be opened at once. */
const DIALS = 50;
const SENT_AT = / at (\d+)"/g;

const port = Number(process.argv[2]);
/** Sets this generator's nicks apart from the others'. */
const offset = Number(process.argv[3]);
const clients: Socket[] = [];
let lines = 0;
let lastAt = 0;
let latencies: number[] = [];
let named = 0;

/** The size of a usual offer. */
function offer(nick: string, sentAt: number): string {
  return frame(687, `${nick}!PUBLIC!sw0reloffer 0 27300 500000000 0 0.00002 at ${sentAt}`);
}

function count(chunk: Buffer): void {
  for (let at = chunk.indexOf(LF); at !== -1; at = chunk.indexOf(LF, at + 1)) lines++;
  lastAt = micros();
}

/** Counts the lines of a client after its 795, and measures the latency at some clients. */
function listen(client: Socket, measures: boolean): void {
  let half = '';
  client.on('data', (chunk: Buffer) => {
    count(chunk);
    if (!measures) return;
    const text = half + chunk.toString('latin1');
    const end = text.lastIndexOf('\n') + 1;
    half = text.slice(end);
    for (const [, sentAt] of text.slice(0, end).matchAll(SENT_AT)) {
      latencies.push(lastAt - Number(sentAt));
    }
  });
}

/** A handshaked client; rejects when the relay closes before its answer. */
function join(): Promise<Socket> {
  const nick = nickOf(offset + named++);
  return new Promise((resolve, reject) => {
    const client = createConnection({ host: '127.0.0.1', port, noDelay: true });
    client.once('connect', () => client.write(hello(nick)));
    client.once('close', () => {
      reject(new Error('the relay closed before its answer'));
    });
    client.once('data', () => {
      resolve(client);
    });
    client.on('error', () => {});
  });
}

/** Calls `work` this many times, a few at once. */
async function several(times: number, work: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < times) await work(next++);
  };
  await Promise.all(Array.from({ length: DIALS }, worker));
}

async function joinAndStay(): Promise<void> {
  const client = await join();
  listen(client, clients.length % MEASURING_EVERY === 1);
  clients.push(client);
}

/** Stays and reads nothing after the answer to its handshake. */
async function joinAndStop(): Promise<void> {
  const client = await join();
  client.pause();
  client.removeAllListeners('data');
  clients.push(client);
}

/** Sends the handshake and leaves at once, each time under another nick. */
async function joinAndLeave(): Promise<void> {
  const client = await join();
  const closed = new Promise<void>((resolve) => {
    client.once('close', () => {
      resolve();
    });
  });
  client.resetAndDestroy();
  await closed;
}

/** The client that speaks. */
function speaker(): { readonly client: Socket; readonly nick: string } {
  const [client] = clients;
  if (!client) throw new Error('no client has joined');
  return { client, nick: nickOf(offset) };
}

/** All in one write. */
function burst(messages: number): void {
  const { client, nick } = speaker();
  client.write(offer(nick, micros()).repeat(messages));
}

/** Public messages of almost the greatest length, until the relay took so many bytes. */
function fill(bytes: number): Promise<void> {
  const { client, nick } = speaker();
  const line = frame(687, `${nick}!PUBLIC!hp2 ${'x'.repeat(39_000)}`);
  return new Promise((resolve) => {
    client.write(line.repeat(Math.ceil(bytes / line.length)), () => resolve());
  });
}

/** One write for each message, evenly spaced. */
function paced(perSecond: number, messages: number): Promise<void> {
  const { client, nick } = speaker();
  const start = performance.now();
  let sent = 0;
  return new Promise((resolve) => {
    const tick = (): void => {
      const due = Math.min(messages, ((performance.now() - start) * perSecond) / 1000);
      while (sent < due) {
        client.write(offer(nick, micros()));
        sent++;
      }
      if (sent < messages) setTimeout(tick, 1);
      else resolve();
    };
    tick();
  });
}

/** Private messages of the first client to the second one, which measures, until the end. */
function sendPrivates(perSecond: number): void {
  const { client, nick } = speaker();
  const to = nickOf(offset + 1);
  setInterval(() => {
    client.write(frame(685, `${nick}!${to}!fill at ${micros()}`));
  }, 1000 / perSecond);
}

/** Sends this many bytes without the end of a line; resolves when the relay has closed the connection. */
function pushEndless(bytes: number): Promise<void> {
  return new Promise((resolve) => {
    const client = createConnection({ host: '127.0.0.1', port });
    client.once('connect', () => client.write(Buffer.alloc(bytes, 'x')));
    client.on('error', () => {});
    client.resume();
    client.once('close', () => {
      resolve();
    });
  });
}

function report(): ClientReport {
  const told = { lines, lastAt, latencies };
  latencies = [];
  return told;
}

answerQuestions(async (name, [first = 0, second = 0]) => {
  switch (name) {
    case 'join':
      await several(first, joinAndStay);
      return undefined;
    case 'stop reading':
      await several(first, joinAndStop);
      return undefined;
    case 'fill':
      await fill(first);
      return undefined;
    case 'cycle':
      await several(first, joinAndLeave);
      return undefined;
    case 'burst':
      burst(first);
      return micros();
    case 'paced':
      await paced(first, second);
      return undefined;
    case 'private':
      sendPrivates(first);
      return undefined;
    case 'endless':
      await Promise.all(Array.from({ length: first }, () => pushEndless(second)));
      return undefined;
    case 'report':
      return report();
    default:
      throw new Error(`unknown question ${name}`);
  }
});
