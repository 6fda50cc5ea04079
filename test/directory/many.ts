/**
 * Peers by the thousand for tests on real sockets: each one is cheap, and counts the lines that it receives
 * instead of keeping them.
 */
import { createConnection, type Socket } from 'node:net';
import { encodeEnvelope } from '../../src/protocol/envelope.js';
import { createLineFramer } from '../../src/protocol/line-framer.js';
import { hello, type Hello } from './wire.js';

/** No message of a test exceeds a rate of its sender or a budget. */
export const NO_RATES_CONFIG = `
pubmsg_per_minute = 0
orderbook_per_minute = 0
privmsg_per_second = 0
getpeerlist_per_minute = 0
junk_per_minute = 0
deliveries_per_second = 0
orderbook_per_second = 0
`;

export interface Mass {
  readonly nick: string;
  readonly socket: Socket;
  /** Resolves with true when it was accepted, with false when it was refused or the connection ended. */
  readonly accepted: Promise<boolean>;
  readonly closed: Promise<void>;
  /** Lines after the 795. */
  readonly lines: number;
  send(type: number, line: string): void;
}

/** `J5` and 14 more characters of base58, different for each name and number. */
export function nickOf(name: string, n: number): string {
  const digits = n.toString(8).replace(/\d/g, (digit) => String(Number(digit) + 1));
  return `J5${name}${digits}`.padEnd(16, 'O');
}

export type OnLine = (line: Buffer, peer: Mass) => void;

/** Dials and sends the handshake; `onLine` gets each line after the 795, valid only during the call. */
export function joinMany(port: number, nick: string, onLine?: OnLine, options?: Hello): Mass {
  const socket = createConnection({ host: '127.0.0.1', port, noDelay: true });
  const framer = createLineFramer(2_097_152);
  let lines = 0;
  let answered = false;
  let answer: ((accepted: boolean) => void) | undefined;
  const accepted = new Promise<boolean>((resolve) => (answer = resolve));
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => {
      answer?.(false);
      resolve();
    });
  });
  const mass: Mass = {
    nick,
    socket,
    accepted,
    closed,
    get lines() {
      return lines;
    },
    send: (type, line) => void socket.write(encodeEnvelope(type, line)),
  };
  socket.on('data', (chunk: Buffer) => {
    framer.push(chunk, (bytes) => {
      const line = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      if (answered) {
        lines++;
        onLine?.(line, mass);
      } else {
        answered = true;
        answer?.(line.includes('\\"accepted\\": true'));
      }
    });
  });
  socket.once('connect', () => mass.send(793, hello(nick, options)));
  return mass;
}

/** A port of 127.0.0.1 that no program uses now. */
