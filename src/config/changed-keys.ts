/** Compares two versions of a configuration: the keys that a reload would change. */
import { findLokinetSection } from './lokinet-settings.js';
import { findOnionSection } from './onion-settings.js';
import type { Role, Settings } from './settings.js';
import {
  ADMISSION_KEYS,
  BLOCKCHAIN_KEYS,
  CLUSTER_KEYS,
  DIRECTORIES_KEYS,
  DIRECTORY_KEYS,
  LOGGING_KEYS,
  LOKINET_KEYS,
  OBWATCHER_KEYS,
  ONION_KEYS,
  POLICY_KEYS,
  TIMEOUT_KEYS,
  TOR_KEYS,
  YIELDGENERATOR_KEYS,
  type SectionKeys,
} from './settings-keys.js';

/** A key as it is written in the file: `[DIRECTORY] motd`. */
export interface KeyName {
  readonly section: string;
  readonly key: string;
}

const TRADING = ['TIMEOUT', 'POLICY'];

/** The sections that a role reads in addition to those of every role. */
const SECTIONS_OF: Readonly<Record<Role, readonly string[]>> = {
  directory: ['DIRECTORY', 'CLUSTER', 'ADMISSION', 'DIRECTORIES'],
  maker: [...TRADING, 'YIELDGENERATOR', 'ADMISSION', 'DIRECTORIES'],
  taker: [...TRADING, 'ADMISSION', 'DIRECTORIES'],
  'ob-watcher': ['POLICY', 'OBWATCHER', 'ADMISSION', 'DIRECTORIES'],
  check: [],
  wallet: ['POLICY'],
};

const SECTIONS: Readonly<Record<string, SectionKeys>> = {
  BLOCKCHAIN: BLOCKCHAIN_KEYS,
  LOGGING: LOGGING_KEYS,
  TOR: TOR_KEYS,
  TIMEOUT: TIMEOUT_KEYS,
  POLICY: POLICY_KEYS,
  YIELDGENERATOR: YIELDGENERATOR_KEYS,
  DIRECTORY: DIRECTORY_KEYS,
  CLUSTER: CLUSTER_KEYS,
  DIRECTORIES: DIRECTORIES_KEYS,
  OBWATCHER: OBWATCHER_KEYS,
  ADMISSION: ADMISSION_KEYS,
};

/** The keys of a section that a role reads: a directory asks no node. */
function keysOf(section: string, role: Role): SectionKeys {
  if (section !== 'BLOCKCHAIN' || role !== 'directory') return SECTIONS[section] ?? {};
  return { network: BLOCKCHAIN_KEYS.network };
}

/** The value in force as text. Writing out a default is not a change. */
function valueOf({ cfg }: Settings, keys: SectionKeys, section: string, key: string): string {
  const spec = keys[key];
  return JSON.stringify(spec?.parse(cfg.get(section, key) ?? spec.fallback)) ?? '';
}

/** The keys of the role whose values differ, in the order of the key table. */
export function changedKeys(before: Settings, after: Settings): readonly KeyName[] {
  const names = ['BLOCKCHAIN', 'LOGGING', 'TOR', ...SECTIONS_OF[after.role]];
  const onion = [before, after].map(({ cfg }) => findOnionSection(cfg).section ?? '');
  const lokinet = [before, after].map(({ cfg }) => findLokinetSection(cfg) ?? '');
  const tables = [
    ...names.map((name) => ({ keys: keysOf(name, after.role), old: name, now: name })),
    { keys: ONION_KEYS, old: onion[0] ?? '', now: onion[1] ?? '' },
    { keys: LOKINET_KEYS, old: lokinet[0] ?? '', now: lokinet[1] ?? '' },
  ];
  return tables.flatMap(({ keys, old, now }) =>
    Object.keys(keys)
      .filter((key) => valueOf(before, keys, old, key) !== valueOf(after, keys, now, key))
      .map((key) => ({ section: now === '' ? old : now, key })),
  );
}
