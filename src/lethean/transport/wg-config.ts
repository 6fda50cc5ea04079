/** The configuration of a WireGuard interface, from what provider and session say. Pure. */
import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { hostAndPort } from '../../kit/host-name.js';
import type { Space, WireGuardGate, SessionWireGuard } from '../model.js';
import { isWireGuardKey } from './wg-keys.js';
import { TransportError } from './transport-error.js';

/** Seconds: a tunnel stays open through the tables of address translation (wg(8)). */
const KEEPALIVE_SECONDS = 25;
const MAX_NETWORKS = 64;

export interface TunnelAddress {
  readonly ip: string;
  readonly prefix: number;
  readonly family: 4 | 6;
}

/** An address or a network with the length of its prefix. Throws a TransportError (`protocol`). */
export function parsePrefixed(text: string): TunnelAddress {
  const [, ip = '', digits = ''] = /^([0-9A-Fa-f.:]{2,45})\/(\d{1,3})$/.exec(text) ?? [];
  const family = isIP(ip);
  const prefix = Number(digits);
  if ((family !== 4 && family !== 6) || prefix > (family === 4 ? 32 : 128)) {
    throw new TransportError('protocol', 'the provider gave an address that is not valid');
  }
  return { ip, prefix, family };
}

/** The mask of a prefix of IPv4: 255.255.0.0. */
export function ipv4Mask(prefix: number): string {
  return [0, 8, 16, 24]
    .map((from) => 256 - 2 ** (8 - Math.min(8, Math.max(0, prefix - from))))
    .join('.');
}

export interface WireGuardPlan {
  /** At most 15 bytes. */
  readonly device: string;
  /** The addresses of this client. */
  readonly addresses: readonly TunnelAddress[];
  /** What is reached through the tunnel. */
  readonly networks: readonly TunnelAddress[];
  /** The provider's addresses in the tunnel, for `{gw}`. */
  readonly gateways: Readonly<Record<4 | 6, string>>;
  readonly dns: readonly string[];
  /** The text for `wg setconf`; it has the private key. */
  readonly config: string;
}

/** The name of the interface of a gate when no one is mapped. */
export function deviceOf(gateId: string): string {
  return `lthn${createHash('sha256').update(gateId).digest('hex').slice(0, 8)}`;
}

/** Throws a TransportError: `protocol` for values that are not valid, `identity` for another key of the gate. */
export function wireGuardPlan(
  gate: WireGuardGate,
  session: SessionWireGuard,
  space: Space,
  privateKey: string,
  device: string,
): WireGuardPlan {
  if (session.serverPublicKey !== gate.publicKey) {
    throw new TransportError(
      'identity',
      'the session has another key of the gate than its description',
    );
  }
  const keys = [
    gate.publicKey,
    privateKey,
    ...(session.presharedKey === undefined ? [] : [session.presharedKey]),
  ];
  if (!keys.every(isWireGuardKey)) {
    throw new TransportError('protocol', 'the provider gave a key that is not base64 of 32 bytes');
  }
  const ofSpace = [...space.ipv4Networks, ...space.ipv6Networks];
  const named = session.networks.length > 0 ? session.networks : ofSpace;
  const networks = (named.length > 0 ? named : [gate.ipv4Network])
    .slice(0, MAX_NETWORKS)
    .map(parsePrefixed);
  const addresses = [session.ipv4Address, session.ipv6Address].flatMap((text) =>
    text === undefined ? [] : [parsePrefixed(text)],
  );
  const dns = (session.dns.length > 0 ? session.dns : space.dnsServers).filter(
    (ip) => isIP(ip) !== 0,
  );
  // The tunnel carries its own resolvers also when the networks do not name them.
  const hosts = dns.map((ip): TunnelAddress => ({
    ip,
    prefix: isIP(ip) === 4 ? 32 : 128,
    family: isIP(ip) === 4 ? 4 : 6,
  }));
  const reached = [...networks, ...hosts];
  const config = [
    '[Interface]',
    `PrivateKey = ${privateKey}`,
    '[Peer]',
    `PublicKey = ${gate.publicKey}`,
    ...(session.presharedKey === undefined ? [] : [`PresharedKey = ${session.presharedKey}`]),
    `Endpoint = ${hostAndPort(gate.endpoint.host, gate.endpoint.port)}`,
    `AllowedIPs = ${reached.map(({ ip, prefix }) => `${ip}/${prefix}`).join(', ')}`,
    `PersistentKeepalive = ${KEEPALIVE_SECONDS}`,
  ];
  return {
    device,
    addresses,
    networks: reached,
    gateways: { 4: gate.ipv4Gateway, 6: gate.ipv6Gateway ?? '' },
    dns,
    config: `${config.join('\n')}\n`,
  };
}
