/**
 * Authentication to Tor's control port (docs/protocol.md, section 12.2). Tries the methods in order,
 * the best first. Tor closes the connection after any failure, so each further method needs a new one.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Reply } from './reply.js';
import { parseAuthChallenge, parseProtocolInfo, quote, type ProtocolInfo } from './values.js';
import { readCookie } from './cookie-file.js';
import { TorError } from '../tor-error.js';

/** The part of a control client that authentication needs. */
export interface Unauthenticated {
  command(
    line: string,
    options: { readonly signal: AbortSignal; readonly timeoutMs: number },
  ): Promise<Reply>;
  readonly closed: boolean;
  close(): void;
}

export interface TorAuthOptions<C extends Unauthenticated> {
  /** Opens one more connection; rejects with a TorError. */
  readonly open: () => Promise<C>;
  /** The endpoint, for error texts. */
  readonly where: string;
  readonly password: string | undefined;
  readonly signal: AbortSignal;
  /** Bounds each reply. */
  readonly timeoutMs: number;
}

const SERVER_HASH_KEY = 'Tor safe cookie authentication server-to-controller hash';
const CLIENT_HASH_KEY = 'Tor safe cookie authentication controller-to-server hash';

/** Why one method failed. */
interface Failure {
  readonly reason: string;
  /**
   * The other cookie method would fail for the same reason, or send the cookie to an unknown program.
   */
  readonly cookieIsOut?: boolean;
  readonly password?: 'wrong' | 'none';
}

function safeCookieHash(key: string, parts: readonly Uint8Array[]): Buffer {
  const hmac = createHmac('sha256', key);
  for (const part of parts) hmac.update(part);
  return hmac.digest();
}

type Send = (line: string) => Promise<Reply>;

/** Tor's refusal in its own words; other errors (a lost connection, an abort) are thrown. */
function refusal(error: unknown): string {
  if (error instanceof TorError && error.reply !== undefined) {
    return `Tor answered "${error.reply.code} ${error.reply.text}"`;
  }
  if (error instanceof TorError && error.step === 'lost') return error.message;
  throw error;
}

async function withCookie(
  info: ProtocolInfo,
  use: (cookie: Uint8Array) => Promise<Failure | undefined>,
): Promise<Failure | undefined> {
  if (info.cookieFile === undefined) {
    return { reason: 'Tor did not say where its cookie file is', cookieIsOut: true };
  }
  const cookie = await readCookie(info.cookieFile);
  return cookie.ok ? use(cookie.cookie) : { reason: cookie.reason, cookieIsOut: true };
}

async function authenticate(send: Send, secret: string): Promise<Failure | undefined> {
  try {
    await send(secret === '' ? 'AUTHENTICATE' : `AUTHENTICATE ${secret}`);
    return undefined;
  } catch (error) {
    return { reason: refusal(error) };
  }
}

async function safeCookie(
  send: Send,
  info: ProtocolInfo,
  cookie: Uint8Array,
): Promise<Failure | undefined> {
  const clientNonce = randomBytes(32);
  let reply: Reply;
  try {
    reply = await send(`AUTHCHALLENGE SAFECOOKIE ${clientNonce.toString('hex')}`);
  } catch (error) {
    return { reason: refusal(error) };
  }
  const challenge = parseAuthChallenge(reply);
  if (!challenge.ok) {
    return { reason: 'the answer to AUTHCHALLENGE cannot be read', cookieIsOut: true };
  }
  const parts = [cookie, clientNonce, challenge.value.serverNonce];
  if (!timingSafeEqual(safeCookieHash(SERVER_HASH_KEY, parts), challenge.value.serverHash)) {
    const path = Buffer.from(info.cookieFile ?? []).toString('utf8');
    const reason =
      `the server hash does not match: not talking to the Tor that owns the cookie file ${path} (two Tors on this ` +
      `machine, one in a container, or an impostor), so nothing was sent. Fix: check the control host and port`;
    return { reason, cookieIsOut: true };
  }
  return authenticate(send, safeCookieHash(CLIENT_HASH_KEY, parts).toString('hex'));
}

async function hashedPassword(
  send: Send,
  password: string | undefined,
): Promise<Failure | undefined> {
  if (password === undefined) {
    return {
      reason:
        'no control password is configured. Fix: set tor_control_password to the one that belongs to HashedControlPassword in torrc',
      password: 'none',
    };
  }
  const failure = await authenticate(send, quote(password));
  return (
    failure && {
      reason: `wrong password: ${failure.reason}. Fix: configure the password whose "tor --hash-password" is the HashedControlPassword of torrc`,
      password: 'wrong',
    }
  );
}

/**
 * COOKIE sends the cookie in the clear. The program on the control port chooses the file and gets its
 * 32 bytes, so only a file with the name of a cookie is read. Every Tor since 0.2.3 also offers
 * SAFECOOKIE.
 */
