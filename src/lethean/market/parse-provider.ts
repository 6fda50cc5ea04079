/** Descriptions of providers and spaces. Pure. */
import type { Provider, Space } from '../model.js';
import { MAX_DESCRIPTION, type Fields } from './fields.js';
import { fullIdOf, fullIdsOf, providerIdOf } from './ids.js';
import { addressesOf, networksOf } from './networks.js';
import {
  certificatesOf,
  managerUrlOf,
  pricePerDayOf,
  requireFile,
  validUntilOf,
} from './parse-common.js';

/** An address of a wallet of the Cryptonote family: base58. The wallet itself checks its checksum. */
export const WALLET_ADDRESS = /^[1-9A-HJ-NP-Za-km-z]{90,120}$/;
export const WALLET_RULE = 'must be an address of a wallet (base58)';

/** Throws a DescriptionError. */
export function parseProvider(fields: Fields): Provider {
  requireFile(fields, 'LetheanProvider');
  const providerId = providerIdOf(fields);
  const managerUrl = managerUrlOf(fields);
  if (managerUrl === undefined) throw fields.fault('manager-url', 'is missing');
  const ca = certificatesOf(fields);
  if (ca.length === 0) throw fields.fault('ca', 'must have at least one certificate');
  return {
    providerId,
    name: fields.text('name'),
    managerUrl,
    spaces: fullIdsOf(fields, 'spaces', providerId),
    ca,
    wallet: fields.optionalMatching('wallet', WALLET_ADDRESS, WALLET_RULE),
    description: fields.optionalText('description', MAX_DESCRIPTION),
    revision: fields.optionalTime('revision'),
    validUntil: validUntilOf(fields),
  };
}

/**
 * Version 1.1 requires networks, DNS servers and a price; 1.0 has `ips` for the IPv4 networks and may leave them
 * all out. Throws a DescriptionError.
 */
export function parseSpace(fields: Fields): Space {
  requireFile(fields, 'LetheanSpace');
  const providerId = providerIdOf(fields);
  const spaceId = fullIdOf(fields, 'spaceid', providerId);
  if (fields.has('file_version')) {
    for (const name of ['price', 'ipv4_networks', 'ipv6_networks', 'dns_servers']) {
      if (!fields.has(name)) throw fields.fault(name, 'is missing');
    }
  }
  return {
    spaceId,
    providerId,
    name: fields.optionalText('name') ?? spaceId,
    pricePerDay: pricePerDayOf(fields),
    ipv4Networks: networksOf(fields, fields.named('ipv4_networks', 'ips'), 4),
    ipv6Networks: networksOf(fields, 'ipv6_networks', 6),
    dnsServers: addressesOf(fields, 'dns_servers'),
    validUntil: validUntilOf(fields),
  };
}
