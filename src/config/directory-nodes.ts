/** `directory_nodes`: whom a peer connects to, and what a directory makes of the list. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NETWORKS, VIRTUAL_PORT, type Network } from '../protocol/constants.js';
import {
  formatLocation,
  parseLocation,
  type Location,
  type LocationFault,
} from '../protocol/location.js';
import { quotedLine } from '../kit/shown-text.js';
import { FORMER_LISTS, SHIPPED_DIRECTORIES } from './shipped-directories.js';

/** Most entries; a peer keeps a connection to each. */
const MAX_DIRECTORIES = 64;

/** What is wrong with an address, in brackets behind it. */
export const LOCATION_FAULTS: Readonly<Record<LocationFault, string>> = {
  'location-empty': 'nothing',
  'location-port': 'no port from 1 to 65535 after a colon',
  'location-host': 'neither an onion nor this machine',
  'onion-dot': 'a dot behind .onion: take it away, or Tor asks strangers for the name',
  'onion-length': 'not the 56 characters of a v3 onion',
  'onion-alphabet': 'characters that no onion has (only a-z and 2-7)',
  'onion-version': 'not a version 3 onion',
  'onion-checksum': 'wrong checksum: probably mistyped',
};

/** The nodes, with a remark for the operator; or the first entry that cannot be used, and why. */
export type DirectoryList =
  | { readonly ok: true; readonly nodes: readonly Location[]; readonly notice?: string | undefined }
  | { readonly ok: false; readonly bad: { readonly found: string; readonly allowed: string } };

function refused(found: string, allowed: string): DirectoryList {
  return { ok: false, bad: { found, allowed } };
}

function entriesOf(text: string): readonly string[] {
  const entries = text.split(',').map((entry) => entry.trim());
  return [...new Set(entries.filter((entry) => entry !== ''))];
}

/** Reads `host:port` entries with commas between; empty entries do not count, doubles count once. */
export function parseDirectoryNodes(text: string): DirectoryList {
  const entries = entriesOf(text);
  if (entries.length > MAX_DIRECTORIES) {
    return refused(`${entries.length} entries`, `at most ${MAX_DIRECTORIES}`);
  }
  const nodes: Location[] = [];
  for (const entry of entries) {
    const location = parseLocation(entry);
    if (!location.ok) {
      const found = `${quotedLine(entry)} (${LOCATION_FAULTS[location.reason]})`;
      return refused(found, 'host:port of v3 onions, with commas between');
    }
    nodes.push(location.value);
  }
  return { ok: true, nodes };
}

/** A list that nobody chose: a program wrote it into the file. */
interface UnchosenList {
  readonly network: Network;
  /** For a person. */
  readonly name: string;
  /** It is today's, entry for entry. */
  readonly isCurrent: boolean;
}

/** The set of onions in entries, whatever their ports. */
function hostSet(entries: readonly string[]): string {
  const hosts = entries.map((entry) => entry.replace(/:\d+$/, '').toLowerCase());
  return [...new Set(hosts)].toSorted().join(',');
}

/** The list that a program shipped and that this is, as a set and ports aside. */
function unchosenList(text: string): UnchosenList | undefined {
  const entries = entriesOf(text);
  if (entries.length === 0) return undefined;
  const written = hostSet(entries);
  const network = NETWORKS.find((name) => written === hostSet(SHIPPED_DIRECTORIES[name]));
  if (network !== undefined) {
    const isCurrent =
      entries.toSorted().join(',') === SHIPPED_DIRECTORIES[network].toSorted().join(',');
    return { network, name: `the shipped list of ${network}`, isCurrent };
  }
  const former = FORMER_LISTS.find(
    ({ names }) => written === hostSet(names.map((name) => `${name}.onion`)),
  );
  if (former === undefined) return undefined;
  const name = `a former shipped list of ${former.network} (${former.when})`;
  return { network: former.network, name, isCurrent: false };
}

/**
 * Whom a role that dials connects to. An empty list stands for the shipped list of the network; so
 * does a list that nobody chose: that of another network, which is what a file holds when only
 * `network` was edited, and every list that the original shipped before. A part of one, or one with
 * other addresses, is a choice. Loopback mode takes addresses of this machine only, and Tor mode only
 * onions. The file itself stays as it is.
 */
export function nodesToDial(text: string, network: Network, loopback: boolean): DirectoryList {
  if (loopback) {
    return onlyOf(
      'loopback',
      text,
      'addresses of this machine (127.0.0.1:port), because regtest_count is not 0,0',
    );
  }
  const unchosen = unchosenList(text);
  const ours = SHIPPED_DIRECTORIES[network];
  const isOurs = unchosen?.isCurrent === true && unchosen.network === network;
  if (entriesOf(text).length > 0 && (unchosen === undefined || isOurs)) {
    return onlyOf('onion', text, 'onion addresses, unless regtest_count is other than 0,0');
  }
  const found = unchosen?.name ?? 'nothing';
  if (ours.length === 0) {
    return refused(found, `host:port of at least one ${network} directory (none is shipped)`);
  }
  const shipped = parseDirectoryNodes(ours.join(','));
  if (!shipped.ok || unchosen === undefined) return shipped;
  const instead = unchosen.network === network ? "today's" : `that of ${network}`;
  return { ...shipped, notice: `directory_nodes is ${found}; using ${instead} instead` };
}

function onlyOf(kind: Location['kind'], text: string, allowed: string): DirectoryList {
  const list = parseDirectoryNodes(text);
  if (!list.ok) return list;
  const other = list.nodes.find((node) => node.kind !== kind);
  if (other !== undefined) return refused(quotedLine(formatLocation(other)), allowed);
  return list.nodes.length === 0 ? refused('nothing', allowed) : list;
}

/** What is known of a directory's own address before it starts. */
export interface OwnAddress {
  readonly loopback: boolean;
  readonly serving: { readonly host: string; readonly port: number };
  readonly hiddenServiceDir: string | undefined;
}

async function ownLocation(own: OwnAddress): Promise<string | undefined> {
  if (own.loopback) return `${own.serving.host}:${own.serving.port}`;
  if (own.hiddenServiceDir === undefined) return undefined;
  try {
    const host = await readFile(join(own.hiddenServiceDir, 'hostname'), 'latin1');
    return `${host.trim()}:${VIRTUAL_PORT}`;
  } catch {
    // No key yet, or not ours to read: whoever opens the key folder says so.
    return undefined;
  }
}

/**
 * A directory dials nobody. One remark when the list holds something else than nothing, a shipped
 * list or the directory itself.
 */
export async function directoryNotice(text: string, own: OwnAddress): Promise<string | undefined> {
  if (unchosenList(text) !== undefined) return undefined;
  const self = await ownLocation(own);
  const others = entriesOf(text).filter((entry) => entry !== self).length;
  if (others === 0) return undefined;
  return `a directory connects to no other; ${others} of directory_nodes ignored`;
}
