/** Checks of a directory that is a node of a cluster: its key, the NATS servers, the other nodes. */
import type { NatsConnection } from '@nats-io/transport-node';
import { ClusterError } from '../cluster/api.js';
import {
  accessOptions,
  loadNats,
  type NatsAccess,
  type NatsLibrary,
} from '../cluster/nats/access.js';
import type { ClusterSettings } from '../config/cluster-settings.js';
import { errorText } from '../kit/error-text.js';
import { hostAndPort } from '../kit/host-name.js';
import { recordOf } from '../kit/json-record.js';
import { shownLine } from '../kit/shown-text.js';
import { NatsFileError, readNatsFiles } from '../ops/cluster-files.js';
import { ClusterKeyError, clusterKeyPath, readClusterKey } from '../ops/cluster-key.js';
import { askStatus, statusBase } from '../ops/status-client.js';
import { note, ok, wrong, wrongAs, type Check, type Machine, type Verdict } from './check.js';

const CONNECT_MS = 5_000;
const ECHO_MS = 3_000;
/** Tor needs clocks that differ by less; the nodes themselves compare no times. */
const MAX_CLOCK_MS = 30_000;

export const clusterKeyCheck: Check = {
  id: 'cluster-key',
  title: 'cluster key',
  needs: ['cluster', 'owner'],
  onlyWith: 'cluster',
  gives: [],
  async run(facts, { datadir }) {
    const { node, nodes } = facts.get('cluster');
    const make = `onionmc cluster key --datadir ${JSON.stringify(datadir)}`;
    try {
      const key = await readClusterKey(datadir, facts.get('owner'));
      if (key === undefined) {
        return wrong(
          `there is no key of this node at ${clusterKeyPath(datadir)}`,
          `${make}, and its output as ${node}:KEY in [CLUSTER] nodes of every node`,
        );
      }
      const pinned = nodes.find(({ name }) => name === node)?.publicKey;
      if (pinned !== key.publicKey) {
        return wrong(
          `[CLUSTER] nodes has another key for ${node} than ${clusterKeyPath(datadir)}`,
          `${node}:${key.publicKey} in nodes of every node, or put the right key file back`,
        );
      }
      return ok(`the key of ${node} is the one in nodes (${nodes.length} in all)`);
    } catch (error) {
      if (error instanceof ClusterKeyError) return wrongAs(error, make);
      throw error;
    }
  },
};

/** Errors of a connection by their text or code, with the fix. */
const FAULTS: readonly (readonly [RegExp, string, string])[] = [
  [
    /Authorization Violation|Authentication|nkey|expired|revoked/i,
    'the server refuses the credentials of this node',
    'set nats_credentials to the file that the server knows (or nats_certificate and nats_key, where it asks for a certificate)',
  ],
  [
    /does not support 'tls'|tls.*not available/i,
    'the server offers no TLS',
    'give it a tls block (docs/cluster.md); nats:// is only for servers on this machine',
  ],
  [
    /ALTNAME|does not match certificate/i,
    'the certificate of the server is for another name',
    'use the name of the certificate in nats, or a certificate with this name',
  ],
  [
    /self[- ]signed|unable to (?:verify|get)|UNABLE_TO|SELF_SIGNED|issuer/i,
    'the certificate of the server is not signed by a trusted authority',
    'set nats_ca to the certificate of the authority that signed it',
  ],
  [
    /certificate (?:has expired|is not yet valid)|CERT_HAS_EXPIRED|CERT_NOT_YET/i,
    'the certificate of the server is not valid today',
    'renew it, or correct the clock of this machine',
  ],
  [
    /certificate required|bad certificate|handshake failure|ECONNRESET|socket disconnected/i,
    'the server ended the TLS handshake: it may ask for a certificate of this node',
    'set nats_certificate and nats_key',
  ],
  [
    /refused|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|timeout/i,
    'the server cannot be reached',
    'start nats-server there, and let the firewall pass its port between the nodes',
  ],
];

