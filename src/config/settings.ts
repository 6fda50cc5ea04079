/**
 * The typed settings of a program: the values of `joinmarket.cfg` and all defaults (docs/protocol.md,
 * section 13.1).
 */
import { join } from 'node:path';
import { errorText } from '../kit/error-text.js';
import type { Network } from '../protocol/constants.js';
import { isLoopbackHost } from '../protocol/location.js';
import { readAdmission, type AdmissionSettings } from './admission-settings.js';
import { parseCfg, readCfgFile, type CfgFile } from './cfg-file.js';
import { quotedLine } from '../kit/shown-text.js';
import { ConfigError } from './config-error.js';
import { readCluster, type ClusterSettings } from './cluster-settings.js';
import { writeDefaultConfig } from './default-config.js';
import { ignoredNotices } from './ignored-keys.js';
import { nearestName } from '../kit/nearest-name.js';
import { findLokinetSection } from './lokinet-settings.js';
import { findOnionSection, readOnionSettings, type OnionSettings } from './onion-settings.js';
import { resolveDatadir } from './paths.js';
import { SHIPPED_LIST_KEYS } from './shipped-list-keys.js';
import { readBlockchain, type NodeSettings } from './node-settings.js';
import { readSection } from './read-section.js';
import {
  CLUSTER_KEYS,
  ADMISSION_KEYS,
  DIRECTORIES_KEYS,
  DIRECTORY_KEYS,
  LOGGING_KEYS,
  LOKINET_KEYS,
  OBWATCHER_KEYS,
  POLICY_KEYS,
  TIMEOUT_KEYS,
  TOR_KEYS,
  ONION_KEYS,
  YIELDGENERATOR_KEYS,
  type SectionValues,
} from './settings-keys.js';

/** The programs that read the file. */
export type Role = 'directory' | 'maker' | 'taker' | 'ob-watcher' | 'check' | 'wallet';

export const CONFIG_FILE_NAME = 'joinmarket.cfg';

/** `[DIRECTORY]`: times in seconds; 0 = no limit or off, where the key allows it. */
export type DirectorySettings = SectionValues<typeof DIRECTORY_KEYS>;
/** `[DIRECTORIES]`: signed lists of directories. */
export type DirectoriesSettings = SectionValues<typeof DIRECTORIES_KEYS>;
/** `[OBWATCHER]`: where the orderbook page is served. */
export type ObWatcherSettings = SectionValues<typeof OBWATCHER_KEYS>;
export type LoggingSettings = SectionValues<typeof LOGGING_KEYS>;
export type TimeoutSettings = SectionValues<typeof TIMEOUT_KEYS>;
export type PolicySettings = SectionValues<typeof POLICY_KEYS>;
/** `[YIELDGENERATOR]`: amounts in satoshi, the rest as fractions. */
export type YieldGeneratorSettings = SectionValues<typeof YIELDGENERATOR_KEYS>;

/** Every value of `joinmarket.cfg` that a program uses, with defaults for what the file omits. */
export interface Settings {
  /** The program the settings are for. */
  readonly role: Role;
  /** Absolute path of the data directory. */
  readonly datadir: string;
  /** Absolute path of the file that was read. */
  readonly configFile: string;
  /** `[BLOCKCHAIN] network`. */
  readonly network: Network;
  /** The bitcoin node; undefined with `no-blockchain`, and for programs that ask none. */
  readonly node: NodeSettings | undefined;
  /** The section of the onion message channel: directories, addresses of Tor. */
  readonly onion: OnionSettings;
  /** `[LOGGING]`. */
  readonly logging: LoggingSettings;
  /** `[TIMEOUT]`, in seconds. */
  readonly timeout: TimeoutSettings;
  /** `[POLICY]`: limits and preferences of coinjoins. */
  readonly policy: PolicySettings;
  /** `[YIELDGENERATOR]`: the terms and limits of a maker. */
  readonly yieldGenerator: YieldGeneratorSettings;
  /** `[DIRECTORY]`: the limits of a directory, in seconds where they are times. */
  readonly directory: DirectorySettings;
  /** `[CLUSTER]` of a directory; undefined for one on a single machine, and for other programs. */
  readonly cluster: ClusterSettings | undefined;
  /** `[ADMISSION]`: private directories and codes. */
  readonly admission: AdmissionSettings;
  /** `[DIRECTORIES]`: signed lists of directories; `listKeys` is the pinned or the shipped fingerprint. */
  readonly directories: DirectoriesSettings;
  /** `[OBWATCHER]`: where the orderbook page is served. */
  readonly obWatcher: ObWatcherSettings;
  /** The whole file, with unknown sections and keys. */
  readonly cfg: CfgFile;
}

