/** One honest peer: a socket that handshakes, answers pings, reads promptly and signs what it sends. */
import { createConnection } from 'node:net';
import { MessageType } from '../../src/protocol/constants.js';
import { decodeEnvelope, encodeEnvelope, type Envelope } from '../../src/protocol/envelope.js';
import { formatPeerHandshake, parseDirectoryHandshake } from '../../src/protocol/handshake.js';
import { createLineFramer } from '../../src/protocol/line-framer.js';
import { NOT_SERVING, type DeclaredLocation } from '../../src/protocol/location.js';
import { formatPrivmsg, formatPubmsg } from '../../src/protocol/message.js';
import type { NickKey } from '../../src/protocol/nick.js';

/** From dialling to the 795. */
const HANDSHAKE_LIMIT_MS = 60_000;

export interface HonestHandler {
  line(peer: HonestPeer, envelope: Envelope): void;
  /** The directory ended the connection. */
  lost(peer: HonestPeer): void;
}

export interface HonestPeer {
  readonly key: NickKey;
  readonly nick: string;
  readonly serves: boolean;
  /** `performance.now()` of the 795. */
  readonly joinedAt: number;
  /** It leaves: no new message is addressed to it. */
  leaving: boolean;
  publish(text: string): void;
  send(to: string, command: string, args: string): void;
  /** Ends the connection in order, or with a reset. Resolves when it is closed. */
  leave(how: 'end' | 'reset'): Promise<void>;
}

export interface JoinOptions {
  readonly port: number;
  readonly key: NickKey;
  /** The location that it declares; undefined for takers. */
  readonly location: DeclaredLocation | undefined;
  readonly features: readonly string[];
  readonly handler: HonestHandler;
}

/** Connects and handshakes. Rejects when it is refused, cut off, or not answered in time. */
export function join({ port, key, location, features, handler }: JoinOptions): Promise<HonestPeer> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host: '127.0.0.1', port, noDelay: true });
    const framer = createLineFramer(2_097_152);
    let ready = false;
    let joinedAt = 0;
    let leaving: (() => void) | undefined;
    const limit = setTimeout(() => fail('no answer to the handshake in time'), HANDSHAKE_LIMIT_MS);

    const peer: HonestPeer = {
      key,
      nick: key.nick,
      serves: location !== undefined,
      get joinedAt() {
        return joinedAt;
      },
      leaving: false,
      publish: (text) => {
        socket.write(encodeEnvelope(MessageType.PUBMSG, formatPubmsg(key.nick, text)));
      },
      send: (to, command, args) => {
        socket.write(encodeEnvelope(MessageType.PRIVMSG, formatPrivmsg(key, to, command, args)));
      },
      leave: (how) =>
        new Promise((left) => {
          peer.leaving = true;
          leaving = left;
          if (socket.closed) left();
          else if (how === 'end') socket.end();
          else socket.resetAndDestroy();
        }),
    };

    function fail(reason: string): void {
      clearTimeout(limit);
      reject(new Error(reason));
      socket.destroy();
    }

    function onAnswer({ type, line }: Envelope): void {
      const answer = parseDirectoryHandshake(line, 'signet');
      if (type !== MessageType.DN_HANDSHAKE || !answer.ok) {
        fail(`the first line has type ${type}`);
      } else if (!answer.value.accepted) {
        fail(answer.value.motd);
      } else {
        clearTimeout(limit);
        ready = true;
        joinedAt = performance.now();
        resolve(peer);
      }
    }

    function onLine(bytes: Uint8Array): void {
      const envelope = decodeEnvelope(bytes);
      if (!envelope.ok) throw new Error(`the directory sent a line that is ${envelope.reason}`);
      if (!ready) onAnswer(envelope.value);
      else if (envelope.value.type === MessageType.PING) {
        socket.write(encodeEnvelope(MessageType.PONG, ''));
      } else handler.line(peer, envelope.value);
    }

    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      if (!framer.push(chunk, onLine)) throw new Error('the directory sent a line without an end');
    });
    socket.once('close', () => {
      if (!ready) fail('cut off before the answer to the handshake');
      else if (leaving) leaving();
      else {
        peer.leaving = true;
        handler.lost(peer);
      }
    });
    socket.once('connect', () => {
      const hello = formatPeerHandshake({
        nick: key.nick,
        location: location ?? NOT_SERVING,
        network: 'signet',
        features,
      });
      socket.write(encodeEnvelope(MessageType.HANDSHAKE, hello));
    });
  });
}