function textsOf(error: unknown): string {
  const texts: string[] = [];
  let current = error;
  for (let depth = 0; depth < 5 && current instanceof Error; depth++) {
    texts.push(current.name, current.message);
    if ('code' in current && typeof current.code === 'string') texts.push(current.code);
    current = current.cause;
  }
  return texts.join(' ');
}

function connectFault(at: string, error: unknown): Verdict {
  const said = textsOf(error);
  const found = FAULTS.find(([pattern]) => pattern.test(said));
  const detail = shownLine(errorText(error), 200);
  return found === undefined
    ? wrong(`${at}: ${detail}`, 'look at the log of nats-server')
    : wrong(`${at}: ${found[1]} (${detail})`, found[2]);
}

/** Whether a message comes back: the user may publish and receive what the nodes send. */
async function echoes(connection: NatsConnection, prefix: string): Promise<boolean> {
  const subject = `${prefix}.doctor.${Math.random().toString(36).slice(2)}`;
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ECHO_MS);
    connection.subscribe(subject, {
      max: 1,
      callback: (error) => {
        clearTimeout(timer);
        resolve(error === null);
      },
    });
    connection.publish(subject, '');
  });
}

async function tryServer(
  library: NatsLibrary,
  access: NatsAccess,
  prefix: string,
): Promise<Verdict | undefined> {
  const at = access.servers.map(({ host, port }) => hostAndPort(host, port)).join(', ');
  let connection;
  try {
    connection = await library.connect({
      ...accessOptions(access, library),
      reconnect: false,
      timeout: CONNECT_MS,
    });
  } catch (error) {
    return connectFault(at, error);
  }
  try {
    if (await echoes(connection, prefix)) return undefined;
    return wrong(
      `${at} does not let this node publish and receive ${prefix}.>`,
      `allow its user to publish and subscribe ${prefix}.> (permissions in the configuration of nats-server)`,
    );
  } finally {
    await connection.close().catch(() => {});
  }
}

async function natsVerdict(settings: ClusterSettings, prefix: string): Promise<Verdict> {
  const { nats, node } = settings;
  const library = await loadNats();
  const files = await readNatsFiles(nats);
  const faults: Verdict[] = [];
  for (const server of nats.servers) {
    const access = { servers: [server], tls: nats.tls, name: `onionmc ${node} (doctor)`, ...files };
    // oxlint-disable-next-line no-await-in-loop -- one after the other, as a node tries them
    const fault = await tryServer(library, access, prefix);
    if (fault !== undefined) faults.push(fault);
  }
  const [first] = faults;
  const kind = nats.tls ? 'with TLS' : 'without TLS';
  const many = nats.servers.length;
  if (first === undefined) {
    return ok(`${many === 1 ? 'the server lets' : `${many} servers let`} this node in, ${kind}`);
  }
  return faults.length < many ? note(first.text, first.fix ?? '') : first;
}

export const clusterNatsCheck: Check = {
  id: 'cluster-nats',
  title: 'NATS',
  needs: ['cluster', 'settings'],
  onlyWith: 'cluster',
  gives: [],
  async run(facts) {
    const settings = facts.get('cluster');
    try {
      return await natsVerdict(
        settings,
        `onionmc.${settings.name}.${facts.get('settings').network}`,
      );
    } catch (error) {
      if (error instanceof ClusterError || error instanceof NatsFileError) {
        return wrongAs(error, 'correct the file that [CLUSTER] names');
      }
      throw error;
    }
  },
};

type Node = Readonly<Record<string, unknown>>;

const nameOf = (node: Node): string =>
  typeof node['name'] === 'string' ? shownLine(node['name'], 40) : '?';

interface Difference {
  readonly holds: (node: Node) => boolean;
  readonly text: (names: string) => string;
  readonly fix: string;
  /** Peers or Tor suffer from it; otherwise a note. */
  readonly isFault: boolean;
}

