/** Descriptions of gates: the common fields, and the object named after the type. Pure. */
import type { Gate, GateBase, GateType, ProxyGate, SshGate, WireGuardGate } from '../model.js';
import type { Fields } from './fields.js';
import { fullIdOf, fullIdsOf, providerIdOf } from './ids.js';
import { addressOf, networkOf } from './networks.js';
import {
  certificatesOf,
  managerUrlOf,
  pricePerDayOf,
  requireFile,
  validUntilOf,
  WIREGUARD_KEY,
  WIREGUARD_KEY_RULE,
} from './parse-common.js';

const TYPES: readonly GateType[] = [
  'wg',
  'http-proxy',
  'socks-proxy',
  'daemon-rpc-proxy',
  'daemon-p2p-proxy',
  'wg-tcp',
  'ssh',
  'tls-ssh',
];

/** An account at the exit: an argument of ssh, so it begins with no `-`. */
const USER = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/;

/** Throws a DescriptionError. */
export function parseGate(fields: Fields): Gate {
  requireFile(fields, 'LetheanGateway');
  const text = fields.text('type');
  const type = TYPES.find((known) => known === text);
  if (type === undefined) throw fields.fault('type', `must be one of ${TYPES.join(', ')}`);
  const base = baseOf(fields);
  switch (type) {
    case 'wg':
    case 'wg-tcp':
      return { ...base, type, wg: wireGuardOf(fields.object('wg')) };
    case 'ssh':
    case 'tls-ssh':
      return { ...base, type, ssh: sshOf(fields.object('ssh'), type === 'tls-ssh') };
    case 'daemon-rpc-proxy':
    case 'daemon-p2p-proxy':
      // Version 1.0 named the object without its "-proxy".
      return {
        ...base,
        type,
        proxy: proxyOf(fields.object(fields.named(type, type.slice(0, -6)))),
      };
    case 'http-proxy':
    case 'socks-proxy':
      return { ...base, type, proxy: proxyOf(fields.object(type)) };
  }
}

function baseOf(fields: Fields): GateBase {
  const providerId = providerIdOf(fields);
  return {
    gateId: fullIdOf(fields, 'gateid', providerId),
    providerId,
    name: fields.text('name'),
    managerUrl: managerUrlOf(fields),
    ca: certificatesOf(fields),
    spaces: fullIdsOf(fields, 'spaces', providerId),
    gates: fullIdsOf(fields, 'gates', providerId),
    internal: fields.flag('internal', false),
    pricePerDay: pricePerDayOf(fields),
    validUntil: validUntilOf(fields),
  };
}

/** Version 1.1, the one that this client can connect to: 1.0 had no networks. */
function wireGuardOf(fields: Fields): WireGuardGate {
  return {
    endpoint: fields.hostAndPort('endpoint'),
    publicKey: fields.matching('public_key', WIREGUARD_KEY, WIREGUARD_KEY_RULE),
    ipv4Network: networkOf(fields, 'ipv4_network', 4),
    ipv4Gateway: addressOf(fields, 'ipv4_gateway', 4),
    ipv6Network: fields.has('ipv6_network') ? networkOf(fields, 'ipv6_network', 6) : undefined,
    ipv6Gateway: fields.has('ipv6_gateway') ? addressOf(fields, 'ipv6_gateway', 6) : undefined,
    usePsk: fields.flag('use_psk', true),
    tcp: fields.flag('tcp', false),
  };
}

function proxyOf(fields: Fields): ProxyGate {
  return { host: fields.host('host'), port: fields.port('port'), tls: fields.flag('tls', true) };
}

/** Plain SSH has no TLS around it, unless the description says so; `tls-ssh` has. */
function sshOf(fields: Fields, isTls: boolean): SshGate {
  return {
    host: fields.host('host'),
    port: fields.port('port'),
    tls: fields.flag('tls', isTls),
    username: fields.matching('username', USER, 'must be the name of an account'),
  };
}
