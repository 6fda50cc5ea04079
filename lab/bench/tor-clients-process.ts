/**
 * The peers of `scripts/bench tor`: raw clients, each on a Tor circuit of its own. All of them speak in
 * turn; the first three have a part of their own: two talk with each other, one writes to nicks that are not
 * there. Each client that reads pings in turn, because a directory answers one ping a second of a peer. Lines
 * are counted by the end of the line; only some clients read them.
 */
import type { Socket } from 'node:net';
import { pause } from '../../src/kit/pause.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { MessageType } from '../../src/protocol/constants.js';
import { parseLocation } from '../../src/protocol/location.js';
import { createSocksDialer } from '../../src/tor/socks/dialer.js';
import { answerQuestions } from './process.js';
import { frame, hello, LF, micros, nickOf, publicFrame } from './wire-client.js';

/** Latencies in microseconds since the last question, by class. */
export interface TorClientsReport {
  /** Public messages that arrived at all clients. */
  readonly deliveries: number;
  readonly public: readonly number[];
  readonly private: readonly number[];
  /** From the ping to the pong. */
  readonly pong: readonly number[];
  /** From the private message to the notice that its addressee is gone. */
  readonly gone: readonly number[];
}

/** A public message of 180 bytes. */
const PUBLIC_BYTES = 180;
/** Every so many-th of the other clients reads its lines. */
const READING_EVERY = 8;
const DIALS = 16;
const ATTEMPTS = 6;
const RETRY_MS = 500;
/** Clients with a part of their own. */
const TALKERS = 2;
const LONELY = 2;
const PARTS = 3;
/** As an encrypted message of a coinjoin with its signature. */
const PRIVATE_TEXT = `fill ${'x'.repeat(300)}`;

const [, , onion = '', socksPort = ''] = process.argv;
const at = / at (\d+)/;
const typed = /^\{"type": ?(\d+)/;
const goneNick = /"(J5\w+);/;

let deliveries = 0;
let latencies: Record<'public' | 'private' | 'pong' | 'gone', number[]> = fresh();
const clients: Socket[] = [];
let nextSpeaker = 0;
let absent = 0;
let pings = 0;
/** When a client that reads has sent its last ping, by its number. */
const pingedAt = new Map<number, number>();
/** When a message to an absent nick was sent whose notice did not arrive yet. */
const missedAt = new Map<string, number>();
let stopBeside: (() => void) | undefined;

function fresh(): typeof latencies {
  return { public: [], private: [], pong: [], gone: [] };
}

/** A line of a client that reads. */
function onLine(line: string, number: number, now: number): void {
  const type = Number(typed.exec(line)?.[1]);
  if (type === MessageType.PUBMSG) {
    deliveries++;
    latencies.public.push(now - Number(at.exec(line)?.[1]));
  } else if (type === MessageType.PRIVMSG) latencies.private.push(now - Number(at.exec(line)?.[1]));
  else if (type === MessageType.PONG) {
    latencies.pong.push(now - (pingedAt.get(number) ?? now));
  } else if (number === LONELY) {
    const nick = goneNick.exec(line)?.[1] ?? '';
    const since = missedAt.get(nick);
    if (since !== undefined) latencies.gone.push(now - since);
    missedAt.delete(nick);
  }
}

function read(client: Socket, number: number): void {
  let half = '';
  client.on('data', (chunk: Buffer) => {
    const now = micros();
    const lines = (half + chunk.toString('latin1')).split('\n');
    half = lines.pop() ?? '';
    for (const line of lines) onLine(line, number, now);
  });
}

/** For a client that gets nothing but public messages. */
function count(client: Socket): void {
  client.on('data', (chunk: Buffer) => {
    for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, end + 1)) deliveries++;
  });
}