async function plainCookie(
  send: Send,
  info: ProtocolInfo,
  cookie: Uint8Array,
): Promise<Failure | undefined> {
  const path = Buffer.from(info.cookieFile ?? []).toString('utf8');
  if (!/cookie[^/]*$/i.test(path)) {
    return {
      reason:
        `${path} is not named like a cookie, and without SAFECOOKIE its content would go to whatever ` +
        `listens there, so nothing was sent. Fix: let CookieAuthFile in torrc end in "cookie"`,
    };
  }
  return authenticate(send, Buffer.from(cookie).toString('hex'));
}

type AuthMethod = (
  send: Send,
  info: ProtocolInfo,
  password: string | undefined,
) => Promise<Failure | undefined>;

/** The methods, the best first. */
const METHODS: readonly (readonly [name: string, tryMethod: AuthMethod])[] = [
  ['SAFECOOKIE', (send, info) => withCookie(info, (cookie) => safeCookie(send, info, cookie))],
  ['COOKIE', (send, info) => withCookie(info, (cookie) => plainCookie(send, info, cookie))],
  ['HASHEDPASSWORD', (send, _info, password) => hashedPassword(send, password)],
  ['NULL', (send) => authenticate(send, '')],
];

/** PROTOCOLINFO; also shows whether the other side is a Tor. */
async function askMethods(send: Send, where: string): Promise<ProtocolInfo> {
  const notTor = (got: string, cause?: unknown) =>
    new TorError(
      'protocolinfo',
      'not-tor',
      `what listens at ${where} is not a Tor control port (${got}). Fix: check the control host and port; Tor's usual ` +
        `control port is 9051, and 9050 is its SOCKS port`,
      { remedy: 'unreachable', cause },
    );
  let reply: Reply;
  try {
    reply = await send('PROTOCOLINFO 1');
  } catch (error) {
    if (!(error instanceof TorError) || error.code === 'aborted') throw error;
    if (error.code === 'timeout') {
      throw new TorError(
        'protocolinfo',
        'no-answer',
        `what listens at ${where} does not answer PROTOCOLINFO: it is not a Tor control port, or that Tor hangs`,
        { remedy: 'unreachable', cause: error },
      );
    }
    throw notTor(error.message, error);
  }
  const info = parseProtocolInfo(reply);
  if (!info.ok) throw notTor('its answer to PROTOCOLINFO cannot be read');
  return info.value;
}

/**
 * Connects and tries SAFECOOKIE (the server's hash is checked), COOKIE, HASHEDPASSWORD and NULL, as far
 * as Tor offers them. Resolves with the authenticated connection. Rejects with a TorError whose message
 * lists every method, the reason of its failure and the fix; every connection is closed then.
 *
 * COOKIE is not tried when SAFECOOKIE failed because the cookie cannot be read, or because the other
 * side did not prove that it knows the cookie: it would be sent to an unknown program.
 */
export async function authenticateTor<C extends Unauthenticated>(
  options: TorAuthOptions<C>,
): Promise<C> {
  const { open, where, password, signal, timeoutMs } = options;
  if (password !== undefined && /[\r\n\0]/.test(password)) {
    throw new TorError(
      'authenticate',
      'bad-password',
      'the control password must not hold CR, LF or NUL',
      { remedy: 'configuration' },
    );
  }
  let client = await open();
  const send: Send = (line) => client.command(line, { signal, timeoutMs });
  try {
    const info = await askMethods(send, where);
    const failures: string[] = [];
    let cookieIsOut = false;
    let onlyThePassword = true;
    for (const [method, tryMethod] of METHODS) {
      if (!info.methods.includes(method)) continue;
      if (method === 'COOKIE' && cookieIsOut) continue;
      if (client.closed) client = await open();
      const failure = await tryMethod(send, info, password);
      if (failure === undefined) return client;
      failures.push(`${method}: ${failure.reason}`);
      cookieIsOut ||= failure.cookieIsOut === true;
      onlyThePassword =
        failure.password === 'wrong' || (onlyThePassword && failure.password === 'none');
      // Tor closes shortly after a refusal.
      if (!client.closed) client.close();
    }
    if (failures.length === 0) {
      failures.push(`Tor offers only ${info.methods.join(', ')}, which is not known here`);
      onlyThePassword = false;
    }
    throw new TorError(
      'authenticate',
      'auth-failed',
      `cannot authenticate to Tor at ${where}. ${failures.join('. ')}`,
      { remedy: onlyThePassword ? 'configuration' : 'unreachable' },
    );
  } catch (error) {
    client.close();
    if (error instanceof TorError && error.step === 'command') {
      throw new TorError('authenticate', error.code, error.message, {
        remedy: 'unreachable',
        cause: error,
      });
    }
    throw error;
  }
}