/** Where the file is, and for which program it is read. */
export interface LoadOptions {
  /** Data directory; `~` is the home directory. Default `~/.joinmarket`. */
  readonly datadir?: string | undefined;
  /** The program; some values mean something else, or are not needed, for some. */
  readonly role: Role;
  /** A missing file is an error: it existed when the program started. */
  readonly mustExist?: boolean;
}

/** Settings that were read from a file. */
export interface Loaded {
  /** The settings of the role. */
  readonly settings: Settings;
  /** One line each, for the operator: ignored or suspicious entries. */
  readonly notices: readonly string[];
  /** The file did not exist, and the commented default was written. */
  readonly createdConfig: boolean;
}

/** Unknown keys of a section, each with the closest known name if there is one. */
function unknownKeys(cfg: CfgFile, section: string, known: readonly string[]) {
  return cfg
    .ownKeys(section)
    .filter((key) => !known.includes(key))
    .map((key) => {
      const line = cfg.lineOf(section, key) ?? 0;
      const nearest = nearestName(key, known);
      const hint = nearest === undefined ? '' : `; did you mean ${nearest}?`;
      const notice = `${cfg.path}:${line}: [${section}] has no key ${quotedLine(key)}, ignored${hint}`;
      return { notice, nearest };
    });
}

/** The sections that only onionmc reads. */
const OWN_SECTIONS = {
  TOR: TOR_KEYS,
  DIRECTORY: DIRECTORY_KEYS,
  CLUSTER: CLUSTER_KEYS,
  DIRECTORIES: DIRECTORIES_KEYS,
  OBWATCHER: OBWATCHER_KEYS,
  ADMISSION: ADMISSION_KEYS,
};

/**
 * Warnings for the sections that only onionmc reads: misspelt section names and unknown keys. In the
 * onion section other programs may have keys of their own, so only those that look misspelt are
 * reported.
 */
export function misspeltNotices(cfg: CfgFile): readonly string[] {
  const own = Object.entries(OWN_SECTIONS).flatMap(([section, keys]) => [
    ...cfg.sections
      .filter((name) => name !== section && name.toUpperCase() === section)
      .map((name) => `${cfg.path}: section [${name}] is ignored; did you mean [${section}]?`),
    ...unknownKeys(cfg, section, Object.keys(keys)).map(({ notice }) => notice),
  ]);
  const { section } = findOnionSection(cfg);
  const shared = section === undefined ? [] : unknownKeys(cfg, section, Object.keys(ONION_KEYS));
  const lokinet = findLokinetSection(cfg);
  const inLokinet =
    lokinet === undefined ? [] : unknownKeys(cfg, lokinet, Object.keys(LOKINET_KEYS));
  return [
    ...own,
    ...inLokinet.map(({ notice }) => notice),
    ...shared.flatMap(({ notice, nearest }) => (nearest === undefined ? [] : [notice])),
  ];
}

/** A pinned key set comes before the shipped one. */
function readDirectories(cfg: CfgFile, network: Network): DirectoriesSettings {
  const values = readSection(DIRECTORIES_KEYS, cfg, 'DIRECTORIES');
  const listKeys = values.listKeys === '' ? SHIPPED_LIST_KEYS[network] : values.listKeys;
  return { ...values, listKeys };
}

/**
 * The settings of a role from a parsed file. Rejects with a ConfigError for the first value that is not
 * allowed.
 */
