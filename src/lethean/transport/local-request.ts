/** A request to the local proxy, and the login that it may need. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { SocksLogin } from './socks-connect.js';
import type { TransportError } from './transport-error.js';

/** What a client asked for. */
export interface LocalRequest {
  readonly host: string;
  readonly port: number;
  /** Tells the client, before the first byte of payload. */
  grant(): void;
  /** Tells the client; the connection is then closed. */
  refuse(error: TransportError): void;
}

/** A login that only this program and those it tells can know. */
export function randomLogin(): SocksLogin {
  return { username: 'onionmc', password: randomBytes(24).toString('base64url') };
}

function digest(login: SocksLogin): Buffer {
  return createHash('sha256')
    .update(JSON.stringify([login.username, login.password]))
    .digest();
}

/** Whether both are equal; takes the same time for every wrong one. */
export function isLogin(expected: SocksLogin, username: string, password: string): boolean {
  return timingSafeEqual(digest(expected), digest({ username, password }));
}