/** What should be the same on all nodes; the first one that is not is shown. */
const DIFFERENCES: readonly Difference[] = [
  {
    holds: ({ clockAheadMs: ms }) => typeof ms === 'number' && Math.abs(ms) > MAX_CLOCK_MS,
    text: (names) =>
      `the clocks of this machine and of ${names} differ by more than ${MAX_CLOCK_MS / 1000} s`,
    fix: 'run a time service on both (timedatectl set-ntp true): Tor and TLS need the time',
    isFault: true,
  },
  {
    holds: ({ reached }) => reached === false,
    text: (names) => `the canary of ${names} does not reach its onion`,
    fix: 'onionmc doctor on that machine',
    isFault: false,
  },
  {
    holds: ({ overBudget }) => overBudget === true,
    text: (names) => `${names}: sends more than the budgets here allow, and the rest is dropped`,
    fix: 'the same limits in [DIRECTORY] of every node; if they are, find out whether somebody else has the key of that node (docs/cluster.md)',
    isFault: true,
  },
  {
    holds: ({ sameMotd }) => sameMotd === false,
    text: (names) => `${names}: another motd than here, so peers see two directories`,
    fix: 'the same motd in [DIRECTORY] of every node, and a reload (SIGHUP)',
    isFault: false,
  },
  {
    holds: ({ sameLimits }) => sameLimits === false,
    text: (names) => `${names}: other limits than here, so the nodes share no common budget`,
    fix: 'the same limits in [DIRECTORY] of every node, and a reload (SIGHUP)',
    isFault: false,
  },
];

/**
 * @param cluster that of `/status`
 * @param configured number of nodes in `[CLUSTER] nodes`
 */
export function nodesVerdict(
  cluster: Readonly<Record<string, unknown>>,
  configured: number,
): Verdict {
  const bus = recordOf(cluster['bus']);
  if (bus['connected'] !== true) {
    const why = typeof bus['detail'] === 'string' ? ` (${shownLine(bus['detail'], 200)})` : '';
    return wrong(
      `this node is cut off from the cluster${why}, and serves its own peers only`,
      'see the check of NATS above; the log of the directory has the moment',
    );
  }
  const listed = Array.isArray(cluster['nodes']) ? cluster['nodes'].map(recordOf) : [];
  const others = listed.filter(({ state }) => state !== 'this');
  const away = others.filter(({ state }) => state !== 'alive').map(nameOf);
  if (away.length > 0) {
    return wrong(
      `not heard: ${away.join(', ')}`,
      'start the directory there, or run onionmc doctor on that machine; it must have the same [CLUSTER] name, nodes and network',
    );
  }
  const differing = DIFFERENCES.find(({ holds }) => others.some(holds));
  if (differing !== undefined) {
    const { holds, text, fix, isFault } = differing;
    const names = others.filter(holds).map(nameOf).join(', ');
    return (isFault ? wrong : note)(text(names), fix);
  }
  if (listed.length !== configured) {
    return note(
      `it runs with ${listed.length} nodes, and [CLUSTER] nodes has ${configured}`,
      'onionmc upgrade, so that the file counts',
    );
  }
  return ok(
    `${others.length === 1 ? 'the other node is' : `all ${others.length} other nodes are`} heard`,
  );
}

export const clusterNodesCheck: Check = {
  id: 'cluster-nodes',
  title: 'other nodes',
  needs: ['cluster', 'settings', 'running'],
  onlyWith: 'cluster',
  gives: [],
  async run(facts, { signal }: Machine) {
    const { directory } = facts.get('settings');
    if (directory.statusPort === 0) {
      return note('unknown: the directory has no status page', 'set status_port in [DIRECTORY]');
    }
    const base = statusBase(directory.statusHost, directory.statusPort);
    const asked = await askStatus({ base, path: '/status', signal });
    if (asked.kind === 'page' && asked.code === 401) {
      return note(
        'unknown: the status page needs a code',
        'onionmc status --code-file FILE shows the nodes',
      );
    }
    const cluster = asked.kind === 'page' ? asked.page['cluster'] : undefined;
    if (cluster === undefined) {
      return wrong(
        'the directory that runs here is not part of a cluster: [CLUSTER] was written since it was started',
        'onionmc upgrade, so that the file counts',
      );
    }
    return nodesVerdict(recordOf(cluster), facts.get('cluster').nodes.length);
  },
};
