/** Reads `[ADMISSION]`: private directories, codes for pages, and a peer's codes for private directories. */
import { join } from 'node:path';
import { formatLocation, parseLocation } from '../protocol/location.js';
import type { CfgFile } from './cfg-file.js';
import { ConfigError } from './config-error.js';
import { expandPath } from './paths.js';
import { readSection } from './read-section.js';
import { ADMISSION_KEYS } from './settings-keys.js';

/** Where the codes of a directory or page come from. */
export interface AdmissionSource {
  readonly kind: 'codes' | 'program';
  /** Absolute path. */
  readonly path: string;
}

export interface AdmissionSettings {
  /** The directory admits only peers with a code. */
  readonly private: boolean;
  /** The onion of a private directory needs Tor client authorisation. */
  readonly torClients: boolean;
  /** The status page and the orderbook page need a code. */
  readonly pages: boolean;
  readonly source: AdmissionSource;
  /** A peer's codes for private directories, by `host:port`. */
  readonly directoryCodes: ReadonlyMap<string, string>;
}

const SECTION = 'ADMISSION';
const MAX_CODES = 64;

/** `host:port=CODE, ...`; undefined when an entry is something else. */
export function parseDirectoryCodes(text: string): ReadonlyMap<string, string> | undefined {
  const codes = new Map<string, string>();
  const entries = text.split(/[,\n]/).map((entry) => entry.trim());
  for (const entry of entries.filter((each) => each !== '')) {
    const at = entry.indexOf('=');
    const location = parseLocation(entry.slice(0, at).trim().toLowerCase());
    const code = entry.slice(at + 1).trim();
    // A code with a blank or a comma in it cannot be written here.
    if (at < 1 || !location.ok || !/^[\x21-\x7e]{1,256}$/.test(code)) return undefined;
    const key = formatLocation(location.value);
    if (codes.has(key)) return undefined;
    codes.set(key, code);
  }
  return codes.size <= MAX_CODES ? codes : undefined;
}

/** Throws a ConfigError, which shows no code. */
export function readAdmission(cfg: CfgFile, datadir: string): AdmissionSettings {
  const values = readSection(ADMISSION_KEYS, cfg, SECTION);
  const fault = (key: keyof typeof ADMISSION_KEYS, found: string, allowed: string): ConfigError =>
    new ConfigError({
      file: cfg.path,
      line: cfg.lineOf(SECTION, key),
      section: SECTION,
      key,
      found,
      allowed,
    });
  const directoryCodes = parseDirectoryCodes(values.directoryCodes);
  if (!directoryCodes) {
    throw fault(
      'directory_codes',
      'a value that is not shown',
      `HOST:PORT=CODE, ... with each directory once, at most ${MAX_CODES}, and codes without blanks and commas`,
    );
  }
  if (values.command !== '' && values.codesFile !== '') {
    throw fault('command', 'a program, beside codes_file', 'one of command and codes_file');
  }
  const codes =
    values.codesFile === ''
      ? join(datadir, 'admission', 'codes.json')
      : expandPath(values.codesFile, datadir);
  return {
    private: values.private,
    torClients: values.torClients,
    pages: values.pages,
    source:
      values.command === ''
        ? { kind: 'codes', path: codes }
        : { kind: 'program', path: expandPath(values.command, datadir) },
    directoryCodes,
  };
}
