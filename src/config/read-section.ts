import { quotedLine } from '../kit/shown-text.js';
import { ConfigError } from './config-error.js';
import type { CfgFile } from './cfg-file.js';
import type { Camel, SectionKeys, SectionValues } from './settings-keys.js';

/** `max_peers` becomes `maxPeers`. */
export function camelCase<K extends string>(key: K): Camel<K> {
  // What Camel says of the type.
  // oxlint-disable-next-line no-unsafe-type-assertion
  return key.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()) as Camel<K>;
}

/**
 * The values of one section, from the file or the defaults; `file` or `section` may be absent. Throws a
 * ConfigError for the first value that is not allowed.
 */
export function readSection<K extends SectionKeys>(
  keys: K,
  file: CfgFile | undefined,
  section: string | undefined,
): SectionValues<K> {
  const values: Record<string, unknown> = {};
  for (const [key, spec] of Object.entries(keys)) {
    const written = section === undefined ? undefined : file?.get(section, key);
    const value = spec.parse(written ?? spec.fallback);
    if (value === undefined) {
      const text = written ?? spec.fallback;
      const remark = spec.remark?.(text);
      throw new ConfigError({
        file: file?.path ?? 'built-in defaults',
        line: section === undefined ? undefined : file?.lineOf(section, key),
        section,
        key,
        found: spec.secret
          ? 'a value that is not shown'
          : `${quotedLine(text)}${remark === undefined ? '' : `, ${remark}`}`,
        allowed: spec.allowed,
      });
    }
    values[camelCase(key)] = value;
  }
  // The loop has filled exactly the keys of K with what their own parsers return.
  // oxlint-disable-next-line no-unsafe-type-assertion
  return values as SectionValues<K>;
}
