/** Finds the `type = onion` section and reads it. */
import { join } from 'node:path';
import type { Network } from '../protocol/constants.js';
import { isLoopbackHost, type Location } from '../protocol/location.js';
import type { CfgFile } from './cfg-file.js';
import { unixSocketPath } from '../kit/socket-path.js';
import { quotedLine } from '../kit/shown-text.js';
import { ConfigError } from './config-error.js';
import { directoryNotice, nodesToDial } from './directory-nodes.js';
import {
  findLokinetSection,
  isLokinetTyped,
  readLokinetSettings,
  type LokinetSettings,
} from './lokinet-settings.js';
import { expandPath } from './paths.js';
import { readSection } from './read-section.js';
import { OVERLAY_NAMES, type OverlayName } from './overlays.js';
import { ONION_KEYS, TOR_KEYS, type ServingSocket, type TorMode } from './settings-keys.js';
import { shownUpstream, torrcHint, type TorUpstream } from './tor-upstream.js';

/** The address of Tor's control port. */
export type ControlAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export interface OnionSettings {
  /** The overlays of the program. Only `loopback` when `regtest_count` is not `0,0`. */
  readonly overlays: readonly OverlayName[];
  /** The overlay `tor` is not used: plain TCP on this machine only. */
  readonly withoutTor: boolean;
  readonly torMode: TorMode;
  /** The proxy between our Tor and its network; only with `tor_mode = managed`. */
  readonly upstream: TorUpstream | undefined;
  readonly socks: HostPort;
  readonly control: ControlAddress;
  readonly controlPassword: string | undefined;
  /** The host at which Tor reaches our listener; undefined = found out on connecting to Tor. */
  readonly targetHost: string | undefined;
  /** The local listener that the onion leads to; port 0 = any free port. */
  readonly serving: HostPort;
  /** The unix socket to which Tor forwards instead, if it can. */
  readonly servingSocket: ServingSocket;
  /** The operator's torrc writes the circuit in front of each connection; only with a named unix socket. */
  readonly servingCircuits: boolean;
  /** Where the loopback overlay listens; port 0 = any free port. The same as `serving` without Tor. */
  readonly loopbackServing: HostPort;
  /** Absolute path; undefined = the key of the onion is not stored. Always set for a directory. */
  readonly hiddenServiceDir: string | undefined;
  /** The directories to connect to, of all overlays; always empty for a directory. */
  readonly directoryNodes: readonly Location[];
  /** The overlay `lokinet`; undefined without it. */
  readonly lokinet: LokinetSettings | undefined;
  /** The operator chose them: directories of a signed list are not used. */
  readonly directoriesChosen: boolean;
}

interface Found {
  /** Undefined when the file has none: the defaults then apply. */
  readonly section: string | undefined;
  readonly notices: readonly string[];
}

const PREFIX = 'MESSAGING:';

/** Whether a section has `type = onion`, case-insensitive. */
function isOnionTyped(cfg: CfgFile, section: string): boolean {
  const type = cfg.get(section, 'type');
  return type !== undefined && ONION_KEYS.type.parse(type) !== undefined;
}

/**
 * Finds the one section with `type = onion`; its name after `MESSAGING:` is free. If there is none, a
 * section `MESSAGING:onion` counts without a `type`, as one deployed directory reads it. Other sections
 * are IRC. Throws a ConfigError when two have `type = onion`.
 */
export function findOnionSection(cfg: CfgFile): Found {
  const messaging = cfg.sections.filter((name) => name.startsWith(PREFIX));
  const typed = messaging.filter((name) => isOnionTyped(cfg, name));
  const [first, second] = typed;
  if (second !== undefined) {
    throw new ConfigError({
      file: cfg.path,
      line: cfg.lineOf(second, 'type'),
      section: second,
      key: 'type',
      found: `a second onion section, after [${first ?? ''}]`,
      allowed: 'one section with type = onion',
    });
  }
  const untyped = messaging.find(
    (name) => name === `${PREFIX}onion` && cfg.get(name, 'type') === undefined,
  );
  const section = first ?? untyped;
  const others = messaging
    .filter((name) => name !== section && !isLokinetTyped(cfg, name))
    .map((name) => `[${name}]`);
  const notices: string[] = [];
  if (others.length > 0) {
    notices.push(`${cfg.path}: only onion channels are served; ignored: ${others.join(', ')}`);
  }
  if (section === undefined) {
    notices.push(`${cfg.path}: no section with type = onion; its defaults are used`);
  }
  return { section, notices };
}

function controlAddress(host: string, port: number): ControlAddress {
  const path = unixSocketPath(host);
  return path === undefined ? { kind: 'tcp', host, port } : { kind: 'unix', path };
}

export interface OnionContext {
  readonly cfg: CfgFile;
  readonly datadir: string;
  readonly network: Network;
  /** Whether the program is a directory: it needs an address of its own and does not dial. */
  readonly isDirectory: boolean;
  /** Whether it serves, but is no directory. */
  readonly isMaker?: boolean;
  /** Whether the directories come from elsewhere, so that the list may be unusable. */
  readonly needsNoList?: boolean;
  /** Whether keys of signed lists are pinned or shipped. */
  readonly hasListKeys?: boolean;
}

