/** Finds the `type = lokinet` section, which turns the overlay on, and reads it. */
import { VIRTUAL_PORT } from '../protocol/constants.js';
import { parseLocation, type Location } from '../protocol/location.js';
import { parseLokiName } from '../protocol/loki-address.js';
import { quotedLine } from '../kit/shown-text.js';
import type { AddressAndPort } from './cfg-value.js';
import type { CfgFile } from './cfg-file.js';
import { ConfigError } from './config-error.js';
import {
  entriesOf,
  LOCATION_FAULTS,
  MAX_DIRECTORIES,
  refused,
  type DirectoryList,
} from './directory-nodes.js';
import { readSection } from './read-section.js';
import { LOKINET_KEYS } from './settings-keys.js';

/** The overlay lokinet. */
export interface LokinetSettings {
  /** Lokinet's resolver. No other one is asked for its names. */
  readonly dns: AddressAndPort;
  /** Lokinet's RPC socket as a ZeroMQ address; undefined = it is not asked. */
  readonly rpc: string | undefined;
  /** Whether a directory or maker has an address there, or only dials. */
  readonly serve: boolean;
  /** The port of that address; Lokinet forwards it as it is. */
  readonly virtualPort: number;
  /** The directories to connect to; always empty for a directory. */
  readonly directoryNodes: readonly Location[];
  /** Those of them without a port in the file: the service's SRV record names it. */
  readonly portFromSrv: ReadonlySet<string>;
  /** Whether a peer uses its nick of Lokinet in the other overlays too. */
  readonly sameNick: boolean;
}

/** Whether a section has `type = lokinet`, in upper or lower case. */
export function isLokinetTyped(cfg: CfgFile, section: string): boolean {
  const type = cfg.get(section, 'type');
  return type !== undefined && LOKINET_KEYS.type.parse(type) !== undefined;
}

/** Finds the one section with `type = lokinet`. Throws a ConfigError when there are two. */
export function findLokinetSection(cfg: CfgFile): string | undefined {
  const [first, second] = cfg.sections.filter(
    (name) => name.startsWith('MESSAGING:') && isLokinetTyped(cfg, name),
  );
  if (second === undefined) return first;
  throw new ConfigError({
    file: cfg.path,
    line: cfg.lineOf(second, 'type'),
    section: second,
    key: 'type',
    found: `a second section of Lokinet, after [${first ?? ''}]`,
    allowed: 'one section with type = lokinet',
  });
}

const ALLOWED = '<name>.loki or <name>.loki:port, with commas between';

/** Half of all mistyped addresses are no key, which needs the curve. */
async function keyFault(host: string): Promise<string | undefined> {
  const name = parseLokiName(host);
  if (!name.ok || name.value.kind !== 'address') return undefined;
  const { isOnCurve } = await import('../protocol/loki-curve.js');
  return isOnCurve(name.value.publicKey) ? undefined : 'not a public key: probably mistyped';
}

interface LokinetNodes {
  readonly list: DirectoryList;
  readonly portFromSrv: ReadonlySet<string>;
}

/** Reads the entries; one without a port gets the usual one until the SRV record is known. */
async function readNodes(text: string): Promise<LokinetNodes> {
  const entries = entriesOf(text);
  const portFromSrv = new Set<string>();
  const nodes: Location[] = [];
  const fault = (entry: string, why: string): LokinetNodes => ({
    list: refused(`${quotedLine(entry)} (${why})`, ALLOWED),
    portFromSrv,
  });
  if (entries.length > MAX_DIRECTORIES) {
    return fault(`${entries.length} entries`, `more than ${MAX_DIRECTORIES}`);
  }
  for (const entry of entries) {
    const hasPort = entry.includes(':');
    const location = parseLocation(hasPort ? entry : `${entry}:${VIRTUAL_PORT}`);
    if (!location.ok) return fault(entry, LOCATION_FAULTS[location.reason]);
    const { kind, host } = location.value;
    if (kind !== 'loki') return fault(entry, 'not an address of Lokinet');
    // oxlint-disable-next-line no-await-in-loop -- one import, then nothing waits
    const why = await keyFault(host);
    if (why !== undefined) return fault(entry, why);
    if (!hasPort) portFromSrv.add(host);
    nodes.push(location.value);
  }
  return { list: { ok: true, nodes, chosen: true }, portFromSrv };
}

interface LokinetContext {
  readonly cfg: CfgFile;
  readonly isDirectory: boolean;
  readonly isMaker: boolean;
  /** Whether the directories come from elsewhere. */
  readonly needsNoList: boolean;
  /** Whether Lokinet is the only overlay of the program. */
  readonly isAlone: boolean;
}

/** Reads the section, which may be absent. Rejects with a ConfigError when a value is not allowed. */
export async function readLokinetSettings({
  cfg,
  isDirectory,
  isMaker,
  needsNoList,
  isAlone,
}: LokinetContext): Promise<LokinetSettings> {
  const section = findLokinetSection(cfg);
  const values = readSection(LOKINET_KEYS, cfg, section);
  const fault = (key: keyof typeof LOKINET_KEYS, found: string, allowed: string): ConfigError => {
    const line = section === undefined ? undefined : cfg.lineOf(section, key);
    return new ConfigError({ file: cfg.path, line, section, key, found, allowed });
  };
  if (!values.serve && isAlone && (isDirectory || isMaker)) {
    const allowed = 'yes, because this program has no other address; or overlays = tor besides';
    throw fault('serve', 'no', allowed);
  }
  const { list, portFromSrv } = await readNodes(isDirectory ? '' : values.directoryNodes);
  if (!list.ok && !needsNoList) throw fault('directory_nodes', list.bad.found, list.bad.allowed);
  const nodes = list.ok ? list.nodes : [];
  if (nodes.length === 0 && !isDirectory && !needsNoList) {
    throw fault('directory_nodes', 'nothing', `at least one directory: ${ALLOWED}`);
  }
  return {
    dns: values.dns,
    rpc: values.rpc === '' ? undefined : values.rpc,
    serve: values.serve,
    virtualPort: values.virtualPort,
    directoryNodes: nodes,
    portFromSrv,
    sameNick: values.sameNick,
  };
}
