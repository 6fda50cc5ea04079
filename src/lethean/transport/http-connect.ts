/** CONNECT of an HTTP proxy (RFC 9110 section 9.3.6), as a client. */
import type { Socket } from 'node:net';
import { canonicalHost, hostAndPort } from '../../kit/host-name.js';
import type { Session } from '../model.js';
import { ByteReader } from './byte-reader.js';
import type { HandshakeBytes } from './open-streams.js';
import { TransportError } from './transport-error.js';

/** Longest head of an answer. */
const MAX_HEAD_BYTES = 16 * 1024;

/**
 * The value of `Proxy-Authorization`: the user name and the password of a session (RFC 7617), else its bearer
 * (RFC 6750). Undefined when the provider gave neither. Throws a TransportError (`unsupported`) when they cannot be
 * sent in a header.
 */
export function proxyAuthorization(
  session: Pick<Session, 'username' | 'password' | 'bearer'>,
): string | undefined {
  const { username, password, bearer } = session;
  if (username !== undefined && password !== undefined) {
    if (username.includes(':')) {
      throw new TransportError('unsupported', 'the user name of the session has a colon');
    }
    return `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`;
  }
  if (bearer === undefined) return undefined;
  if (!/^[A-Za-z0-9._~+/-]+=*$/.test(bearer)) {
    throw new TransportError('unsupported', 'the bearer of the session is not a token of RFC 6750');
  }
  return `Bearer ${bearer}`;
}

function refusal(status: number, destination: string): TransportError {
  // 401 is not an answer of a proxy, but some gates send it.
  if (status === 407 || status === 401) {
    return new TransportError('credentials', `the gate refuses the session (HTTP ${status})`);
  }
  return new TransportError(
    'destination',
    `the gate does not connect to ${destination} (HTTP ${status})`,
  );
}

/**
 * Asks the proxy behind `socket` for a connection. The socket is then paused and holds every byte after the answer.
 * Rejects with a TransportError; the caller destroys the socket.
 */
export async function httpConnect(
  socket: Socket,
  host: string,
  port: number,
  authorization: string | undefined,
): Promise<HandshakeBytes> {
  const plain = canonicalHost(host);
  if (plain === undefined) {
    throw new TransportError('destination', 'the destination is not the name or address of a host');
  }
  const destination = hostAndPort(plain, port);
  const head = [
    `CONNECT ${destination} HTTP/1.1`,
    `Host: ${destination}`,
    ...(authorization === undefined ? [] : [`Proxy-Authorization: ${authorization}`]),
  ];
  const request = Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1');
  const reader = new ByteReader(socket, MAX_HEAD_BYTES);
  try {
    socket.write(request);
    const answer = (await reader.through('\r\n\r\n')).toString('latin1');
    const status = /^HTTP\/1\.[01] (\d{3})[ \r]/.exec(answer)?.[1];
    if (status === undefined) {
      throw new TransportError('protocol', 'the gate does not answer as an HTTP proxy');
    }
    if (!status.startsWith('2')) throw refusal(Number(status), destination);
    return { sent: request.length, received: reader.consumed };
  } finally {
    reader.release();
  }
}
