/** `[CLUSTER]`: the nodes that are one directory, and the NATS servers between them. */
import { quotedLine } from '../kit/shown-text.js';
import type { CfgFile } from './cfg-file.js';
import { isLocalServer, type ClusterMember, type NatsServer } from './cluster-values.js';
import { ConfigError } from './config-error.js';
import { expandPath } from './paths.js';
import { readSection } from './read-section.js';
import { CLUSTER_KEYS } from './settings-keys.js';

/** How the NATS servers are reached. */
export interface NatsSettings {
  /** At least one; all of them with TLS, or none. */
  readonly servers: readonly NatsServer[];
  readonly tls: boolean;
  /** Where NATS may be used without TLS. */
  readonly plain: 'loopback' | 'anywhere';
  /** Absolute path of a credentials file of NATS, a file with an nkey seed, or one with `user:password`. */
  readonly credentialsFile: string | undefined;
  /** Absolute path of the certificates that are trusted in place of the system's; PEM. */
  readonly caFile: string | undefined;
  /** Absolute paths of the client certificate and its key; PEM. */
  readonly certificate: { readonly file: string; readonly keyFile: string } | undefined;
}

/** This node, and the others. */
export interface ClusterSettings {
  /** The name of the cluster: several may use the same NATS servers. */
  readonly name: string;
  /** The name of this node, one of `nodes`. */
  readonly node: string;
  /** All nodes, including this one. */
  readonly nodes: readonly ClusterMember[];
  readonly nats: NatsSettings;
}

type ClusterKey = keyof typeof CLUSTER_KEYS;

const SECTION = 'CLUSTER';

/** Whether a key has another value than the default. */
function isConfigured(cfg: CfgFile): boolean {
  return Object.entries(CLUSTER_KEYS).some(([key, { fallback }]) => {
    const written = cfg.get(SECTION, key)?.trim();
    return written !== undefined && written !== fallback;
  });
}

/**
 * The cluster of a directory; undefined when every key of the section is missing or has its default.
 * Throws a ConfigError.
 */
export function readCluster(cfg: CfgFile, datadir: string): ClusterSettings | undefined {
  if (!isConfigured(cfg)) return undefined;
  const values = readSection(CLUSTER_KEYS, cfg, SECTION);
  const fault = (key: ClusterKey, found: string, allowed: string): ConfigError =>
    new ConfigError({
      file: cfg.path,
      line: cfg.lineOf(SECTION, key),
      section: SECTION,
      key,
      found,
      allowed,
    });
  const filled = (key: ClusterKey, isEmpty: boolean): void => {
    if (!isEmpty) return;
    throw fault(
      key,
      'nothing, beside other keys of a cluster',
      `${CLUSTER_KEYS[key].allowed}; or no key of [CLUSTER] at all, for a directory on one machine`,
    );
  };
  filled('nats', values.nats.length === 0);
  filled('name', values.name === '');
  filled('node', values.node === '');
  filled('nodes', values.nodes.length === 0);
  if (!values.nodes.some(({ name }) => name === values.node)) {
    const names = values.nodes.map(({ name }) => name).join(', ');
    throw fault('node', quotedLine(values.node), `one of the names in nodes: ${names}`);
  }
  const tls = values.nats.every(({ scheme }) => scheme === 'tls');
  const remote = values.nats.find((server) => !isLocalServer(server));
  if (!tls && remote !== undefined && values.natsPlain !== 'anywhere') {
    throw fault(
      'nats',
      quotedLine(`nats://${remote.host}`),
      'tls:// for a server on another machine; or nats_plain = anywhere, when the path to it is a protected network of its own (docs/cluster.md)',
    );
  }
  for (const key of ['nats_ca', 'nats_certificate', 'nats_key'] as const) {
    const written = cfg.get(SECTION, key)?.trim() ?? '';
    if (!tls && written !== '') {
      throw fault(key, quotedLine(written), 'only with tls:// servers in nats');
    }
  }
  const file = (path: string): string | undefined =>
    path === '' ? undefined : expandPath(path, datadir);
  const certificate = file(values.natsCertificate);
  const keyFile = file(values.natsKey);
  if ((certificate === undefined) !== (keyFile === undefined)) {
    const missing = keyFile === undefined ? 'nats_key' : 'nats_certificate';
    throw fault(missing, 'nothing', 'nats_certificate and nats_key together, or neither');
  }
  return {
    name: values.name,
    node: values.node,
    nodes: values.nodes,
    nats: {
      servers: values.nats,
      tls,
      plain: values.natsPlain,
      credentialsFile: file(values.natsCredentials),
      caFile: file(values.natsCa),
      certificate:
        certificate === undefined || keyFile === undefined
          ? undefined
          : { file: certificate, keyFile },
    },
  };
}