export async function settingsFrom(
  cfg: CfgFile,
  { datadir, role }: { readonly datadir: string; readonly role: Role },
): Promise<{ readonly settings: Settings; readonly notices: readonly string[] }> {
  const isDirectory = role === 'directory';
  const { network, node } = readBlockchain(cfg, datadir, !isDirectory && role !== 'check');
  const needsNoList = role === 'check' || role === 'wallet';
  const isMaker = role === 'maker';
  const directories = readDirectories(cfg, network);
  const hasListKeys = directories.listKeys !== '';
  const context = { cfg, datadir, network, isDirectory, isMaker, needsNoList, hasListKeys };
  const { onion, notices } = await readOnionSettings(context);
  const settings: Settings = {
    role,
    datadir,
    configFile: cfg.path,
    network,
    node,
    onion,
    logging: readSection(LOGGING_KEYS, cfg, 'LOGGING'),
    timeout: readSection(TIMEOUT_KEYS, cfg, 'TIMEOUT'),
    policy: readSection(POLICY_KEYS, cfg, 'POLICY'),
    yieldGenerator: readSection(YIELDGENERATOR_KEYS, cfg, 'YIELDGENERATOR'),
    directory: readSection(DIRECTORY_KEYS, cfg, 'DIRECTORY'),
    cluster: isDirectory ? readCluster(cfg, datadir) : undefined,
    admission: readAdmission(cfg, datadir),
    directories,
    obWatcher: readSection(OBWATCHER_KEYS, cfg, 'OBWATCHER'),
    cfg,
  };
  const { statusHost, statusPort } = settings.directory;
  const exposed =
    isDirectory && statusPort !== 0 && !isLoopbackHost(statusHost)
      ? [
          `${cfg.path}: [DIRECTORY] status_host ${statusHost} shows the status page to other machines`,
        ]
      : [];
  return {
    settings,
    notices: [...notices, ...misspeltNotices(cfg), ...ignoredNotices(cfg), ...exposed],
  };
}

/** Creates the default file; resolves to whether it was written. */
async function createIfMissing(configFile: string): Promise<boolean> {
  try {
    return await writeDefaultConfig(configFile);
  } catch (error) {
    const reason = errorText(error);
    throw new ConfigError(
      {
        file: configFile,
        found: `no file, and none can be written (${reason})`,
        allowed: 'a data directory with room, that this user may write to (--datadir DIR)',
      },
      { cause: error },
    );
  }
}

/**
 * Reads `joinmarket.cfg` of the data directory. At the first start it writes the commented default
 * (mode 0600 in a directory of mode 0700) and uses that. Rejects with a ConfigError (exit code 2).
 */
export async function loadSettings(options: LoadOptions): Promise<Loaded> {
  const datadir = resolveDatadir(options.datadir);
  const configFile = join(datadir, CONFIG_FILE_NAME);
  let cfg = await readCfgFile(configFile);
  let createdConfig = false;
  if (cfg === undefined && options.mustExist !== true) {
    createdConfig = await createIfMissing(configFile);
    cfg = await readCfgFile(configFile);
  }
  if (cfg === undefined) {
    throw new ConfigError({
      file: configFile,
      found: 'no file, or a link to none',
      allowed: 'a configuration that stays there while the program runs',
    });
  }
  const { settings, notices } = await settingsFrom(cfg, { datadir, role: options.role });
  return { settings, notices, createdConfig };
}

export interface Peeked {
  readonly settings: Settings;
  readonly notices: readonly string[];
  /** False: the file does not exist, and these are the settings of the default file. */
  readonly configExists: boolean;
}

/**
 * The settings that `loadSettings` would return, without writing anything. Rejects with a ConfigError.
 */
export async function peekSettings(options: Omit<LoadOptions, 'mustExist'>): Promise<Peeked> {
  const datadir = resolveDatadir(options.datadir);
  const configFile = join(datadir, CONFIG_FILE_NAME);
  const read = await readCfgFile(configFile);
  const cfg = read ?? shippedCfg(configFile);
  return {
    ...(await settingsFrom(cfg, { datadir, role: options.role })),
    configExists: read !== undefined,
  };
}

/** The shipped file contains only the defaults. */
function shippedCfg(path: string): CfgFile {
  const parsed = parseCfg('[MESSAGING:onion]\ntype = onion\n', path);
  if (!parsed.ok) throw new Error('the built-in configuration cannot be read');
  return parsed.value;
}
