/** Descriptions as files of version 1.1, so that other programs can read the folders. Pure. */
import { formatAmount } from '../amount.js';
import type { Gate, Provider, Space } from '../model.js';
import type { Amount } from '../ports.js';

const VERSION = '1.1';

export function formatProvider(provider: Provider): string {
  return json({
    file_type: 'LetheanProvider',
    file_version: VERSION,
    ...validity(provider.validUntil, provider.revision),
    providerid: provider.providerId,
    name: provider.name,
    description: provider.description,
    ca: provider.ca,
    'manager-url': provider.managerUrl,
    spaces: provider.spaces,
    wallet: provider.wallet,
  });
}

export function formatSpace(space: Space): string {
  return json({
    file_type: 'LetheanSpace',
    file_version: VERSION,
    ...validity(space.validUntil),
    providerid: space.providerId,
    spaceid: space.spaceId,
    name: space.name,
    price: price(space.pricePerDay),
    ipv4_networks: space.ipv4Networks,
    ipv6_networks: space.ipv6Networks,
    dns_servers: space.dnsServers,
  });
}

export function formatGate(gate: Gate): string {
  return json({
    file_type: 'LetheanGateway',
    file_version: VERSION,
    ...validity(gate.validUntil),
    providerid: gate.providerId,
    gateid: gate.gateId,
    name: gate.name,
    ca: gate.ca,
    'manager-url': gate.managerUrl,
    price: price(gate.pricePerDay),
    internal: gate.internal,
    spaces: gate.spaces,
    gates: gate.gates,
    type: gate.type,
    [gate.type === 'wg-tcp' ? 'wg' : gate.type === 'tls-ssh' ? 'ssh' : gate.type]: detailsOf(gate),
  });
}

function detailsOf(gate: Gate): object {
  if ('wg' in gate) {
    const { endpoint, ...wg } = gate.wg;
    const host = endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host;
    return {
      endpoint: `${host}:${endpoint.port}`,
      tcp: wg.tcp,
      public_key: wg.publicKey,
      use_psk: wg.usePsk,
      ipv4_network: wg.ipv4Network,
      ipv4_gateway: wg.ipv4Gateway,
      ipv6_network: wg.ipv6Network,
      ipv6_gateway: wg.ipv6Gateway,
    };
  }
  return 'ssh' in gate ? gate.ssh : gate.proxy;
}

/** The exact end of the validity: a time to live of one second from `validUntil` - 1 when there is no revision. */
function validity(validUntil: number | undefined, revision?: number): object {
  if (validUntil === undefined) return revision === undefined ? {} : { revision };
  const from = revision ?? validUntil - 1;
  return { revision: from, ttl: validUntil - from };
}

/** A mark: `json` turns it into a number with the same digits. */
const price = (amount: Amount): object => ({ 'per-day': `LTHN ${formatAmount(amount)}` });

/** A quote inside a text is escaped in JSON, so that no text can look like the mark. */
function json(value: object): string {
  const text = JSON.stringify(value, undefined, 2);
  return `${text.replace(/"per-day": "LTHN ([\d.]+)"/, '"per-day": $1')}\n`;
}
