/**
 * `[TOR] upstream`: the proxy through which a Tor of this program reaches its network, where Tor is blocked. Pure.
 */
import { hostInUse } from '../kit/host-name.js';
import { isLokinetName } from '../protocol/loki-address.js';
import type { ValueSpec } from './cfg-value.js';

/** A user name and a password of a proxy; printable ASCII. */
export interface UpstreamLogin {
  readonly username: string;
  readonly password: string;
}

/** A proxy that Tor uses itself. */
export interface UpstreamProxy {
  readonly kind: 'socks5' | 'http';
  readonly host: string;
  readonly port: number;
  readonly login: UpstreamLogin | undefined;
}

/** A service of a Lethean provider; a command opens it and puts a proxy on loopback in its place. */
export interface UpstreamService {
  readonly kind: 'lthn';
  /** `lthn://provider/service`, as written. */
  readonly link: string;
}

export type TorUpstream = UpstreamProxy | UpstreamService;

const ALLOWED =
  'socks5://[user:password@]host:port, http://[user:password@]host:port, lthn://provider/service, or nothing; a special character in user and password as %%XX (%%40 is @)';
const PROXY = /^(socks5|http):\/\/(?:([^@/\s]*)@)?(\[[^\][]*\]|[^:[\]@/\s]+):(\d{1,5})\/?$/;
const LINK = /^lthn:\/\/[A-Za-z0-9._-]{1,200}\/[A-Za-z0-9._-]{1,200}$/;

/** Percent-decoded printable ASCII of at most 255 characters (RFC 1929 has one byte for the length). */
function decoded(text: string): string | undefined {
  try {
    const plain = decodeURIComponent(text);
    return /^[\x20-\x7e]{1,255}$/.test(plain) ? plain : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined: not valid. Null: none. */
function loginOf(
  text: string | undefined,
  kind: 'socks5' | 'http',
): UpstreamLogin | null | undefined {
  if (text === undefined) return null;
  const [, name = '', secret = ''] = /^([^:]+):([^:]+)$/.exec(text) ?? [];
  const username = decoded(name);
  const password = decoded(secret);
  if (username === undefined || password === undefined) return undefined;
  // RFC 7617: a user name of HTTP has no colon. Tor takes less than 512 characters for both.
  if (kind === 'http' && (username.includes(':') || username.length + password.length > 500)) {
    return undefined;
  }
  return { username, password };
}

/** A proxy, a link, or null for nothing; undefined for any other text. */
export function parseTorUpstream(text: string): TorUpstream | null | undefined {
  if (text === '') return null;
  if (LINK.test(text)) return { kind: 'lthn', link: text };
  const [, scheme, userInfo, written = '', digits = ''] = PROXY.exec(text) ?? [];
  if (scheme !== 'socks5' && scheme !== 'http') return undefined;
  const host = isLokinetName(written) ? undefined : hostInUse(written);
  const port = Number(digits);
  const login = loginOf(userInfo, scheme);
  if (
    host === undefined ||
    host.includes('%') ||
    port < 1 ||
    port > 65_535 ||
    login === undefined
  ) {
    return undefined;
  }
  return { kind: scheme, host, port, login: login ?? undefined };
}

/** The key. No message shows its value, which may have a password. */
export const upstreamValue: ValueSpec<TorUpstream | null> = {
  fallback: '',
  allowed: ALLOWED,
  secret: true,
  parse: parseTorUpstream,
};

/** For a person: without user and password. */
export function shownUpstream(upstream: TorUpstream): string {
  if (upstream.kind === 'lthn') return upstream.link;
  const { kind, host, port, login } = upstream;
  const place = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  return `${kind}://${place}${login === undefined ? '' : ' with a password'}`;
}

/** What a person puts into the torrc of a Tor that this program does not start. */
export function torrcHint(upstream: TorUpstream): string {
  if (upstream.kind === 'lthn') {
    return 'Socks5Proxy with the address that "onionmc lethean connect" shows';
  }
  const place = upstream.host.includes(':')
    ? `[${upstream.host}]:${upstream.port}`
    : `${upstream.host}:${upstream.port}`;
  if (upstream.kind === 'http') {
    return `HTTPSProxy ${place}${upstream.login === undefined ? '' : ' and HTTPSProxyAuthenticator'}`;
  }
  const login = upstream.login === undefined ? '' : ', Socks5ProxyUsername and Socks5ProxyPassword';
  return `Socks5Proxy ${place}${login}`;
}
