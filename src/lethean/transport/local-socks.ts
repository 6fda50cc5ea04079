/** The SOCKS5 side of the local proxy (RFC 1928, RFC 1929). Only CONNECT. */
import type { Socket } from 'node:net';
import type { ByteReader } from './byte-reader.js';
import { isLogin, type LocalRequest } from './local-request.js';
import {
  ADDRESS_NAME,
  addressLength,
  addressText,
  AUTH_VERSION,
  COMMAND_CONNECT,
  METHOD_NO_ACCEPTABLE,
  METHOD_NONE,
  METHOD_PASSWORD,
  SOCKS_REPLY,
  SOCKS_VERSION,
  socksReply,
} from './socks-codec.js';
import type { SocksLogin } from './socks-connect.js';
import type { TransportError, TransportFault } from './transport-error.js';

const REPLIES: Partial<Record<TransportFault, number>> = {
  destination: SOCKS_REPLY.hostUnreachable,
  timeout: SOCKS_REPLY.hostUnreachable,
  credentials: SOCKS_REPLY.notAllowed,
};

async function authenticated(
  socket: Socket,
  reader: ByteReader,
  login: SocksLogin | undefined,
): Promise<boolean> {
  const [count = 0] = await reader.exactly(1);
  const methods = [...(await reader.exactly(count))];
  const wanted = login === undefined ? METHOD_NONE : METHOD_PASSWORD;
  const method = methods.includes(wanted) ? wanted : METHOD_NO_ACCEPTABLE;
  socket.write(Buffer.from([SOCKS_VERSION, method]));
  if (method === METHOD_NO_ACCEPTABLE) return false;
  if (login === undefined) return true;
  const [version, nameLength = 0] = await reader.exactly(2);
  const name = (await reader.exactly(nameLength)).toString('utf8');
  const [secretLength = 0] = await reader.exactly(1);
  const secret = (await reader.exactly(secretLength)).toString('utf8');
  const ok = version === AUTH_VERSION && isLogin(login, name, secret);
  socket.write(Buffer.from([AUTH_VERSION, ok ? 0 : 1]));
  return ok;
}

/** The request after the version byte; undefined when it was refused. */
export async function serveSocks(
  socket: Socket,
  reader: ByteReader,
  login: SocksLogin | undefined,
): Promise<LocalRequest | undefined> {
  if (!(await authenticated(socket, reader, login))) return undefined;
  const [version, command, , type = 0] = await reader.exactly(4);
  if (version !== SOCKS_VERSION) return undefined;
  const [lengthByte = 0] = type === ADDRESS_NAME ? await reader.exactly(1) : [];
  const length = addressLength(type, lengthByte);
  if (length === undefined) {
    socket.write(socksReply(SOCKS_REPLY.addressUnsupported));
    return undefined;
  }
  const host = addressText(type, await reader.exactly(length));
  const port = (await reader.exactly(2)).readUInt16BE(0);
  if (command !== COMMAND_CONNECT) {
    socket.write(socksReply(SOCKS_REPLY.commandUnsupported));
    return undefined;
  }
  if (host === undefined || port === 0) {
    socket.write(socksReply(SOCKS_REPLY.failure));
    return undefined;
  }
  return {
    host,
    port,
    grant: () => void socket.write(socksReply(SOCKS_REPLY.granted)),
    refuse: (error: TransportError) =>
      void socket.write(socksReply(REPLIES[error.fault] ?? SOCKS_REPLY.failure)),
  };
}
