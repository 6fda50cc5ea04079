/**
 * The HTTP side of the local proxy. Only CONNECT: a request with an absolute address would send its content in
 * clear text through the exit.
 */
import type { Socket } from 'node:net';
import { canonicalHost } from '../../kit/host-name.js';
import type { ByteReader } from './byte-reader.js';
import { isLogin, type LocalRequest } from './local-request.js';
import type { SocksLogin } from './socks-connect.js';
import type { TransportError, TransportFault } from './transport-error.js';

const STATUS: Partial<Record<TransportFault, string>> = {
  ended: '503 Service Unavailable',
  timeout: '504 Gateway Timeout',
};

function answer(socket: Socket, status: string, text: string, header = ''): void {
  const body = `${text}\n`;
  socket.write(
    `HTTP/1.1 ${status}\r\n${header}Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

/** The host and port of the target of a CONNECT request. */
export function connectTarget(
  target: string,
): { readonly host: string; readonly port: number } | undefined {
  const [, host = '', digits = ''] = /^(\[[^\][]*\]|[^:[\]]*):(\d{1,5})$/.exec(target) ?? [];
  const plain = canonicalHost(host);
  const port = Number(digits);
  return plain === undefined || port < 1 || port > 65_535 ? undefined : { host: plain, port };
}

function hasLogin(head: string, login: SocksLogin): boolean {
  const [, encoded = ''] =
    /\r\nproxy-authorization: *basic +([A-Za-z0-9+/=]+) *\r\n/i.exec(head) ?? [];
  const [, name, secret] =
    /^([^:]*):(.*)$/s.exec(Buffer.from(encoded, 'base64').toString('utf8')) ?? [];
  return isLogin(login, name ?? '', secret ?? '');
}

/** The request whose first byte was read; undefined when it was refused. */
export async function serveHttp(
  socket: Socket,
  reader: ByteReader,
  first: Buffer,
  login: SocksLogin | undefined,
): Promise<LocalRequest | undefined> {
  // Another protocol, such as SOCKS4 or TLS, gets no answer.
  if (first[0] === undefined || first[0] < 0x41 || first[0] > 0x5a) return undefined;
  const head = first.toString('latin1') + (await reader.through('\r\n\r\n')).toString('latin1');
  const [, method, target = ''] = /^([A-Z]{1,20}) (\S+) HTTP\/1\.[01]\r\n/.exec(head) ?? [];
  if (method === undefined) {
    answer(socket, '400 Bad Request', 'not a request of HTTP/1.1');
    return undefined;
  }
  if (method !== 'CONNECT') {
    answer(socket, '405 Method Not Allowed', 'only CONNECT', 'Allow: CONNECT\r\n');
    return undefined;
  }
  if (login !== undefined && !hasLogin(head, login)) {
    const challenge = 'Proxy-Authenticate: Basic realm="onionmc lethean"\r\n';
    answer(socket, '407 Proxy Authentication Required', 'user name and password', challenge);
    return undefined;
  }
  const destination = connectTarget(target);
  if (destination === undefined) {
    answer(socket, '400 Bad Request', 'not a host and a port');
    return undefined;
  }
  return {
    ...destination,
    grant: () => void socket.write('HTTP/1.1 200 Connection established\r\n\r\n'),
    refuse: (error: TransportError) =>
      answer(socket, STATUS[error.fault] ?? '502 Bad Gateway', error.message),
  };
}
