/**
 * Addresses of this machine. The kernel delivers them here, past every tunnel, so neither may a provider give one to
 * the tunnel, nor may a name of the exit lead to one.
 */
import { BlockList, isIP } from 'node:net';
import { networkInterfaces, type NetworkInterfaceInfo } from 'node:os';

/** Interfaces by name, as `os.networkInterfaces()`. */
export type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 6 ? 'ipv6' : 'ipv4');

/** This host, loopback, link-local, multicast, broadcast: no tunnel has such an address, and none leads there. */
const SPECIAL = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['224.0.0.0', 3],
  ['::', 128],
  ['::1', 128],
  ['fe80::', 10],
  ['ff00::', 8],
] as const) {
  SPECIAL.addSubnet(network, prefix, familyOf(network));
}
/** `::ffff:127.0.0.1` is 127.0.0.1, and so on. */
const MAPPED = new BlockList();
MAPPED.addSubnet('::ffff:0:0', 96, 'ipv6');

const isSpecial = (address: string): boolean =>
  SPECIAL.check(address, familyOf(address)) ||
  (isIP(address) === 6 && MAPPED.check(address, 'ipv6'));

/** Whether a connection to an address would end at this machine or its link, and not at the exit. */
export function isOwnAddress(
  address: string,
  interfaces: Interfaces = networkInterfaces(),
): boolean {
  const own = Object.values(interfaces).flatMap((each) => each ?? []);
  const list = new BlockList();
  for (const each of own) list.addAddress(each.address, familyOf(each.address));
  return isSpecial(address) || list.check(address, familyOf(address));
}

/**
 * Why an address cannot be that of a tunnel: it is special, or in a network of another interface. Undefined when it can.
 * @param device the interface of the tunnel, which does not count
 */
export function addressFault(
  address: string,
  device: string,
  interfaces: Interfaces = networkInterfaces(),
): string | undefined {
  if (isSpecial(address)) return 'is not one of a network';
  const family = familyOf(address);
  for (const [name, addresses] of Object.entries(interfaces)) {
    if (name === device) continue;
    for (const { address: own, cidr } of addresses ?? []) {
      const prefix = Number(cidr?.split('/')[1] ?? Number.NaN);
      if (familyOf(own) !== family || !Number.isInteger(prefix)) continue;
      const network = new BlockList();
      network.addSubnet(own, prefix, family);
      if (network.check(address, family)) return `is in the network of ${name}`;
    }
  }
  return undefined;
}
