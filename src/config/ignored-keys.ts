/** Keys of the original that have no effect here, and would have one there. */
import type { CfgFile } from './cfg-file.js';

/** Values with which a key has no effect in the original either. */
const WITHOUT_EFFECT = {
  BLOCKCHAIN: { rpc_wallet_file: /^$/ },
  POLICY: { listunspent_args: /^(?:\[\s*\])?$/, wallet_caching_disabled: /^false$/i },
} as const;

/** One line with the keys that are set and ignored; empty where there are none. */
export function ignoredNotices(cfg: CfgFile): readonly string[] {
  const set = Object.entries(WITHOUT_EFFECT).flatMap(([section, keys]) =>
    Object.entries(keys).flatMap(([key, without]) => {
      const value = cfg.get(section, key);
      return value === undefined || without.test(value.trim()) ? [] : [`[${section}] ${key}`];
    }),
  );
  if (set.length === 0) return [];
  const verb = set.length === 1 ? 'has' : 'have';
  return [
    `${cfg.path}: ${set.join(', ')} ${verb} no effect here: the wallet asks the node for blocks, and needs no wallet in it (docs/config-of-the-original.md)`,
  ];
}