/** A handshaked client; rejects when the relay closes before its answer. */
async function join(number: number): Promise<Socket> {
  const location = parseLocation(onion);
  if (!location.ok) throw new Error(`not a location: ${onion}`);
  const isolation = `bench:${number}`;
  const { signal } = new AbortController();
  const client = await dialer.dial(location.value, { signal, isolation });
  await new Promise<void>((resolve, reject) => {
    client.once('close', () => {
      reject(new Error('the relay closed before its answer'));
    });
    let answer = '';
    const onAnswer = (chunk: Buffer): void => {
      answer += chunk.toString('latin1');
      if (!answer.includes('\n')) return;
      client.off('data', onAnswer);
      resolve();
    };
    client.on('data', onAnswer);
    client.write(hello(nickOf(number), { ping: true }));
    client.resume();
  });
  client.on('close', () => {
    throw new Error('a client was closed');
  });
  return client;
}

/** Dials may fail while the onion is new. */
async function joinPatiently(number: number): Promise<Socket> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await join(number);
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
      await pause(systemClock, RETRY_MS);
    }
  }
}

const dialer = createSocksDialer({
  socks: { kind: 'tcp', host: '127.0.0.1', port: Number(socksPort) },
  clock: systemClock,
  maxPending: DIALS,
});

async function joinAll(peers: number): Promise<void> {
  let next = clients.length;
  const worker = async (): Promise<void> => {
    for (let number = next++; number < peers; number = next++) {
      clients[number] = await joinPatiently(number);
    }
  };
  await Promise.all(Array.from({ length: DIALS }, worker));
  for (const [number, client] of clients.entries()) {
    if (number < PARTS || number % READING_EVERY === 0) read(client, number);
    else count(client);
  }
}

/** One write for each message, evenly spaced, each of the next client. */
function speak(perSecond: number, messages: number): Promise<void> {
  const start = performance.now();
  let sent = 0;
  return new Promise((resolve) => {
    const tick = (): void => {
      const due = Math.min(messages, 1 + ((performance.now() - start) * perSecond) / 1000);
      for (; sent < Math.floor(due); sent++) {
        const number = nextSpeaker++ % clients.length;
        clients[number]?.write(publicFrame(nickOf(number), PUBLIC_BYTES));
      }
      if (sent < messages) setTimeout(tick, Math.max(1, 1000 / perSecond / 20));
      else resolve();
    };
    tick();
  });
}

/**
 * What runs beside the public messages: so many of each kind in a second. The intervals are random, because with
 * equal ones the same pongs would meet the flush of the public messages in every round.
 */
function beside(perSecond: number): void {
  stopBeside?.();
  let timer: NodeJS.Timeout;
  const wait = (): void => {
    timer = setTimeout(turn, (500 + 1000 * Math.random()) / perSecond);
  };
  const turn = (): void => {
    wait();
    for (let number = 0; number < TALKERS; number++) {
      const text = `${PRIVATE_TEXT} at ${micros()}`;
      const line = `${nickOf(number)}!${nickOf(TALKERS - 1 - number)}!${text}`;
      clients[number]?.write(frame(MessageType.PRIVMSG, line));
    }
    const pinger =
      READING_EVERY * (1 + (pings++ % (Math.ceil(clients.length / READING_EVERY) - 1)));
    pingedAt.set(pinger, micros());
    clients[pinger]?.write(frame(MessageType.PING, ''));
    // Each nick is reported once in ten seconds.
    const nick = nickOf(clients.length + absent++);
    missedAt.set(nick, micros());
    clients[LONELY]?.write(frame(MessageType.PRIVMSG, `${nickOf(LONELY)}!${nick}!${PRIVATE_TEXT}`));
  };
  wait();
  stopBeside = () => clearTimeout(timer);
}

function report(): TorClientsReport {
  const told = { deliveries, ...latencies };
  deliveries = 0;
  latencies = fresh();
  return told;
}

answerQuestions(async (name, [first = 0, second = 0]) => {
  switch (name) {
    case 'join':
      await joinAll(first);
      return undefined;
    case 'speak':
      await speak(first, second);
      return undefined;
    case 'beside':
      beside(first);
      return undefined;
    case 'deliveries':
      return deliveries;
    case 'report':
      return report();
    default:
      throw new Error(`unknown question ${name}`);
  }
});
