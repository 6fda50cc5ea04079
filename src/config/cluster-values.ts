/** The kinds of values of `[CLUSTER]`: NATS servers, names of nodes, and their keys. */
import { hostInUse, isLoopbackHost, portInside } from '../kit/host-name.js';
import type { ValueSpec } from './cfg-value.js';

/** A NATS server. */
export interface NatsServer {
  /** `tls` = only with TLS. */
  readonly scheme: 'nats' | 'tls';
  /** A name or an address; an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
}

/** A node of the cluster, with the key that its records are checked with. */
export interface ClusterMember {
  readonly name: string;
  /** Ed25519, 64 hex digits in lower case. */
  readonly publicKey: string;
}

/** The port of NATS. */
const NATS_PORT = 4222;
const MAX_SERVERS = 16;
/** Each node sends to each other node; docs/cluster.md shows how far that goes. */
export const MAX_CLUSTER_NODES = 32;
const NODE_NAME = /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/;
const PUBLIC_KEY = /^[0-9a-f]{64}$/i;

const listed = (text: string): readonly string[] => {
  const parts = text.split(',').map((part) => part.trim());
  return parts.length === 1 && parts[0] === '' ? [] : parts;
};

/** Whether the traffic of a server stays on this machine. */
export function isLocalServer({ host }: NatsServer): boolean {
  return isLoopbackHost(host);
}

function natsServer(text: string): NatsServer | undefined {
  const [, written = 'nats', place = ''] = /^(?:([a-z]+):\/\/)?([^/@\s]+)$/i.exec(text) ?? [];
  const scheme = written.toLowerCase();
  if (scheme !== 'nats' && scheme !== 'tls') return undefined;
  const behind = portInside(place);
  const port = behind === undefined ? NATS_PORT : Number(behind);
  const host = hostInUse(behind === undefined ? place : place.slice(0, -behind.length - 1));
  const isPort = behind !== '' && port >= 1 && port <= 65_535;
  return host === undefined || !isPort ? undefined : { scheme, host, port };
}

/** Addresses of NATS servers with commas between, possibly none. TLS for all of them or for none. */
export function natsServers(): ValueSpec<readonly NatsServer[]> {
  return {
    fallback: '',
    allowed: `tls://HOST:PORT or nats://HOST:PORT (port ${NATS_PORT} if it is left out), or several of one kind with commas between, at most ${MAX_SERVERS}`,
    secret: false,
    remark: (text) =>
      text.includes('@') ? 'with a password, which belongs into nats_credentials' : undefined,
    parse(text) {
      const parts = listed(text);
      const servers = parts.flatMap((part) => natsServer(part) ?? []);
      const schemes = new Set(servers.map(({ scheme }) => scheme));
      const fits = servers.length === parts.length && servers.length <= MAX_SERVERS;
      return fits && schemes.size <= 1 ? servers : undefined;
    },
  };
}

/** The name of a cluster or of a node; empty when it is not set. It becomes part of NATS subjects. */
export function nodeName(): ValueSpec<string> {
  return {
    fallback: '',
    allowed: 'at most 32 letters a to z, digits and dashes, without a dash at an end',
    secret: false,
    parse: (text) => (text === '' || NODE_NAME.test(text) ? text : undefined),
  };
}

function member(text: string): ClusterMember | undefined {
  const [, name = '', key = ''] = /^([^:]*?)\s*:\s*([^:]*)$/.exec(text) ?? [];
  if (!NODE_NAME.test(name) || !PUBLIC_KEY.test(key)) return undefined;
  return { name, publicKey: key.toLowerCase() };
}

const isUnique = (values: readonly string[]): boolean => new Set(values).size === values.length;

/** All nodes with their public keys, possibly none; each name and each key once. */
export function clusterNodes(): ValueSpec<readonly ClusterMember[]> {
  return {
    fallback: '',
    allowed: `NAME:KEY of each node with commas between, at most ${MAX_CLUSTER_NODES}, each name and each key once; KEY is the 64 hex digits that "onionmc cluster key" prints`,
    secret: false,
    parse(text) {
      const parts = listed(text);
      const nodes = parts.flatMap((part) => member(part) ?? []);
      return nodes.length === parts.length &&
        nodes.length <= MAX_CLUSTER_NODES &&
        isUnique(nodes.map(({ name }) => name)) &&
        isUnique(nodes.map(({ publicKey }) => publicKey))
        ? nodes
        : undefined;
    },
  };
}
