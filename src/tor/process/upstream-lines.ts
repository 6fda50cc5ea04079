/** The torrc lines of a Tor that reaches its network through a proxy (tor(1): Socks5Proxy, HTTPSProxy). Pure. */
import { hostAndPort } from '../../kit/host-name.js';
import { torrcString } from './tor-program.js';

export interface TorProxy {
  readonly kind: 'socks5' | 'http';
  readonly host: string;
  readonly port: number;
  /** Printable ASCII. */
  readonly login: { readonly username: string; readonly password: string } | undefined;
}

/**
 * They belong into the torrc before the start: a running Tor keeps its direct connections when it gets a proxy
 * later. Tor has no direct way beside the proxy: without the proxy it has no connection.
 */
export function upstreamLines({ kind, host, port, login }: TorProxy): readonly string[] {
  const place = hostAndPort(host, port);
  if (kind === 'http') {
    const secret = login && torrcString(`${login.username}:${login.password}`);
    return [
      `HTTPSProxy ${place}`,
      ...(secret === undefined ? [] : [`HTTPSProxyAuthenticator ${secret}`]),
    ];
  }
  return [
    `Socks5Proxy ${place}`,
    ...(login === undefined
      ? []
      : [
          `Socks5ProxyUsername ${torrcString(login.username)}`,
          `Socks5ProxyPassword ${torrcString(login.password)}`,
        ]),
  ];
}