/** In the order of the table. A section with `type = lokinet` adds that overlay to those of `overlays`. */
function overlaysOf(
  cfg: CfgFile,
  values: { readonly regtestCount: boolean; readonly overlays: readonly OverlayName[] },
): readonly OverlayName[] {
  if (values.regtestCount) return ['loopback'];
  const hasSection = findLokinetSection(cfg) !== undefined;
  return OVERLAY_NAMES.filter(
    (name) => values.overlays.includes(name) || (name === 'lokinet' && hasSection),
  );
}

/** Throws a ConfigError for a Tor that this program does not start, since its connections would stay direct. */
function readUpstream(cfg: CfgFile, torMode: TorMode): TorUpstream | undefined {
  const { upstream } = readSection(TOR_KEYS, cfg, 'TOR');
  if (upstream === null) return undefined;
  if (torMode === 'managed') return upstream;
  throw new ConfigError({
    file: cfg.path,
    line: cfg.lineOf('TOR', 'upstream'),
    section: 'TOR',
    key: 'upstream',
    found: `${quotedLine(shownUpstream(upstream))} and tor_mode = ${torMode}`,
    allowed: `tor_mode = managed, because another Tor takes its proxy from its own torrc: ${torrcHint(upstream)}`,
  });
}

/** Reads the onion section. Rejects with a ConfigError when a value is not allowed. */
export async function readOnionSettings(
  context: OnionContext,
): Promise<{ readonly onion: OnionSettings; readonly notices: readonly string[] }> {
  const { cfg, datadir, network, isDirectory } = context;
  const { section, notices } = findOnionSection(cfg);
  const values = readSection(ONION_KEYS, cfg, section);
  const fault = (key: keyof typeof ONION_KEYS, found: string, allowed: string): ConfigError => {
    const line = section === undefined ? undefined : cfg.lineOf(section, key);
    return new ConfigError({ file: cfg.path, line, section, key, found, allowed });
  };

  const overlays = overlaysOf(cfg, values);
  const withoutTor = !overlays.includes('tor');
  const serving = { host: values.onionServingHost, port: values.onionServingPort };
  if (withoutTor && (!isLoopbackHost(serving.host) || serving.host === '::1')) {
    throw fault(
      'onion_serving_host',
      quotedLine(serving.host),
      'this machine only (127.0.0.1), because regtest_count is not 0,0',
    );
  }
  const needsPort = values.torMode === 'external' && values.onionServingSocket.kind !== 'unix';
  if (needsPort && serving.port === 0 && !withoutTor) {
    throw fault(
      'onion_serving_port',
      '0',
      'the fixed port that torrc names, for tor_mode = external',
    );
  }

  const isOwnTorrc = values.torMode === 'external' && values.onionServingSocket.kind === 'unix';
  if (values.onionServingCircuits && !isOwnTorrc && !withoutTor) {
    throw fault(
      'onion_serving_circuits',
      'yes',
      'no, unless tor_mode = external and onion_serving_socket = unix:/path: with a managed Tor the circuits are known anyway, and at a TCP port any program of this machine could invent them',
    );
  }

  const blankDir = isDirectory ? join(datadir, 'hidden_service') : undefined;
  const hiddenServiceDir =
    values.hiddenServiceDir === '' ? blankDir : expandPath(values.hiddenServiceDir, datadir);
  const loopbackServing = withoutTor
    ? serving
    : { host: '127.0.0.1', port: values.loopbackServingPort };
  const own = { overlays, loopbackServing, hiddenServiceDir };
  const lokinet = overlays.includes('lokinet')
    ? await readLokinetSettings({
        cfg,
        isDirectory,
        isMaker: context.isMaker === true,
        needsNoList: context.needsNoList === true,
        isAlone: overlays.length === 1,
      })
    : undefined;
  const isLokinetOnly = lokinet !== undefined && overlays.length === 1;
  const nodes = isDirectory
    ? {
        ok: true as const,
        nodes: [],
        chosen: false,
        notice: await directoryNotice(values.directoryNodes, own),
      }
    : isLokinetOnly
      ? { ok: true as const, nodes: [], chosen: true }
      : nodesToDial(values.directoryNodes, network, overlays, context.hasListKeys);
  if (!nodes.ok && context.needsNoList !== true) {
    throw fault('directory_nodes', nodes.bad.found, nodes.bad.allowed);
  }

  const onion: OnionSettings = {
    overlays,
    withoutTor,
    torMode: values.torMode,
    upstream: withoutTor ? undefined : readUpstream(cfg, values.torMode),
    socks: { host: values.socks5Host, port: values.socks5Port },
    control: controlAddress(values.torControlHost, values.torControlPort),
    controlPassword: values.torControlPassword === '' ? undefined : values.torControlPassword,
    targetHost: values.torTargetHost === '' ? undefined : values.torTargetHost,
    serving,
    servingSocket: values.onionServingSocket,
    servingCircuits: values.onionServingCircuits,
    loopbackServing,
    hiddenServiceDir,
    directoryNodes: [...(nodes.ok ? nodes.nodes : []), ...(lokinet?.directoryNodes ?? [])],
    lokinet,
    directoriesChosen: nodes.ok && nodes.chosen,
  };
  const nodesNotice =
    !nodes.ok || nodes.notice === undefined ? [] : [`${cfg.path}: ${nodes.notice}`];
  return { onion, notices: [...notices, ...nodesNotice] };
}
