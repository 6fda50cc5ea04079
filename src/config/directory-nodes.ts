/** `directory_nodes`: the directories that a peer connects to, and how a directory reads the list. */
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
import { kindsOf, OVERLAYS, type OverlayName } from './overlays.js';
import { FORMER_LISTS, SHIPPED_DIRECTORIES } from './shipped-directories.js';

/** Most entries; a peer keeps a connection to each. */
export const MAX_DIRECTORIES = 64;

/** The fault of an address, shown in brackets after it. */
export const LOCATION_FAULTS: Readonly<Record<LocationFault, string>> = {
  'location-empty': 'nothing',
  'location-port': 'no port from 1 to 65535 after a colon',
  'location-host': 'neither an onion nor this machine',
  'onion-dot': 'a dot after .onion: remove it, or Tor asks exit relays for the name',
  'onion-length': 'not the 56 characters of a v3 onion',
  'onion-alphabet': 'characters that no onion has (only a-z and 2-7)',
  'onion-version': 'not a version 3 onion',
  'onion-checksum': 'wrong checksum: probably mistyped',
  'loki-router': 'the address of a router of Lokinet, which serves nothing',
  'loki-suffix': 'upper case in a name of Lokinet',
  'loki-dot': 'a dot after .loki: remove it, or other resolvers are asked for the name',
  'loki-label': 'not a name of Lokinet',
  'loki-reserved': 'a name that Lokinet reserves',
  'loki-key': 'not the 52 characters of a .loki address: probably mistyped',
};

/** The nodes, with a remark for the operator; or the first entry that cannot be used, and why. */
export type DirectoryList =
  | {
      readonly ok: true;
      readonly nodes: readonly Location[];
      /** The operator chose them, so nothing else is added or used instead. */
      readonly chosen: boolean;
      readonly notice?: string | undefined;
    }
  | { readonly ok: false; readonly bad: { readonly found: string; readonly allowed: string } };

export function refused(found: string, allowed: string): DirectoryList {
  return { ok: false, bad: { found, allowed } };
}

/** All directories come from a signed list. */
const NO_NODES: DirectoryList = { ok: true, nodes: [], chosen: false };

export function entriesOf(text: string): readonly string[] {
  const entries = text.split(',').map((entry) => entry.trim());
  return [...new Set(entries.filter((entry) => entry !== ''))];
}

/** Reads `host:port` entries with commas between. Empty entries are skipped, duplicates count once. */
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
  return { ok: true, nodes, chosen: true };
}

/** A list that a program wrote into the file, so the operator did not choose it. */
interface UnchosenList {
  readonly network: Network;
  /** For a person. */
  readonly name: string;
  /** It equals the current list, entry for entry. */
  readonly isCurrent: boolean;
}

/** The set of onions in the entries, without their ports. */
function hostSet(entries: readonly string[]): string {
  const hosts = entries.map((entry) => entry.replace(/:\d+$/, '').toLowerCase());
  return [...new Set(hosts)].toSorted().join(',');
}

/** The shipped list that equals this one, compared as sets without ports. */
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
 * The directories that a dialling role connects to. An empty list stands for the shipped list of the
 * network. So does a list that the operator did not choose: the shipped list of another network, which
 * remains when only `network` was edited, and every list that the original shipped before. A subset, or
 * a list with other addresses, is a choice. Only addresses in the overlays of the program are allowed.
 * The file is not changed.
 * @param hasListKeys the keys of signed lists are pinned, so that directories may come from a list alone
 */
export function nodesToDial(
  text: string,
  network: Network,
  overlays: readonly OverlayName[],
  hasListKeys = false,
): DirectoryList {
  const isEmpty = entriesOf(text).length === 0;
  if (isEmpty && hasListKeys && SHIPPED_DIRECTORIES[network].length === 0) return NO_NODES;
  if (!overlays.includes('tor')) return onlyIn(overlays, text);
  const unchosen = unchosenList(text);
  const shippedHere = SHIPPED_DIRECTORIES[network];
  const isCurrentList = unchosen?.isCurrent === true && unchosen.network === network;
  if (!isEmpty && (unchosen === undefined || isCurrentList)) {
    const list = onlyIn(overlays, text);
    return list.ok ? { ...list, chosen: !isCurrentList } : list;
  }
  const found = unchosen?.name ?? 'nothing';
  if (shippedHere.length === 0) {
    if (hasListKeys && unchosen !== undefined) return NO_NODES;
    return refused(found, `host:port of at least one ${network} directory (none is shipped)`);
  }
  const parsed = parseDirectoryNodes(shippedHere.join(','));
  if (!parsed.ok) return parsed;
  const shipped = { ...parsed, chosen: false };
  if (unchosen === undefined) return shipped;
  const instead = unchosen.network === network ? "today's" : `that of ${network}`;
  return { ...shipped, notice: `directory_nodes is ${found}; using ${instead} instead` };
}

function onlyIn(overlays: readonly OverlayName[], text: string): DirectoryList {
  const list = parseDirectoryNodes(text);
  if (!list.ok) return list;
  const allowed = overlays.map((name) => OVERLAYS[name].addresses).join('; ');
  const kinds = kindsOf(overlays);
  const other = list.nodes.find(({ kind }) => !kinds.includes(kind));
  if (other !== undefined) return refused(quotedLine(formatLocation(other)), allowed);
  return list.nodes.length === 0 ? refused('nothing', allowed) : list;
}

/** Settings from which a directory's own address is known before it starts. */
export interface OwnAddress {
  readonly overlays: readonly OverlayName[];
  readonly loopbackServing: { readonly host: string; readonly port: number };
  readonly hiddenServiceDir: string | undefined;
}

async function ownOnion({ hiddenServiceDir }: OwnAddress): Promise<string | undefined> {
  if (hiddenServiceDir === undefined) return undefined;
  try {
    const host = await readFile(join(hiddenServiceDir, 'hostname'), 'latin1');
    return `${host.trim()}:${VIRTUAL_PORT}`;
  } catch {
    // There is no key yet, or this user cannot read it. The code that opens the key folder reports
    // that.
    return undefined;
  }
}

/** The own location in each network, as far as it is known. */
const OWN: Readonly<Record<OverlayName, (own: OwnAddress) => Promise<string | undefined>>> = {
  tor: ownOnion,
  loopback: async ({ loopbackServing: { host, port } }) => `${host}:${port}`,
  // Lokinet alone knows it, and may not run yet.
  lokinet: async () => undefined,
};

/**
 * A directory does not dial. One remark when the list is neither empty, nor a shipped list, nor the
 * directory itself.
 */
export async function directoryNotice(text: string, own: OwnAddress): Promise<string | undefined> {
  if (unchosenList(text) !== undefined) return undefined;
  const selves = await Promise.all(own.overlays.map((name) => OWN[name](own)));
  const others = entriesOf(text).filter((entry) => !selves.includes(entry)).length;
  if (others === 0) return undefined;
  return `a directory connects to no other; ${others} of directory_nodes ignored`;
}
